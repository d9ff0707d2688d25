// The views: what was asked, as elements.
import { el } from "../../pay/web/dom";
import type { Batch, Delivery, Entry, Hold, Hour, Overview, Story } from "./api";
import { columns, stream } from "./drawings";
import { amount, coins, gwei, short, time } from "./words";

export type Cell = Node | string;

export function table(headings: string[], rows: Cell[][], nothing: string): Node {
  if (rows.length === 0) return el("p", { class: "quiet" }, nothing);
  // A keyboard can push aside what is wider than the window.
  return el("div", { class: "scroll", tabindex: "0" }, el("table", {},
    el("thead", {}, el("tr", {}, headings.map((heading) => el("th", { scope: "col" }, heading)))),
    el("tbody", {}, rows.map((row) => el("tr", {}, row.map((cell) => el("td", {}, cell)))))));
}

export const card = (title: string, wide: boolean, ...children: Node[]) => el("section", { class: wide ? "card wide" : "card" }, el("h2", {}, title), children);
const GOOD = ["AUTHORIZED", "SETTLED", "delivered", "mined", "verified", "approved"];
const BAD = ["REJECTED", "failed", "lost", "no", "rejected", "suspended"];
export const tag = (word: string) => el("span", { class: `tag${GOOD.includes(word) ? " on" : BAD.includes(word) ? " off" : ""}` }, word);

let explorer: string | null = null;
function hash(text: string | null): Cell {
  if (!text) return "–";
  const shown = el("code", { title: text }, short(text));
  return explorer ? el("a", { href: `${explorer}/tx/${text}`, rel: "noreferrer" }, shown) : shown;
}
const account = (text: string) => el("code", { title: text }, short(text));
const link = (hold: Hold) => el("a", { href: `#/preauth/${hold.transactionId}` }, hold.invoiceId);

const holds = (rows: Hold[], nothing: string) =>
  table(["Invoice", "Tenant", "Hold", "Status", "Expires"],
    rows.map((hold) => [link(hold), hold.tenant, `${amount(hold.holdAmount)} ${hold.symbol}`, tag(hold.status), time(hold.expiresAt)]), nothing);

const batches = (rows: Batch[]) =>
  table(["Transaction", "Lane", "Nonce", "Items", "State", "Block", "Gas", "Gwei"],
    rows.map((row) => [
      hash(row.transactionHash), account(row.operator), String(row.nonce), String(row.items),
      tag(row.succeeded === false ? "failed" : row.state), row.block === null ? "–" : amount(String(row.block)),
      row.gasUsed === null ? "–" : amount(String(row.gasUsed)), gwei(row.gasPrice ?? row.maxFee),
    ]), "No batch yet.");

export function overview(now: Overview, hours: Hour[], newest: Hold[]): Node[] {
  explorer = now.explorerUrl;
  const count = (status: string) => now.counts.filter((row) => row.status === status).reduce((sum, row) => sum + row.count, 0);
  const figures = ["PENDING", "AUTHORIZED", "SETTLED", "CANCELLED", "EXPIRED", "REJECTED"].map((status) =>
    el("div", { id: `count-${status}` }, el("dt", {}, status.toLowerCase()), el("dd", {}, amount(String(count(status))))));
  return [
    ...(now.troubles.length > 0 ? [el("section", { class: "card wide alarm", role: "alert" }, el("h2", {}, "Not well"), now.troubles.map(({ part, trouble }) => el("p", {}, `${part}: ${trouble}`)))] : []),
    el("h1", { class: "wide" }, "Overview"),
    card("Preauthorizations", true, el("dl", { class: "figures" }, figures)),
    card("Held in escrow", false, table(["Token", "Held", "Escrow's balance", "Enough"],
      now.held.map((row) => [row.symbol || account(row.token), amount(row.held), row.balance === null ? "?" : amount(row.balance), row.balance === null ? "?" : row.short ? tag("no") : "yes"]), "No token was admitted.")),
    card("By token", false, table(["Token", "Status", "Number"], now.counts.map((row) => [row.symbol || account(row.token), tag(row.status), amount(String(row.count))]), "No preauthorization yet.")),
    card("Authorized, by hour", false, columns(hours, "authorized", "Authorized")),
    card("Settled, by hour", false, columns(hours, "settled", "Settled")),
    card("Lanes", true, table(["Operator", "Balance", "Nonce", "Open batch", "Items", "Attempts", "Gwei at most"],
      now.lanes.map((lane) => [
        account(lane.operator), lane.balance === null ? "?" : coins(lane.balance), lane.nonce === null ? "?" : String(lane.nonce),
        lane.openBatch ? hash(lane.openBatch.transactionHash) : "–", lane.openBatch ? String(lane.openBatch.items) : "–",
        lane.openBatch ? String(lane.openBatch.attempts) : "–", gwei(lane.openBatch?.maxFee ?? null),
      ]), "No lane.")),
    card("Waiting", false, table(["Operation", "Number", "Oldest"], now.waiting.map((row) => [row.kind, amount(String(row.count)), time(row.oldest)]), "Nothing waits.")),
    card("Expiring soon", false, holds(now.expiring, "Nothing is held.")),
    card("Newest", true, holds(newest, "No preauthorization yet.")),
    card("Last batches", true, batches(now.batches)),
    el("p", { class: "wide quiet" }, `Chain ${now.chainId}, block ${amount(String(now.block))}, ${time(now.chainTime)} by its clock. Escrow `, el("code", {}, short(now.escrow))),
  ];
}

/** Preauthorizations of a page. */
export const PAGE = 50;

export function preauths(rows: Hold[], invoice: string, isOlder: boolean, search: (wanted: string) => void): Node[] {
  const input = el("input", { id: "search", type: "search", autocomplete: "off", spellcheck: "false", value: invoice });
  const submit = (event: Event) => {
    event.preventDefault();
    search(input.value.trim());
  };
  const older = new URLSearchParams({ ...(invoice ? { invoice } : {}), before: String(rows.at(-1)?.row ?? 0) });
  const nothing = invoice ? "No invoice of this name." : "No preauthorization yet.";
  return [
    el("h1", { class: "wide" }, "Preauthorizations"),
    card(invoice ? `Of invoice ${invoice}` : isOlder ? "Older" : "Newest", true,
      el("form", { class: "search", role: "search", submit }, el("label", { for: "search" }, "Invoice or transaction id"), input, el("button", {}, "Search")),
      holds(rows, isOlder ? "That was all." : nothing),
      ...(rows.length === PAGE ? [el("p", {}, el("a", { id: "older", href: `#/preauths?${older}` }, "Older"))] : [])),
  ];
}

export const fact = (name: string, value: Cell) => el("div", {}, el("dt", {}, name), el("dd", {}, value));

export function story(hold: Story): Node[] {
  return [
    el("h1", { class: "wide" }, `${hold.invoiceId} `, tag(hold.status)),
    card("Where the tokens went", true, stream(hold)),
    card("Facts", false, el("dl", { class: "facts" },
      fact("Tenant", hold.tenant), fact("Authorized", `${amount(hold.authorizedAmount)} ${hold.symbol}`), fact("Hold", `${amount(hold.holdAmount)} ${hold.symbol}`),
      fact("Settled", hold.settledAmount ? `${amount(hold.settledAmount)} ${hold.symbol}` : "–"), fact("Payer", account(hold.sender)), fact("Receiver", account(hold.receiver)),
      fact("Expires", time(hold.expiresAt)), fact("Lock", hash(hold.lockTransactionHash)), fact("Close", hash(hold.transactionHash)),
      fact("Being done", hold.pendingOperation ?? "–"), fact("Failure", hold.failure ?? "–"), fact("Preauth id", el("code", { title: hold.preauthId }, short(hold.preauthId))))),
    card("Timeline", false, el("ol", { class: "timeline" },
      el("li", {}, el("b", {}, "created"), el("span", { class: "quiet" }, time(hold.createdAt))),
      hold.events.map((event) => el("li", {}, el("b", {}, event.type), el("span", { class: "quiet" }, time(event.timestamp), event.data.failure ? ` · ${event.data.failure}` : ""))))),
  ];
}

export function webhooks(rows: Delivery[], resend: (id: number) => void): Node[] {
  return [el("h1", { class: "wide" }, "Webhooks"), card("Last deliveries", true, table(["Event", "Invoice", "To", "State", "Tries", "Answer", "Again"],
    rows.map((row) => [
      row.event, row.invoiceId, row.url, tag(row.state), String(row.tries), row.status === null ? (row.error ?? "–") : String(row.status),
      el("button", { type: "button", id: `resend-${row.id}`, "aria-label": `Send again: ${row.event} of ${row.invoiceId}`, click: () => resend(row.id) }, "Send again"),
    ]), "Nothing was sent yet."))];
}

export function audit(rows: Entry[]): Node[] {
  return [el("h1", { class: "wide" }, "Audit log"), card("Newest first", true, table(["When", "Who", "What", "On what"],
    rows.map((row) => [time(row.at), row.actor, el("code", {}, row.act), row.subject]), "Nothing was done yet."))];
}

export function login(refused: string, enter: (key: string) => void): Node[] {
  const input = el("input", { id: "key", type: "password", autocomplete: "off", required: true, spellcheck: "false" });
  const submit = (event: Event) => {
    event.preventDefault();
    // What was said of another key.
    document.querySelector("[role=alert]")?.remove();
    enter(input.value.trim());
  };
  return [el("section", { class: "card wide" }, el("h1", {}, "Log in"), el("form", { submit },
    el("label", { for: "key" }, "Admin key"), input, refused ? el("p", { class: "bad", role: "alert" }, refused) : null,
    el("button", { class: "main" }, "Log in"), el("p", { class: "quiet" }, "preauthd admin key new makes one. It stays in this page's memory: a reload asks again.")))];
}
