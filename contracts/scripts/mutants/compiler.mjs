// Compiles the escrow with the npm solc in this process, with the settings and the sources that forge used.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { root } from "../foundry.mjs";

const solc = createRequire(import.meta.url)("solc");

const ESCROW = ["contracts/src/PreauthEscrow.sol", "PreauthEscrow"];

/** The text of each file the escrow is made of, by its path. */
export function readSources({ sources }) {
  return Object.fromEntries(Object.keys(sources).map((path) => [path, readFileSync(join(root, path), "utf8")]));
}

/** The syntax trees by path. */
export function parse(sources, settings) {
  const output = run(sources, settings, { "*": { "": ["ast"] } });
  return Object.fromEntries(Object.entries(output.sources).map(([path, { ast }]) => [path, ast]));
}

/** The escrow's code, absent where the sources do not compile, and the errors then. */
export function compile(sources, settings) {
  const [path, name] = ESCROW;
  const output = run(sources, settings, { [path]: { [name]: ["evm.bytecode.object", "evm.deployedBytecode.object"] } });
  const evm = output.contracts?.[path]?.[name]?.evm;
  return {
    errors: (output.errors ?? []).filter(({ severity }) => severity === "error"),
    code: evm?.bytecode.object && { bytecode: evm.bytecode.object, deployed: evm.deployedBytecode.object },
  };
}

function run(sources, { settings }, outputSelection) {
  const { compilationTarget: _, libraries: __, ...rest } = settings;
  const input = {
    language: "Solidity",
    sources: Object.fromEntries(Object.entries(sources).map(([path, content]) => [path, { content }])),
    settings: { ...rest, metadata: { bytecodeHash: "none", appendCBOR: false }, outputSelection },
  };
  return JSON.parse(solc.compile(JSON.stringify(input)));
}
