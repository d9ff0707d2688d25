// The daemon's side: what it tells about this link, and what it is asked. The address of the page is the right to ask.
import type { Address, Hex } from "viem";

export type Status = "PENDING" | "AUTHORIZED" | "SETTLED" | "CANCELLED" | "EXPIRED" | "REJECTED";

/** Terms as the escrow's methods take them. */
export interface Terms {
  sender: Address;
  receiver: Address;
  token: Address;
  hold: string;
  expiresAt: number;
  preauthId: Hex;
}

/** What became of the link once it was used. Amounts are whole tokens, times RFC 3339. */
export interface Hold {
  status: Status;
  pendingOperation: "authorize" | "settle" | "cancel" | "expire" | null;
  sender: Address;
  amount: string;
  expiresAt: string;
  settledAmount: string | null;
  returnedAmount: string | null;
  refundClaimable: string | null;
  lockTransactionHash: Hex | null;
  closeTransactionHash: Hex | null;
  failure: string | null;
  escrow: Address;
  terms: Terms;
}

export interface PayState {
  state: "open" | "used" | "lapsed";
  merchant: string;
  invoiceId: string;
  description: string | null;
  returnUrl: string | null;
  sender: Address | null;
  receiver: Address;
  token: { address: Address; symbol: string; decimals: number };
  amount: string;
  holdAmount: string;
  holdBaseUnits: string;
  expiresAt: string | null;
  holdSeconds: number;
  settleAt: string | null;
  linkExpiresAt: string;
  chainId: number;
  escrow: Address;
  walletRpcUrl: string | null;
  now: string;
  hold: Hold | null;
}

/** The JSON that `eth_signTypedData_v4` takes. */
export interface TypedData {
  types: Record<string, { name: string; type: string }[]>;
  primaryType: string;
  domain: { chainId?: number | string; verifyingContract?: string };
  message: Record<string, unknown>;
}

export type Kind = "eip712" | "erc2612" | "erc3009" | "permit2";

/** One way to consent. `approval` is the transaction that has to come first; null where the allowance suffices, or none is needed. */
export interface Way {
  type: Kind;
  typedData: TypedData;
  permitTypedData?: TypedData;
  nonce?: Hex;
  approval: { to: Address; data: Hex } | null;
}

export interface Offer {
  receiver: Address;
  contractAddress: Address;
  amount: string;
  holdAmount: string;
  holdBaseUnits: string;
  expiresAt: string;
  preauthId: Hex;
  escrow: Address;
  chainId: number;
  consents: Way[];
}

export type Consent =
  | { type: "eip712" | "erc3009"; signature: Hex }
  | { type: "erc2612"; signature: Hex; permitSignature: Hex }
  | { type: "permit2"; signature: Hex; nonce: Hex };

/** A consent on its way. */
export interface Signed {
  sender: Address;
  expiresAt: string;
  consent: Consent;
}

/** The daemon refused. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly detail: string | undefined,
  ) {
    super(message);
  }
}

/** No answer came, so nobody knows whether the question arrived. */
export class Unreachable extends Error {}

const PATIENCE_MS = 45_000;
const here = location.pathname.replace(/\/+$/, "");

async function ask<T>(what: string, body?: unknown): Promise<T> {
  let answer: Response;
  let text: string;
  try {
    answer = await fetch(`${here}/${what}`, {
      method: body === undefined ? "GET" : "POST",
      headers: body === undefined ? {} : { "content-type": "application/json" },
      body: body === undefined ? null : JSON.stringify(body),
      cache: "no-store",
      credentials: "omit",
      referrerPolicy: "no-referrer",
      signal: AbortSignal.timeout(PATIENCE_MS),
    });
    text = await answer.text();
  } catch {
    throw new Unreachable();
  }
  let read: unknown;
  try {
    read = JSON.parse(text);
  } catch {
    // What a proxy says in the daemon's place.
    throw new Unreachable();
  }
  if (answer.ok) return read as T;
  const error = (read as { errors?: { code?: string; message?: string; detail?: string }[] }).errors?.[0];
  throw new Refused(answer.status, error?.code ?? "", error?.message ?? `HTTP ${answer.status}`, error?.detail);
}

export const readState = () => ask<PayState>("state");
export const askTerms = (sender: Address) => ask<Offer>("terms", { sender });
export const sendConsent = (signed: Signed) => ask<PayState>("consent", signed);
