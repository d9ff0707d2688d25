// Hardhat's node knows no reorganizations, but snapshots that can be gone back to. With one before each block, and every
// block made here, the newest blocks can be undone and others put in their place, as anvil does it (`anvil_reorg`).
const { randomBytes } = require("node:crypto");
const { ProviderWrapper } = require("hardhat/plugins");

class Reorganizable extends ProviderWrapper {
  /** A snapshot before each block that was made, oldest first. */
  #snapshots = [];
  /** The bytes of what was sent, by hash: Hardhat's node does not show them. */
  #raw = new Map();
  #timer;
  /** One thing at a time is done to the chain. */
  #last = Promise.resolve();

  async request({ method, params = [] }) {
    switch (method) {
      case "evm_mine":
        return this.#inTurn(() => this.#mine());
      // Its own way makes blocks without parents.
      case "hardhat_mine":
        return this.#inTurn(() => this.#mineMany(Number(params[0])));
      case "evm_setIntervalMining":
        return this.mineEvery(params[0]);
      case "anvil_reorg":
        return this.#inTurn(() => this.#reorg(...params));
      case "eth_sendRawTransaction": {
        const hash = await this.#ask(method, params);
        this.#raw.set(hash, params[0]);
        return hash;
      }
      case "eth_getRawTransactionByHash":
        return this.#raw.get(params[0]) ?? null;
      default:
        return this.#ask(method, params);
    }
  }

  /** Makes a block every so many milliseconds; zero stops it. */
  mineEvery(milliseconds) {
    clearInterval(this.#timer);
    if (milliseconds > 0) this.#timer = setInterval(() => this.request({ method: "evm_mine" }), milliseconds);
    return true;
  }

  #ask(method, params = []) {
    return this._wrappedProvider.request({ method, params });
  }

  #inTurn(act) {
    const acted = this.#last.then(act);
    this.#last = acted.catch(() => {});
    return acted;
  }

  async #mine() {
    this.#snapshots.push(await this.#ask("evm_snapshot"));
    return this.#ask("evm_mine");
  }

  async #mineMany(blocks) {
    for (let block = 0; block < blocks; block++) await this.#mine();
    return true;
  }

  /** Undoes the newest `depth` blocks. Of as many new ones, each holds what of `instead`, `[transaction, block]`, is its. */
  async #reorg(depth, instead) {
    const [snapshot] = this.#snapshots.splice(-depth);
    if (!(await this.#ask("evm_revert", [snapshot]))) throw new Error(`${depth} blocks cannot be undone`);
    // What the snapshot remembers as waiting was undone or has been dropped since.
    for (const { hash } of await this.#ask("eth_pendingTransactions")) {
      await this.#ask("hardhat_dropTransaction", [hash]);
    }
    // An empty block must not come out as the one it replaces.
    await this.#ask("hardhat_setPrevRandao", [`0x${randomBytes(32).toString("hex")}`]);
    for (let block = 0; block < depth; block++) {
      for (const [transaction] of instead.filter(([, place]) => place === block)) await this.#send(transaction);
      await this.#mine();
    }
    return null;
  }

  async #send(transaction) {
    if (typeof transaction === "string") return this.#ask("eth_sendRawTransaction", [transaction]);
    await this.#ask("hardhat_impersonateAccount", [transaction.from]);
    return this.#ask("eth_sendTransaction", [transaction]);
  }
}

module.exports = { Reorganizable };
