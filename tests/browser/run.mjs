// Runs the browser's stories, or says that there is no browser. With BROWSER=required (as in .ci/run) that is a failure.
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { findChromium } from "./chromium.mjs";

if (!findChromium()) {
  const words = "tests/browser: no Chromium here, so the page for payers was not tested in one (apt-get install chromium, or CHROMIUM=its path)";
  const isRequired = process.env.BROWSER === "required";
  (isRequired ? console.error : console.log)(words);
  process.exit(isRequired ? 1 : 0);
}
const folder = dirname(fileURLToPath(import.meta.url));
const flags = process.argv.slice(2);
const stories = readdirSync(folder).filter((file) => file.endsWith(".test.mjs")).map((file) => join(folder, file));
const { status } = spawnSync(process.execPath, ["--test", "--test-concurrency=2", ...flags, ...stories], { stdio: "inherit", cwd: join(folder, "../..") });
process.exit(status ?? 1);
