// Runs the proofs of contracts/proofs with halmos: what they say holds for all inputs and all states they allow, within
// the bounds that each names. Arguments are handed to halmos.
import { join } from "node:path";
import { root, runWithFoundry } from "./foundry.mjs";

process.env.FOUNDRY_TEST = "contracts/proofs";
process.env.FOUNDRY_OUT = "contracts/cache/proofs/out";
process.env.FOUNDRY_CACHE_PATH = "contracts/cache/proofs";

const options = ["--forge-build-out", "contracts/cache/proofs/out", "--loop", "3", "--no-status"];
process.exit(runWithFoundry(join(root, ".venv/bin/halmos"), [...options, ...process.argv.slice(2)]));
