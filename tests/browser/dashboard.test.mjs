// What those who run the daemon see, and that nobody else does.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { describe, it } from "node:test";
import { Browser, DESK, fits, isAccessible, picture, says } from "./browser.mjs";
import { until } from "./patience.mjs";
import { setStage, stage } from "./stage.mjs";

let invoices = 0;

async function dashboard(viewport = DESK) {
  const { daemon, chromium } = stage;
  const browser = await Browser.open(chromium, daemon, { viewport, origin: daemon.ready.adminUrl });
  const page = await browser.visit({ url: `${daemon.ready.adminUrl}/dashboard` });
  return { browser, page };
}

async function enter(page, key) {
  await page.getByLabel("Admin key").fill(key);
  await page.getByRole("button", { name: "Log in" }).click();
}

async function entered(viewport) {
  const opened = await dashboard(viewport);
  await enter(opened.page, stage.daemon.ready.dashboardKey);
  await says(opened.page, /Preauthorizations/);
  return opened;
}

function lock(amount) {
  const { token, senders, receivers } = stage.daemon.ready;
  const invoiceId = `DASH-${process.pid}-${++invoices}`;
  return stage.daemon.ask("POST", "/onchain-preauth", {
    invoiceId, amount, sender: senders[0].address, receiver: receivers[0].address, contractAddress: token.address,
  });
}

const authorized = (page) => page.locator("#count-AUTHORIZED dd").innerText().then(Number);

describe("the dashboard", () => {
  setStage();

  it("lets in an admin key and refuses a tenant's", async () => {
    const { browser, page } = await dashboard();
    browser.expects = /401/;
    for (const key of ["nonsense", stage.daemon.ready.apiKey, stage.daemon.ready.adminKey]) {
      await enter(page, key);
      await says(page, /This key is not accepted here/);
    }
    await isAccessible(page);
    await picture(page, "dashboard-login");
    await enter(page, stage.daemon.ready.dashboardKey);
    await says(page, /Held in escrow/);
    await browser.close();
    const { status } = await fetch(`${stage.daemon.ready.url}/tokens`, { headers: { "x-api-key": stage.daemon.ready.dashboardKey } });
    assert.equal(status, 401);
  });

  it("shows a hold as soon as it is locked", async () => {
    const { browser, page } = await entered();
    const before = await authorized(page);
    const { invoiceId } = await lock("12.50");
    await says(page, new RegExp(invoiceId));
    await until("it is counted", async () => (await authorized(page)) === before + 1);
    await fits(page);
    await isAccessible(page);
    await browser.close();
  });

  it("draws where the tokens of a settled hold went", async () => {
    const hold = await lock("150.75");
    const { browser, page } = await entered();
    await page.getByRole("link", { name: hold.invoiceId }).first().click();
    await says(page, /in escrow/);
    await stage.daemon.settle(hold, "120.50");
    await until("the drawing follows", () => page.getByRole("img", {
      name: "150.75 USDX from the payer: 120.5 USDX receiver, 30.25 USDX back to payer",
    }).count());
    await says(page, /preauth\.settled/);
    await fits(page);
    await isAccessible(page);
    await picture(page, "dashboard-preauth");
    await browser.close();
  });

  it("finds a preauthorization by its invoice and by its transaction id", async () => {
    const [first, second] = [await lock("3"), await lock("4")];
    const { browser, page } = await entered();
    await page.getByRole("link", { name: "Preauthorizations" }).click();
    await says(page, new RegExp(second.invoiceId));
    const field = page.getByLabel("Invoice or transaction id");
    await field.fill(first.invoiceId);
    // What happens meanwhile takes nothing away from whoever types.
    const { invoiceId } = await lock("5");
    await says(page, new RegExp(invoiceId));
    assert.equal(await field.inputValue(), first.invoiceId);
    await field.press("Enter");
    await says(page, new RegExp(`Of invoice ${first.invoiceId}`));
    assert.equal(await page.getByRole("link", { name: second.invoiceId }).count(), 0);
    await fits(page);
    await isAccessible(page);
    await picture(page, "dashboard-preauths");
    await page.getByRole("link", { name: first.invoiceId }).click();
    await says(page, /Where the tokens went/);
    await page.getByRole("link", { name: "Preauthorizations" }).click();
    await field.fill("none of ours");
    await page.getByRole("button", { name: "Search" }).click();
    await says(page, /No invoice of this name/);
    await field.fill(second.transactionId.toUpperCase());
    await field.press("Enter");
    await says(page, new RegExp(`${second.invoiceId}[^]*Where the tokens went`));
    await browser.close();
  });

  it("sends a webhook again, and the audit log says who did", async () => {
    const heard = [];
    const merchant = createServer((request, response) => {
      heard.push(request.headers["webhook-id"]);
      response.end();
    });
    await new Promise((done) => merchant.listen(0, "127.0.0.1", done));
    await stage.daemon.ask("POST", "/webhooks", { url: `http://127.0.0.1:${merchant.address().port}/hook` });
    const { invoiceId } = await lock("7");
    await until("it is told", () => heard.length === 1);
    const { browser, page } = await entered();
    await page.getByRole("link", { name: "Webhooks" }).click();
    await page.getByRole("button", { name: `Send again: preauth.authorized of ${invoiceId}` }).click();
    await until("it is told again", () => heard.length === 2);
    assert.equal(heard[0], heard[1]);
    await isAccessible(page);
    await picture(page, "dashboard-webhooks");
    await page.getByRole("link", { name: "Audit log" }).click();
    await says(page, /key pad_[0-9a-f]{8} dev\s+delivery\.resend/);
    await browser.close();
    merchant.closeAllConnections();
    merchant.close();
  });

  it("fits a phone", async () => {
    const { browser, page } = await entered({ width: 390, height: 844 });
    await fits(page);
    await isAccessible(page);
    await picture(page, "dashboard-phone");
    await browser.close();
    const desk = await entered({ width: 1280, height: 900 });
    await picture(desk.page, "dashboard-desk");
    await desk.browser.close();
  });
});
