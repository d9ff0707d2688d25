// What only some want to know, folded; and the switch by which a payer demands that he is always asked.
import { app, demandSignature, isOnNetwork } from "./app.js";
import type { PayState } from "./api.js";
import { el, put } from "./dom.js";
import { isKnown, network } from "./networks.js";
import { busyLine } from "./panel.js";
import { time } from "./words.js";

export function showMore(state: PayState): void {
  const { purse, busy, trouble, connection } = app;
  const guarded = connection && isOnNetwork() && purse?.account === connection.account ? purse.demandsSignature : undefined;
  put("more", [state.receiver, state.escrow, state.hold?.escrow, state.hold?.sender, state.linkExpiresAt, state.state, guarded, busy, trouble], () =>
    el("section", { class: "card folds", "aria-label": "More" },
      guarded === undefined ? null : guard(guarded),
      el("details", { id: "details" }, el("summary", {}, "Details"), el("div", {}, facts(state)))));
}

function guard(isOn: boolean): HTMLElement {
  const { busy, trouble } = app;
  return el("details", { id: "guard" }, el("summary", {}, "Protect this wallet"), el("div", {},
    el("button", { class: "switch", id: "guard-switch", type: "button", role: "switch", "aria-checked": String(isOn), disabled: !!busy, click: () => void demandSignature(!isOn) },
      "Always demand my signature", el("i", { "aria-hidden": "true" })),
    el("p", { class: "quiet small" },
      "While this is on, the escrow takes tokens of this wallet only with a signature over the exact payment. An allowance alone no longer counts, for any merchant. ",
      "It is kept on the network, not here: switching it is a transaction and costs a network fee."),
    busy?.place === "guard" ? busyLine(busy.words) : null,
    trouble?.place === "guard" ? el("p", { class: "bad", role: "alert" }, el("b", {}, trouble.title), trouble.text) : null));
}

function facts(state: PayState): HTMLElement {
  const address = (text: string) => el("code", {}, text);
  const rows: [string, Node | string][] = [
    ["Merchant’s wallet", address(state.receiver)],
    ["Your wallet", state.hold ? address(state.hold.sender) : "the one you connect"],
    ["Token", el("span", {}, `${state.token.symbol} `, address(state.token.address))],
    ["Escrow contract", address(state.hold?.escrow ?? state.escrow)],
    ["Network", isKnown(state.chainId) ? `${network(state.chainId, null).name} (${state.chainId})` : String(state.chainId)],
    ["Invoice", el("bdi", {}, state.invoiceId)],
  ];
  if (state.state === "open") rows.push(["To be paid by", time(state.linkExpiresAt)]);
  return el("dl", { class: "facts small" }, rows.map(([what, value]) => el("div", {}, el("dt", {}, what), el("dd", {}, value))));
}
