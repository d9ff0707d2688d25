// The escrow's calls, alone and in a batch.
import { encodeFunctionData } from "viem";
import { escrowAbi } from "./stage.mjs";

const SETTLED = 80_000_000n;
export const GAS_PER_CALL = 400_000n;

const encode = (functionName, ...args) => encodeFunctionData({ abi: escrowAbi, functionName, args });

export const authorize = (terms, consent) => encode("authorize", terms, consent);
export const settle = (terms) => encode("settle", terms, SETTLED);
export const cancel = (terms) => encode("cancel", terms);
export const batch = (calls, gasPerCall = GAS_PER_CALL) => encode("batch", calls, gasPerCall);
