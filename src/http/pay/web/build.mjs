// Writes built/: the page for payers as the daemon embeds it, one document with style and script in it, and the policy that names
// their hashes. With --check it writes nothing and fails when the committed files are not what the sources build to.
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import * as esbuild from "esbuild";
import * as chains from "viem/chains";

const web = dirname(fileURLToPath(import.meta.url));
const built = join(web, "../built");
const check = process.argv.includes("--check");

/** Networks on which tokens are paid with, and their playgrounds: the page knows their names and explorers. */
const KNOWN = [
  "mainnet", "arbitrum", "avalanche", "base", "bsc", "celo", "gnosis", "linea", "mantle", "optimism", "polygon", "scroll", "unichain",
  "zksync", "sepolia", "arbitrumSepolia", "baseSepolia", "optimismSepolia", "polygonAmoy",
];

const known = Object.fromEntries(
  KNOWN.map((name) => chains[name]).map(({ id, name, rpcUrls, blockExplorers, nativeCurrency }) => [
    id, [name, rpcUrls.default.http[0], blockExplorers.default.url, nativeCurrency.name, nativeCurrency.symbol],
  ]),
);

const options = { bundle: true, minify: true, write: false, legalComments: "none", logLevel: "warning", target: ["es2022", "chrome111", "firefox115", "safari16.4"] };
async function bundle(file, more = {}) {
  const { outputFiles } = await esbuild.build({ ...options, entryPoints: [join(web, file)], ...more });
  return outputFiles[0].text.trim();
}

const style = await bundle("style.css");
const script = await bundle("main.ts", { format: "esm", define: { KNOWN_NETWORKS: JSON.stringify(known) } });
for (const [text, end] of [[style, "</style"], [script, "</script"]]) {
  if (text.toLowerCase().includes(end)) throw new Error(`${end} would end the element early`);
}

const fill = (file) => readFileSync(join(web, file), "utf8").replace("{{style}}", () => style).replace("{{script}}", () => script);
const hash = (text) => `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
const policy = [
  "default-src 'none'",
  `script-src ${hash(script)}`,
  `style-src ${hash(style)}`,
  // The daemon's own API, and the icons that wallets bring along.
  "connect-src 'self'",
  "img-src data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join("; ");

const stale = [];
for (const [name, text] of Object.entries({ "page.html": fill("page.html"), "gone.html": fill("gone.html"), "policy.txt": policy })) {
  const file = join(built, name);
  if (!check) {
    writeFileSync(file, text);
    console.log(`wrote ${relative(process.cwd(), file)} (${text.length} bytes)`);
    continue;
  }
  let committed = "";
  try {
    committed = readFileSync(file, "utf8");
  } catch {
    // A missing file is a stale one.
  }
  if (committed !== text) stale.push(name);
}

if (stale.length > 0) {
  console.error(`src/http/pay/built is not what src/http/pay/web builds to: ${stale.join(", ")}\nrun: npm run page`);
  process.exit(1);
}
if (check) console.log("src/http/pay/built is up to date");
