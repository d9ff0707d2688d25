// A stock generator makes a client of the document that the daemon serves, the compiler checks a merchant's program
// against it, and the program drives the daemon.
import { spawnSync } from "node:child_process";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import openapiTypescript, { astToString } from "openapi-typescript";
import { startDaemon } from "../daemon.mjs";

const folder = dirname(fileURLToPath(import.meta.url));
const generated = join(folder, "generated");

const daemon = await startDaemon();
try {
  const served = await fetch(`${daemon.ready.url}/openapi.json`);
  const types = await openapiTypescript(await served.json());
  rmSync(generated, { recursive: true, force: true });
  mkdirSync(generated);
  writeFileSync(join(generated, "api.d.ts"), astToString(types));
  const compiler = join(folder, "node_modules/typescript/bin/tsc");
  const { status } = spawnSync(process.execPath, [compiler, "-p", folder], { stdio: "inherit" });
  if (status !== 0) throw new Error("the merchant's program does not fit the client that was generated");
  const { trade } = await import(pathToFileURL(join(generated, "js/merchant.js")));
  await trade(daemon.ready);
  console.log("tests/client: the generated client fits, and drives the daemon");
} catch (error) {
  console.error(error);
  process.exitCode = 1;
} finally {
  await daemon.stop();
}
