// Runs slither over the contracts, tests and libraries apart. Fails on any finding that is not answered where it is
// (`slither-disable-…` with the reason).
import { join } from "node:path";
import { root, runFoundryTool, runWithFoundry } from "./foundry.mjs";

// Apart from other builds: slither reads whatever build it finds.
const out = "contracts/cache/slither/out";
process.env.FOUNDRY_OUT = out;
process.env.FOUNDRY_CACHE_PATH = "contracts/cache/slither";

const built = runFoundryTool("forge", ["build", "--quiet", "--force", "--build-info", "contracts/src"]);
process.exit(
  built ||
    runWithFoundry(join(root, ".venv/bin/slither"), [
      ".",
      ...["--ignore-compile", "--foundry-out-directory", out],
      ...["--filter-paths", "node_modules", "--fail-pedantic"],
    ]),
);
