// What those who run the daemon see, and that nobody else does.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { describe, it } from "node:test";
import { Browser, DESK, fits, isAccessible, picture, says } from "./browser.mjs";
import { until } from "./patience.mjs";
import { setStage, stage } from "./stage.mjs";

/** The beginning of a picture. */
const PNG = Buffer.from("89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489", "hex");
const LETTER = Buffer.from("%PDF-1.7\nTo whom it may concern");

let invoices = 0;
let users = 0;

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

/** Somebody whose verification failed, who says why it should not have, and attached a letter; by the ids of party and review. */
async function justified() {
  const { daemon } = stage;
  const name = `dash${process.pid}x${++users}`;
  const { data } = await daemon.ask("POST", "/v1/user", {
    externalUserId: name, firstName: "Amber", lastName: "Wenny", dateOfBirth: "1997-04-02", phone: "+33612349004", email: "amber.wenny@mail.com",
    nationality: "FR", address: { street: "1 Rue de Rivoli", city: "Paris", postalCode: "75001", country: "FR" },
  });
  await daemon.ask("POST", "/v1/user/kyc-file", {
    externalUserId: name, documentType: "PASSPORT", side: "FRONT", country: "FR", fileName: "passport.png",
    file: Buffer.concat([PNG, Buffer.from(name)]).toString("base64"),
  });
  await daemon.ask("POST", "/v1/user/verification", {
    externalUserId: name, documentType: "ID_CARD", documentNumber: name, documentExpirationDate: "2090-06-11", openAccountReason: "DAILY_USE",
    incomeSource: "SALARY", occupation: "IT", riskLvl: "LOW",
  });
  const { verificationId } = await until("the verification has failed", async () => {
    const kyc = await daemon.ask("GET", `/v1/user/${name}/kyc-status`);
    return kyc.status === "FAILED" && kyc.files.every(({ status }) => status !== "PENDING") && kyc;
  });
  const path = "/api/onboarding-justifications";
  const said = { verification_uuid: verificationId, user_justification: "It is my brother's photograph" };
  const { uuid } = await daemon.ask("POST", `${path}/create_justification/`, said);
  const form = new FormData();
  form.append("file", new Blob([LETTER], { type: "application/pdf" }), "letter.pdf");
  const attached = await fetch(`${daemon.ready.url}${path}/${uuid}/attach_document/`, { method: "POST", headers: { "x-api-key": daemon.ready.apiKey }, body: form });
  assert.equal(attached.status, 200, await attached.text());
  return { party: data.userId, review: uuid };
}

/** Asks the admin's API with the key of whoever runs the daemon. */
async function admin(path, body) {
  const { adminUrl, dashboardKey } = stage.daemon.ready;
  const headers = { authorization: `Bearer ${dashboardKey}`, "content-type": "application/json" };
  const answer = await fetch(adminUrl + path, { headers, ...(body ? { method: "POST", body: JSON.stringify(body) } : {}) });
  const text = await answer.text();
  if (!answer.ok) throw new Error(`${path}: ${answer.status} ${text}`);
  return text && JSON.parse(text);
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

  it("opens a justification that waits, and the party is verified once it is approved", async () => {
    const { party, review } = await justified();
    const { browser, page } = await entered();
    await page.getByRole("link", { name: "Parties" }).click();
    const row = page.locator("tr", { has: page.getByTitle(party) });
    await until("it is listed", () => row.count());
    assert.match(await row.innerText(), /demo\s+consumer\s+onboarding\s+identity/);
    assert.doesNotMatch(await page.locator("main").innerText(), /Amber|Wenny|9004|mail\.com/);
    await isAccessible(page);
    await picture(page, "dashboard-parties");
    await page.getByRole("link", { name: "Review queue" }).click();
    await says(page, /demo[^]*refused[^]*1/);
    await fits(page);
    await isAccessible(page);
    await picture(page, "dashboard-reviews");
    await page.getByRole("link", { name: `Review party ${party}` }).click();
    await says(page, /It is my brother's photograph/);
    const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("button", { name: "Download letter.pdf" }).click()]);
    assert.match(download.suggestedFilename(), /^[0-9a-f-]{36}\.pdf$/);
    assert.deepEqual(readFileSync(await download.path()), LETTER);
    const notes = page.getByLabel("Staff notes");
    await notes.fill("seen on a video call");
    // What happens meanwhile takes nothing away from whoever decides, and is no reason to look again.
    await lock("6");
    await until("it was heard", async () => (await page.locator("#state").innerText()) === "Live");
    await fits(page);
    await isAccessible(page);
    assert.equal(await notes.inputValue(), "seen on a video call");
    await picture(page, "dashboard-review");
    await page.getByRole("button", { name: "Approve" }).click();
    await says(page, /Nothing waits for a decision/);
    assert.equal((await stage.daemon.ask("GET", `/parties/${party}`)).status, "verified");
    assert.equal((await stage.daemon.ask("GET", `/api/onboarding-justifications/${review}/`)).staff_notes, "seen on a video call");
    await page.getByRole("link", { name: "Parties" }).click();
    await page.getByRole("link", { name: "verified" }).click();
    await until("it is verified", async () => (await row.count()) && (await row.innerText()).match(/consumer\s+verified\s+–/));
    await page.getByRole("link", { name: "rejected" }).click();
    await says(page, /No such party/);
    await page.getByRole("link", { name: "Audit log" }).click();
    await says(page, new RegExp(`key pad_[0-9a-f]{8} dev\\s+review\\.approve\\s+party ${party}`));
    const { data } = await admin("/admin/audit?limit=100");
    const acts = data.filter(({ actor, subject }) => actor.startsWith("key pad_") && subject === `party ${party}`).map(({ act }) => act);
    assert.deepEqual(acts, ["review.approve", "document.read", "review.read"], "one act for each thing that was done");
    await browser.close();
  });

  it("shows a key that may look that something waits, and not what", async () => {
    const { party, review } = await justified();
    const { key } = await admin("/admin/keys", { name: "watch", scopes: ["read"] });
    const { browser, page } = await dashboard();
    browser.expects = /403/;
    await enter(page, key);
    await says(page, /Held in escrow/);
    await page.getByRole("link", { name: "Review queue" }).click();
    await page.getByRole("link", { name: `Review party ${party}` }).click();
    await says(page, /opens for a key with the scope write/);
    await isAccessible(page);
    await page.getByRole("link", { name: "Overview" }).click();
    await says(page, /Held in escrow/);
    await browser.close();
    const { data } = await admin("/admin/audit?limit=100");
    assert.equal(data.filter(({ act, subject }) => act === "review.read" && subject === `party ${party}`).length, 0);
    // Nothing is left to wait for those who come after.
    await admin(`/admin/reviews/${review}/reject`, {});
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
