// What the payer can do by himself about tokens that are held: have them back after the expiry, or claim them.
import { app, claim, goToNetwork, isOnNetwork, isOverdue, release, useWallet } from "./app.js";
import type { Hold, PayState } from "./api.js";
import { el } from "./dom.js";
import { busyLine, troubleBox, walletChoices, walletLine } from "./panel.js";
import { network } from "./networks.js";
import { number } from "./words.js";

export function holdActions(state: PayState, hold: Hold): HTMLElement | null {
  const waits = hold.refundClaimable !== null;
  if (!isOverdue(state) && !waits) return null;
  const work = waits ? claim : release;
  if (waits && app.purse && isOnNetwork() && app.purse.claimable === 0n && !app.busy) {
    return el("section", { class: "card", "aria-label": "Have it back" }, el("p", {}, "What the token had refused was paid out to ", el("code", {}, hold.sender), "."));
  }
  return el("section", { class: "card", "aria-label": "Have it back" },
    waits ? el("p", {}, `The token refused to send ${number(hold.refundClaimable ?? "0")} ${state.token.symbol} back to your wallet. They wait for you at the escrow contract.`) : null,
    app.connection ? walletLine(app.connection) : null,
    troubleBox(),
    app.busy ? busyLine(app.busy.words) : action(state, waits ? "Claim them now" : "Send them back to me now", work),
    el("p", { class: "quiet small" }, "This is a transaction: your wallet charges a network fee. Any wallet can send it; the tokens go to ",
      el("code", {}, hold.sender), " and nowhere else."));
}

function action(state: PayState, words: string, work: () => void): HTMLElement | HTMLElement[] {
  if (!app.connection) return walletChoices((wallet) => void useWallet(wallet));
  if (!isOnNetwork()) {
    const { name } = network(state.chainId, state.walletRpcUrl);
    return el("button", { class: "main", id: "switch", type: "button", click: () => void goToNetwork() }, `Switch to ${name}`);
  }
  return el("button", { class: "main", id: "release", type: "button", click: work }, words);
}
