// The payer's wallet: found by EIP-6963, else where wallets used to put themselves; spoken to by EIP-1193.
import { getAddress, numberToHex } from "viem/utils";
import type { Address, Hex } from "viem";

export interface Provider {
  request(call: { method: string; params?: unknown }): Promise<unknown>;
  on?(event: string, listener: (value: never) => void): void;
  removeListener?(event: string, listener: (value: never) => void): void;
}

export interface Wallet {
  /** What the wallet calls itself in reverse domain order; tells it again after a reload. */
  id: string;
  name: string;
  icon: string | undefined;
  provider: Provider;
}

export interface Connection {
  wallet: Wallet;
  account: Address;
  chainId: number;
}

/** What a wallet's error says, as far as it says it in the standard's way. */
export interface WalletError {
  code?: number | string;
  message?: string;
  data?: { originalError?: { code?: number } };
}

const REMEMBERED = "preauthd.wallet";
const LEGACY = "window.ethereum";

/** Collects the wallets of this browser and calls `found` for each. */
export function discover(found: (wallet: Wallet) => void): void {
  const seen = new Set<string>();
  addEventListener("eip6963:announceProvider", (event) => {
    const detail = (event as CustomEvent<{ info: { uuid: string; name: string; icon: string; rdns: string }; provider: Provider }>).detail;
    if (!detail?.provider || !detail.info || seen.has(detail.info.uuid)) return;
    seen.add(detail.info.uuid);
    const { name, icon, rdns } = detail.info;
    // An image from elsewhere would tell its server that somebody pays.
    const own = typeof icon === "string" && icon.startsWith("data:image/") ? icon : undefined;
    found({ id: String(rdns), name: String(name), icon: own, provider: detail.provider });
  });
  dispatchEvent(new Event("eip6963:requestProvider"));
  setTimeout(() => {
    const old = (window as { ethereum?: Provider }).ethereum;
    if (seen.size === 0 && old) found({ id: LEGACY, name: "Wallet in this browser", icon: undefined, provider: old });
  }, 200);
}

/** The accounts a wallet shows; with `ask` it may ask its owner first. */
async function accounts(provider: Provider, ask: boolean): Promise<Address[]> {
  const answer = await provider.request({ method: ask ? "eth_requestAccounts" : "eth_accounts" });
  return Array.isArray(answer) ? answer.map((account) => getAddress(String(account))) : [];
}

async function chainOf(provider: Provider): Promise<number> {
  return Number(await provider.request({ method: "eth_chainId" }));
}

/** Connects after the payer chose a wallet. */
export async function connect(wallet: Wallet): Promise<Connection> {
  const [account] = await accounts(wallet.provider, true);
  if (!account) throw { code: 4001 } satisfies WalletError;
  remember(wallet.id);
  return { wallet, account, chainId: await chainOf(wallet.provider) };
}

/** Connects without asking, where the payer was connected before. */
export async function reconnect(wallet: Wallet): Promise<Connection | undefined> {
  if (remembered() !== wallet.id) return undefined;
  try {
    const [account] = await accounts(wallet.provider, false);
    return account && { wallet, account, chainId: await chainOf(wallet.provider) };
  } catch {
    return undefined;
  }
}

/** Lets the payer choose another account, where the wallet can. */
export async function chooseAccount(wallet: Wallet): Promise<Connection> {
  await wallet.provider.request({ method: "wallet_requestPermissions", params: [{ eth_accounts: {} }] });
  return connect(wallet);
}

/** Calls back whenever account or network change in the wallet; `undefined`: it is no longer connected. */
export function watch(connection: Connection, changed: (connection: Connection | undefined) => void): () => void {
  const { provider } = connection.wallet;
  let current = connection;
  const onAccounts = (list: readonly string[]) => {
    const [account] = list;
    if (!account) return changed(undefined);
    current = { ...current, account: getAddress(account) };
    changed(current);
  };
  const onChain = (chainId: string | number) => {
    current = { ...current, chainId: Number(chainId) };
    changed(current);
  };
  provider.on?.("accountsChanged", onAccounts as (value: never) => void);
  provider.on?.("chainChanged", onChain as (value: never) => void);
  return () => {
    provider.removeListener?.("accountsChanged", onAccounts as (value: never) => void);
    provider.removeListener?.("chainChanged", onChain as (value: never) => void);
  };
}

/** A network as wallets are told of it. */
export interface Network {
  name: string;
  rpcUrl: string | undefined;
  explorer: string | undefined;
  currency: { name: string; symbol: string; decimals: number };
}

/** Lets the wallet go to a network, and makes it known there first where that is needed and can be done. */
export async function switchNetwork(wallet: Wallet, chainId: number, network: Network): Promise<number> {
  const { provider } = wallet;
  const params = [{ chainId: numberToHex(chainId) }];
  try {
    await provider.request({ method: "wallet_switchEthereumChain", params });
  } catch (error) {
    if (!isUnknownChain(error) || !network.rpcUrl) throw error;
    await provider.request({
      method: "wallet_addEthereumChain",
      params: [{
        ...params[0],
        chainName: network.name,
        rpcUrls: [network.rpcUrl],
        nativeCurrency: network.currency,
        ...(network.explorer ? { blockExplorerUrls: [network.explorer] } : {}),
      }],
    });
    if ((await chainOf(provider)) !== chainId) await provider.request({ method: "wallet_switchEthereumChain", params });
  }
  return chainOf(provider);
}

export function isUnknownChain(error: unknown): boolean {
  const { code, data } = (error ?? {}) as WalletError;
  return code === 4902 || data?.originalError?.code === 4902;
}

/** The account's signature over typed data. */
export async function signTypedData({ wallet, account }: Connection, data: unknown): Promise<Hex> {
  const params = [account, JSON.stringify(data)];
  return String(await wallet.provider.request({ method: "eth_signTypedData_v4", params })) as Hex;
}

export function forget(): void {
  try {
    localStorage.removeItem(REMEMBERED);
  } catch {
    // Without storage the payer connects again after a reload.
  }
}

function remember(id: string): void {
  try {
    localStorage.setItem(REMEMBERED, id);
  } catch {
    // As above.
  }
}

function remembered(): string | null {
  try {
    return localStorage.getItem(REMEMBERED);
  } catch {
    return null;
  }
}
