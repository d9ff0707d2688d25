// The escrow's calls as the daemon sends them: raw, alone or in a batch.
import { concat, encodeFunctionData, encodePacked, numberToHex, size, toFunctionSelector } from "viem";
import { escrowAbi } from "./stage.mjs";

const SETTLED = 80_000_000n;
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
