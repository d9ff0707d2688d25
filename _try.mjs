import { startDaemon } from "./tests/browser/daemon.mjs";
import { launch } from "./tests/browser/chromium.mjs";
import { Browser, picture, says, fits, DESK } from "./tests/browser/browser.mjs";
import { Wallet } from "./tests/browser/wallet.mjs";
const daemon = await startDaemon();
const chromium = await launch();
try {
  const account = await daemon.payer();
  await daemon.allow(account, daemon.ready.escrow, "500");
  const link = await daemon.link("150.75", {description: "Two nights, room 12", returnUrl: "https://shop.example/orders/1"});
  console.log(link.url);
  const wallet = new Wallet(daemon, account);
  const browser = await Browser.open(chromium, daemon, { wallet });
  const page = await browser.visit(link);
  await page.locator(".choice").waitFor();
  await fits(page);
  await picture(page, "1-open");
  await page.locator(".choice").click();
  await page.locator("#pay").waitFor();
  await picture(page, "2-ready");
  console.log(await page.locator("main").innerText());
  await page.locator("#ways summary").click();
  await page.locator("#way-eip712").check();
  await picture(page, "3-ways");
  await page.locator("#pay").click();
  await says(page, /are set aside/);
  await page.waitForTimeout(1500);
  console.log(await page.locator("main").innerText());
  await picture(page, "4-held");
  await daemon.settle(link, "120.50");
  await page.reload();
  await says(page, /Paid: /);
  await picture(page, "5-settled");
  await page.setViewportSize(DESK);
  await picture(page, "6-settled-desk");
  console.log(browser.faults);
} catch (e) { console.log(e); console.log(daemon.said().slice(-3000)); }
finally { await chromium.close(); await daemon.stop(); }
