// Everything that is said to people and depends on more than one place.
import type { Kind } from "./api.js";
import { Refused, Unreachable } from "./api.js";
import { Mismatch } from "./consents.js";
import { Reverted, Unseen } from "./contracts.js";
import { isUnknownChain } from "./wallets.js";
import type { WalletError } from "./wallets.js";

/** "1234567.5" as "1,234,567.5": digits are never rounded. */
export function number(text: string): string {
  const [whole = "", fraction] = text.split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, ",");
  return fraction === undefined ? grouped : `${grouped}.${fraction}`;
}

/** Plain decimal arithmetic of two amounts, by their digits. */
export function minus(one: string, other: string): string {
  const places = Math.max(...[one, other].map((text) => text.split(".")[1]?.length ?? 0));
  const units = (text: string) => BigInt(text.replace(".", "") + "0".repeat(places - (text.split(".")[1]?.length ?? 0)));
  const digits = (units(one) - units(other)).toString().padStart(places + 1, "0");
  const fraction = digits.slice(digits.length - places).replace(/0+$/, "");
  return digits.slice(0, digits.length - places) + (places > 0 && fraction ? `.${fraction}` : "");
}

export const isZero = (text: string) => /^[0.]*$/.test(text);

export const short = (address: string) => `${address.slice(0, 6)}…${address.slice(-4)}`;

const DATE = new Intl.DateTimeFormat("en-GB", {
  weekday: "short", day: "numeric", month: "short", year: "numeric", hour: "2-digit", minute: "2-digit", timeZoneName: "short",
});
const SPAN = new Intl.RelativeTimeFormat("en", { numeric: "always" });

/** A time where the payer is. */
export const time = (text: string) => DATE.format(new Date(text));

/** "in 24 hours". */
export function distance(from: string, to: string): string {
  return SPAN.format(...parts((Date.parse(to) - Date.parse(from)) / 1000));
}

/** "24 hours". */
export const span = (seconds: number) => SPAN.format(...parts(seconds)).replace(/^in /, "");

function parts(seconds: number): [number, Intl.RelativeTimeFormatUnit] {
  const size = Math.abs(seconds);
  if (size < 90) return [Math.round(seconds), "second"];
  if (size < 90 * 60) return [Math.round(seconds / 60), "minute"];
  if (size < 48 * 3600) return [Math.round(seconds / 3600), "hour"];
  return [Math.round(seconds / 86400), "day"];
}

/** How a way of consent is put to somebody who has never heard of it. */
export function wayWords(kind: Kind, needsApproval: boolean): { title: string; text: string } {
  if (needsApproval) {
    const whom = kind === "permit2" ? "Permit2, a contract that many apps share," : "the escrow contract";
    return {
      title: kind === "permit2" ? "A transaction for Permit2, then a signature" : "A transaction, then a signature",
      text: `First a transaction that lets ${whom} move your tokens; your wallet charges a network fee for it. Then you sign the terms.`,
    };
  }
  switch (kind) {
    case "erc3009":
      return { title: "One signature", text: "The token itself takes your signature for exactly this hold. You pay no network fee." };
    case "erc2612":
      return { title: "Two signatures", text: "One permits the escrow contract to take this amount, one names the terms. You pay no network fee." };
    case "permit2":
      return { title: "One signature, by Permit2", text: "It uses the permission that you gave to Permit2 before. You pay no network fee." };
    case "eip712":
      return { title: "One signature, on your allowance", text: "It uses the allowance that the escrow contract has from you already. You pay no network fee." };
  }
}

/** What went wrong, and what the payer can do. */
export interface Trouble {
  title: string;
  text: string;
}

const NOTHING_TAKEN = "Nothing was taken from your wallet.";

export function trouble(error: unknown): Trouble {
  if (error instanceof Unreachable) {
    return { title: "The server does not answer", text: "Check your connection. This page tries again by itself." };
  }
  if (error instanceof Mismatch) {
    return {
      title: "What was to be signed is not what this page shows",
      text: `So it was not signed. ${NOTHING_TAKEN} Reload the page, and if this stays, tell the merchant.`,
    };
  }
  if (error instanceof Reverted) {
    return { title: "The transaction failed", text: "It was mined and changed nothing. Your wallet's history shows it. You can try again." };
  }
  if (error instanceof Unseen) {
    return { title: "The network takes long", text: "The transaction was sent and is not there yet. Your wallet’s history shows it; this page notices what comes of it." };
  }
  if (error instanceof Refused) return refusal(error);
  return walletTrouble((error ?? {}) as WalletError, error);
}

function walletTrouble({ code, message }: WalletError, error: unknown): Trouble {
  if (code === 4001 || code === "ACTION_REJECTED" || code === 5000) {
    return { title: "You said no in your wallet", text: `${NOTHING_TAKEN} You can try again whenever you like.` };
  }
  if (code === -32002) {
    return { title: "Your wallet is waiting for you", text: "It has a question open already. Open the wallet and answer it there." };
  }
  if (code === 4100) {
    return { title: "Your wallet did not allow this", text: "Unlock it, or connect it again, and make sure that this account is the chosen one." };
  }
  if (isUnknownChain(error)) {
    return { title: "Your wallet does not know this network", text: "Add the network in your wallet, then come back to this page." };
  }
  if (code === 4200 || code === -32601) {
    return { title: "Your wallet cannot do this", text: "Try it with another wallet." };
  }
  if (code === 4900 || code === 4901) {
    return { title: "Your wallet has no connection", text: "It cannot reach its network at the moment. Try again in a while." };
  }
  const said = typeof message === "string" && message ? ` It says: “${message.slice(0, 160)}”` : "";
  return { title: "Your wallet reported a problem", text: `${NOTHING_TAKEN}${said}` };
}

function refusal({ code, message, detail }: Refused): Trouble {
  const later = "Try again in a while; if it stays like this, tell the merchant.";
  switch (code) {
    case "invalid_consent":
      return {
        title: "The signature does not fit",
        text: `It is not one of the connected account over these terms. ${NOTHING_TAKEN} Check which account is chosen in your wallet and sign again, or choose another way to sign.`,
      };
    case "insufficient_balance":
      return { title: "There are too few tokens in this wallet", text: `${NOTHING_TAKEN} Send some there, or pay with another wallet.` };
    case "insufficient_allowance":
      return { title: "The allowance is too small", text: `${NOTHING_TAKEN} Try again: the page asks for the allowance that is missing.` };
    case "offer_lapsed":
    case "invalid_expires_at":
      return { title: "That took a little too long", text: `The terms that you signed are older than 15 minutes. ${NOTHING_TAKEN} Please sign again.` };
    case "pay_link_lapsed":
      return { title: "The time of this link is over", text: `${NOTHING_TAKEN} Ask the merchant for a new one.` };
    case "pay_link_not_found":
      return { title: "The merchant has withdrawn this link", text: `${NOTHING_TAKEN} Ask the merchant for a new one.` };
    case "invoice_exists":
      return { title: "This was paid already", text: "The page shows what became of it." };
    case "other_payer":
      return { title: "This payment is for another wallet", text: "Choose the account that is named above." };
    case "too_many_requests":
      return { title: "That was a lot at once", text: "Wait a minute, then try again." };
    case "token_refused":
      return { title: "The token refused", text: `${NOTHING_TAKEN} ${detail ? `It says: “${detail.slice(0, 160)}”. ` : ""}Another way to sign may work.` };
    case "contract_not_available":
      return { title: "Payments are paused", text: `The escrow takes no new payments at the moment. ${NOTHING_TAKEN} ${later}` };
    case "not_ready":
    case "preapproval_unknown":
      return { title: "The network does not answer", text: `${NOTHING_TAKEN} ${later}` };
    case "tenant_disabled":
    case "wallet_not_registered":
    case "receiver_not_active":
    case "token_not_active":
    case "invalid_settle_at":
      return { title: "The merchant cannot take this payment at the moment", text: `${NOTHING_TAKEN} Please tell the merchant.` };
    case "rule_refused":
      return { title: "The merchant’s rules do not allow this", text: `${message}. ${NOTHING_TAKEN}` };
    case "approval_refused":
      return { title: "The merchant did not approve this payment", text: `${NOTHING_TAKEN} Please ask the merchant.` };
    case "approval_unavailable":
      return { title: "The merchant’s approval is still missing", text: `${NOTHING_TAKEN} ${later}` };
    default:
      return { title: "The server could not do this", text: `${NOTHING_TAKEN} ${later} (${message})` };
  }
}
