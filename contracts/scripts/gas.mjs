// Prints what a preauthorization costs in whole-transaction gas (authorize + partial settle) on a real anvil, with an
// OpenZeppelin ERC-20 in its steady state: senders, receiver and escrow keep a balance before and after.
// Exits with 1 when a cost is above its limit.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { foundryTool, root } from "./foundry.mjs";

const LIMIT_SINGLE = 136_000;
const LIMIT_BATCH_OF_100 = 72_000;
/** EIP-7825: the most gas one transaction may have. */
const TX_GAS_CAP = 16_777_216;
const GAS_PER_CALL = 400_000;
const HOLD = 120_500_000n;
const SETTLED = 80_000_000n;
const SENDERS = 420;

const artifact = (name) => JSON.parse(readFileSync(join(root, `contracts/artifacts/${name}.json`), "utf8"));

// ---------------------------------------------------------------------------------------------------------- encoding

const word = (value) => BigInt(value).toString(16).padStart(64, "0");
const padded = (hex) => hex.padEnd(Math.ceil(hex.length / 64) * 64, "0");
const bytesTail = (hex) => word(hex.length / 2) + padded(hex);
const termsWords = (t) => [t.sender, t.receiver, t.token, t.hold, t.expiresAt, t.preauthId].map(word).join("");

/** `string` arguments and one `uint8`, as the constructor of DemoToken takes them. */
function tokenArguments(name, symbol, decimals) {
  const [first, second] = [name, symbol].map((text) => bytesTail(Buffer.from(text).toString("hex")));
  return word(96) + word(96 + first.length / 2) + word(decimals) + first + second;
}

function batchArguments(calls, gasPerCall) {
  let offset = 32 * calls.length;
  const heads = [];
  const tails = calls.map((call) => {
    heads.push(word(offset));
    const tail = bytesTail(call.slice(2));
    offset += tail.length / 2;
    return tail;
  });
  return word(64) + word(gasPerCall) + word(calls.length) + heads.join("") + tails.join("");
}

// --------------------------------------------------------------------------------------------------------- the chain

function freePort() {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.on("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

const port = await freePort();
const anvil = spawn(
  foundryTool("anvil"),
  ["--port", port, "--accounts", SENDERS, "--hardfork", "prague", "--enable-tx-gas-limit"].map(String),
  { stdio: "ignore" },
);
process.on("exit", () => anvil.kill());
for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));

let lastId = 0;
async function rpc(method, ...params) {
  const answer = await fetch(`http://127.0.0.1:${port}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ jsonrpc: "2.0", id: ++lastId, method, params }),
  });
  const { result, error } = await answer.json();
  if (error) throw new Error(`${method}: ${error.message}`);
  return result;
}

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

async function ready() {
  for (let attempt = 0; attempt < 200; attempt++) {
    try {
      return await rpc("eth_chainId");
    } catch {
      await sleep(50);
    }
  }
  throw new Error("anvil did not start");
}

async function send(from, to, data, gas = TX_GAS_CAP) {
  const hash = await rpc("eth_sendTransaction", { from, to, data, gas: `0x${gas.toString(16)}` });
  for (let attempt = 0; attempt < 500; attempt++) {
    const receipt = await rpc("eth_getTransactionReceipt", hash);
    if (receipt) {
      if (receipt.status !== "0x1") throw new Error("a transaction failed");
      return receipt;
    }
    await sleep(10);
  }
  throw new Error("a transaction was not mined");
}

const selectors = {};
/** ABI-encoded call: `signature` is canonical, `words` the encoded arguments. */
async function call(signature, words) {
  const text = `0x${Buffer.from(signature).toString("hex")}`;
  selectors[signature] ??= (await rpc("web3_sha3", text)).slice(0, 10);
  return selectors[signature] + words;
}

// --------------------------------------------------------------------------------------------------------- the setting

await ready();
const accounts = await rpc("eth_accounts");
const [admin, operator, ...others] = accounts;
const receivers = others.slice(0, 10);
const senders = others.slice(10);

const tokenCode = artifact("DemoToken").bytecode + tokenArguments("Demo Dollar", "DUSD", 6);
const token = (await send(admin, undefined, tokenCode)).contractAddress;
const escrowArguments = [admin, 0, 192, 0, 90 * 86_400, 0, 1, operator].map(word).join("");
const escrow = (await send(admin, undefined, artifact("PreauthEscrow").bytecode + escrowArguments)).contractAddress;

for (const account of [...receivers, ...senders]) {
  await send(admin, token, await call("mint(address,uint256)", word(account) + word(10n ** 12n)), 200_000);
}
for (const sender of senders) {
  await send(sender, token, await call("approve(address,uint256)", word(escrow) + "f".repeat(64)), 200_000);
}
for (const receiver of receivers) {
  await send(admin, escrow, await call("registerReceiver(address)", word(receiver)), 200_000);
}
const now = Number((await rpc("eth_getBlockByNumber", "latest", false)).timestamp);
const chainId = Number(await rpc("eth_chainId"));

let lastTerms = 0;
/** Fresh terms, with ids that are as dense as real hashes. */
async function newTerms(sender, receiver) {
  const preauthId = await rpc("web3_sha3", `0x${word(++lastTerms)}`);
  return { sender, receiver, token, hold: HOLD, expiresAt: now + 86_400, preauthId };
}

const noConsent = "";
async function signedConsent(terms) {
  const field = (name, type) => ({ name, type });
  const signature = await rpc("eth_signTypedData_v4", terms.sender, {
    domain: { name: "PreauthEscrow", version: "1", chainId, verifyingContract: escrow },
    types: {
      EIP712Domain: [
        field("name", "string"),
        field("version", "string"),
        field("chainId", "uint256"),
        field("verifyingContract", "address"),
      ],
      Terms: [
        field("sender", "address"),
        field("receiver", "address"),
        field("token", "address"),
        field("hold", "uint96"),
        field("expiresAt", "uint40"),
        field("preauthId", "bytes32"),
      ],
    },
    primaryType: "Terms",
    message: { ...terms, hold: terms.hold.toString() },
  });
  return `01${signature.slice(2)}`;
}

const TERMS = "(address,address,address,uint96,uint40,bytes32)";
const authorize = (terms, consent) =>
  call(`authorize(${TERMS},bytes)`, termsWords(terms) + word(7 * 32) + bytesTail(consent));
const settle = (terms) => call(`settle(${TERMS},uint96)`, termsWords(terms) + word(SETTLED));
const batch = async (calls) => call("batch(bytes[],uint256)", batchArguments(calls, GAS_PER_CALL));

// -------------------------------------------------------------------------------------------------------- measuring

/** Gas per preauth of `size` preauths of different senders; sent alone when `size` is 0. */
async function measure(size, { consent = () => noConsent, receiverCount = 1 } = {}) {
  const terms = [];
  for (let i = 0; i < Math.max(size, 1); i++) {
    terms.push(await newTerms(senders[i + 1], receivers[i % receiverCount]));
  }
  const locks = [];
  for (const t of terms) locks.push(await authorize(t, await consent(t)));
  const settlements = await Promise.all(terms.map(settle));
  const spent = [];
  for (const calls of [locks, settlements]) {
    const receipt = await send(operator, escrow, size === 0 ? calls[0] : await batch(calls));
    const expectedLogs = calls === locks ? 2 : 3;
    if (receipt.logs.length !== expectedLogs * terms.length) throw new Error("a call of a batch failed");
    spent.push(Number(receipt.gasUsed) / terms.length);
  }
  return spent;
}

// A hold that stays open, so that the escrow's balance of the token is never zero.
await send(operator, escrow, await authorize(await newTerms(senders[0], receivers[0]), noConsent));

const rows = [];
let failed = false;
async function row(title, size, options, limit) {
  const [lock, settlement] = await measure(size, options);
  const sum = lock + settlement;
  if (limit && sum > limit) failed = true;
  rows.push([title, lock, settlement, sum, limit]);
  return lock;
}

await row("single", 0, {}, LIMIT_SINGLE);
await row("single, signed consent", 0, { consent: signedConsent });
await row("batch of 10", 10, {});
const lockInHundred = await row("batch of 100", 100, {}, LIMIT_BATCH_OF_100);
await row("batch of 100, 10 receivers", 100, { receiverCount: 10 });
await row("batch of 100, signed consent", 100, { consent: signedConsent });
// The last call of a batch must still be offered its full gas.
const most = Math.min(Math.floor((TX_GAS_CAP - GAS_PER_CALL * 1.1) / (lockInHundred + 200)), senders.length - 1);
await row(`batch of ${most}, near ${TX_GAS_CAP.toLocaleString("en")} gas`, most, {});

/** The smallest `gasPerCall` with which a call of a batch succeeds when nothing it touches was touched before. */
async function leastCap(data) {
  const succeeds = async (cap) => {
    const input = await call("batch(bytes[],uint256)", batchArguments([data], cap));
    const answer = await rpc("eth_call", { from: operator, to: escrow, data: input, gas: "0x989680" }, "latest");
    // offset, length, offset of the first result, its `success`
    return BigInt(`0x${answer.slice(2 + 3 * 64, 2 + 4 * 64)}`) === 1n;
  };
  let [low, high] = [0, 1_000_000];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (await succeeds(middle)) high = middle;
    else low = middle;
  }
  return high;
}

const unlocked = await newTerms(senders[1], receivers[1]);
const held = await newTerms(senders[2], receivers[2]);
await send(operator, escrow, await authorize(held, noConsent));
const caps = [
  ["authorize, allowance", await leastCap(await authorize(unlocked, noConsent))],
  ["authorize, signed consent", await leastCap(await authorize(unlocked, await signedConsent(unlocked)))],
  ["settle, a part", await leastCap(await settle(held))],
  ["cancel", await leastCap(await call(`cancel(${TERMS})`, termsWords(held)))],
];

const cell = (value) => (value === undefined ? "" : Math.round(value).toLocaleString("en")).padStart(10);
console.log(`${"gas per preauth".padEnd(34)}${["authorize", "settle", "sum", "limit"].map((t) => t.padStart(10)).join("")}`);
for (const [title, ...values] of rows) console.log(title.padEnd(34) + values.map(cell).join(""));
console.log(`\n${"least gasPerCall".padEnd(34)}${"gas".padStart(10)}`);
for (const [title, cap] of caps) console.log(title.padEnd(34) + cell(cap));
if (failed) console.error("a cost is above its limit");
process.exit(failed ? 1 : 0);
