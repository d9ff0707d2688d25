// The parts of the page that tell: who is paid, what happens with the tokens, and where they are.
import { app, isOverdue } from "./app.js";
import type { Hold, PayState } from "./api.js";
import { drawing, el, put } from "./dom.js";
import { network } from "./networks.js";
import { holdActions } from "./release.js";
import { distance, isZero, minus, number, short, span, time } from "./words.js";

const CHECK = "M5 12.5l4.5 4.5L19 7";
const CLOCK = "M12 7v5.5l3.5 2M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18z";
const LOCK = "M7 11V8a5 5 0 0 1 10 0v3M5.5 11h13v9h-13z";
const BACK = "M9 7H5v-4M5.3 7A8 8 0 1 1 4 12";
const CROSS = "M6.5 6.5l11 11M17.5 6.5l-11 11";

const tokens = (state: PayState, amount: string) => `${number(amount)} ${state.token.symbol}`;

/** What is held, or would be: the terms that are about to be signed count more than what the link says of them. */
function held(state: PayState): { amount: string; hold: string; tip: string } {
  const hold = state.hold?.amount ?? app.offer?.holdAmount ?? state.holdAmount;
  return { amount: state.amount, hold, tip: minus(hold, state.amount) };
}

export function showHead(state: PayState): void {
  const { amount } = held(state);
  put("head", [state.merchant, amount, state.token.symbol, state.description, state.invoiceId, state.hold?.status], () =>
    el("header", { class: "card" },
      el("h1", { class: "payee" }, state.hold ? "Your payment to" : "You are asked to pay", el("b", {}, el("bdi", {}, state.merchant))),
      el("p", { class: "amount" }, number(amount), " ", el("span", {}, state.token.symbol)),
      state.description ? el("p", {}, el("bdi", {}, state.description)) : null,
      el("p", { class: "quiet small" }, "Invoice ", el("bdi", {}, state.invoiceId))));
}

// ------------------------------------------------------------------------------------------------- before

export function showPlan(state: PayState): void {
  if (state.hold) return put("plan", null, () => null);
  const { amount, hold, tip } = held(state);
  const until = app.offer?.expiresAt ?? state.expiresAt;
  const hasTip = !isZero(tip);
  put("plan", [state.state, amount, hold, until, state.holdSeconds, state.settleAt], () => {
    if (state.state === "lapsed") {
      return standing("off", CLOCK, "The time of this link is over",
        [el("p", {}, "It could be paid until ", time(state.linkExpiresAt), ". Nothing was taken from you. Ask the merchant for a new one.")]);
    }
    return el("section", { class: "card", "aria-label": "What happens" },
      hasTip ? [
        bar([["", amount], ["tip", tip]]),
        el("ul", { class: "legend" },
          line("", "The price", tokens(state, amount)),
          line("tip", "Room for a tip, at most", tokens(state, tip)),
          line("sum", "Held, and the most that can be taken", tokens(state, hold))),
      ] : null,
      el("ol", { class: "steps" },
        el("li", {}, el("b", {}, `${tokens(state, hold)} are set aside`), " in an escrow contract, like a card’s reservation. Nobody has them yet."),
        el("li", {}, el("b", {}, state.settleAt ? `The merchant is paid on ${time(state.settleAt)}` : "The merchant takes what is due"),
          hasTip ? `: at most ${tokens(state, hold)}, tip included, and only once.` : ": at most this amount, and only once."),
        el("li", {}, el("b", {}, "The rest comes back to you"), " in the same moment. If nothing is taken ",
          until ? ["by ", el("time", { datetime: until }, time(until))] : ["within ", span(state.holdSeconds), " of your signature"],
          ", everything comes back. Nobody can prevent that.")));
  });
}

// -------------------------------------------------------------------------------------------------- after

export function showHold(state: PayState): void {
  const { hold } = state;
  if (!hold) return put("hold", null, () => null);
  // Relative times change by themselves: once in a minute is enough.
  const minute = Math.floor(Date.parse(state.now) / 60_000);
  put("hold", [hold, isOverdue(state), minute, app.busy, app.trouble, app.connection?.account, app.connection?.chainId, app.purse?.claimable.toString(), app.wallets.length, app.looked], () => [
    told(state, hold),
    holdActions(state, hold),
    state.returnUrl && hold.status !== "PENDING" ? returnLink(state.returnUrl, state.merchant) : null,
  ]);
}

function told(state: PayState, hold: Hold): HTMLElement {
  const all = tokens(state, hold.amount);
  const links = transactions(state, hold);
  switch (hold.status) {
    case "PENDING":
      return standing("moving", CLOCK, "Your signature has arrived", [
        el("p", {}, `${all} are being set aside. This takes from a few seconds to a few minutes.`),
        el("p", { class: "quiet small" }, "You can leave this page: nothing gets lost, and the link shows how it went."),
      ]);
    case "AUTHORIZED":
      return isOverdue(state) ? overdue(state, all, links) : standing("", LOCK, `${all} are set aside`, [
        hold.pendingOperation === "settle" ? el("p", {}, "The merchant is being paid right now.")
          : hold.pendingOperation === "cancel" ? el("p", {}, "The payment is being cancelled right now: everything comes back to you.")
          : el("p", {}, "You need not do anything more. The merchant takes what is due, and the rest comes back to you."),
        el("p", {}, "If nothing is taken by ", el("time", { datetime: hold.expiresAt }, time(hold.expiresAt)), ` (${distance(state.now, hold.expiresAt)}), everything comes back.`),
        bar([["", state.amount], ["tip", minus(hold.amount, state.amount)]]),
        links,
      ]);
    case "SETTLED":
      return standing("", CHECK, `Paid: ${tokens(state, hold.settledAmount ?? "0")}`, [
        bar([["", hold.settledAmount ?? "0"], ["back", hold.returnedAmount ?? "0"]]),
        el("ul", { class: "legend" },
          line("", ["To ", el("bdi", {}, state.merchant)], tokens(state, hold.settledAmount ?? "0")),
          line("back", hold.refundClaimable ? "Yours, refused by the token" : "Back to your wallet", tokens(state, hold.returnedAmount ?? "0"))),
        links,
      ]);
    case "CANCELLED":
    case "EXPIRED":
      return standing("off", BACK, hold.status === "EXPIRED" ? "Nothing was taken in time" : "The merchant has cancelled this payment", [
        el("p", {}, !hold.returnedAmount ? "Nothing had been set aside."
          : hold.refundClaimable ? `All ${tokens(state, hold.returnedAmount)} are yours again.`
          : [`All ${tokens(state, hold.returnedAmount)} came back to `, el("code", { title: hold.sender }, short(hold.sender)), "."]),
        links,
      ]);
    case "REJECTED":
      return standing("wrong", CROSS, "The payment did not go through", [
        el("p", {}, "The network refused to set the tokens aside. Nothing was taken from you. Ask the merchant for a new link."),
        hold.failure ? el("p", { class: "quiet small" }, `The reason: ${hold.failure}`) : null,
      ]);
  }
}

function overdue(state: PayState, all: string, links: HTMLElement | null): HTMLElement {
  return standing("", BACK, `${all} go back to you`, [
    el("p", {}, "The time is over and nothing was taken. The merchant can take nothing any more."),
    state.hold?.pendingOperation === "expire" ? el("p", {}, "They are being sent back right now.")
      : el("p", {}, "They are sent back by themselves. If you do not want to wait for that, send them back yourself: you need nobody’s leave."),
    links,
  ]);
}

function standing(kind: string, sign: string, title: string, text: (Node | null)[]): HTMLElement {
  return el("section", { class: "card", "aria-label": "Where it stands" },
    el("div", { class: `standing ${kind}` }, el("span", { class: "sign" }, drawing(sign)), el("h2", {}, title)), text);
}

// ------------------------------------------------------------------------------------------------- pieces

function bar(parts: [string, string][]): HTMLElement | null {
  const shares = parts.filter(([, amount]) => !isZero(amount));
  if (shares.length < 2) return null;
  const strip = el("div", { class: "bar", "aria-hidden": "true" });
  for (const [kind, amount] of shares) {
    const part = el("i", { class: kind });
    // A drawing, not an account: here a rounded number is good enough.
    part.style.flex = `${Number(amount)} 0 0`;
    strip.append(part);
  }
  return strip;
}

function line(kind: string, what: string | (string | Node)[], amount: string): HTMLElement {
  return el("li", { class: kind }, kind === "sum" ? null : el("i", { class: kind, "aria-hidden": "true" }), el("span", {}, what), el("b", {}, amount));
}

function transactions(state: PayState, hold: Hold): HTMLElement | null {
  const { explorer } = network(state.chainId, state.walletRpcUrl);
  const closing = { SETTLED: "Paid in", CANCELLED: "Returned in", EXPIRED: "Returned in" }[hold.status as string] ?? "Closed in";
  const rows: [string, string | null][] = [["Set aside in", hold.lockTransactionHash], [closing, hold.closeTransactionHash]];
  const known = rows.filter((row): row is [string, string] => row[1] !== null);
  if (known.length === 0) return null;
  return el("dl", { class: "facts small" }, known.map(([what, hash]) => el("div", {}, el("dt", {}, what),
    el("dd", {}, explorer
      ? el("a", { href: `${explorer}/tx/${hash}`, target: "_blank", rel: "noopener noreferrer" }, el("code", {}, short(hash)), el("span", { class: "unseen" }, " (opens a new page)"))
      : el("code", { title: hash }, short(hash))))));
}

function returnLink(url: string, merchant: string): HTMLElement | null {
  // The daemon takes no other; a page must not rely on it.
  if (!URL.canParse(url) || new URL(url).protocol !== "https:") return null;
  return el("p", { class: "card" }, el("a", { href: url, rel: "noopener noreferrer" }, "Back to ", el("bdi", {}, merchant)));
}
