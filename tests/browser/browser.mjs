// A person's browser: pages that are watched for what they must never do, and pictures of what they look like.
import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { until } from "./patience.mjs";

/** Set it to a folder to have pictures of every state there. */
const PICTURES = process.env.PICTURES;

export const PHONE = { width: 360, height: 740 };
export const DESK = { width: 1100, height: 900 };

export class Browser {
  faults = [];

  /** A browser of one person, with his wallet in it if he has one; it may ask `origin` and nothing else. */
  static async open(chromium, daemon, { wallet, origin = daemon.ready.url, viewport = PHONE, colorScheme = "light", timezoneId = "Europe/Berlin" } = {}) {
    const browser = new Browser();
    browser.daemon = daemon;
    browser.origin = origin;
    browser.context = await chromium.newContext({ viewport, colorScheme, timezoneId, deviceScaleFactor: 2, isMobile: viewport === PHONE, hasTouch: viewport === PHONE });
    browser.context.on("page", (page) => browser.watch(page));
    if (wallet) await wallet.enter(browser.context);
    return browser;
  }

  watch(page) {
    const note = (what) => this.faults.push(what);
    page.on("pageerror", (error) => note(`error: ${error}`));
    page.on("console", (message) => {
      if (["error", "warning"].includes(message.type()) && !this.expects?.test(message.text())) note(`console: ${message.text()}`);
    });
    page.on("request", (request) => {
      const url = new URL(request.url());
      if (url.protocol !== "data:" && url.origin !== this.origin) note(`asked elsewhere: ${request.url()}`);
    });
  }

  /** Opens a link and returns its page. */
  async visit({ url }) {
    const page = await this.context.newPage();
    await page.goto(url);
    return page;
  }

  /** Closes it, after a look whether anything happened that must not. */
  async close() {
    await this.context.close();
    assert.deepEqual(this.faults, []);
  }
}

/** The page fits the window: nothing has to be pushed aside to be read. */
export async function fits(page) {
  const [wide, window] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth]);
  assert.ok(wide <= window, `the page is ${wide} wide in a window of ${window}`);
}

/** Waits until the page says something. */
export async function says(page, words) {
  await until(`the page says ${words}`, async () => (await page.locator("main").innerText()).match(words)).catch(async (error) => {
    throw new Error(`${error.message}; it says:\n${await page.locator("body").innerText()}`);
  });
}

export async function picture(page, name) {
  if (!PICTURES) return;
  mkdirSync(PICTURES, { recursive: true });
  for (const colorScheme of ["light", "dark"]) {
    await page.emulateMedia({ colorScheme });
    await page.screenshot({ path: `${PICTURES}/${name}-${colorScheme}.png`, fullPage: true, animations: "disabled" });
  }
  await page.emulateMedia({ colorScheme: "light" });
}

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

/** People who do not see it well, or use no mouse, can use it: labels, contrast, order, names. */
export async function isAccessible(page) {
  await page.evaluate(AXE);
  for (const colorScheme of ["dark", "light"]) {
    await page.emulateMedia({ colorScheme });
    const { violations } = await page.evaluate(() => axe.run());
    const told = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`).join("; ")}`);
    assert.deepEqual(told, [], colorScheme);
  }
}
