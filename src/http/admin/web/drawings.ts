// The two drawings: what happened hour by hour, and where the tokens of a hold went.
import type { Hold, Hour } from "./api";
import { tokens } from "./words";

const SVG = "http://www.w3.org/2000/svg";

function shape(name: string, props: Record<string, string | number>, ...children: (Node | string)[]): SVGElement {
  const node = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(props)) node.setAttribute(key, String(value));
  node.append(...children);
  return node;
}

/** A column for each hour; `kind` says which events are counted. */
export function columns(hours: Hour[], kind: string, title: string): SVGElement {
  const [wide, high] = [600, 110];
  const counts = hours.map(({ counts }) => counts[kind] ?? 0);
  const most = Math.max(1, ...counts);
  const step = wide / Math.max(1, hours.length);
  const bars = counts.map((count, at) => {
    const height = (count / most) * (high - 20);
    const hour = new Date(hours[at]!.start).toLocaleString("en-GB", { weekday: "short", hour: "2-digit", minute: "2-digit" });
    return shape("rect", { x: at * step + 1, y: high - height, width: Math.max(1, step - 2), height, rx: 2, class: "column" }, shape("title", {}, `${hour}: ${count}`));
  });
  const sum = counts.reduce((sum, count) => sum + count, 0);
  return shape(
    "svg", { viewBox: `0 0 ${wide} ${high + 22}`, role: "img", "aria-label": `${title}: ${sum} in ${hours.length} hours, at most ${most} in one` },
    ...bars, shape("line", { x1: 0, x2: wide, y1: high, y2: high, class: "base" }),
    shape("text", { x: 0, y: high + 17, class: "quiet" }, `${hours.length} h ago`),
    shape("text", { x: wide, y: high + 17, class: "quiet", "text-anchor": "end" }, "now"),
  );
}

/** A stream from the payer through the escrow, split to scale where it parts. */
export function stream(hold: Hold): SVGElement {
  const [wide, band] = [440, 96];
  const parts = ([["held", "in escrow"], ["received", "receiver"], ["returned", "back to payer"], ["claimable", "payer can claim"]] as const)
    .map(([name, words]) => ({ name, words, units: BigInt(hold.flow[name]) })).filter(({ units }) => units > 0n);
  const whole = parts.reduce((sum, { units }) => sum + units, 0n);
  const label = (units: bigint) => `${tokens(units, hold.decimals)} ${hold.symbol}`;
  if (whole === 0n) {
    return shape("svg", { viewBox: `0 0 ${wide} 40`, role: "img", "aria-label": "No tokens were moved" }, shape("text", { x: 0, y: 24, class: "quiet" }, "No tokens were moved"));
  }
  const gap = 44;
  let bottom = 40 + band;
  const nodes: Node[] = [
    shape("rect", { x: 0, y: 40, width: 12, height: band, class: "held", rx: 2 }),
    shape("text", { x: 0, y: 14 }, label(whole)), shape("text", { x: 0, y: 31, class: "quiet" }, "payer"),
    shape("rect", { x: 112, y: 40, width: 12, height: band, class: "held", rx: 2 }),
    shape("text", { x: 112, y: 31, class: "quiet" }, "escrow"),
    shape("path", { d: `M12 40H112V${40 + band}H12Z`, class: "held pale" }),
  ];
  let [from, to] = [40, 40];
  for (const { name, words, units } of parts) {
    // To a thousandth of the hold: the browser's numbers are exact enough for that.
    const height = Math.max(1, (Number((units * 1000n) / whole) / 1000) * band);
    if (name !== "held") {
      nodes.push(
        shape("path", { d: `M124 ${from}C180 ${from} 180 ${to} 236 ${to}V${to + height}C180 ${to + height} 180 ${from + height} 124 ${from + height}Z`, class: `${name} pale` }),
        shape("rect", { x: 236, y: to, width: 12, height, class: name, rx: 2 }),
      );
      nodes.push(shape("text", { x: 257, y: to + 13 }, label(units)), shape("text", { x: 257, y: to + 30, class: "quiet" }, words));
    } else {
      nodes.push(shape("text", { x: 134, y: 40 + band / 2 }, label(units)), shape("text", { x: 134, y: 40 + band / 2 + 17, class: "quiet" }, words));
    }
    bottom = Math.max(bottom, to + height, to + 34);
    from += height;
    to += Math.max(height, 18) + gap - 18;
  }
  const told = parts.map(({ words, units }) => `${label(units)} ${words}`).join(", ");
  return shape("svg", { viewBox: `0 0 ${wide} ${bottom + 4}`, role: "img", id: "flow", "aria-label": `${label(whole)} from the payer: ${told}` }, ...nodes);
}
