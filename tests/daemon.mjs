// The real daemon on a private anvil, for stories that are told in JavaScript.
import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";

export const BINARY = process.env.CARGO_TARGET_DIR ? join(process.env.CARGO_TARGET_DIR, "debug/preauthd") : "target/debug/preauthd";
/** Longest that a start is waited for, in milliseconds: generous, because a bound is for what never comes. */
const PATIENCE = 60_000;

/** Starts a daemon. `ready` is what it wrote when it was ready; `stop` ends it, its chain and its folder. */
export async function startDaemon(...flags) {
  const folder = mkdtempSync(join(tmpdir(), "preauthd-story-"));
  const readyFile = join(folder, "ready.json");
  const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !name.startsWith("PREAUTHD_") || name === "PREAUTHD_ANVIL"));
  const data = join(folder, "data");
  // A file, not a pipe: a story that waits for another process reads no pipe, and the daemon would wait to be read.
  const logFile = join(folder, "log");
  const log = openSync(logFile, "w");
  const daemon = spawn(
    BINARY,
    ["dev", "--port", "0", "--block-time", "0.2", "--data-dir", data, "--ready-file", readyFile, ...flags],
    { env: environment, stdio: ["ignore", log, log] },
  );
  const said = () => readFileSync(logFile, "utf8");
  const ended = new Promise((done) => daemon.once("exit", done));
  closeSync(log);
  const stop = async () => {
    daemon.kill("SIGTERM");
    await ended;
    rmSync(folder, { recursive: true, force: true });
  };
  const until = Date.now() + PATIENCE;
  while (!existsSync(readyFile)) {
    if (daemon.exitCode !== null || Date.now() > until) {
      const words = said();
      await stop();
      throw new Error(`the daemon is not ready:\n${words}`);
    }
    await pause(50);
  }
  return { ready: JSON.parse(readFileSync(readyFile, "utf8")), folder: data, said, stop };
}
