// Lets Schemathesis ask the daemon everything that its own document allows, and much that it forbids. Where there is no
// Python, or its packages cannot be had, it says so and is content; with SCHEMATHESIS=required that is a failure.
import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { startDaemon } from "../daemon.mjs";

const folder = dirname(fileURLToPath(import.meta.url));
const requirements = join(folder, "requirements.txt");
const python = join(process.env.CARGO_TARGET_DIR ?? "target", "schemathesis");
const installed = join(python, "requirements.txt");

const run = (program, args, options = {}) => spawnSync(program, args, { stdio: "inherit", ...options }).status === 0;

/** Packages in a folder of their own, beside what else is built. */
function install() {
  if (existsSync(installed) && readFileSync(installed, "utf8") === readFileSync(requirements, "utf8")) return true;
  rmSync(python, { recursive: true, force: true });
  const done = run("python3", ["-m", "venv", python], { stdio: "ignore" })
    && run(join(python, "bin/pip"), ["install", "--quiet", "--disable-pip-version-check", "--no-deps", "-r", requirements]);
  if (done) copyFileSync(requirements, installed);
  return done;
}

if (!install()) {
  const isRequired = process.env.SCHEMATHESIS === "required";
  const words = "tests/schemathesis: python3 with venv, or its packages, cannot be had here, so Schemathesis was left out";
  (isRequired ? console.error : console.log)(words);
  process.exit(isRequired ? 1 : 0);
}

const scratch = mkdtempSync(join(tmpdir(), "preauthd-schemathesis-"));
const daemon = await startDaemon();
try {
  const readyFile = join(scratch, "ready.json");
  writeFileSync(readyFile, JSON.stringify(daemon.ready), { mode: 0o600 });
  const answered = run(
    resolve(python, "bin/schemathesis"),
    ["--config-file", join(folder, "schemathesis.toml"), "run", `${daemon.ready.url}/openapi.json`, ...process.argv.slice(2)],
    // Its cache of failed examples belongs to no clone.
    { cwd: scratch, env: { ...process.env, READY_FILE: readyFile, ADMIN_KEY: daemon.ready.adminKey, PYTHONPATH: folder, SCHEMATHESIS_HOOKS: "hooks" } },
  );
  const faults = daemon.said().split("\n").filter((line) => line.includes("ERROR"));
  for (const fault of faults) console.error(fault);
  if (!answered || faults.length > 0) process.exitCode = 1;
} finally {
  await daemon.stop();
  rmSync(scratch, { recursive: true, force: true });
}
