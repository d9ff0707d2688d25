// What is shown follows the address; what it shows is asked again whenever the daemon says that something changed.
import { el } from "../../pay/web/dom";
import { ask, hasKey, listen, Refused, save, session, take, tell } from "./api";
import type { Delivery, Entry, Hold, Hour, Overview, Paper, Parties, Review, Story, Waiting } from "./api";
import * as parties from "./parties";
import * as views from "./views";

/** Pause before the stream is asked for again, and between two looks. */
const AGAIN_MS = 2_000;
const REST_MS = 1_000;

const page = document.getElementById("page")!;
const state = document.getElementById("state")!;
const VIEWS: [string, string][] = [
  ["#/", "Overview"], ["#/preauths", "Preauthorizations"], ["#/parties", "Parties"], ["#/reviews", "Review queue"], ["#/webhooks", "Webhooks"], ["#/audit", "Audit log"],
];
const OF_PARTIES = /^#\/(parties|reviews|review\/.+)$/;
const ENDINGS: Record<string, string> = { "image/jpeg": "jpg", "image/png": "png", "application/pdf": "pdf" };

let shown = "";
/** Whether parties are onboarded here. */
let onboards: boolean | undefined;
let isLooking = false;
let isStale = false;

function say(words: string): void {
  if (state.textContent !== words) state.textContent = words;
}

function put(nodes: Node[]): void {
  const focused = document.activeElement;
  page.replaceChildren(...nodes);
  const again = focused?.id ? document.getElementById(focused.id) : null;
  again?.focus({ preventScroll: true });
  // Whoever types is not to lose it because something changed meanwhile.
  if (focused instanceof HTMLInputElement && focused.type === "search" && again instanceof HTMLInputElement) again.value = focused.value;
}

function leave(words: string): void {
  take("");
  shown = "";
  document.getElementById("nav")!.replaceChildren();
  say("");
  put(views.login(words, enter));
  document.getElementById("key")?.focus();
}

function enter(key: string): void {
  take(key);
  void look();
  void follow();
}

async function made(): Promise<Node[]> {
  const place = location.hash || "#/";
  const id = place.match(/^#\/preauth\/([0-9a-f-]+)$/)?.[1];
  if (id) return views.story(await ask<Story>(`/admin/preauths/${id}`));
  const [path = "", query] = place.split("?", 2);
  if (OF_PARTIES.test(path) && (await hasParties())) return ofParties(path, new URLSearchParams(query));
  if (path === "#/preauths") return found(new URLSearchParams(query));
  if (place === "#/webhooks") return views.webhooks((await ask<{ data: Delivery[] }>("/admin/deliveries")).data, resend);
  if (place === "#/audit") return views.audit((await ask<{ data: Entry[] }>("/admin/audit?limit=100")).data);
  const [now, hours, newest] = await Promise.all([
    ask<Overview>("/admin/overview"), ask<{ data: Hour[] }>("/admin/series?hours=48"), ask<{ data: Hold[] }>("/admin/preauths?limit=10"),
  ]);
  onboards = now.onboarding;
  return views.overview(now, hours.data, newest.data);
}

async function hasParties(): Promise<boolean> {
  onboards ??= (await ask<Overview>("/admin/overview")).onboarding;
  return onboards;
}

async function ofParties(path: string, wanted: URLSearchParams): Promise<Node[]> {
  const id = path.match(/^#\/review\/(.+)$/)?.[1];
  if (id) return opened(encodeURIComponent(id));
  if (path === "#/reviews") return parties.queue((await ask<{ data: Waiting[] }>("/admin/reviews")).data);
  const page = new URLSearchParams({ limit: String(views.PAGE) });
  for (const name of ["status", "before"]) if (wanted.get(name)) page.set(name, wanted.get(name)!);
  return parties.parties(await ask<Parties>(`/admin/parties?${page}`), wanted.get("status") ?? "", wanted.has("before"));
}

async function opened(id: string): Promise<Node[]> {
  try {
    const review = await ask<Review>(`/admin/reviews/${id}`);
    return parties.review(review, { save: (paper) => saved(id, paper), decide: (verb, notes) => decided(id, verb, notes) });
  } catch (error) {
    // Whoever may look only is not sent away for having tried.
    if (error instanceof Refused && error.status === 403) return parties.closed();
    throw error;
  }
}

async function saved(id: string, { id: document, mediaType }: Paper): Promise<void> {
  try {
    // Under a name of ours: theirs could end like a program.
    await save(`/admin/reviews/${id}/documents/${document}`, `${document}.${ENDINGS[mediaType] ?? "bin"}`);
  } catch (error) {
    say(reason(error));
  }
}

async function decided(id: string, verb: parties.Verb, notes: string): Promise<string> {
  try {
    await tell(`/admin/reviews/${id}/${verb}`, notes ? { notes } : undefined);
    if (location.hash === `#/review/${id}`) location.hash = "#/reviews";
    say(verb === "approve" ? "Approved" : "Rejected");
    return "";
  } catch (error) {
    return reason(error);
  }
}

const reason = (error: unknown): string => (error instanceof Error ? error.message : String(error));

async function found(wanted: URLSearchParams): Promise<Node[]> {
  const page = new URLSearchParams({ limit: String(views.PAGE) });
  for (const name of ["invoice", "before"]) if (wanted.get(name)) page.set(name, wanted.get(name)!);
  const { data } = await ask<{ data: Hold[] }>(`/admin/preauths?${page}`);
  return views.preauths(data, wanted.get("invoice") ?? "", wanted.has("before"), search);
}

/** Goes to what is wanted: a transaction id names one preauthorization, all else is taken for an invoice. */
function search(wanted: string): void {
  const isId = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(wanted);
  if (isId) location.hash = `#/preauth/${wanted.toLowerCase()}`;
  else location.hash = wanted ? `#/preauths?${new URLSearchParams({ invoice: wanted })}` : "#/preauths";
}

async function resend(id: number): Promise<void> {
  try {
    await tell(`/admin/deliveries/${id}/resend`);
    say("Sent again");
    void look();
  } catch (error) {
    say(reason(error));
  }
}

async function look(): Promise<void> {
  if (!hasKey()) return;
  if (isLooking) {
    isStale = true;
    return;
  }
  const [place, mine] = [location.hash || "#/", session()];
  // Each look at a review is written down, and whoever decides is not to lose what was typed.
  if (place === shown && place.startsWith("#/review/")) return;
  [isLooking, isStale] = [true, false];
  try {
    const [nodes, isWithParties] = [await made(), await hasParties()];
    if (session() === mine && place === (location.hash || "#/")) {
      put(nodes);
      if (place !== shown) {
        shown = place;
        document.getElementById("nav")!.replaceChildren(...VIEWS.filter(([href]) => isWithParties || !OF_PARTIES.test(href)).map(([href, words]) => el("a", { href, ...(href === place.split("?", 1)[0] ? { "aria-current": "page" } : {}) }, words)));
      }
    } else isStale = true;
  } catch (error) {
    if (session() !== mine) isStale = true;
    else if (error instanceof Refused && (error.status === 401 || error.status === 403)) leave("This key is not accepted here.");
    else say(error instanceof Refused ? error.message : "The daemon does not answer");
  }
  setTimeout(() => {
    isLooking = false;
    if (isStale) void look();
  }, REST_MS);
}

async function follow(): Promise<void> {
  const mine = session();
  while (session() === mine) {
    try {
      const stop = new AbortController();
      await listen(() => {
        say("Live");
        void look();
      }, stop.signal);
    } catch (error) {
      if (error instanceof Refused && error.status === 401) return;
      say("Not live: trying again");
    }
    await new Promise((done) => setTimeout(done, AGAIN_MS));
    if (session() === mine) void look();
  }
}

addEventListener("hashchange", () => {
  isStale = true;
  void look();
  page.focus({ preventScroll: true });
});
leave("");
