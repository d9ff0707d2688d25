// What the page tells before anybody pays, and what it needs of the browser around it.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Browser, DESK, fits, isAccessible, picture, says } from "./browser.mjs";
import { until } from "./patience.mjs";
import { connected, payer, setStage, stage } from "./stage.mjs";

describe("the page", () => {
  setStage();

  it("tells who, how much, and until when in the payer's own time", async () => {
    const { daemon, chromium } = stage;
    daemon.allowTip(1_000);
    const expiresAt = new Date(Math.floor(Date.now() / 1000 + 86_400) * 1000).toISOString();
    const link = await daemon.link("1234.50", { description: "Zwei Nächte, Zimmer <b>12</b>", expiresAt });
    for (const [timezoneId, viewport, name] of [["Asia/Tokyo", undefined, "phone"], ["America/New_York", DESK, "desk"]]) {
      const people = await payer({ timezoneId, viewport });
      const page = await people.browser.visit(link);
      await says(page, /1,234\.50 USDX/);
      await says(page, /Zwei Nächte, Zimmer <b>12<\/b>/);
      await says(page, /Held, and the most that can be taken\s+1,357\.95 USDX/);
      const hour = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", timeZone: timezoneId }).format(new Date(expiresAt));
      await says(page, new RegExp(hour));
      assert.equal(await page.title(), "1,234.50 USDX to demo");
      await fits(page);
      await isAccessible(page);
      await picture(page, `open-${name}`);
      await people.browser.close();
    }
    daemon.allowTip(0);
  });

  it("tells a browser without a wallet what to do", async () => {
    const browser = await Browser.open(stage.chromium, stage.daemon);
    const page = await browser.visit(await stage.daemon.link("5"));
    await says(page, /No wallet was found in this browser/);
    await fits(page);
    await isAccessible(page);
    await picture(page, "no-wallet");
    await browser.close();
  });

  it("finds a wallet that does not announce itself", async () => {
    const people = await payer({ wallet: { announces: false } });
    const page = await people.browser.visit(await stage.daemon.link("5"));
    await page.getByRole("button", { name: "Wallet in this browser" }).click();
    await page.locator("#pay").waitFor();
    await people.browser.close();
  });

  it("says in plain words that there is no such link", async () => {
    const { daemon, chromium } = stage;
    const browser = await Browser.open(chromium, daemon);
    browser.expects = /404/;
    const link = await daemon.link("5");
    const open = await browser.visit(link);
    await says(open, /You are asked to pay/);
    await daemon.withdraw(link);
    const page = await browser.visit(link);
    await says(page, /There is no payment under this address/);
    await fits(page);
    await isAccessible(page);
    await picture(page, "gone");
    // Whoever has it open is told too.
    await open.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
    await says(open, /The merchant has withdrawn this link/);
    await browser.close();
  });

  it("can be used with the keyboard alone", async () => {
    const people = await payer({ viewport: DESK });
    const page = await people.browser.visit(await stage.daemon.link("5"));
    const press = async (words) => {
      const target = page.getByRole("button", { name: words });
      await target.waitFor();
      await until(`${words} has the focus`, async () => {
        await page.keyboard.press("Tab");
        return target.evaluate((node) => node === document.activeElement);
      });
      await page.keyboard.press("Enter");
    };
    await press("Test Wallet");
    await press("Sign for 5 USDX");
    // Those who do not see the page are told how it goes on.
    await until("it is said aloud", async () => /5 USDX are set aside/.test(await page.locator("#live").innerText()));
    await people.browser.close();
  });

  it("keeps everything across a reload", async () => {
    const people = await payer();
    const link = await stage.daemon.link("5");
    const page = await connected(people, link);
    await page.locator("#pay").waitFor();
    await page.reload();
    // The wallet is there again without a question.
    await page.locator("#pay").waitFor();
    assert.equal(people.wallet.asked("eth_requestAccounts").length, 1);

    // Reloaded while the wallet has its question open: the payer signs once more, and pays once.
    let answered;
    const open = new Promise((done) => (answered = done));
    people.wallet.answerNext("eth_signTypedData_v4", () => {
      answered();
      return new Promise(() => {});
    });
    await page.locator("#pay").click();
    await open;
    await says(page, /Read and sign in your wallet/);
    await picture(page, "signing");
    await page.reload();
    await page.locator("#pay").click();
    await says(page, /Your signature has arrived|You need not do anything more/);
    await page.reload();
    await says(page, /You need not do anything more/);
    assert.equal((await stage.daemon.holdsOf(people.account)).length, 1);
    await people.browser.close();
  });

  it("pays once from two tabs at once", async () => {
    const people = await payer();
    const link = await stage.daemon.link("5");
    const pages = [await connected(people, link), await people.browser.visit(link)];
    await Promise.all(pages.map((page) => page.locator("#pay").waitFor()));
    people.browser.expects = /409/;
    await Promise.all(pages.map((page) => page.locator("#pay").click()));
    for (const page of pages) await says(page, /You need not do anything more/);
    assert.equal((await stage.daemon.holdsOf(people.account)).length, 1);
    assert.equal(await stage.daemon.balance(people.account), stage.daemon.units("995"));
    await people.browser.close();
  });
});
