// The real daemon on a private anvil, and the merchant who uses it.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createPublicClient, createTestClient, createWalletClient, http, parseAbi, parseUnits } from "viem";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { BINARY, startDaemon as start } from "../daemon.mjs";

const TOKEN = parseAbi([
  "function mint(address to, uint256 amount)",
  "function balanceOf(address owner) view returns (uint256)",
  "function allowance(address owner, address spender) view returns (uint256)",
  "function approve(address spender, uint256 amount) returns (bool)",
  "function transfer(address to, uint256 amount) returns (bool)",
]);
const ESCROW = parseAbi(["function signedConsentRequired(address sender) view returns (bool)"]);
/** Permit2 is at this address on every chain that has it. */
export const PERMIT2 = "0x000000000022D473030F116dDEE9F6B43aC78BA3";

let invoices = 0;

/** Starts a daemon; `stop` ends it and its chain. */
export async function startDaemon() {
  const { ready, folder, stop } = await start();
  return new Daemon(ready, folder, stop);
}

class Daemon {
  constructor(ready, folder, stop) {
    Object.assign(this, { ready, folder, stop });
    const chain = {
      id: ready.chainId, name: "dev", nativeCurrency: { name: "Ether", symbol: "ETH", decimals: 18 }, rpcUrls: { default: { http: [ready.rpcUrl] } },
    };
    const transport = http(ready.rpcUrl);
    const pollingInterval = 50;
    this.chain = createPublicClient({ chain, transport, pollingInterval });
    this.powers = createTestClient({ mode: "anvil", chain, transport, pollingInterval });
    this.sender = (account) => createWalletClient({ account, chain, transport, pollingInterval });
  }

  // ------------------------------------------------------------------------------------------------ the merchant

  async ask(method, path, body) {
    const answer = await fetch(this.ready.url + path, {
      method,
      headers: { "x-api-key": this.ready.apiKey, ...(body ? { "content-type": "application/json" } : {}) },
      body: body && JSON.stringify(body),
    });
    const read = await answer.json();
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(read)}`);
    return read;
  }

  /** A link over `amount`, and its invoice. */
  async link(amount, more = {}) {
    const invoiceId = `WEB-${process.pid}-${++invoices}`;
    const receiver = this.ready.receivers[0].address;
    const body = { invoiceId, receiver, amount, contractAddress: this.ready.token.address, ...more };
    const { url } = await this.ask("POST", "/pay-links", body);
    return { url, invoiceId };
  }

  withdraw = ({ invoiceId }) => this.ask("DELETE", `/pay-links/${invoiceId}`);
  preauth = ({ invoiceId }) => this.ask("GET", `/onchain-preauth/${invoiceId}`);
  settle = ({ invoiceId }, amount) => this.ask("POST", `/onchain-preauth/${invoiceId}/settle`, { amount });
  cancel = ({ invoiceId }) => this.ask("POST", `/onchain-preauth/${invoiceId}/cancel`, {});
  advance = (seconds) => this.ask("POST", "/dev/advance", { seconds });

  /** The tip that the merchant may add, in basis points: a word of the operator, beside the running daemon. */
  allowTip = (bps) => this.command("tenant", "set", "demo", "--tip-bps", String(bps));

  command(...words) {
    const environment = { ...process.env, PREAUTHD_DATA_DIR: this.folder, PREAUTHD_RPC_URL: this.ready.rpcUrl };
    const { status, stderr } = spawnSync(BINARY, words, { env: environment });
    if (status !== 0) throw new Error(`preauthd ${words.join(" ")}: ${stderr}`);
  }

  /** Every hold that the merchant has from a payer. */
  async holdsOf(account) {
    const { data } = await this.ask("GET", `/onchain-preauth?sender=${account.address}`);
    return data;
  }

  // --------------------------------------------------------------------------------------------------- the payers

  /** A payer nobody has heard of, with coins for gas and some tokens. */
  async payer(tokens = "1000") {
    const account = privateKeyToAccount(generatePrivateKey());
    await this.powers.setBalance({ address: account.address, value: parseUnits("10", 18) });
    if (tokens !== "0") await this.give(account, tokens);
    return account;
  }

  async give(account, tokens) {
    // One of the funded senders gives: the token's owner is the daemon's own business.
    const [funded] = this.ready.senders;
    await this.mined(this.sender(privateKeyToAccount(funded.privateKey)).writeContract({
      address: this.ready.token.address, abi: TOKEN, functionName: "transfer", args: [account.address, this.units(tokens)],
    }));
  }

  async allow(account, spender, tokens) {
    await this.mined(this.sender(account).writeContract({
      address: this.ready.token.address, abi: TOKEN, functionName: "approve", args: [spender, this.units(tokens)],
    }));
  }

  /** A token that refuses accounts on request; the payer has 1,000 of it. */
  async moodyToken(account) {
    const { abi, bytecode } = JSON.parse(readFileSync("contracts/artifacts/MoodyToken.json", "utf8"));
    const owner = this.sender(await this.payer("0"));
    const hash = await owner.deployContract({ abi, bytecode, args: ["Moody", "MOOD", this.ready.token.decimals] });
    const { contractAddress: address } = await this.chain.waitForTransactionReceipt({ hash });
    const write = (functionName, ...args) => this.mined(owner.writeContract({ address, abi, functionName, args }));
    await write("mint", account.address, this.units("1000"));
    this.command("token", "add", address, "--payer", account.address);
    return {
      address,
      block: ({ address }, isBlocked) => write("block", address, isBlocked),
      balance: ({ address: owner }) => this.chain.readContract({ address, abi, functionName: "balanceOf", args: [owner] }),
    };
  }

  async mined(sent) {
    const { status } = await this.chain.waitForTransactionReceipt({ hash: await sent });
    if (status !== "success") throw new Error("a transaction failed");
  }

  units = (tokens) => parseUnits(tokens, this.ready.token.decimals);
  view = (functionName, ...args) => this.chain.readContract({ address: this.ready.token.address, abi: TOKEN, functionName, args });
  balance = (account) => this.view("balanceOf", account.address ?? account);
  demandsSignature = (account) =>
    this.chain.readContract({ address: this.ready.escrow, abi: ESCROW, functionName: "signedConsentRequired", args: [account.address] });

  /** Takes the operator's coins away: the daemon lives on, and can send nothing. */
  async drainOperator() {
    await this.powers.setBalance({ address: this.ready.operator, value: 0n });
  }

  async refillOperator() {
    await this.powers.setBalance({ address: this.ready.operator, value: parseUnits("1000", 18) });
  }
}
