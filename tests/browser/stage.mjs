// One daemon and one Chromium for the stories of a file.
import { after, before } from "node:test";
import { Browser } from "./browser.mjs";
import { launch } from "./chromium.mjs";
import { startDaemon } from "./daemon.mjs";
import { Wallet } from "./wallet.mjs";

export const stage = {};

export function setStage() {
  before(async () => {
    [stage.daemon, stage.chromium] = await Promise.all([startDaemon(), launch()]);
  });
  after(async () => {
    await stage.chromium?.close();
    await stage.daemon?.stop();
  });
}

/** A payer, his wallet and his browser. */
export async function payer({ tokens, wallet: habits, ...browserHabits } = {}) {
  const account = await stage.daemon.payer(tokens);
  const wallet = new Wallet(stage.daemon, account, habits);
  const browser = await Browser.open(stage.chromium, stage.daemon, { wallet, ...browserHabits });
  return { account, wallet, browser };
}

/** Opens a link and connects the wallet. */
export async function connected({ browser }, link) {
  const page = await browser.visit(link);
  await page.getByRole("button", { name: "Test Wallet" }).click();
  return page;
}
