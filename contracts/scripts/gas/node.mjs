// A private anvil that counts the same in every run.
import { spawn } from "node:child_process";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { createTestClient, http, numberToHex, publicActions } from "viem";
import { foundry } from "viem/chains";
import { foundryTool } from "../foundry.mjs";

/** EIP-7825: the most gas one transaction may have. */
export const TX_GAS_CAP = 16_777_216n;
/** When the chain begins, in Unix seconds: the bytes of a time cost gas and must be the same in every run. */
export const GENESIS = 1_790_000_000;

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

/** Starts anvil, which ends with this process and sends from any account, and answers a client of it. */
export async function startNode() {
  const port = await freePort();
  const flags = ["--port", port, "--timestamp", GENESIS, "--hardfork", "prague"].map(String);
  const anvil = spawn(foundryTool("anvil"), [...flags, "--auto-impersonate", "--enable-tx-gas-limit"], {
    stdio: "ignore",
  });
  process.on("exit", () => anvil.kill());
  for (const signal of ["SIGINT", "SIGTERM"]) process.on(signal, () => process.exit(1));

  const transport = http(`http://127.0.0.1:${port}`);
  const client = createTestClient({ mode: "anvil", chain: foundry, transport }).extend(publicActions);
  for (let attempt = 0; attempt < 200; attempt++) {
    try {
      await client.getChainId();
      return client;
    } catch {
      await sleep(50);
    }
  }
  throw new Error("anvil did not start");
}

/** Sends from an account, which needs no signature, and answers the receipt. */
export async function send(client, account, to, data, gas = TX_GAS_CAP) {
  const transaction = { from: account, to, data, gas: numberToHex(gas) };
  const hash = await client.request({ method: "eth_sendTransaction", params: [transaction] });
  // Polled here: with a block for each transaction, viem's waiting for a receipt can miss the one it waits for.
  for (let attempt = 0; attempt < 5000; attempt++) {
    const receipt = await client.request({ method: "eth_getTransactionReceipt", params: [hash] });
    if (receipt) {
      if (receipt.status !== "0x1") throw new Error("a transaction failed");
      return receipt;
    }
    await sleep(1);
  }
  throw new Error("a transaction was not mined");
}
