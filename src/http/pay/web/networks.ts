// What wallets and people call a chain. The well-known ones are put in when the page is built.
import type { Network } from "./wallets.js";

type Known = Record<number, [name: string, rpcUrl: string, explorer: string, currencyName: string, symbol: string]>;
declare const KNOWN_NETWORKS: Known;

export const isKnown = (chainId: number) => chainId in KNOWN_NETWORKS;

export function network(chainId: number, rpcUrl: string | null): Network {
  const known = KNOWN_NETWORKS[chainId];
  return {
    name: known?.[0] ?? `network ${chainId}`,
    rpcUrl: rpcUrl ?? known?.[1],
    explorer: known?.[2],
    currency: { name: known?.[3] ?? "Ether", symbol: known?.[4] ?? "ETH", decimals: 18 },
  };
}
