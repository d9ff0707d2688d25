// Writes built/: the dashboard as the daemon embeds it, one document and the policy that names the hashes of its style and script.
// With --check it writes nothing and fails when the committed files are not what the sources build to.
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";

const web = dirname(fileURLToPath(import.meta.url));
const built = join(web, "../built");
const check = process.argv.includes("--check");

const options = { bundle: true, minify: true, write: false, legalComments: "none", logLevel: "warning", target: ["es2022", "chrome111", "firefox115", "safari16.4"] };
async function bundle(file, more = {}) {
  const { outputFiles } = await esbuild.build({ ...options, entryPoints: [join(web, file)], ...more });
  return outputFiles[0].text.trim();
}

const [style, script] = [await bundle("style.css"), await bundle("main.ts", { format: "esm" })];
for (const [text, end] of [[style, "</style"], [script, "</script"]]) {
  if (text.toLowerCase().includes(end)) throw new Error(`${end} would end the element early`);
}
const hash = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
const policy = [
  "default-src 'none'", `script-src ${hash(script)}`, `style-src ${hash(style)}`, "connect-src 'self'", "img-src data:", "base-uri 'none'",
  "form-action 'none'", "frame-ancestors 'none'",
].join("; ");
const html = readFileSync(join(web, "dashboard.html"), "utf8").replace("{{style}}", () => style).replace("{{script}}", () => script);

const stale = [];
for (const [name, text] of [["dashboard.html", html], ["policy.txt", policy]]) {
  const file = join(built, name);
  if (!check) writeFileSync(file, text);
  else if (!existsSync(file) || readFileSync(file, "utf8") !== text) stale.push(name);
}
if (stale.length > 0) {
  console.error(`src/http/admin/built is not what src/http/admin/web builds to: ${stale.join(", ")}\nrun: npm run dashboard`);
  process.exit(1);
}
console.log(`src/http/admin/built ${check ? "is up to date" : "was written"}`);
