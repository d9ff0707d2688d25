// How the payer consents: which way is best for him, whether it is what the page shows, and the signing of it.
import { isAddressEqual } from "viem/utils";
import type { Address } from "viem";
import type { Consent, Kind, Offer, PayState, TypedData, Way } from "./api.js";
import { allowance, approveInput, readApproval, send, wouldSucceed } from "./contracts.js";
import { signTypedData } from "./wallets.js";
import type { Connection } from "./wallets.js";

/** A way to consent, and whether an allowance has to be given first. */
export interface Choice {
  way: Way;
  needsApproval: boolean;
}

/** What was offered is not what the page shows. Nothing is signed then. */
export class Mismatch extends Error {}

/** Best first: a single signature, then two, then those that stand on an allowance that is there already. */
const ORDER: Kind[] = ["erc3009", "erc2612", "eip712", "permit2"];

/** The offered ways, best first; those for which a transaction has to be paid come last. */
export function rank(offer: Offer): Choice[] {
  const known = offer.consents.filter(({ type }) => ORDER.includes(type));
  const choices = known.map((way) => ({ way, needsApproval: way.approval !== null }));
  const place = ({ way, needsApproval }: Choice) => (needsApproval ? ORDER.length : 0) + ORDER.indexOf(way.type);
  return choices.sort((one, other) => place(one) - place(other));
}

/**
 * Whether everything that will be signed says what the page says. The page and the offer come from the same server, so this
 * guards against mistakes; the wallet shows the payer the rest.
 */
export function check(state: PayState, offer: Offer, way: Way, account: Address): void {
  const same = (one: unknown, other: string) => isAddressEqual(String(one) as Address, other as Address);
  const fits = (...facts: boolean[]) => {
    if (!facts.every(Boolean)) throw new Mismatch();
  };
  const seconds = String(Date.parse(offer.expiresAt) / 1000);
  // A token's domain may leave the chain out.
  const on = ({ domain }: TypedData, contract: string) =>
    (domain.chainId === undefined || Number(domain.chainId) === state.chainId) && same(domain.verifyingContract, contract);
  const isTerms = (message: TypedData["message"]) =>
    same(message["sender"], account) && same(message["receiver"], state.receiver) && same(message["token"], state.token.address) &&
    String(message["hold"]) === offer.holdBaseUnits && String(message["expiresAt"]) === seconds && message["preauthId"] === offer.preauthId;

  fits(
    offer.chainId === state.chainId, offer.amount === state.amount, same(offer.escrow, state.escrow),
    same(offer.contractAddress, state.token.address), same(offer.receiver, state.receiver),
  );
  const { typedData, permitTypedData, approval } = way;
  const { message } = typedData;
  if (way.type === "erc3009") {
    fits(
      typedData.primaryType === "ReceiveWithAuthorization", on(typedData, state.token.address), same(message["from"], account),
      same(message["to"], state.escrow), String(message["value"]) === offer.holdBaseUnits, String(message["validBefore"]) === seconds,
    );
  } else if (way.type === "permit2") {
    const permitted = message["permitted"] as { token: string; amount: string | number };
    fits(
      typedData.primaryType === "PermitWitnessTransferFrom", Number(typedData.domain.chainId) === state.chainId,
      same(permitted.token, state.token.address), String(permitted.amount) === offer.holdBaseUnits, same(message["spender"], state.escrow),
      isTerms(message["witness"] as TypedData["message"]),
    );
  } else {
    fits(typedData.primaryType === "Terms", on(typedData, state.escrow), isTerms(message));
  }
  if (permitTypedData) {
    const permit = permitTypedData.message;
    fits(
      permitTypedData.primaryType === "Permit", on(permitTypedData, state.token.address), same(permit["owner"], account),
      same(permit["spender"], state.escrow), String(permit["value"]) === offer.holdBaseUnits,
    );
  }
  if (approval) fits(same(approval.to, state.token.address));
}

/** Gives the allowance that a way stands on. */
export async function approve(connection: Connection, offer: Offer, way: Way, sent: () => void): Promise<void> {
  if (!way.approval) return;
  const { to, data } = way.approval;
  const { spender } = readApproval(data);
  const allowed = await allowance(connection.wallet.provider, to, connection.account, spender);
  if (allowed >= BigInt(offer.holdBaseUnits)) return;
  // Some tokens change an allowance only by way of zero.
  if (allowed > 0n && !(await wouldSucceed(connection, to, data))) await send(connection, to, approveInput(spender, 0n), sent);
  await send(connection, to, data, sent);
}

/** Signs; `next` is told which of how many signatures comes. */
export async function sign(connection: Connection, way: Way, next: (number: number, of: number) => void): Promise<Consent> {
  if (way.type === "erc2612") {
    next(1, 2);
    const permitSignature = await signTypedData(connection, way.permitTypedData);
    next(2, 2);
    return { type: way.type, permitSignature, signature: await signTypedData(connection, way.typedData) };
  }
  next(1, 1);
  const signature = await signTypedData(connection, way.typedData);
  if (way.type !== "permit2") return { type: way.type, signature };
  if (!way.nonce) throw new Mismatch();
  return { type: way.type, nonce: way.nonce, signature };
}
