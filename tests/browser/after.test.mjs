// What the payer sees and can do once his tokens are set aside.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { DESK, fits, isAccessible, picture, says } from "./browser.mjs";
import { until } from "./patience.mjs";
import { connected, payer, setStage, stage } from "./stage.mjs";

/** Pays a link and returns its page. */
async function paid(people, link) {
  const page = await connected(people, link);
  await page.locator("#pay").click();
  await says(page, /You need not do anything more/);
  return page;
}

const lookAgain = (page) => page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));

describe("after the signature", () => {
  setStage();

  it("a payer sees what was kept and what came back", async () => {
    const { daemon } = stage;
    daemon.allowTip(1_000);
    const people = await payer();
    const link = await daemon.link("150.75", { description: "Two nights, room 12", returnUrl: "https://shop.example/orders/12" });
    const page = await paid(people, link);
    daemon.allowTip(0);
    await says(page, /165\.825 USDX are set aside/);
    await fits(page);
    await isAccessible(page);
    await picture(page, "held");
    await daemon.settle(link, "120.50");
    await lookAgain(page);
    await says(page, /Paid: 120\.50 USDX/);
    await says(page, /Back to your wallet\s+45\.325 USDX/);
    assert.equal(await daemon.balance(people.account), daemon.units("879.50"));
    const back = page.getByRole("link", { name: "Back to demo" });
    assert.equal(await back.getAttribute("href"), "https://shop.example/orders/12");
    await page.locator("#details summary").click();
    await fits(page);
    await isAccessible(page);
    await picture(page, "settled");
    await page.setViewportSize(DESK);
    await picture(page, "settled-desk");
    await people.browser.close();
  });

  it("a payer sees that it was cancelled", async () => {
    const people = await payer();
    const link = await stage.daemon.link("5");
    const page = await paid(people, link);
    await stage.daemon.cancel(link);
    await lookAgain(page);
    await says(page, /The merchant has cancelled this payment/);
    await says(page, /All 5 USDX came back/);
    await isAccessible(page);
    await picture(page, "cancelled");
    assert.equal(await stage.daemon.balance(people.account), stage.daemon.units("1000"));
    await people.browser.close();
  });

  it("a payer waits while the network is slow", async () => {
    const people = await payer();
    const page = await connected(people, await stage.daemon.link("5"));
    await stage.daemon.drainOperator();
    await page.locator("#pay").click();
    await says(page, /Your signature has arrived/);
    await isAccessible(page);
    await picture(page, "pending");
    await page.reload();
    await says(page, /Your signature has arrived/);
    await stage.daemon.refillOperator();
    await says(page, /You need not do anything more/);
    await people.browser.close();
  });

  it("a payer demands that he is always asked, and thinks better of it", async () => {
    const people = await payer();
    const page = await connected(people, await stage.daemon.link("5"));
    await page.locator("#guard summary").click();
    const switched = page.getByRole("switch", { name: "Always demand my signature" });
    assert.equal(await switched.getAttribute("aria-checked"), "false");
    await switched.click();
    await until("it is on", async () => (await switched.getAttribute("aria-checked")) === "true");
    assert.equal(await stage.daemon.demandsSignature(people.account), true);
    await isAccessible(page);
    await picture(page, "guarded");
    // He signs here anyway.
    await page.locator("#pay").click();
    await says(page, /You need not do anything more/);
    await switched.click();
    await until("it is off", async () => (await switched.getAttribute("aria-checked")) === "false");
    assert.equal(await stage.daemon.demandsSignature(people.account), false);
    await people.browser.close();
  });

  it("a payer claims what the token had refused to send back", async () => {
    const { daemon } = stage;
    const people = await payer();
    const token = await daemon.moodyToken(people.account);
    const link = await daemon.link("5", { contractAddress: token.address });
    const page = await paid(people, link);
    await token.block(people.account, true);
    await daemon.cancel(link);
    await lookAgain(page);
    await says(page, /The token refused to send 5 MOOD back to your wallet/);
    await isAccessible(page);
    await picture(page, "claim");
    await page.locator("#release").click();
    await says(page, /The transaction failed|Your wallet reported a problem/);
    await token.block(people.account, false);
    await page.locator("#release").click();
    await says(page, /What the token had refused was paid out/);
    assert.equal(await token.balance(people.account), daemon.units("1000"));
    await people.browser.close();
  });

  // The last one: it moves the clock for everybody.
  it("a payer has his tokens back after the expiry, and needs nobody for it", async () => {
    const { daemon } = stage;
    const people = await payer();
    const page = await paid(people, await daemon.link("5"));
    // The daemon is there and can send nothing, so its own sweep cannot come first.
    await daemon.drainOperator();
    await daemon.advance(25 * 3_600);
    await lookAgain(page);
    await says(page, /5 USDX go back to you/);
    await fits(page);
    await isAccessible(page);
    await picture(page, "overdue");
    people.wallet.refuseNext("eth_sendTransaction");
    await page.locator("#release").click();
    await says(page, /You said no in your wallet/);
    await page.locator("#release").click();
    await says(page, /Nothing was taken in time/);
    await says(page, /All 5 USDX came back/);
    await isAccessible(page);
    await picture(page, "expired");
    assert.equal(await daemon.balance(people.account), daemon.units("1000"));
    await daemon.refillOperator();
    await people.browser.close();
  });
});
