// Finds and runs the Foundry tools: `node contracts/scripts/foundry.mjs forge test …`.
// Not through node_modules/.bin: that launcher exits with 0 whatever the tool said, so a failed test would pass.
// Where npm has no binary for the platform, one on the PATH is taken.
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const require = createRequire(import.meta.url);

export const root = join(dirname(fileURLToPath(import.meta.url)), "../..");

/** The path of `forge` or `anvil`, or its bare name where npm has no binary for this platform. */
export function foundryTool(name) {
  const platform = { darwin: "darwin", linux: "linux", win32: "win32" }[process.platform];
  const arch = { x64: "amd64", arm64: "arm64" }[process.arch];
  const file = process.platform === "win32" ? `${name}.exe` : name;
  try {
    return require.resolve(`@foundry-rs/${name}-${platform}-${arch}/bin/${file}`);
  } catch {
    return name;
  }
}

/** Runs a tool in the root of the repository and answers its exit code. */
export function runFoundryTool(name, args) {
  return run(foundryTool(name), args, {}, "run npm ci, or install Foundry");
}

/** Runs a program that looks for `forge` on the PATH. */
export function runWithFoundry(program, args) {
  const PATH = [dirname(foundryTool("forge")), process.env.PATH].join(delimiter);
  return run(program, args, { PATH }, "make prove installs it");
}

function run(program, args, env, remedy) {
  const { status, error } = spawnSync(program, args, { cwd: root, stdio: "inherit", env: { ...process.env, ...env } });
  if (error) {
    console.error(`${program} did not start: ${error.message}; ${remedy}`);
    return 127;
  }
  return status ?? 1;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [tool, ...args] = process.argv.slice(2);
  process.exit(runFoundryTool(tool, args));
}
