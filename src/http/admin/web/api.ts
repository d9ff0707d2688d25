// What the admin's API answers, and the one key with which it is asked. The key is in this module's memory and nowhere else.
import { el } from "../../pay/web/dom";

export interface Hold {
  row: number; tenant: string; symbol: string; decimals: number; transactionId: string; invoiceId: string; sender: string; receiver: string;
  authorizedAmount: string; settledAmount: string | null; holdAmount: string; status: string; expiresAt: string; createdAt: string;
  preauthId: string; escrow: string; contractAddress: string; lockTransactionHash: string | null; transactionHash: string | null;
  pendingOperation: string | null; failure: string | null;
  flow: { held: string; received: string; returned: string; claimable: string };
}
export interface Story extends Hold { events: { type: string; timestamp: string; data: { failure: string | null } }[] }
export interface Batch {
  id: number; operator: string; nonce: number; state: string; items: number; attempts: number; transactionHash: string | null;
  maxFee: string | null; gasPrice: string | null; block: number | null; succeeded: boolean | null; gasUsed: number | null; createdAt: string;
}
export interface Overview {
  chainId: number; escrow: string; explorerUrl: string | null; block: number; chainTime: string; onboarding: boolean;
  troubles: { part: string; trouble: string }[];
  counts: { token: string; symbol: string; status: string; count: number }[];
  held: { escrow: string; token: string; symbol: string; held: string; balance: string | null; short: boolean }[];
  waiting: { kind: string; count: number; oldest: string }[];
  lanes: { operator: string; balance: string | null; nonce: number | null; openBatch: Batch | null }[];
  batches: Batch[]; expiring: Hold[];
}
export interface Delivery {
  id: number; url: string; event: string; invoiceId: string; state: string; tries: number; nextAt: string; status: number | null; error: string | null;
}
export interface Hour { start: string; counts: Record<string, number> }
export interface Entry { id: number; at: string; actor: string; act: string; subject: string }
export interface Parties { data: { tenant: string; id: string; type: string; status: string; open: string[]; createdAt: string }[]; next: number | null }
export interface Waiting { id: string; tenant: string; partyId: string; reason: string | null; documents: number; createdAt: string }
export interface Paper { id: string; fileName: string; mediaType: string; bytes: number; createdAt: string }
export interface Review {
  id: string; tenant: string; partyId: string; partyType: string; partyStatus: string; reason: string | null; justification: string | null;
  documents: Paper[]; decision: string | null; staffNotes: string | null; createdAt: string;
}

let key = "";
let keys = 0;

export const hasKey = (): boolean => key !== "";
/** Grows with each key that is given or taken away: an answer to one says nothing about the next. */
export const session = (): number => keys;
export function take(given: string): void {
  key = given;
  keys += 1;
}

export class Refused extends Error {
  constructor(readonly status: number, message: string) {
    super(message);
  }
}

async function send(path: string, more: RequestInit = {}): Promise<Response> {
  const headers = { authorization: `Bearer ${key}`, ...(more.body ? { "content-type": "application/json" } : {}) };
  const answer = await fetch(path, { ...more, headers, cache: "no-store", credentials: "omit" });
  if (answer.ok) return answer;
  const read = await answer.json().catch(() => ({}));
  throw new Refused(answer.status, read.errors?.[0]?.message ?? `The daemon answered ${answer.status}`);
}

export async function ask<T>(path: string): Promise<T> {
  return (await send(path)).json();
}

export async function tell(path: string, body?: object): Promise<void> {
  await send(path, { method: "POST", ...(body ? { body: JSON.stringify(body) } : {}) });
}

/** Time for the browser to begin with a file, before its address is forgotten. */
const SAVING_MS = 60_000;

/** Saves a file. A link could not bring the key. */
export async function save(path: string, name: string): Promise<void> {
  const href = URL.createObjectURL(await (await send(path)).blob());
  el("a", { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), SAVING_MS);
}

/** Calls `changed` whenever the daemon says so, until the stream ends. EventSource could not bring the key. */
export async function listen(changed: () => void, signal: AbortSignal): Promise<void> {
  const { body } = await send("/admin/live", { signal });
  const reader = body!.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    if (value.includes("changed")) changed();
  }
}
