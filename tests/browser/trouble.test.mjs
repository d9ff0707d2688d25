// What goes wrong for a payer, and that he is told so in words he can use, with nothing taken.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { generatePrivateKey, privateKeyToAccount } from "viem/accounts";
import { fits, isAccessible, picture, says } from "./browser.mjs";
import { until } from "./patience.mjs";
import { connected, payer, setStage, stage } from "./stage.mjs";

/** Nothing was held, and he can go on from here. */
async function nothingWasTaken({ account }) {
  assert.equal((await stage.daemon.holdsOf(account)).length, 0);
}

describe("a payer in trouble", () => {
  setStage();

  it("says no in his wallet, and then yes", async () => {
    const people = await payer();
    const { wallet, browser } = people;
    const page = await browser.visit(await stage.daemon.link("5"));
    wallet.refuseNext("eth_requestAccounts");
    await page.getByRole("button", { name: "Test Wallet" }).click();
    await says(page, /You said no in your wallet/);
    await page.getByRole("button", { name: "Test Wallet" }).click();
    wallet.refuseNext("eth_signTypedData_v4");
    await page.locator("#pay").click();
    await says(page, /You said no in your wallet/);
    await nothingWasTaken(people);
    await isAccessible(page);
    await picture(page, "refused");
    await page.locator("#pay").click();
    await says(page, /You need not do anything more/);
    await browser.close();
  });

  it("is on another network", async () => {
    const people = await payer({ wallet: { chainId: 1, knows: [1, stage.daemon.ready.chainId] } });
    const page = await connected(people, await stage.daemon.link("5"));
    await says(page, /Your wallet is on Ethereum\. This payment is on network 31337/);
    await fits(page);
    await isAccessible(page);
    await picture(page, "other-network");
    people.wallet.refuseNext("wallet_switchEthereumChain");
    await page.locator("#switch").click();
    await says(page, /You said no in your wallet/);
    await page.locator("#switch").click();
    await page.locator("#pay").click();
    await says(page, /You need not do anything more/);
    await people.browser.close();
  });

  it("has a wallet that does not know the network", async () => {
    const people = await payer({ wallet: { chainId: 1, knows: [1] } });
    const page = await connected(people, await stage.daemon.link("5"));
    await page.locator("#switch").click();
    await page.locator("#pay").waitFor();
    const [{ params }] = people.wallet.asked("wallet_addEthereumChain");
    assert.deepEqual(params[0].rpcUrls, [stage.daemon.ready.rpcUrl]);
    assert.equal(params[0].chainId, "0x7a69");
    await people.browser.close();
  });

  it("signs with another account than the one he connected", async () => {
    const people = await payer();
    const stranger = privateKeyToAccount(generatePrivateKey());
    const page = await connected(people, await stage.daemon.link("5"));
    people.browser.expects = /400/;
    people.wallet.answerNext("eth_signTypedData_v4", ({ params }) => {
      const { EIP712Domain: _, ...types } = JSON.parse(params[1]).types;
      return stranger.signTypedData({ ...JSON.parse(params[1]), types });
    });
    await page.locator("#pay").click();
    await says(page, /The signature does not fit/);
    await nothingWasTaken(people);
    await isAccessible(page);
    await picture(page, "wrong-signature");
    await page.locator("#pay").click();
    await says(page, /You need not do anything more/);
    await people.browser.close();
  });

  it("has too few tokens, until he has enough", async () => {
    const people = await payer({ tokens: "1.25" });
    const page = await connected(people, await stage.daemon.link("5"));
    await says(page, /It has 1\.25 USDX, and 5 USDX are set aside/);
    await fits(page);
    await isAccessible(page);
    await picture(page, "too-few");
    await stage.daemon.give(people.account, "10");
    await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
    await page.locator("#pay").click();
    await says(page, /You need not do anything more/);
    await people.browser.close();
  });

  it("changes the account in his wallet while the page is open", async () => {
    const people = await payer({ tokens: "0" });
    const rich = await stage.daemon.payer();
    const page = await connected(people, await stage.daemon.link("5"));
    await says(page, /There are too few tokens in this wallet/);
    await people.wallet.choose(rich);
    await page.locator("#pay").click();
    await says(page, /You need not do anything more/);
    assert.equal((await stage.daemon.holdsOf(rich)).length, 1);
    await people.browser.close();
  });

  it("has a link that is for another wallet", async () => {
    const people = await payer();
    const named = await stage.daemon.payer();
    const page = await connected(people, await stage.daemon.link("5", { sender: named.address }));
    await says(page, /This payment is for another wallet/);
    await fits(page);
    await picture(page, "other-wallet");
    people.wallet.account = named;
    await page.locator("#account").click();
    await page.locator("#pay").click();
    await says(page, /You need not do anything more/);
    await people.browser.close();
  });

  it("loses the connection just when he hands in his signature", async () => {
    const people = await payer();
    people.browser.expects = /ERR_CONNECTION|ERR_FAILED|net::/;
    const page = await connected(people, await stage.daemon.link("5"));
    await page.route("**/consent", (route) => route.abort("connectionreset"), { times: 1 });
    await page.locator("#pay").click();
    await says(page, /The server does not answer/);
    await page.getByRole("button", { name: "Hand it in again" }).click();
    await says(page, /You need not do anything more/);
    // What he had signed was kept: his wallet was asked once.
    assert.equal(people.wallet.asked("eth_signTypedData_v4").length, 1);
    await people.browser.close();
  });

  it("does not hear that his signature arrived", async () => {
    const people = await payer();
    people.browser.expects = /ERR_|net::/;
    const page = await connected(people, await stage.daemon.link("5"));
    await page.route("**/consent", async (route) => {
      await route.fetch();
      await route.abort("connectionreset");
    }, { times: 1 });
    await page.locator("#pay").click();
    await says(page, /You need not do anything more/);
    assert.equal((await stage.daemon.holdsOf(people.account)).length, 1);
    await people.browser.close();
  });

  it("is told when the server is gone, and when it is back", async () => {
    const people = await payer();
    people.browser.expects = /ERR_|net::/;
    const page = await connected(people, await stage.daemon.link("5"));
    await page.locator("#pay").waitFor();
    await page.route("**/state", (route) => route.abort("connectionrefused"));
    await page.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
    await says(page, /The server does not answer/);
    await isAccessible(page);
    await page.unroute("**/state");
    await until("the notice is gone", async () => !/does not answer/.test(await page.locator("main").innerText()));
    await people.browser.close();
  });

  it("locks his wallet, and unlocks it", async () => {
    const people = await payer();
    const page = await connected(people, await stage.daemon.link("5"));
    await page.locator("#pay").waitFor();
    people.wallet.connected = false;
    await people.wallet.emit("accountsChanged", []);
    await says(page, /Pay with your wallet/);
    people.wallet.connected = true;
    await page.reload();
    await page.locator("#pay").waitFor();
    await people.browser.close();
  });

  it("comes too late", async () => {
    const { daemon } = stage;
    const people = await payer();
    const link = await daemon.link("5");
    const page = await connected(people, link);
    await page.locator("#pay").waitFor();
    await daemon.advance(25 * 3_600);
    people.browser.expects = /409/;
    await page.locator("#pay").click();
    await says(page, /The time of this link is over/);
    await nothingWasTaken(people);
    await fits(page);
    await isAccessible(page);
    await picture(page, "lapsed");
    await people.browser.close();
  });
});
