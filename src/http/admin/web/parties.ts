// The views of who may pay and be paid: where parties stand, and the justifications that wait for people.
import { el } from "../../pay/web/dom";
import type { Paper, Parties, Review, Waiting } from "./api";
import { card, fact, table, tag } from "./views";
import { plain, short, size, time } from "./words";

const STATUSES = ["onboarding", "verified", "suspended", "rejected"];
const id = (text: string) => el("code", { title: text }, short(text));

export function parties({ data, next }: Parties, status: string, isOlder: boolean): Node[] {
  const filter = (word: string) => el("a", {
    id: `status-${word || "all"}`, href: word ? `#/parties?status=${word}` : "#/parties", ...(word === status ? { "aria-current": "true" } : {}),
  }, word || "all");
  const older = new URLSearchParams({ ...(status ? { status } : {}), before: String(next) });
  const nothing = next !== null ? "None of those that were looked at." : isOlder ? "That was all." : status ? "No such party." : "No party yet.";
  return [
    el("h1", { class: "wide" }, "Parties"),
    card(isOlder ? "Older" : "Newest", true,
      el("nav", { class: "filter", "aria-label": "Status" }, ["", ...STATUSES].map(filter)),
      table(["Party", "Tenant", "Kind", "Status", "Open", "Created"],
        data.map((row) => [id(row.id), row.tenant, row.type, tag(row.status), row.open.map(plain).join(", ") || "–", time(row.createdAt)]), nothing),
      ...(next === null ? [] : [el("p", {}, el("a", { id: "older", href: `#/parties?${older}` }, "Older"))])),
  ];
}

export function queue(rows: Waiting[]): Node[] {
  const open = (row: Waiting) => el("a", { id: `review-${row.id}`, href: `#/review/${row.id}`, "aria-label": `Review party ${row.partyId}` }, "Review");
  return [el("h1", { class: "wide" }, "Review queue"), card("Longest waiting first", true, table(["Since", "Tenant", "Party", "Why it failed", "Documents", "Decide"],
    rows.map((row) => [time(row.createdAt), row.tenant, id(row.partyId), plain(row.reason ?? "–"), String(row.documents), open(row)]), "Nothing waits for a decision."))];
}

export type Verb = "approve" | "reject";
export interface Reviewer {
  save(paper: Paper): Promise<void>;
  /** Says what went wrong, or nothing. */
  decide(verb: Verb, notes: string): Promise<string>;
}

export function review(shown: Review, reviewer: Reviewer): Node[] {
  const download = (paper: Paper) => el("button", { type: "button", "aria-label": `Download ${paper.fileName}`, click: () => void reviewer.save(paper) }, "Download");
  return [
    el("h1", { class: "wide" }, "Review ", tag(shown.decision ?? "waiting")),
    card("What the party says", true, shown.justification ? el("p", { class: "said", dir: "auto" }, shown.justification) : el("p", { class: "quiet" }, "Nothing was said.")),
    card("Documents", true, table(["File", "Type", "Size", "Brought", "Save"],
      shown.documents.map((paper) => [el("bdi", {}, paper.fileName), paper.mediaType, size(paper.bytes), time(paper.createdAt), download(paper)]), "Nothing was attached.")),
    card("Facts", false, el("dl", { class: "facts" },
      fact("Tenant", shown.tenant), fact("Party", id(shown.partyId)), fact("Kind", shown.partyType), fact("The party is", tag(shown.partyStatus)),
      fact("Why it failed", plain(shown.reason ?? "–")), fact("Waits since", time(shown.createdAt)))),
    card("Decision", false, shown.decision ? el("p", { class: "said", dir: "auto" }, shown.staffNotes || "No notes.") : decision(reviewer)),
  ];
}

function decision(reviewer: Reviewer): Node {
  const notes = el("textarea", { id: "notes", rows: "4", maxlength: "10000", "aria-describedby": "who-reads" });
  const refused = el("p", { class: "bad", role: "alert" });
  const button = (verb: Verb, words: string, look: string) => el("button", {
    type: "button", id: verb, class: look,
    click: async () => {
      for (const one of buttons) one.disabled = true;
      refused.textContent = await reviewer.decide(verb, notes.value.trim());
      for (const one of buttons) one.disabled = false;
    },
  }, words);
  const buttons = [button("approve", "Approve", "main"), button("reject", "Reject", "main danger")];
  return el("form", { submit: (event) => event.preventDefault() },
    el("label", { for: "notes" }, "Staff notes"), notes, el("p", { class: "quiet", id: "who-reads" }, "Kept encrypted; the tenant can read them."), refused, el("div", { class: "choice" }, buttons));
}

/** For a key that may look and not act. */
export const closed = (): Node[] => [
  el("h1", { class: "wide" }, "Review"),
  card("For those who decide", true, el("p", {}, "What a party says is personal: it opens for a key with the scope write, and it is written down who read it.")),
];
