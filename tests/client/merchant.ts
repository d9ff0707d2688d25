// A merchant's program on the generated client: what it may write without a cast is what the document is good for.
import createClient from "openapi-fetch";
import type { components, paths } from "./generated/api.js";

type Schemas = components["schemas"];
type Consent = Schemas["Consent"];

/** What of the ready file the program needs. */
interface Ready {
  url: string;
  apiKey: string;
  token: { address: string };
  senders: { address: string }[];
  receivers: { address: string }[];
}

export async function trade(ready: Ready): Promise<void> {
  const shop = createClient<paths>({ baseUrl: ready.url, headers: { "x-api-key": ready.apiKey } });
  const sender = present(ready.senders[0], "a sender").address;
  const receiver = present(ready.receivers[0], "a receiver").address;
  const creation = (invoiceId: string, amount: string): Schemas["CreateRequest"] => ({
    invoiceId, sender, receiver, amount, contractAddress: ready.token.address,
  });
  const at = (invoiceId: string) => ({ params: { path: { invoiceId } } });

  // Lock, look, settle a part.
  const created = good(await shop.POST("/onchain-preauth", { body: creation("CLIENT-1", "150.75") }));
  same(inWords(created.status), "locked");
  const shown = good(await shop.GET("/onchain-preauth/{invoiceId}", at("CLIENT-1")));
  same(shown.settledAmount, null);
  same(shown.pendingOperation, null);
  const settled = good(await shop.POST("/onchain-preauth/{invoiceId}/settle", { ...at("CLIENT-1"), body: { amount: "120.50" } }));
  same([settled.status, settled.settledAmount], ["SETTLED", "120.50"]);

  // Without waiting for the chain; on a schedule, and not after all; cancelled.
  const asked = await shop.POST("/onchain-preauth", {
    params: { header: { Prefer: "respond-async" } }, body: creation("CLIENT-2", "20"),
  });
  same(asked.response.status, 202);
  while (good(await shop.GET("/onchain-preauth/{invoiceId}", at("CLIENT-2"))).status === "PENDING");
  const settleAt = new Date(Date.now() + 3_600_000).toISOString();
  const planned = good(await shop.POST("/onchain-preauth/{invoiceId}/settle", { ...at("CLIENT-2"), body: { amount: "20", settleAt } }));
  same(planned.scheduledSettlement?.amount, "20");
  same(good(await shop.DELETE("/onchain-preauth/{invoiceId}/settle", at("CLIENT-2"))).scheduledSettlement, null);
  same(good(await shop.POST("/onchain-preauth/{invoiceId}/cancel", at("CLIENT-2"))).status, "CANCELLED");

  // In pages.
  const query = { sender, limit: 1 };
  const first = good(await shop.GET("/onchain-preauth", { params: { query: { ...query, status: "CANCELLED" } } }));
  same(first.data.map((preauth) => preauth.invoiceId), ["CLIENT-2"]);
  const newest = good(await shop.GET("/onchain-preauth", { params: { query } }));
  const cursor = present(newest.nextCursor, "a cursor");
  const rest = good(await shop.GET("/onchain-preauth", { params: { query: { ...query, cursor } } }));
  same([...newest.data, ...rest.data].map((preauth) => preauth.invoiceId), ["CLIENT-2", "CLIENT-1"]);

  // Refused: the errors have a type of their own.
  const twice = refused(await shop.POST("/onchain-preauth", { body: creation("CLIENT-1", "1") }), 409);
  same([twice.type, twice.code, twice.field], ["onchain", "invoice_exists", "invoiceId"]);
  const unknown = refused(await shop.GET("/onchain-preauth/{invoiceId}", at("CLIENT-0")), 404);
  same(unknown.message, "Preauthorization not found");
  const stranger = createClient<paths>({ baseUrl: ready.url });
  same(refused(await stranger.GET("/tokens"), 401).type, "Access Denied");

  // Ways to consent: each kind has its own fields.
  const terms = good(await shop.POST("/preauth-terms", { body: creation("CLIENT-3", "5") }));
  same(new Set(terms.consents.map((offer) => wish(offer).type)).size, terms.consents.length);
  // @ts-expect-error A permit has two signatures.
  const half: Consent = { type: "erc2612", signature: "0x00" };
  const bad = refused(await shop.POST("/onchain-preauth", { body: { ...creation("CLIENT-3", "5"), consent: half } }), 400);
  same(bad.field, "consent.permitSignature");

  // A wallet: registered, or a proof is asked for.
  const wallet = good(await shop.POST("/wallets", { body: { address: "0x00000000000000000000000000000000000c0de5", role: "sender" } }));
  same("proof" in wallet && wallet.proof.typedData.types["EIP712Domain"]?.some((member) => member.name === "chainId"), true);

  // The feed, to its end and on from there.
  const kinds: Schemas["EventType"][] = [];
  let after: string | null = null;
  for (let more = true; more; ) {
    const page: Schemas["EventPage"] = good(await shop.GET("/events", { params: { query: { limit: 2, ...(after === null ? {} : { cursor: after }) } } }));
    kinds.push(...page.data.map((event) => event.type));
    [after, more] = [page.nextCursor, page.hasMore];
  }
  same(kinds, ["preauth.authorized", "preauth.settled", "preauth.authorized", "preauth.cancelled"]);

  const hook = good(await shop.POST("/webhooks", { body: { url: "http://127.0.0.1:9/hook", events: ["preauth.settled"] } }));
  same(hook.secret?.startsWith("whsec_"), true);
  same((await shop.DELETE("/webhooks/{id}", { params: { path: { id: hook.id } } })).response.ok, true);
  same(good(await stranger.GET("/health/ready")).status, "ready");
}

/** Does not compile unless every status is known. */
function inWords(status: Schemas["Status"]): string {
  switch (status) {
    case "PENDING": return "being locked";
    case "AUTHORIZED": return "locked";
    case "SETTLED": return "paid";
    case "CANCELLED": case "EXPIRED": return "given back";
    case "REJECTED": return "never locked";
  }
}

/** The consent that an offer leads to, but for the signing. */
function wish(offer: Schemas["ConsentOffer"]): Consent {
  const signature = "0x00";
  switch (offer.type) {
    case "eip712": case "erc3009": return { type: offer.type, signature };
    case "erc2612": return { type: offer.type, signature, permitSignature: offer.permitTypedData.primaryType };
    case "permit2": return { type: offer.type, signature, nonce: offer.nonce };
  }
}

interface Answer<Data> {
  data?: Data;
  error?: Schemas["ErrorEnvelope"];
  response: Response;
}

function good<Data>(answer: Answer<Data>): Exclude<Data, undefined> {
  if (answer.data === undefined) throw new Error(`${answer.response.url}: ${answer.response.status} ${JSON.stringify(answer.error)}`);
  return answer.data as Exclude<Data, undefined>;
}

function refused(answer: Answer<unknown>, status: number): Schemas["ErrorItem"] {
  same(answer.response.status, status);
  return present(answer.error?.errors[0], "an error");
}

function present<T>(value: T | null | undefined, what: string): T {
  if (value === null || value === undefined) throw new Error(`there is not ${what}`);
  return value;
}

function same(found: unknown, expected: unknown): void {
  const [left, right] = [found, expected].map((value) => JSON.stringify(value));
  if (left !== right) throw new Error(`${left} is not ${right}`);
}
