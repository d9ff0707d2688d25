// Whole transactions, measured: authorize and a partial settlement, alone and in batches.
import { decodeFunctionResult, getAddress, numberToHex, parseEther } from "viem";
import * as calls from "./calls.mjs";
import { consents } from "./consent.mjs";
import { TX_GAS_CAP, send } from "./node.mjs";
import { escrowAbi, setStage } from "./stage.mjs";

/** Logs by which a settlement of a part is known: its own and two transfers. An authorization has two at least. */
const LOGS_OF_SETTLEMENT = 3;

/** Rows of `{ title, authorize, settle, sum, limit }`, gas per preauth, and the least `gasPerCall` of each call. */
export async function measure() {
  const stage = await setStage();
  const { client, escrow, token, operator, receivers, senders, permitters, newTerms } = stage;
  const consent = consents(stage);
  const allowed = (terms) => calls.authorize(terms, "0x");

  // A permit takes the place of an allowance, so it is measured with senders of its own.
  const payersOf = (kind) => (kind === "erc2612" ? permitters : senders.slice(1));

  // A hold that stays open, so that the escrow's balance of the token is never zero.
  await send(client, operator, escrow, calls.alone(allowed(newTerms(senders[0], receivers[0]))));

  /** Gas per preauth of `size` preauths of different senders; sent alone where there is no size. */
  async function spent(size, kind, receiverCount) {
    const payers = payersOf(kind).slice(0, size ?? 1);
    const terms = payers.map((sender, i) => newTerms(sender, receivers[i % receiverCount]));
    const locks = await Promise.all(
      terms.map(async (t, i) => calls.authorize(t, await consent[kind](payers[i], t))),
    );
    const gas = async (each) => {
      const receipt = await send(client, operator, escrow, size ? calls.batch(each) : calls.alone(each[0]));
      return [Number(receipt.gasUsed) / terms.length, receipt.logs.length];
    };
    const [authorize] = await gas(locks);
    const [settle, logs] = await gas(terms.map(calls.settle));
    if (logs !== LOGS_OF_SETTLEMENT * terms.length) throw new Error("a call of a batch failed");
    return [authorize, settle];
  }

  const rows = [];
  function add(title, [authorize, settle], limit) {
    const sum = Math.round(authorize + settle);
    rows.push({ title, authorize: Math.round(authorize), settle: Math.round(settle), sum, limit });
  }
  async function row(title, { size, kind = "allowance", receiverCount = 1, limit }) {
    const costs = await spent(size, kind, receiverCount);
    add(title, costs, limit);
    return costs[0];
  }

  // What moving the tokens there and on costs without any promise, as a measure.
  const transfer = await send(client, senders[0].address, token, calls.transfer(receivers[0].address));
  add("two plain transfers", [Number(transfer.gasUsed), Number(transfer.gasUsed)]);
  await row("single, allowance", { limit: 130_000 });
  for (const kind of ["eip712", "erc2612", "erc3009", "permit2"]) await row(`single, ${kind}`, { kind });
  await row("batch of 10, allowance", { size: 10 });
  const lock = await row("batch of 100, allowance", { size: 100, limit: 66_000 });
  await row("batch of 100, 10 receivers", { size: 100, receiverCount: 10 });
  await row("batch of 100, eip712", { size: 100, kind: "eip712", limit: 75_000 });
  for (const kind of ["erc2612", "erc3009", "permit2"]) await row(`batch of 100, ${kind}`, { size: 100, kind });
  // The last call of a batch must still be offered its full gas.
  const room = (Number(TX_GAS_CAP) - Number(calls.GAS_PER_CALL) * 1.1) / (lock + 200);
  const most = Math.min(Math.floor(room), senders.length - 1);
  await row(`batch of ${most}, allowance`, { size: most });

  /** The smallest `gasPerCall` with which a call of a batch succeeds when nothing it touches was touched before. */
  async function leastCap(call) {
    const succeeds = async (cap) => {
      const input = calls.batch([call], BigInt(cap));
      const { data } = await client.call({ account: operator, to: escrow, data: input, gas: 10_000_000n });
      return decodeFunctionResult({ abi: escrowAbi, functionName: "batch", data }).length === 0;
    };
    let [low, high] = [0, 1_000_000];
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (await succeeds(middle)) high = middle;
      else low = middle;
    }
    return high;
  }

  const held = newTerms(senders[2], receivers[2]);
  await send(client, operator, escrow, calls.alone(allowed(held)));
  const caps = [];
  for (const kind of ["allowance", "eip712", "erc2612", "erc3009", "permit2"]) {
    const [payer] = payersOf(kind);
    const terms = newTerms(payer, receivers[1]);
    const call = calls.authorize(terms, await consent[kind](payer, terms));
    caps.push({ title: `authorize, ${kind}`, gas: await leastCap(call) });
  }
  caps.push({ title: "settle, a part", gas: await leastCap(calls.settle(held)) });
  caps.push({ title: "cancel, expire", gas: await leastCap(calls.cancel(held)) });

  // Last, because it makes other senders dearer too: somebody demands signatures whose mark is this sender's as well.
  const twin = getAddress(numberToHex(BigInt(senders[1].address) + calls.MARKS, { size: 20 }));
  await client.setBalance({ address: twin, value: parseEther("1") });
  await send(client, twin, escrow, calls.demandSignatures());
  await row("single, allowance, a shared mark", {});
  return { rows, caps };
}
