// The forge tests, built once, run against whatever code stands in the escrow's artifact.
import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { foundryTool, root, runFoundryTool } from "../foundry.mjs";

/** The escrow and what it is made of, its interfaces and the libraries apart. */
export const PARTS = ["PreauthEscrow", "Gate", "Guarded", "RawCalls", "Consent", "WalletDeployer"];

const ARTIFACT = join(root, "contracts/cache/mutants/out/PreauthEscrow.sol/PreauthEscrow.json");
const LONGEST_RUN_MS = 300_000;
/** Tests that fail without any mutant. */
const OUT_OF_PLACE = [
  // They know how much gas the escrow takes, and mutants are not optimized.
  "test_AGasBurningTokenCostsNoMoreThanTheCap",
  "test_AReturnBombIsCutShort",
  "test_AHostileFactoryCostsNoMoreThanTheCap",
  "test_ACallerOfABatchCannotStarveTheRefundByItsCap",
  // A campaign that is long enough to come across everything would take minutes for each mutant.
  "invariant_TheBooksAgree",
];

export class Tests {
  constructor() {
    process.env.FOUNDRY_PROFILE = "mutants";
    if (runFoundryTool("forge", ["build", "--quiet"]) !== 0) throw new Error("the tests do not build");
    this.artifact = JSON.parse(readFileSync(ARTIFACT, "utf8"));
    this.settings = this.artifact.metadata;
  }

  async mustPass(code) {
    const killer = await this.run(code);
    if (killer !== undefined) throw new Error(`the escrow itself fails: ${killer}`);
  }

  /**
   * A test that fails with this code, or undefined. All tests are run until one fails: to choose among them, forge would
   * compile them anew each time.
   */
  async run(code) {
    let killer;
    const output = await this.output(code, [], (output, stop) => {
      const failures = [...output.matchAll(/^\[FAIL.*\] (\w+)\(/gm)].map(([, test]) => test);
      killer = failures.find((test) => !OUT_OF_PLACE.includes(test));
      if (killer) stop();
    });
    if (killer) return killer;
    return /^Ran \d+ test suites/m.test(output) ? undefined : "no end";
  }

  /** What forge says of the tests with this code. */
  async output(code, options, onOutput = () => {}) {
    this.artifact.bytecode.object = `0x${code.bytecode}`;
    this.artifact.deployedBytecode.object = `0x${code.deployed}`;
    writeFileSync(ARTIFACT, JSON.stringify(this.artifact));
    const forge = spawn(foundryTool("forge"), ["test", ...options], { cwd: root, timeout: LONGEST_RUN_MS });
    let output = "";
    for (const stream of [forge.stdout, forge.stderr]) {
      stream.on("data", (data) => {
        output += data;
        onOutput(output, () => forge.kill());
      });
    }
    await new Promise((resolve, reject) => forge.on("error", reject).on("close", resolve));
    if (!/^Ran \d+ test/m.test(output)) throw new Error(`forge did not run the tests:\n${output}`);
    return output;
  }
}
