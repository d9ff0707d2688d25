// Writes contracts/artifacts/*.json, what the daemon embeds of the contracts, from a fresh build with forge, and the
// code of Permit2 as its makers publish it.
// With --check it writes nothing and fails when the committed files are not what the sources compile to.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root, runFoundryTool } from "./foundry.mjs";

const CONTRACTS = {
  PreauthEscrow: "contracts/src/PreauthEscrow.sol",
  Rehearsal: "contracts/src/rehearsal/Rehearsal.sol",
  DemoToken: "contracts/src/dev/DemoToken.sol",
  MoodyToken: "contracts/test/mocks/MoodyToken.sol",
  FallbackToken: "contracts/test/mocks/FallbackToken.sol",
  FiatToken: "contracts/test/mocks/FiatToken.sol",
  WalletFactory: "contracts/test/mocks/Wallet.sol",
};

/** Where Permit2 is on every chain. */
const PERMIT2_ADDRESS = "0x000000000022D473030F116dDEE9F6B43aC78BA3";
/** A test helper of its makers that holds its deployed code, which they check against what it compiles to. */
const PERMIT2_SOURCE = "node_modules/@uniswap/v4-periphery/lib/permit2/test/utils/DeployPermit2.sol";
/**
 * Its immutables, a chain id and its EIP-712 domain on that chain: as they are in the helper, made for another address,
 * and as they are on chain 1. On any other chain Permit2 works the domain out anew.
 */
const PERMIT2_IMMUTABLES = [
  ["7a69".padStart(64, "0"), "1".padStart(64, "0")],
  [
    "d5a17abc3865df5c1400c0299bd4ce2eefc8114aec5f9d3dded1745783e57b98",
    "866a5aba21966af95d6c7ab78eb2b2fc913915c28be3b9aa07cc04ff903e3f28",
  ],
];

const check = process.argv.includes("--check");

/** The part of forge's output that depends on nothing but the source and the settings. */
function artifact(contractName, source) {
  const built = JSON.parse(
    readFileSync(join(root, "contracts/out", `${source.split("/").pop()}`, `${contractName}.json`), "utf8"),
  );
  const { compiler, settings } = built.metadata;
  const immutables = Object.values(built.deployedBytecode.immutableReferences ?? {})
    .flat()
    .map(({ start, length }) => ({ start, length }))
    .sort((a, b) => a.start - b.start);
  return {
    contractName,
    compiler: {
      version: compiler.version.replace(/\.Emscripten\.clang$/, ""),
      evmVersion: settings.evmVersion,
      optimizerRuns: settings.optimizer.enabled ? settings.optimizer.runs : 0,
      viaIR: settings.viaIR ?? false,
    },
    abi: built.abi,
    bytecode: built.bytecode.object,
    deployedBytecode: built.deployedBytecode.object,
    immutableReferences: immutables,
  };
}

/** The deployed code of Permit2, for chains that do not have it: private ones and those of tests. */
function permit2() {
  const source = readFileSync(join(root, PERMIT2_SOURCE), "utf8");
  let [, code] = source.match(/bytes memory bytecode =\s*hex"([0-9a-f]+)"/) ?? [];
  if (!code || !source.includes(PERMIT2_ADDRESS)) throw new Error(`no code of Permit2 in ${PERMIT2_SOURCE}`);
  for (const [here, there] of PERMIT2_IMMUTABLES) {
    const pieces = code.split(`7f${here}`);
    if (pieces.length !== 2) throw new Error(`not the Permit2 that was expected in ${PERMIT2_SOURCE}`);
    code = pieces.join(`7f${there}`);
  }
  return { contractName: "Permit2", license: "MIT", address: PERMIT2_ADDRESS, deployedBytecode: `0x${code}` };
}

const exitCode = runFoundryTool("forge", ["build", "--quiet", ...Object.values(CONTRACTS)]);
if (exitCode !== 0) process.exit(exitCode);
mkdirSync(join(root, "contracts/artifacts"), { recursive: true });

const artifacts = [...Object.entries(CONTRACTS).map(([name, source]) => artifact(name, source)), permit2()];
const stale = [];
for (const content of artifacts) {
  const file = `contracts/artifacts/${content.contractName}.json`;
  const text = `${JSON.stringify(content, null, 2)}\n`;
  if (!check) {
    writeFileSync(join(root, file), text);
    console.log(`wrote ${file}`);
    continue;
  }
  let committed = "";
  try {
    committed = readFileSync(join(root, file), "utf8");
  } catch {
    // A missing file is a stale one.
  }
  if (committed !== text) stale.push(file);
}

if (stale.length > 0) {
  console.error(`not what the sources compile to: ${stale.join(", ")}\nrun: npm run artifacts`);
  process.exit(1);
}
if (check) console.log("contracts/artifacts is up to date");
