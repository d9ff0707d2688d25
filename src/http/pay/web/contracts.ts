// The chain as the payer's wallet shows it: what a token and the escrow say, and the transactions he sends himself.
import { decodeFunctionData, decodeFunctionResult, encodeFunctionData } from "viem/utils";
import type { Address, Hex } from "viem";
import type { Terms } from "./api.js";
import type { Connection, Provider } from "./wallets.js";

const TERMS = {
  name: "terms",
  type: "tuple",
  components: [
    { name: "sender", type: "address" },
    { name: "receiver", type: "address" },
    { name: "token", type: "address" },
    { name: "hold", type: "uint96" },
    { name: "expiresAt", type: "uint40" },
    { name: "preauthId", type: "bytes32" },
  ],
} as const;

const method = <Name extends string, const Inputs, const Outputs>(name: Name, inputs: Inputs, outputs: Outputs) =>
  ({ type: "function", name, inputs, outputs, stateMutability: "nonpayable" }) as const;

const ADDRESS = (name: string) => ({ name, type: "address" }) as const;
const UINT = { name: "", type: "uint256" } as const;
const BOOL = { name: "required", type: "bool" } as const;

const ABI = [
  method("balanceOf", [ADDRESS("owner")], [UINT]),
  method("allowance", [ADDRESS("owner"), ADDRESS("spender")], [UINT]),
  method("approve", [ADDRESS("spender"), UINT], []),
  method("expire", [TERMS], []),
  method("claim", [ADDRESS("sender"), ADDRESS("token")], []),
  method("claimable", [ADDRESS("sender"), ADDRESS("token")], [UINT]),
  method("requireSignedConsent", [BOOL], []),
  method("signedConsentRequired", [ADDRESS("sender")], [BOOL]),
] as const;

async function view(provider: Provider, to: Address, data: Hex): Promise<Hex> {
  return (await provider.request({ method: "eth_call", params: [{ to, data }, "latest"] })) as Hex;
}

export async function balanceOf(provider: Provider, token: Address, owner: Address): Promise<bigint> {
  const data = encodeFunctionData({ abi: ABI, functionName: "balanceOf", args: [owner] });
  return decodeFunctionResult({ abi: ABI, functionName: "balanceOf", data: await view(provider, token, data) });
}

export async function allowance(provider: Provider, token: Address, owner: Address, spender: Address): Promise<bigint> {
  const data = encodeFunctionData({ abi: ABI, functionName: "allowance", args: [owner, spender] });
  return decodeFunctionResult({ abi: ABI, functionName: "allowance", data: await view(provider, token, data) });
}

export async function demandsSignature(provider: Provider, escrow: Address, account: Address): Promise<boolean> {
  const data = encodeFunctionData({ abi: ABI, functionName: "signedConsentRequired", args: [account] });
  return decodeFunctionResult({ abi: ABI, functionName: "signedConsentRequired", data: await view(provider, escrow, data) });
}

/** What waits at the escrow for a sender whose token refused to send it back. */
export async function claimable(provider: Provider, escrow: Address, sender: Address, token: Address): Promise<bigint> {
  const data = encodeFunctionData({ abi: ABI, functionName: "claimable", args: [sender, token] });
  return decodeFunctionResult({ abi: ABI, functionName: "claimable", data: await view(provider, escrow, data) });
}

/** Whom an `approve` allows, and how much. Anything else throws: the page sends no other call that it was given. */
export function readApproval(data: Hex): { spender: Address; amount: bigint } {
  const call = decodeFunctionData({ abi: ABI, data });
  if (call.functionName !== "approve") throw new Error("not an approval");
  return { spender: call.args[0], amount: call.args[1] };
}

export const approveInput = (spender: Address, amount: bigint) =>
  encodeFunctionData({ abi: ABI, functionName: "approve", args: [spender, amount] });

export const expireInput = (terms: Terms) =>
  encodeFunctionData({ abi: ABI, functionName: "expire", args: [{ ...terms, hold: BigInt(terms.hold) }] });

export const claimInput = (sender: Address, token: Address) =>
  encodeFunctionData({ abi: ABI, functionName: "claim", args: [sender, token] });

export const demandInput = (required: boolean) =>
  encodeFunctionData({ abi: ABI, functionName: "requireSignedConsent", args: [required] });

/** Whether the wallet's node thinks that a transaction would succeed. */
export async function wouldSucceed({ wallet, account }: Connection, to: Address, data: Hex): Promise<boolean> {
  try {
    await wallet.provider.request({ method: "eth_estimateGas", params: [{ from: account, to, data }] });
    return true;
  } catch {
    return false;
  }
}

/** A transaction was mined and failed. */
export class Reverted extends Error {}

/** A transaction was sent, and nobody can tell what became of it. */
export class Unseen extends Error {}

const RECEIPT_PAUSE_MS = 1_000;
/** Ten minutes: after that the wallet itself knows better, where it may have been replaced. */
const RECEIPT_TRIES = 600;

/** Sends a transaction by the wallet, says that it is on its way, and returns when it was mined. */
export async function send({ wallet, account }: Connection, to: Address, data: Hex, sent: () => void): Promise<void> {
  const hash = await wallet.provider.request({ method: "eth_sendTransaction", params: [{ from: account, to, data }] });
  sent();
  for (let tries = 0; tries < RECEIPT_TRIES; tries++) {
    const receipt = (await wallet.provider.request({ method: "eth_getTransactionReceipt", params: [hash] })) as { status?: Hex } | null;
    if (receipt) {
      if (receipt.status === "0x0") throw new Reverted();
      return;
    }
    await new Promise((done) => setTimeout(done, RECEIPT_PAUSE_MS));
  }
  throw new Unseen();
}
