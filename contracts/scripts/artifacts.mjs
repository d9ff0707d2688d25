// Writes contracts/artifacts/*.json, what the daemon embeds of the contracts, from a fresh build with forge.
// With --check it writes nothing and fails when the committed files are not what the sources compile to.
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { root, runFoundryTool } from "./foundry.mjs";

const CONTRACTS = {
  PreauthEscrow: "contracts/src/PreauthEscrow.sol",
  DemoToken: "contracts/src/dev/DemoToken.sol",
  MoodyToken: "contracts/test/mocks/MoodyToken.sol",
  FallbackToken: "contracts/test/mocks/FallbackToken.sol",
};

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

const exitCode = runFoundryTool("forge", ["build", "--quiet", ...Object.values(CONTRACTS)]);
if (exitCode !== 0) process.exit(exitCode);
mkdirSync(join(root, "contracts/artifacts"), { recursive: true });

const stale = [];
for (const [contractName, source] of Object.entries(CONTRACTS)) {
  const file = `contracts/artifacts/${contractName}.json`;
  const text = `${JSON.stringify(artifact(contractName, source), null, 2)}\n`;
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
