// A wallet as a browser's extension puts it into a page: it announces itself (EIP-6963), speaks EIP-1193, signs with a real key,
// and asks anvil for everything else. What it is asked is written down, so that a story can look at it.
import { recoverTypedDataAddress } from "viem";

/** The part inside the page. `ask` is the bridge to the wallet behind it. */
function inject({ name, rdns, announces }) {
  const listeners = new Map();
  const provider = {
    async request(call) {
      const { result, error } = await window.__askWallet(call);
      if (error) throw Object.assign(new Error(error.message), error);
      return result;
    },
    on: (event, listener) => listeners.set(event, [...(listeners.get(event) ?? []), listener]),
    removeListener: (event, listener) => listeners.set(event, (listeners.get(event) ?? []).filter((one) => one !== listener)),
  };
  window.__emit = (event, value) => (listeners.get(event) ?? []).forEach((listener) => listener(value));
  if (!announces) {
    window.ethereum = provider;
    return;
  }
  const icon = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'%3E%3Crect width='8' height='8' fill='%23e2761b'/%3E%3C/svg%3E";
  const detail = Object.freeze({ info: Object.freeze({ uuid: "6f1f7f4a-5f0e-4a58-9d5c-0d6a3b1c2e4f", name, icon, rdns }), provider });
  const announce = () => dispatchEvent(new CustomEvent("eip6963:announceProvider", { detail }));
  addEventListener("eip6963:requestProvider", announce);
  announce();
}

export class Wallet {
  /** Methods that were called, with their parameters. */
  calls = [];
  /** What the owner says to the next questions of a method: an error, or a function in the wallet's place. */
  answers = new Map();

  constructor(daemon, account, { chainId = daemon.ready.chainId, connected = false, announces = true, knows = [daemon.ready.chainId] } = {}) {
    Object.assign(this, { daemon, account, chainId, connected, announces, knows: new Set(knows) });
  }

  /** Puts the wallet into every page of a browser context. */
  async enter(context) {
    this.context = context;
    await context.exposeFunction("__askWallet", (call) => this.answer(call));
    await context.addInitScript(inject, { name: "Test Wallet", rdns: "example.test.wallet", announces: this.announces });
  }

  /** The owner refuses the next question of this kind. */
  refuseNext(method, error = { code: 4001, message: "User rejected the request." }) {
    this.answers.set(method, () => Promise.reject(Object.assign(new Error(error.message), error)));
  }

  /** Something else answers the next question of this kind. */
  answerNext(method, answer) {
    this.answers.set(method, answer);
  }

  asked = (method) => this.calls.filter((call) => call.method === method);

  async emit(event, value) {
    for (const page of this.context.pages()) await page.evaluate(([event, value]) => window.__emit(event, value), [event, value]);
  }

  async choose(account) {
    this.account = account;
    await this.emit("accountsChanged", [account.address]);
  }

  async answer(call) {
    this.calls.push(call);
    try {
      const instead = this.answers.get(call.method);
      this.answers.delete(call.method);
      return { result: await (instead ? instead(call) : this.act(call)) };
    } catch (error) {
      return { error: { code: error.code ?? -32603, message: error.message ?? String(error), data: error.data } };
    }
  }

  async act({ method, params }) {
    switch (method) {
      case "eth_requestAccounts":
        this.connected = true;
        return [this.account.address];
      case "wallet_requestPermissions":
        return [{ parentCapability: "eth_accounts" }];
      case "eth_accounts":
        return this.connected ? [this.account.address] : [];
      case "eth_chainId":
        return `0x${this.chainId.toString(16)}`;
      case "wallet_switchEthereumChain":
        return this.goTo(Number(params[0].chainId));
      case "wallet_addEthereumChain":
        this.knows.add(Number(params[0].chainId));
        return null;
      case "eth_signTypedData_v4":
        return this.sign(params);
      case "eth_sendTransaction": {
        const [{ to, data }] = params;
        return this.daemon.sender(this.account).sendTransaction({ to, data });
      }
      default:
        return this.daemon.chain.request({ method, params });
    }
  }

  async goTo(chainId) {
    if (!this.knows.has(chainId)) throw Object.assign(new Error("Unrecognized chain ID."), { code: 4902 });
    this.chainId = chainId;
    void this.emit("chainChanged", `0x${chainId.toString(16)}`);
    return null;
  }

  async sign([address, text]) {
    if (address !== this.account.address) throw Object.assign(new Error("unknown account"), { code: 4100 });
    const { EIP712Domain: _, ...types } = JSON.parse(text).types;
    const data = { ...JSON.parse(text), types };
    const signature = await this.account.signTypedData(data);
    if ((await recoverTypedDataAddress({ ...data, signature })) !== address) throw new Error("signed by somebody else");
    return signature;
  }
}
