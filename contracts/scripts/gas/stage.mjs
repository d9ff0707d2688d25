// What a measurement stands on: a token and an escrow from the committed artifacts, and accounts in their steady state,
// where senders, receivers and the escrow keep a balance before and after.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { encodeDeployData, encodeFunctionData, keccak256, maxUint256, numberToHex, parseEther, toHex } from "viem";
import { privateKeyToAccount } from "viem/accounts";
import { root } from "../foundry.mjs";
import { GENESIS, send, startNode } from "./node.mjs";

const RECEIVERS = 10;
const SENDERS = 420;
/** Senders who allow nothing to the escrow beforehand. */
const PERMITTERS = 100;
export const HOLD = 120_500_000n;

const artifact = (name) => JSON.parse(readFileSync(join(root, `contracts/artifacts/${name}.json`), "utf8"));
const [escrowArtifact, tokenArtifact, permit2Artifact] = ["PreauthEscrow", "DemoToken", "Permit2"].map(artifact);

export const escrowAbi = escrowArtifact.abi;
export const permit2 = permit2Artifact.address;

export async function setStage() {
  const client = await startNode();
  const cast = async (role, count) => {
    const accounts = Array.from({ length: count }, (_, i) => privateKeyToAccount(keccak256(toHex(`${role} ${i}`))));
    for (const { address } of accounts) await client.setBalance({ address, value: parseEther("100") });
    return accounts;
  };
  const [[admin], [operator], receivers, senders, permitters] = [
    await cast("admin", 1),
    await cast("operator", 1),
    await cast("receiver", RECEIVERS),
    await cast("sender", SENDERS),
    await cast("permitter", PERMITTERS),
  ];
  await client.setCode({ address: permit2, bytecode: permit2Artifact.deployedBytecode });

  const deploy = async ({ abi, bytecode }, args) =>
    (await send(client, admin.address, undefined, encodeDeployData({ abi, bytecode, args }))).contractAddress;
  const token = await deploy(tokenArtifact, ["Demo Dollar", "DUSD", 6]);
  const plan = [admin.address, admin.address, [operator.address], 0, 90 * 86_400, permit2];
  const escrow = await deploy(escrowArtifact, plan);

  const call = async (from, to, abi, functionName, ...args) =>
    send(client, from.address, to, encodeFunctionData({ abi, functionName, args }), 200_000n);
  for (const { address } of [...receivers, ...senders, ...permitters]) {
    await call(admin, token, tokenArtifact.abi, "mint", address, 10n ** 12n);
  }
  for (const sender of senders) {
    for (const spender of [escrow, permit2]) {
      await call(sender, token, tokenArtifact.abi, "approve", spender, maxUint256);
    }
  }
  for (const { address } of receivers) await call(admin, escrow, escrowAbi, "registerReceiver", address);

  let lastTerms = 0;
  /** Fresh terms, with ids that are as dense as real hashes. */
  const newTerms = (sender, receiver) => ({
    sender: sender.address,
    receiver: receiver.address,
    token,
    hold: HOLD,
    expiresAt: GENESIS + 86_400,
    preauthId: keccak256(numberToHex(++lastTerms, { size: 32 })),
  });
  return { client, escrow, token, operator: operator.address, receivers, senders, permitters, newTerms };
}
