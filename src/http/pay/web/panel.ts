// Where the payer connects his wallet, reads what he signs, and signs.
import {
  app, choice, choose, disconnect, goToNetwork, isOnNetwork, mayPay, pay, useOtherAccount, useWallet,
} from "./app.js";
import type { Offer, PayState, Way } from "./api.js";
import { el, put } from "./dom.js";
import { network } from "./networks.js";
import type { Connection, Wallet } from "./wallets.js";
import { number, short, time, wayWords } from "./words.js";

export function showPanel(state: PayState): void {
  if (state.state !== "open") return put("panel", null, () => null);
  const { connection, purse, offer, choices, chosen, busy, trouble, unsent, wallets, looked } = app;
  const key = [
    connection?.account, connection?.chainId, connection?.wallet.id, purse?.balance.toString(), offer, choices, chosen, busy, trouble,
    unsent, wallets.map(({ id }) => id), looked,
  ];
  put("panel", key, () =>
    el("section", { class: "card", "aria-label": "Pay" },
      connection ? walletLine(connection) : el("h2", {}, "Pay with your wallet"),
      step(state)));
}

function step(state: PayState): HTMLElement | HTMLElement[] {
  const { connection, purse, offer, busy } = app;
  const taken = choice();
  const trouble = troubleBox();
  if (!connection) return [...pieces(trouble), ...(busy ? [busyLine(busy.words)] : walletChoices((wallet) => void useWallet(wallet)))];
  if (!isOnNetwork()) {
    const { name } = network(state.chainId, state.walletRpcUrl);
    const here = network(connection.chainId, null).name;
    return [
      el("p", {}, `Your wallet is on ${here}. This payment is on `, el("b", {}, name), "."),
      ...pieces(trouble),
      busy ? busyLine(busy.words) : button("switch", `Switch to ${name}`, goToNetwork),
    ];
  }
  if (!mayPay()) {
    return [
      el("p", { class: "note" }, el("b", {}, "This payment is for another wallet"), "Only ", el("code", {}, state.sender), " can pay it."),
      ...pieces(trouble),
      busy ? busyLine(busy.words) : button("account", "Choose another account", useOtherAccount),
    ];
  }
  if (!offer || !purse || !taken) {
    if (busy) return busyLine(busy.words);
    return trouble ? [trouble, button("again", "Try again", pay)] : busyLine("Looking into your wallet…");
  }
  const short = purse.balance < BigInt(offer.holdBaseUnits);
  if (short) return poor(state, offer, purse.balance);
  const { title, text } = wayWords(taken.way.type, taken.needsApproval);
  return [
    el("h2", {}, "What you sign"),
    signedFacts(state, offer, connection),
    el("p", {}, el("b", {}, `${title}. `), text),
    ...pieces(trouble),
    busy ? busyLine(busy.words) : button("pay", app.unsent ? "Hand it in again" : label(state, offer, taken.needsApproval), pay),
    folds(taken.way),
  ];
}

const pieces = (trouble: HTMLElement | null) => (trouble ? [trouble] : []);

const label = (state: PayState, offer: Offer, needsApproval: boolean) =>
  `${needsApproval ? "Allow and sign" : "Sign"} for ${number(offer.holdAmount)} ${state.token.symbol}`;

function signedFacts(state: PayState, offer: Offer, { account }: Connection): HTMLElement {
  const row = (what: string, ...value: (Node | string)[]) => el("div", {}, el("dt", {}, what), el("dd", {}, ...value));
  return el("dl", { class: "facts" },
    row("At most", el("b", {}, `${number(offer.holdAmount)} ${state.token.symbol}`)),
    row("From", el("code", { title: account }, short(account))),
    row("Only to", el("code", { title: state.receiver }, short(state.receiver))),
    row("Until", el("time", { datetime: offer.expiresAt }, time(offer.expiresAt))),
    row("Good for", "this payment, once"));
}

function poor(state: PayState, offer: Offer, balance: bigint): HTMLElement[] {
  const digits = balance.toString().padStart(state.token.decimals + 1, "0");
  const whole = digits.slice(0, digits.length - state.token.decimals);
  const fraction = digits.slice(whole.length).replace(/0+$/, "");
  return [
    el("p", { class: "note" }, el("b", {}, "There are too few tokens in this wallet"),
      `It has ${number(fraction ? `${whole}.${fraction}` : whole)} ${state.token.symbol}, and ${number(offer.holdAmount)} ${state.token.symbol} are set aside. `,
      "Send some to it, or pay with another wallet. This page notices by itself."),
    ...(app.busy ? [busyLine(app.busy.words)] : []),
  ];
}

function folds(way: Way): HTMLElement {
  return el("div", { class: "folds" },
    app.choices.length > 1 ? el("details", { id: "ways" }, el("summary", {}, "Another way to sign"), el("div", {},
      el("fieldset", {}, el("legend", { class: "unseen" }, "How to sign"), app.choices.map(({ way: other, needsApproval }) => {
        const { title, text } = wayWords(other.type, needsApproval);
        return el("label", { class: "way" },
          el("input", { type: "radio", name: "way", id: `way-${other.type}`, value: other.type, checked: other.type === way.type, change: () => choose(other.type), disabled: !!app.busy }),
          el("span", {}, el("b", {}, title), el("br"), el("span", { class: "quiet small" }, text)));
      })))) : null,
    el("details", { id: "exact" }, el("summary", {}, "The exact message"), el("div", {},
      el("p", { class: "quiet small" }, "Your wallet shows the same. It is EIP-712 typed data."),
      [way.permitTypedData, way.typedData].map((data) => (data ? el("pre", { tabindex: "0" }, JSON.stringify({ ...data.domain, [data.primaryType]: data.message }, null, 2)) : null)))));
}

// -------------------------------------------------------------------------------------------------- pieces

export function walletLine({ wallet, account }: Connection): HTMLElement {
  return el("div", { class: "wallet" },
    el("span", {}, el("bdi", {}, wallet.name), " ", el("code", { title: account }, short(account))),
    app.busy ? null : el("button", { class: "link small", id: "disconnect", type: "button", click: disconnect }, "Use another wallet"));
}

export function walletChoices(use: (wallet: Wallet) => void): HTMLElement[] {
  if (app.wallets.length > 0) {
    return [el("div", {}, app.wallets.map((wallet, index) =>
      el("button", { class: "choice", id: `wallet-${index}`, type: "button", click: () => use(wallet) },
        wallet.icon ? el("img", { src: wallet.icon, alt: "" }) : el("span", { class: "mark", "aria-hidden": "true" }),
        el("bdi", {}, wallet.name))))];
  }
  if (!app.looked) return [busyLine("Looking for your wallet…")];
  return [
    el("p", {}, "No wallet was found in this browser."),
    el("p", {}, "On a phone, open this page in the browser of your wallet app. On a computer, install your wallet’s extension and reload."),
    el("button", { class: "main", id: "copy", type: "button", click: copyAddress }, "Copy the address of this page"),
  ];
}

async function copyAddress(event: Event): Promise<void> {
  const pressed = event.target as HTMLElement;
  try {
    await navigator.clipboard.writeText(location.href);
    pressed.textContent = "Copied. Paste it in your wallet’s browser.";
  } catch {
    pressed.textContent = "It could not be copied: take it from the address bar.";
  }
}

export const busyLine = (words: string) => el("p", { class: "busy" }, words);

/** What went wrong where the payer pays or has tokens sent back. */
export function troubleBox(): HTMLElement | null {
  const { trouble } = app;
  if (!trouble || trouble.place === "guard") return null;
  return el("p", { class: "bad", role: "alert" }, el("b", {}, trouble.title), trouble.text);
}

const button = (id: string, words: string, click: () => void) => el("button", { class: "main", id, type: "button", click }, words);
