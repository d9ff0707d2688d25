// Prints what the draft of a shared slot costs per preauth in batches of 100, and the floor, as gas.mjs measures.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { concat, encodeAbiParameters, encodeDeployData, encodeFunctionData, erc20Abi, keccak256, maxUint256, zeroHash } from "viem";
import { root, runFoundryTool } from "./foundry.mjs";
import { send } from "./gas/node.mjs";
import { setStage } from "./gas/stage.mjs";

const SIZE = 100;
const WIDTH = 128;
const SETTLED = 80_000_000n;

runFoundryTool("forge", ["build", "contracts/drafts/SharedSlot.sol"]);
const built = (name) => JSON.parse(readFileSync(join(root, `contracts/out/SharedSlot.sol/${name}.json`), "utf8"));
const { client, token, operator, receivers, senders, newTerms } = await setStage();
const [draft, floor] = await Promise.all(["SharedSlot", "Floor"].map(built).map(async ({ abi, bytecode }) => {
  const data = encodeDeployData({ abi, bytecode: bytecode.object });
  const { contractAddress } = await send(client, operator, undefined, data);
  return { abi, address: contractAddress };
}));
const gas = async ({ abi, address }, functionName, ...args) =>
  Number((await send(client, operator, address, encodeFunctionData({ abi, functionName, args }))).gasUsed) / SIZE;

const payers = senders.slice(0, SIZE);
const erc20 = (functionName, ...args) => encodeFunctionData({ abi: erc20Abi, functionName, args });
for (const { address } of [draft, floor]) {
  for (const payer of payers) await send(client, payer.address, token, erc20("approve", address, maxUint256), 200_000n);
  await send(client, senders[SIZE].address, token, erc20("transfer", address, 1n), 200_000n);
}

const termsType = draft.abi.find(({ name }) => name === "authorizeMany").inputs[0].components;
const leafOf = (terms) => keccak256(concat(["0x00", encodeAbiParameters([{ type: "tuple", components: termsType }], [terms])]));
function treeOf(batch) {
  const levels = [Array.from({ length: WIDTH }, (_, i) => (batch[i] ? leafOf(batch[i]) : zeroHash))];
  while (levels.at(-1).length > 1) {
    const last = levels.at(-1);
    levels.push(last.filter((_, i) => i % 2 === 0).map((left, i) => keccak256(concat(["0x01", left, last[2 * i + 1]]))));
  }
  return levels;
}
function itemOf(batch, levels, index) {
  const proof = levels.slice(0, -1).map((level, depth) => level[(index >> depth) ^ 1]);
  return { terms: batch[index], root: levels.at(-1)[0], index, amount: SETTLED, proof };
}
const newBatch = () => payers.map((sender) => newTerms(sender, receivers[0]));

const batch = newBatch();
const authorize = await gas(draft, "authorizeMany", batch);
const levels = treeOf(batch);
const clustered = await gas(draft, "settleMany", batch.map((_, i) => itemOf(batch, levels, i)));

const scatteredItems = [];
for (let i = 0; i < SIZE; i++) {
  const other = newBatch();
  await gas(draft, "authorizeMany", other);
  scatteredItems.push(itemOf(other, treeOf(other), i));
}
const scattered = await gas(draft, "settleMany", scatteredItems);
const least = await gas(floor, "move", token, payers.map(({ address }) => address), receivers[0].address, 120_500_000n, SETTLED);

console.log("gas per preauth, batches of 100");
const rows = { authorize, "settle, one root": clustered, "settle, 100 roots": scattered, "sum, one root": authorize + clustered, "sum, 100 roots": authorize + scattered, floor: least };
for (const [title, value] of Object.entries(rows)) console.log(title.padEnd(24) + Math.round(value).toLocaleString("en").padStart(10));
process.exit(0);
