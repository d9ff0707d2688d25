// What the page knows, and everything that changes it. The views only read it; after each change they are asked to look again.
import type { Address } from "viem";
import { Refused, Unreachable, askTerms, readState, sendConsent } from "./api.js";
import type { Kind, Offer, PayState, Signed } from "./api.js";
import { approve, check, rank, sign } from "./consents.js";
import type { Choice } from "./consents.js";
import { balanceOf, claimInput, claimable, demandInput, demandsSignature, expireInput, send } from "./contracts.js";
import { network } from "./networks.js";
import { chooseAccount, connect, discover, forget, reconnect, switchNetwork, watch } from "./wallets.js";
import type { Connection, Wallet } from "./wallets.js";
import { trouble } from "./words.js";
import type { Trouble } from "./words.js";

/** What is known of the connected account on the payment's network. */
export interface Purse {
  account: Address;
  balance: bigint;
  demandsSignature: boolean;
  /** What waits at the escrow for the hold's sender, whoever is connected. */
  claimable: bigint;
}

/** Where the payer asked for something, so that what comes of it is said there. */
export type Place = "pay" | "release" | "guard";

export interface App {
  state: PayState | undefined;
  /** The link is gone, or never was. */
  gone: boolean;
  /** The daemon did not answer the last time. */
  unreachable: boolean;
  wallets: Wallet[];
  /** Wallets had the time to make themselves known. */
  looked: boolean;
  connection: Connection | undefined;
  purse: Purse | undefined;
  offer: Offer | undefined;
  choices: Choice[];
  /** The way the payer chose, where he did. */
  chosen: Kind | undefined;
  /** What is under way, in words. */
  busy: { place: Place; words: string } | undefined;
  trouble: (Trouble & { place: Place }) | undefined;
  /** Signed, and perhaps not arrived. */
  unsent: Signed | undefined;
}

export const app: App = {
  state: undefined,
  gone: false,
  unreachable: false,
  wallets: [],
  looked: false,
  connection: undefined,
  purse: undefined,
  offer: undefined,
  choices: [],
  chosen: undefined,
  busy: undefined,
  trouble: undefined,
  unsent: undefined,
};

/** Terms older than this are asked for anew before they are signed; the daemon takes them for 15 minutes. */
const FRESH_MS = 8 * 60_000;
const LOOK_FOR_WALLETS_MS = 600;
/** How long the daemon may take to say that a consent arrived, where its answer was lost. */
const ARRIVAL_TRIES = 5;

let look: () => void = () => {};
let stopWatching = () => {};
let offeredAt = 0;

/** Begins; `changed` is called after every change. */
export function begin(changed: () => void): void {
  look = changed;
  discover((wallet) => {
    app.wallets.push(wallet);
    look();
    if (!app.connection) void reconnect(wallet).then((connection) => connection && !app.connection && connected(connection));
  });
  setTimeout(() => {
    app.looked = true;
    look();
  }, LOOK_FOR_WALLETS_MS);
}

// ------------------------------------------------------------------------------------------------- the daemon

/** Reads the daemon's state. */
export async function refresh(): Promise<void> {
  try {
    take(await readState());
  } catch (error) {
    if (error instanceof Refused && error.status === 404) app.gone = true;
    else app.unreachable = true;
  }
  look();
}

function take(state: PayState): void {
  app.unreachable = false;
  if (state.hold?.refundClaimable && !app.state?.hold?.refundClaimable) void Promise.resolve().then(prepare);
  app.state = state;
  if (state.hold) {
    app.unsent = undefined;
    if (app.trouble?.place === "pay") app.trouble = undefined;
  }
}

/** Whether the hold can be released by anyone, by the chain's clock. */
export function isOverdue(state: PayState): boolean {
  return state.hold?.status === "AUTHORIZED" && Date.parse(state.now) >= Date.parse(state.hold.expiresAt);
}

// ------------------------------------------------------------------------------------------------- the wallet

export const isOnNetwork = () => !!app.connection && app.connection.chainId === app.state?.chainId;

/** Whether the connected account is the one that may pay. */
export const mayPay = () => !app.state?.sender || app.state.sender === app.connection?.account;

export const useWallet = (wallet: Wallet) =>
  act("pay", "Answer in your wallet…", async () => connected(await connect(wallet)));

export const useOtherAccount = () =>
  act("pay", "Choose the account in your wallet…", async () => {
    if (app.connection) connected(await chooseAccount(app.connection.wallet));
  });

/** The payer wants another wallet, or none. */
export function disconnect(): void {
  forget();
  disconnected();
}

/** The wallet shows no account any more: it was locked, perhaps, and comes back. */
function disconnected(): void {
  stopWatching();
  Object.assign(app, { connection: undefined, trouble: undefined } satisfies Partial<App>);
  emptied();
  look();
}

export const goToNetwork = () =>
  act("pay", "Answer in your wallet…", async () => {
    const { connection, state } = app;
    if (!connection || !state) return;
    const chainId = await switchNetwork(connection.wallet, state.chainId, network(state.chainId, state.walletRpcUrl));
    connected({ ...connection, chainId });
  });

function connected(connection: Connection): void {
  stopWatching();
  app.connection = connection;
  stopWatching = watch(connection, (changed) => (changed ? connected(changed) : disconnected()));
  app.trouble = undefined;
  emptied();
  look();
  void prepare();
}

function emptied(): void {
  Object.assign(app, { purse: undefined, offer: undefined, choices: [], chosen: undefined } satisfies Partial<App>);
}

/** Looks into the account and asks for terms, as soon as there is an account on the right network. */
export async function prepare(): Promise<void> {
  const { connection, state } = app;
  if (!connection || !state || !isOnNetwork()) return;
  const still = () => app.connection === connection;
  try {
    const { provider } = connection.wallet;
    const { account } = connection;
    const escrow = state.hold?.escrow ?? state.escrow;
    const [balance, demands, waiting] = await Promise.all([
      balanceOf(provider, state.token.address, account),
      demandsSignature(provider, escrow, account),
      state.hold?.refundClaimable ? claimable(provider, escrow, state.hold.sender, state.token.address) : 0n,
    ]);
    if (!still()) return;
    app.purse = { account, balance, demandsSignature: demands, claimable: waiting };
    if (state.state === "open" && mayPay()) await freshOffer(connection);
  } catch (error) {
    // What the payer was told last is more to the point.
    if (still() && !app.trouble) fail("pay", error);
  }
  look();
}

async function freshOffer(connection: Connection): Promise<Offer> {
  const offer = await askTerms(connection.account);
  const choices = rank(offer);
  if (app.connection === connection) {
    Object.assign(app, { offer, choices } satisfies Partial<App>);
    offeredAt = Date.now();
  }
  return offer;
}

/** The way that will be taken: the payer's, or the best. */
export function choice(): Choice | undefined {
  return app.choices.find(({ way }) => way.type === app.chosen) ?? app.choices[0];
}

export function choose(kind: Kind): void {
  app.chosen = kind;
  look();
}

// --------------------------------------------------------------------------------------------------- the verbs

/** Signs the terms and sends the consent. */
export const pay = () =>
  act("pay", "Preparing…", async () => {
    const { connection } = app;
    if (!connection) return;
    if (app.unsent?.sender !== connection.account) app.unsent = await consented(connection);
    busy("pay", "Handing in your signature…");
    await handIn(app.unsent);
  });

async function consented(connection: Connection): Promise<Signed> {
  const { state } = app;
  let { offer } = app;
  if (!offer || Date.now() - offeredAt > FRESH_MS) offer = await freshOffer(connection);
  let taken = choice();
  if (!taken || !state) throw new Error("no terms were offered");
  check(state, offer, taken.way, connection.account);
  if (taken.needsApproval) {
    busy("pay", "Step 1 of 2: allow the amount in your wallet…");
    await approve(connection, offer, taken.way, () => busy("pay", "Step 1 of 2: waiting until the network has taken it…"));
    // The transaction may have taken minutes, and the allowance is there now.
    const { type } = taken.way;
    offer = await freshOffer(connection);
    taken = app.choices.find(({ way }) => way.type === type) ?? taken;
    check(state, offer, taken.way, connection.account);
  }
  const consent = await sign(connection, taken.way, (number, of) =>
    busy("pay", of === 1 ? "Read and sign in your wallet…" : `Signature ${number} of ${of}: read and sign in your wallet…`),
  );
  return { sender: connection.account, expiresAt: offer.expiresAt, consent };
}

async function handIn(signed: Signed): Promise<void> {
  try {
    take(await sendConsent(signed));
  } catch (error) {
    if (error instanceof Unreachable) {
      // The answer was lost, not necessarily the consent. It is kept and can be sent again: twice is as good as once.
      for (let tries = 0; tries < ARRIVAL_TRIES && !app.state?.hold; tries++) {
        await new Promise((done) => setTimeout(done, 1_000));
        await refresh();
      }
      if (app.state?.hold) return;
      throw error;
    }
    app.unsent = undefined;
    await refresh();
    // Somebody was faster: another tab, most likely. The page shows what became of it.
    if (error instanceof Refused && error.code === "invoice_exists" && app.state?.hold) return;
    throw error;
  }
}

/** Sends a hold back that is past its expiry. The escrow lets anybody do that. */
export const release = () =>
  act("release", "Confirm in your wallet…", async () => {
    const { connection, state } = app;
    if (!connection || !state?.hold) return;
    await send(connection, state.hold.escrow, expireInput(state.hold.terms), () => busy("release", "Waiting until the network has taken it…"));
    await untilDaemonSees((hold) => hold.status !== "AUTHORIZED");
  });

/** Pays out what the token refused to send back earlier. */
export const claim = () =>
  act("release", "Confirm in your wallet…", async () => {
    const { connection, state } = app;
    if (!connection || !state?.hold) return;
    const { escrow, terms } = state.hold;
    await send(connection, escrow, claimInput(terms.sender, terms.token), () => busy("release", "Waiting until the network has taken it…"));
    await prepare();
  });

/** Demands, on chain, that only a signature counts as this account's consent; or no longer does. */
export const demandSignature = (required: boolean) =>
  act("guard", "Confirm in your wallet…", async () => {
    const { connection, state } = app;
    if (!connection || !state) return;
    await send(connection, state.hold?.escrow ?? state.escrow, demandInput(required), () => busy("guard", "Waiting until the network has taken it…"));
    await prepare();
  });

const OBSERVER_TRIES = 40;

/** The daemon takes in the block a moment after the wallet's node has it. */
async function untilDaemonSees(done: (hold: NonNullable<PayState["hold"]>) => boolean): Promise<void> {
  for (let tries = 0; tries < OBSERVER_TRIES; tries++) {
    await refresh();
    if (!app.state?.hold || done(app.state.hold)) return;
    await new Promise((done) => setTimeout(done, 750));
  }
}

// --------------------------------------------------------------------------------------------------- one at a time

async function act(place: Place, words: string, work: () => Promise<void>): Promise<void> {
  if (app.busy) return;
  app.trouble = undefined;
  busy(place, words);
  try {
    await work();
  } catch (error) {
    fail(place, error);
    // What was refused may have to do with the account, or with terms that have aged.
    if (place === "pay") void prepare();
  }
  app.busy = undefined;
  look();
}

function busy(place: Place, words: string): void {
  app.busy = { place, words };
  look();
}

function fail(place: Place, error: unknown): void {
  app.trouble = { place, ...trouble(error) };
}

