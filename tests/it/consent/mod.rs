//! A payer consents by signing, in each of the kinds there are; what he did not sign is not taken from him.

mod demanded;
mod eip712;
mod erc2612;
mod erc3009;
mod permit2;
mod support;
mod together;
mod wallets;

use alloy::primitives::{Address, U256};
use alloy::sol_types::SolConstructor;
use serde_json::{Value, json};

use crate::harness::api::Create;
use crate::harness::chain::Token;
use crate::harness::{Answer, Sale, Wallet, World, units};

alloy::sol!(FiatToken, "contracts/artifacts/FiatToken.json");

async fn terms(world: &World, invoice: &str, sale: &Sale, amount: &str) -> Answer {
    world.create(invoice, sale).amount(amount).only_terms().send().await.is(200)
}

/// A token as the large dollar tokens are.
async fn deploy_fiat_token(world: &World, version: &str) -> Address {
    let arguments = FiatToken::constructorCall { version_: version.to_owned() }.abi_encode();
    world.chain.deploy([FiatToken::BYTECODE.as_ref(), &arguments].concat().into()).await
}

/// A sale in a token that the operator admits. Its sender has some, and has allowed nothing.
async fn sale_in(world: &World, token: Address) -> Sale {
    let sale = world.sale_without_allowance().await;
    let mint = Token::mintCall { to: sale.sender.address, amount: units("1000") };
    world.chain.act(sale.receiver, token, mint).await;
    let (written, payer) = (token.to_string(), sale.sender.address.to_string());
    world.cli(&["token", "add", &written, "--payer", &payer]).await;
    sale
}

/// Terms that were offered for a creation, and the creation that takes them up.
struct Offer<'a> {
    world: &'a World,
    sale: &'a Sale,
    token: Address,
    invoice: String,
    amount: String,
    terms: Answer,
}

impl<'a> Offer<'a> {
    async fn of(world: &'a World, invoice: &str, sale: &'a Sale, amount: &str) -> Self {
        Self::in_token(world.ready.token.address, world, invoice, sale, amount).await
    }

    async fn in_token(token: Address, world: &'a World, invoice: &str, sale: &'a Sale, amount: &str) -> Self {
        let ask = world.create(invoice, sale).token(token).amount(amount).only_terms();
        let terms = ask.send().await.is(200);
        Self { world, sale, token, invoice: invoice.to_owned(), amount: amount.to_owned(), terms }
    }

    fn kinds(&self) -> Vec<&str> {
        let consents = self.terms.body["consents"].as_array().expect("the ways to consent");
        consents.iter().map(|consent| consent["type"].as_str().expect("a type")).collect()
    }

    fn consent(&self, kind: &str) -> &Value {
        let consents = self.terms.body["consents"].as_array().expect("the ways to consent");
        let offered = consents.iter().find(|consent| consent["type"] == kind);
        offered.unwrap_or_else(|| panic!("{kind} is not among {}", self.terms.body["consents"]))
    }

    /// What the payer's page makes of the offer once he signed.
    fn signed(&self, kind: &str, signer: &Wallet) -> Value {
        let offered = self.consent(kind);
        let mut consent = json!({ "type": kind, "signature": signer.sign(&offered["typedData"]) });
        if !offered["permitTypedData"].is_null() {
            consent["permitSignature"] = json!(signer.sign(&offered["permitTypedData"]));
        }
        if !offered["nonce"].is_null() {
            consent["nonce"] = offered["nonce"].clone();
        }
        consent
    }

    fn create(&self, consent: Value) -> Create<'_> {
        let create = self.world.create(&self.invoice, self.sale).token(self.token).amount(&self.amount);
        create.expires_at(self.terms.text("expiresAt")).field("consent", consent)
    }

    /// The whole way: the lock, and a settlement of a part of it.
    async fn is_taken_up(&self, consent: Value) {
        let (world, sale) = (self.world, self.sale);
        let locked = self.create(consent).send().await.is(201);
        let (used, limit) = world.chain.gas(locked.text("transactionHash")).await;
        assert!(used * 2 < limit, "dearer tokens and wallets find room: {used} of {limit}");
        world.assert_paid(sale, "0", &self.amount).await;
        assert_eq!(world.chain.allowance(sale.sender.address).await, U256::ZERO, "nothing more can be taken");
        world.api.settle(&self.invoice, "1").await.is(200);
        world.assert_paid(sale, "1", "0").await;
    }

    /// The same by a payer who sends no transaction for it.
    async fn is_taken_up_without_a_transaction(&self, consent: Value) {
        let payer = self.sale.sender.address;
        assert_eq!(self.world.chain.allowance(payer).await, U256::ZERO, "nothing was allowed before");
        self.is_taken_up(consent).await;
        assert_eq!(self.world.chain.sent_by(payer).await, 0, "the payer sent nothing");
    }

    /// Refused as a consent that is worth nothing; nothing is stored and nothing moves.
    async fn is_refused(&self, what: &str, creation: Create<'_>, field: &str, message: &str) {
        let answer = creation.send().await;
        assert_eq!((answer.status, answer.code()), (400, "invalid_consent"), "{what}: {}", answer.body);
        answer.refused(400, message);
        assert_eq!(answer.body["errors"][0]["field"], field, "{what}");
        self.world.api.preauth(&self.invoice).await.envelope(404);
        self.world.assert_paid(self.sale, "0", "0").await;
    }
}

const NOT_SIGNED: &str = "consent is not the sender's signature over these terms";

/// Typed data with one field of its message changed.
fn altered(typed_data: &Value, field: &str, value: Value) -> Value {
    let mut altered = typed_data.clone();
    assert_ne!(altered["message"][field], value);
    altered["message"][field] = value;
    altered
}

fn base_units(tokens: &str) -> Value {
    json!(units(tokens).to_string())
}
