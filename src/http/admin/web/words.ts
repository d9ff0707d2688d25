// Numbers and times as people read them.

/** Base units as tokens, exactly. */
export function tokens(units: bigint, decimals: number): string {
  const digits = units.toString().padStart(decimals + 1, "0");
  const [whole, rest] = [digits.slice(0, digits.length - decimals), digits.slice(digits.length - decimals).replace(/0+$/, "")];
  return grouped(whole) + (rest ? `.${rest}` : "");
}

const grouped = (digits: string): string => digits.replace(/\B(?=(\d{3})+$)/g, ",");

/** A decimal number with its thousands apart. */
export function amount(text: string): string {
  const [whole = "", rest] = text.split(".");
  return grouped(whole) + (rest ? `.${rest}` : "");
}

/** Wei as coins, to four places. */
export const coins = (wei: string): string => amount(tokens(BigInt(wei) / 10n ** 14n, 4).replace(/,/g, ""));
/** Wei as gwei, to two places. */
export const gwei = (wei: string | null): string => (wei === null ? "–" : tokens(BigInt(wei) / 10n ** 7n, 2));
export const short = (text: string): string => (text.length > 14 ? `${text.slice(0, 6)}…${text.slice(-4)}` : text);
export const time = (text: string): string =>
  new Date(text).toLocaleString("en-GB", { day: "2-digit", month: "short", hour: "2-digit", minute: "2-digit", second: "2-digit" });
/** A word of the API as people write it. */
export const plain = (word: string): string => word.replaceAll("_", " ");
export const size = (bytes: number): string => (bytes < 1024 ? `${bytes} bytes` : `${amount(String(Math.ceil(bytes / 1024)))} KiB`);
