// Every way to consent, from a link to a hold, by a payer whom nobody has registered.
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fits, isAccessible, picture, says } from "./browser.mjs";
import { PERMIT2 } from "./daemon.mjs";
import { until } from "./patience.mjs";
import { connected, payer, setStage, stage } from "./stage.mjs";

const NOTHING = async () => {};
const WAYS = [
  { kind: "erc3009", allowed: NOTHING, signatures: ["ReceiveWithAuthorization"], transactions: 0 },
  { kind: "erc2612", allowed: NOTHING, signatures: ["Permit", "Terms"], transactions: 0 },
  { kind: "eip712", allowed: (account) => stage.daemon.allow(account, stage.daemon.ready.escrow, "150.75"), signatures: ["Terms"], transactions: 0 },
  { kind: "permit2", allowed: (account) => stage.daemon.allow(account, PERMIT2, "1000000"), signatures: ["PermitWitnessTransferFrom"], transactions: 0 },
  { kind: "eip712", allowed: NOTHING, signatures: ["Terms"], transactions: 1 },
  { kind: "permit2", allowed: NOTHING, signatures: ["PermitWitnessTransferFrom"], transactions: 1 },
];

describe("a payer consents", () => {
  setStage();
  WAYS.forEach(({ kind, allowed, signatures, transactions }) => {
    it(`by ${kind}${transactions ? ", allowing it first" : ""}`, async () => {
      const people = await payer();
      const { account, wallet, browser } = people;
      await allowed(account);
      const link = await stage.daemon.link("150.75", { description: "Two nights, room 12" });
      const page = await connected(people, link);
      await page.locator("#pay").waitFor();
      if (kind !== "erc3009") {
        await page.locator("#ways summary").click();
        await page.locator(`#way-${kind}`).check();
      }
      await fits(page);
      await isAccessible(page);
      await picture(page, `sign-${kind}-${transactions}`);
      await page.locator("#pay").click();
      await says(page, /You need not do anything more/);

      const asked = wallet.asked("eth_signTypedData_v4").map(({ params }) => JSON.parse(params[1]).primaryType);
      assert.deepEqual(asked, signatures);
      assert.equal(wallet.asked("eth_sendTransaction").length, transactions);
      const hold = await stage.daemon.preauth(link);
      assert.deepEqual([hold.status, hold.sender.toLowerCase()], ["AUTHORIZED", account.address.toLowerCase()]);
      assert.equal(await stage.daemon.balance(account), stage.daemon.units("849.25"));
      await browser.close();
    });
  });

  it("and is offered the way that costs him least", async () => {
    const { daemon } = stage;
    const people = await payer();
    await daemon.allow(people.account, PERMIT2, "1000000");
    const page = await connected(people, await daemon.link("5"));
    await page.locator("#ways summary").click();
    const order = await page.locator("#ways input").evaluateAll((inputs) => inputs.map(({ value }) => value));
    // The allowance for the escrow would have to be bought by a transaction: it comes last.
    assert.deepEqual(order, ["erc3009", "erc2612", "permit2", "eip712"]);
    await page.locator("#exact summary").click();
    await says(page, new RegExp(`"to": "${daemon.ready.escrow}"`, "i"));
    await page.locator("#way-eip712").check();
    await until("the message is that of the chosen way", async () => /"Terms"/.test(await page.locator("#exact pre").innerText()));
    await says(page, /A transaction, then a signature/);
    await isAccessible(page);
    await people.browser.close();
  });
});
