// The escrow's calls as the daemon sends them: raw, alone or in a batch.
import { concat, encodeFunctionData, encodePacked, erc20Abi, numberToHex, size, toFunctionSelector } from "viem";
import { escrowAbi } from "./stage.mjs";

export const SETTLED = 80_000_000n;
export const GAS_PER_CALL = 400_000n;
const PERFORM = toFunctionSelector("performRaw()");
const RAW = ["uint8", "address", "address", "address", "uint96", "uint40", "bytes32"];

const raw = (operation, t, rest) =>
  concat([
    encodePacked(RAW, [operation, t.sender, t.receiver, t.token, t.hold, t.expiresAt, t.preauthId]),
    rest,
  ]);

export const authorize = (terms, consent) => raw(1, terms, consent);
export const settle = (terms) => raw(2, terms, numberToHex(SETTLED, { size: 12 }));
export const cancel = (terms) => raw(3, terms, "0x");

export const alone = (call) => concat([PERFORM, call]);
export const batch = (calls, gasPerCall = GAS_PER_CALL) =>
  encodeFunctionData({
    abi: escrowAbi,
    functionName: "batch",
    args: [concat(calls.flatMap((call) => [numberToHex(size(call), { size: 2 }), call])), gasPerCall],
  });

export const transfer = (to) =>
  encodeFunctionData({ abi: erc20Abi, functionName: "transfer", args: [to, SETTLED] });

/** A sender whose address is this much further has the same mark in the escrow's gate. */
export const MARKS = 88n;
export const demandSignatures = () =>
  encodeFunctionData({ abi: escrowAbi, functionName: "requireSignedConsent", args: [true] });
