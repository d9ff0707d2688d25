// Begins, watches the daemon, and lets every part of the page look again after each change.
import { app, begin, isOverdue, prepare, refresh } from "./app.js";
import { el, put } from "./dom.js";
import { showMore } from "./more.js";
import { showPanel } from "./panel.js";
import { showHead, showHold, showPlan } from "./views.js";
import { number } from "./words.js";

/** Milliseconds between two looks: at first, and at most, growing by half each time. */
const PACES = { moving: [800, 5_000], waiting: [5_000, 30_000], still: [60_000, 60_000] } as const;

let timer: ReturnType<typeof setTimeout> | undefined;
let pause = 0;
let lastPace: keyof typeof PACES | undefined;

function pace(): keyof typeof PACES {
  const hold = app.state?.hold;
  if (app.unreachable || !app.state) return "moving";
  if (!hold) return app.state.state === "open" ? "waiting" : "still";
  if (hold.status === "PENDING" || hold.pendingOperation || isOverdue(app.state)) return "moving";
  return hold.status === "AUTHORIZED" ? "waiting" : "still";
}

async function watch(): Promise<void> {
  clearTimeout(timer);
  if (!app.busy) await refresh();
  if (app.gone) return;
  plan();
  // An account that had too few tokens may have got some.
  if (app.state?.state === "open" && app.purse && !app.busy && app.purse.balance < BigInt(app.state.holdBaseUnits)) void prepare();
}

/** Fixes the time of the next look. */
function plan(): void {
  clearTimeout(timer);
  const now = pace();
  const [first, most] = PACES[now];
  pause = now === lastPace ? Math.min(pause * 1.5, most) : first;
  lastPace = now;
  timer = setTimeout(() => void watch(), document.hidden ? Math.max(pause, PACES.waiting[1]) : pause);
}

let wasReady = false;

function look(): void {
  if (app.gone) return gone();
  const { state } = app;
  put("notice", app.unreachable, () => app.unreachable && el("p", { class: "bad", role: "alert" },
    el("b", {}, "The server does not answer"), state ? "What you see may be out of date. " : "", "This page tries again by itself."));
  if (!state) return;
  if (!wasReady) {
    wasReady = true;
    void prepare();
  }
  document.title = `${number(state.amount)} ${state.token.symbol} to ${state.merchant}`;
  showHead(state);
  showHold(state);
  showPlan(state);
  showPanel(state);
  showMore(state);
  say();
  // Something has begun or ended meanwhile: what was a good time to look again is none any more.
  if (lastPace && pace() !== lastPace) plan();
}

function gone(): void {
  clearTimeout(timer);
  put("head", "gone", () => el("div", { class: "card" },
    el("h1", {}, "The merchant has withdrawn this link"), el("p", {}, "Nothing was taken from you. Ask the merchant for a new one.")));
  for (const id of ["notice", "hold", "plan", "panel", "more"]) put(id, null, () => null);
}

/** Tells those who do not see the page what has changed on it. */
function say(): void {
  const live = document.getElementById("live");
  const words = app.busy?.words ?? document.querySelector("#hold h2")?.textContent ?? "";
  if (live && live.textContent !== words) live.textContent = words;
}

document.addEventListener("visibilitychange", () => {
  if (!document.hidden) void watch();
});
begin(look);
void watch();
