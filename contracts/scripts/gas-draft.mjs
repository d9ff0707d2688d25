// Prints what the drafts of a shared slot cost beside today's escrow, under the rules of gas.mjs, and the floor: what
// the token costs alone. Runs the drafts' tests first: figures of something that does not work would mean nothing.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import {
  concat,
  encodeDeployData,
  encodeFunctionData,
  encodePacked,
  erc20Abi,
  hexToBytes,
  keccak256,
  maxUint256,
  numberToHex,
  sliceHex,
  zeroHash,
} from "viem";
import { root, runFoundryTool } from "./foundry.mjs";
import * as calls from "./gas/calls.mjs";
import { hashTerms } from "./gas/consent.mjs";
import { send } from "./gas/node.mjs";
import { HOLD, setStage } from "./gas/stage.mjs";

const SIZE = 100;
const TITLE_WIDTH = 56;
const BUCKET_BITS = 20;
/** Bytes that hold the bucket of an id. */
const BUCKET_BYTES = 3;
const FINGERPRINTS_A_WORD = 8;

process.env.FOUNDRY_TEST = "contracts/drafts";
const exitCode = runFoundryTool("forge", ["test", "--quiet"]);
if (exitCode !== 0) process.exit(exitCode);

const { client, escrow, token, operator, receivers, senders, newTerms } = await setStage();
const built = (name) => JSON.parse(readFileSync(join(root, `contracts/out/${name}.sol/${name}.json`), "utf8"));
const range = (length) => Array.from({ length }, (_, i) => i);
const someTerms = (sender) => newTerms(sender, receivers[0]);
const erc20 = (functionName, ...args) => encodeFunctionData({ abi: erc20Abi, functionName, args });

// ---------------------------------------------------------------------------------------------------------- measuring

/** EIP-7623: the least a transaction with this input pays. */
function floorOf(input) {
  const bytes = hexToBytes(input);
  return 21_000 + 10 * bytes.reduce((tokens, byte) => tokens + (byte === 0 ? 1 : 4), 0);
}

/** The gas of a transaction of the operator, shared by `count`; each of them leaves `logs` logs and some there are beside. */
async function spend(to, data, count, logs, beside = 0) {
  const receipt = await send(client, operator, to, data);
  if (receipt.logs.length !== count * logs + beside) throw new Error("a call of a batch failed");
  return { gas: Number(receipt.gasUsed) / count, floor: floorOf(data) / count };
}

const rows = [];
function row(title, authorize, settle) {
  const cells = [authorize?.gas, settle?.gas, (authorize?.gas ?? 0) + (settle?.gas ?? 0), settle?.floor];
  const text = cells.map((value) => (value === undefined ? "" : Math.round(value).toLocaleString("en")).padStart(11));
  rows.push(title.padEnd(TITLE_WIDTH) + text.join(""));
}

/** Deploys, with allowances of all payers and a balance that is never zero. */
async function deploy(name, ...args) {
  const { abi, bytecode } = built(name);
  const data = encodeDeployData({ abi, bytecode: bytecode.object, args });
  const { contractAddress } = await send(client, operator, undefined, data);
  for (const payer of senders) {
    await send(client, payer.address, token, erc20("approve", contractAddress, maxUint256), 200_000n);
  }
  await send(client, senders[0].address, token, erc20("transfer", contractAddress, 1n), 200_000n);
  return { address: contractAddress, call: (functionName, ...given) => encodeFunctionData({ abi, functionName, args: given }) };
}

const packed = (list) => concat(list.flatMap((call) => [numberToHex((call.length - 2) / 2, { size: 2 }), call]));

// ------------------------------------------------------------------------------------------------------------- drafts

/** The levels of the smallest full tree over the terms, leaves first. */
function treeOf(terms) {
  let nodes = terms.map(hashTerms);
  while (!Number.isInteger(Math.log2(nodes.length))) nodes.push(zeroHash);
  const levels = [nodes];
  while (nodes.length > 1) {
    nodes = range(nodes.length / 2).map((i) => keccak256(concat([nodes[2 * i], nodes[2 * i + 1]])));
    levels.push(nodes);
  }
  return levels;
}

async function draft(name, depth, ...args) {
  const contract = await deploy(name, operator, depth, ...args);
  const { address, call } = contract;
  await send(client, operator, address, call("registerReceiver", receivers[0].address), 200_000n);

  const head = async () => BigInt((await client.call({ to: address, data: call("head") })).data);

  /** Locks these terms in one transaction. Answers the cost and, for each, the call that settles it. */
  async function lock(terms) {
    const known = await head();
    const raws = terms.map((t) => calls.authorize(t, "0x"));
    const size = 2 ** depth;
    const groups = range(Math.ceil(terms.length / size)).map((i) => terms.slice(i * size, (i + 1) * size));
    const data = call("authorizeMany", known, packed(raws), calls.GAS_PER_CALL);
    const cost = await spend(address, data, terms.length, 2, groups.length);
    const first = Number(known & (2n ** 64n - 1n)) + 1;
    const settlements = groups.flatMap((group, g) => {
      const levels = treeOf(group);
      return group.map((t, index) => {
        const siblings = levels.slice(0, -1).map((level, height) => level[(index >> height) ^ 1]);
        return concat([calls.settle(t), encodePacked(["uint32", "uint8"], [first + g, index]), ...siblings]);
      });
    });
    return { cost, settlements };
  }

  const settle = (settlements) =>
    spend(address, call("batch", packed(settlements), calls.GAS_PER_CALL), settlements.length, 3);
  const settleAlone = (settlement) => spend(address, concat([call("performRaw"), settlement]), 1, 3);

  /** Settlements of as many holds in as many slots, each of another sender. */
  async function scattered() {
    const settlements = [];
    for (const i of range(SIZE)) {
      const at = i % 2 ** depth;
      const terms = range(2 ** depth).map((k) => someTerms(senders[k === at ? i : SIZE + k]));
      settlements.push((await lock(terms)).settlements[at]);
    }
    return settlements;
  }
  return { lock, settle, settleAlone, scattered };
}

/**
 * What an authorization costs on average until a table of buckets is full, for the number of ids a bucket that is best.
 * Hashes fall into buckets as Poisson has it. `costs` are those of the first ids of one bucket, to the second of level two.
 */
function leastOverLife(costs) {
  const anotherLevel = costs.at(-1) - costs[1];
  const costOf = (place) => {
    const level = Math.floor(place / FINGERPRINTS_A_WORD);
    return costs[place % FINGERPRINTS_A_WORD] + level * anotherLevel;
  };
  const averages = range(3 * FINGERPRINTS_A_WORD).map((i) => {
    const idsPerBucket = i + 1;
    let probability = Math.exp(-idsPerBucket);
    let [more, sum] = [1 - probability, 0];
    for (let place = 0; place < 100; place++) {
      sum += more * costOf(place);
      probability *= idsPerBucket / (place + 1);
      more -= probability;
    }
    return sum / idsPerBucket;
  });
  return Math.min(...averages);
}

const hundred = () => senders.slice(0, SIZE).map(someTerms);

// --------------------------------------------------------------------------------------------------------------- rows

{
  const alone = someTerms(senders[0]);
  await send(client, operator, escrow, calls.alone(calls.authorize(someTerms(senders[SIZE]), "0x")));
  const terms = hundred();
  row(
    "today's escrow",
    await spend(escrow, calls.batch(terms.map((t) => calls.authorize(t, "0x"))), SIZE, 2),
    await spend(escrow, calls.batch(terms.map(calls.settle)), SIZE, 3),
  );
  row(
    "today's escrow, alone",
    await spend(escrow, calls.alone(calls.authorize(alone, "0x")), 1, 2),
    await spend(escrow, calls.alone(calls.settle(alone)), 1, 3),
  );
}

for (const depth of [5, 3]) {
  const { lock, settle, settleAlone, scattered } = await draft("SharedSlotEscrow", depth);
  const { cost, settlements } = await lock(hundred());
  row(`${2 ** depth} holds a slot, settled as they were locked`, cost, await settle(settlements));
  row(`${2 ** depth} holds a slot, settled from ${SIZE} slots`, cost, await settle(await scattered()));
  if (depth !== 5) continue;
  const single = await lock([someTerms(senders[0])]);
  row("a slot, alone", single.cost, await settleAlone(single.settlements[0]));
}

{
  const { lock, settle, settleAlone, scattered } = await draft("OnceOnlyEscrow", 5, BUCKET_BITS);
  const sown = hundred();
  /** Other ids in the same buckets. */
  const inTheSame = () =>
    hundred().map((t, i) => ({
      ...t,
      preauthId: concat([sliceHex(sown[i].preauthId, 0, BUCKET_BYTES), sliceHex(t.preauthId, BUCKET_BYTES)]),
    }));
  // The first finds empty buckets, the ninth full words: it begins those of the next level.
  const batches = [await lock(sown)];
  while (batches.length < FINGERPRINTS_A_WORD + 2) batches.push(await lock(inTheSame()));
  const together = await settle(batches[1].settlements);
  const apart = await settle(await scattered());
  const costs = batches.map(({ cost }) => cost);
  for (const [title, lockCost] of [
    ["in words begun before", costs[FINGERPRINTS_A_WORD / 2]],
    ["in new words", costs[0]],
    ["life of a table", { gas: leastOverLife(costs.map(({ gas }) => gas)) }],
  ]) {
    row(`ids once, ${title}, settled as locked`, lockCost, together);
    row(`ids once, ${title}, settled from ${SIZE} slots`, lockCost, apart);
  }
  const single = await lock([someTerms(senders[0])]);
  row("ids once, in a new word, alone", single.cost, await settleAlone(single.settlements[0]));
}

{
  const { address, call } = await deploy("BareTransfers", token);
  const payers = senders.slice(0, SIZE).map((payer) => payer.address);
  const payout = [payers, receivers[0].address, HOLD, calls.SETTLED];
  row(
    "floor: the token's transfers, in two transactions",
    await spend(address, call("pull", payers, HOLD), SIZE, 1),
    await spend(address, call("pay", ...payout), SIZE, 2),
  );
  row("floor: the token's transfers, all in one", undefined, await spend(address, call("pullAndPay", ...payout), SIZE, 3));
}

const titles = ["authorize", "settle", "sum", "calldata"].map((title) => title.padStart(11));
console.log(`${`gas per preauth, batches of ${SIZE}`.padEnd(TITLE_WIDTH)}${titles.join("")}`);
console.log(rows.join("\n"));
console.log("calldata: the least that settlements with such calldata pay (EIP-7623)");
process.exit(0);
