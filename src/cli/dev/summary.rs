//! What `dev` prints when it is ready: who is who, and a curl for each endpoint that works when pasted.

use alloy::primitives::Address;

use super::cast::KnownWallet;
use super::saved::Ready;
use crate::chain::wall_now;
use crate::model::ChainTime;

/// When the scheduled settlement of the example is due, in seconds from now: 12 hours.
const SCHEDULE_SECONDS: u64 = 12 * 60 * 60;
/// An address that nobody has, to be registered as a receiver.
const NEW_RECEIVER: Address = Address::repeat_byte(0x77);

/// The summary, at a time of the chain (its clock may have been moved far ahead).
pub(super) fn of(ready: &Ready, now: ChainTime) -> String {
    let saved = &ready.saved;
    // An invoice id is used once, ever; a data folder that is gone on with knows those of the runs before.
    let number = wall_now().0 / 1_000;
    let [first, second, third, fourth] = [1, 2, 3, 4].map(|place| format!("INV-{number}-{place}"));
    let curls = Curls { url: &ready.url, key: &saved.api_key };
    let admin_curls = Curls { url: &ready.url, key: &saved.admin_key };
    let sender = saved.senders.first().map(|wallet| wallet.address).unwrap_or_default();
    let receiver = saved.receivers.first().map(|wallet| wallet.address).unwrap_or_default();
    // Written by hand, so that the invoice comes first.
    let creation = |invoice: &str| {
        format!(
            r#"{{"invoiceId":"{invoice}","sender":"{sender}","receiver":"{receiver}","amount":"150.75","contractAddress":"{}"}}"#,
            saved.token.address
        )
    };
    let link = format!(
        r#"{{"invoiceId":"{fourth}","receiver":"{receiver}","amount":"150.75","contractAddress":"{}","description":"Two nights, room 12"}}"#,
        saved.token.address
    );
    let user = format!(
        r#"{{"externalUserId":"user-{number}","firstName":"Amber","lastName":"Wenny","dateOfBirth":"1997-04-02","phone":"+33612345678"}}"#
    );
    let settle_at = now.saturating_add(SCHEDULE_SECONDS).to_rfc3339();
    let at = |invoice: &str, what: &str| format!("/onchain-preauth/{invoice}{what}");

    let paragraphs = [
        heading("Lock 150.75 of a payer's tokens, look at it, settle 120.50 of it (the rest goes back):"),
        curls.post("/onchain-preauth", &creation(&first)),
        curls.get(&at(&first, "")),
        curls.post(&at(&first, "/settle"), r#"{"amount":"120.50"}"#),
        heading("Lock another, settle it later, think better of it, cancel it:"),
        curls.post("/onchain-preauth", &creation(&second)),
        curls.post(&at(&second, "/settle"), &format!(r#"{{"amount":"100","settleAt":"{settle_at}"}}"#)),
        curls.delete(&at(&second, "/settle")),
        curls.post(&at(&second, "/cancel"), "{}"),
        heading("List them; ask for terms that a payer can sign:"),
        curls.get("/onchain-preauth?limit=20"),
        curls.post("/preauth-terms", &creation(&third)),
        heading(
            "A page on which a payer locks by himself (open the url in a browser with a wallet that has a sender's key):",
        ),
        curls.post("/pay-links", &link),
        curls.get(&format!("/pay-links/{fourth}")),
        heading("See what happened; be told of it (by webhooks to a listener of yours):"),
        curls.get("/events?limit=20"),
        curls.post("/webhooks", r#"{"url":"http://127.0.0.1:9000/hook"}"#),
        curls.get("/webhooks"),
        heading("Who is asked before a hold is locked (nobody, here: docs/approvers.md):"),
        curls.get("/approvers"),
        heading("Onboard somebody (a sandbox: docs/onboarding.md), and see what is still open:"),
        admin_curls.post("/v1/user", &user),
        admin_curls.get(&format!("/v1/user/user-{number}/kyc-status")),
        admin_curls.get("/parties"),
        heading("Wallets and tokens (with the admin key, a wallet needs no proof):"),
        curls.get("/wallets"),
        curls.get("/tokens"),
        admin_curls.post("/wallets", &format!(r#"{{"address":"{NEW_RECEIVER}","role":"receiver"}}"#)),
        admin_curls.delete(&format!("/wallets/{NEW_RECEIVER}")),
        heading("Move the chain's clock by two days: what is open then expires:"),
        curls.post("/dev/advance", r#"{"seconds":172800}"#),
        heading("The dashboard (log in with the dashboard key), and what it shows:"),
        ready.admin_url.as_ref().map(|url| format!("{url}/dashboard")).unwrap_or_default(),
        ready
            .admin_url
            .as_ref()
            .map(|url| Curls { url, key: &saved.dashboard_key }.get("/admin/overview"))
            .unwrap_or_default(),
        heading("Health, metrics, the API's description:"),
        format!("curl {}/health/live", ready.url),
        format!("curl {}/health/ready", ready.url),
        format!("curl {}/metrics", ready.url),
        format!("curl {}/openapi.json", ready.url),
        format!("curl {}/docs", ready.url),
    ];
    format!("{}\n{}\n\n{}", who_is_who(ready), paragraphs.join("\n"), closing(ready))
}

struct Curls<'a> {
    url: &'a str,
    key: &'a str,
}

impl Curls<'_> {
    fn get(&self, path: &str) -> String {
        format!("curl -H 'x-api-key: {}' '{}{path}'", self.key, self.url)
    }

    fn delete(&self, path: &str) -> String {
        format!("curl -X DELETE -H 'x-api-key: {}' '{}{path}'", self.key, self.url)
    }

    fn post(&self, path: &str, body: &str) -> String {
        format!(
            "curl -H 'x-api-key: {}' -H 'content-type: application/json' '{}{path}' \\\n     -d '{body}'",
            self.key, self.url
        )
    }
}

fn heading(text: &str) -> String {
    format!("\n# {text}")
}

fn who_is_who(ready: &Ready) -> String {
    let saved = &ready.saved;
    let addresses = |wallets: &[KnownWallet]| wallets.iter().map(|wallet| wallet.address).collect::<Vec<_>>();
    let list = |addresses: &[Address]| {
        addresses.iter().map(Address::to_string).collect::<Vec<_>>().join("\n              ")
    };
    format!(
        "
API key       {}
admin key     {}
dashboard key {}
tenant        {}
chain         {} at {}
escrow        {}
token         {} {} ({} decimals)
operators     {}
receivers     {}
senders       {}
database      {}",
        saved.api_key,
        saved.admin_key,
        saved.dashboard_key,
        saved.tenant,
        saved.chain_id,
        ready.rpc_url,
        saved.escrow,
        saved.token.symbol,
        saved.token.address,
        saved.token.decimals,
        list(&ready.operators),
        list(&addresses(&saved.receivers)),
        list(&addresses(&saved.senders)),
        ready.data_dir.display()
    )
}

fn closing(ready: &Ready) -> String {
    format!("preauthd is ready at {} (its pages: {}/docs). Ctrl-C stops it.", ready.url, ready.url)
}
