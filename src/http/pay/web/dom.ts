// Elements without markup in strings: nothing that a merchant or a wallet wrote can become part of the page.

type Props = Record<string, string | boolean | undefined | ((event: Event) => void)>;
type Child = Node | string | null | undefined | false | Child[];

export function el<Tag extends keyof HTMLElementTagNameMap>(tag: Tag, props: Props = {}, ...children: Child[]): HTMLElementTagNameMap[Tag] {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (typeof value === "function") node.addEventListener(name, value);
    else if (value === true) node.setAttribute(name, "");
    else if (typeof value === "string") node.setAttribute(name, value);
  }
  node.append(...flat(children));
  return node;
}

function flat(children: Child[]): (Node | string)[] {
  return children.flatMap((child) => (Array.isArray(child) ? flat(child) : child ? [child] : []));
}

const SVG = "http://www.w3.org/2000/svg";

/** A line drawing of 24 by 24. */
export function drawing(path: string): SVGSVGElement {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const line = document.createElementNS(SVG, "path");
  line.setAttribute("d", path);
  svg.append(line);
  return svg;
}

const shown = new WeakMap<Element, string>();

/**
 * Puts what `build` makes into the element with this id, unless it was made for the same `key` before. The focus stays where it
 * was, and what the payer has unfolded stays open.
 */
export function put(id: string, key: unknown, build: () => Child): void {
  const place = document.getElementById(id);
  const text = JSON.stringify(key);
  if (!place || shown.get(place) === text) return;
  shown.set(place, text);
  const focused = place.contains(document.activeElement) ? document.activeElement?.id : undefined;
  const open = [...place.querySelectorAll("details[open]")].map(({ id }) => id);
  place.replaceChildren(...flat([build()]));
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  if (focused === undefined) return;
  const again = focused && document.getElementById(focused);
  if (again) return again.focus();
  // What had the focus is gone: those who use no mouse go on from here and not from the top.
  place.tabIndex = -1;
  place.focus({ preventScroll: true });
}
