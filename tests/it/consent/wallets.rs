//! Payers whose wallets are contracts, and contracts that are not there yet.

use alloy::primitives::{Address, B256, Bytes, U256, address};
use alloy::providers::Provider;
use alloy::sol_types::{SolCall, SolValue};
use serde_json::{Value, json};

use super::{NOT_SIGNED, Offer};
use crate::harness::chain::digest;
use crate::harness::world::invoice;
use crate::harness::{Sale, Wallet, World, units};

alloy::sol! {
    #[sol(rpc)]
    WalletFactory,
    "contracts/artifacts/WalletFactory.json"
}

const PERMIT2: Address = address!("000000000022D473030F116dDEE9F6B43aC78BA3");
/// What a signature of a wallet that is not there yet ends with (ERC-6492).
const UNDEPLOYED: B256 =
    B256::new(alloy::hex!("6492649264926492649264926492649264926492649264926492649264926492"));

/// A wallet that is a contract: whoever knows its password signs for it.
struct ContractWallet {
    address: Address,
    factory: Address,
    password: B256,
}

impl ContractWallet {
    /// Its address is known; nothing is there yet.
    async fn to_be(world: &World) -> Self {
        let code = WalletFactory::deploy_builder(&world.chain.provider).calldata().clone();
        let factory = world.chain.deploy(code).await;
        let password = B256::random();
        let known = WalletFactory::new(factory, &world.chain.provider).addressOf(password).call().await;
        let wallet = Self { address: known.expect("an address"), factory, password };
        assert!(!wallet.is_there(world).await);
        wallet
    }

    async fn deployed(world: &World) -> Self {
        let wallet = Self::to_be(world).await;
        world.chain.act(Wallet::new().address, wallet.factory, wallet.create()).await;
        assert!(wallet.is_there(world).await);
        wallet
    }

    fn create(&self) -> WalletFactory::createCall {
        WalletFactory::createCall { password: self.password }
    }

    async fn is_there(&self, world: &World) -> bool {
        !world.chain.provider.get_code_at(self.address).await.expect("code").is_empty()
    }

    fn sign(&self, typed_data: &Value) -> Bytes {
        [self.password, digest(typed_data)].concat().into()
    }

    /// The same, with the call of the factory that brings the wallet about.
    fn sign_before_it_is_there(&self, typed_data: &Value, call: impl SolCall) -> Bytes {
        let wrapped =
            (self.factory, Bytes::from(call.abi_encode()), self.sign(typed_data)).abi_encode_params();
        [wrapped.as_slice(), UNDEPLOYED.as_slice()].concat().into()
    }

    /// A sale of the wallet's, which proves that it is the sender's and has tokens.
    async fn sale(&self, world: &World) -> Sale {
        world.chain.give(self.address, units("1000")).await;
        let body = json!({ "address": self.address, "role": "sender" });
        let challenge = world.api.post("/wallets", body.clone()).await.is(202).body["proof"].clone();
        let signature = if self.is_there(world).await {
            self.sign(&challenge["typedData"])
        } else {
            self.sign_before_it_is_there(&challenge["typedData"], self.create())
        };
        let mut proven = body;
        proven["proof"] = json!({ "nonce": challenge["nonce"], "signature": signature });
        world.api.post("/wallets", proven).await.is(201);
        let sender = Wallet { address: self.address, ..Wallet::new() };
        Sale { sender, receiver: world.receiver().await, before: units("1000") }
    }
}

/// A consent with one signature.
fn consent(offer: &Offer<'_>, kind: &str, signature: Bytes) -> Value {
    let mut consent = json!({ "type": kind, "signature": signature });
    if kind == "permit2" {
        consent["nonce"] = offer.consent(kind)["nonce"].clone();
    }
    consent
}

#[tokio::test]
async fn a_contract_wallet_consents_as_anybody_does() {
    let world = World::shared().await;
    let wallet = ContractWallet::deployed(&world).await;
    let sale = wallet.sale(&world).await;
    world.chain.allow_to(wallet.address, PERMIT2, U256::MAX).await;
    for kind in ["erc3009", "permit2", "eip712"] {
        if kind == "eip712" {
            world.chain.allow(wallet.address, units("5")).await;
        }
        let offer = Offer::of(&world, &invoice("INV"), &sale, "5").await;
        let typed_data = &offer.consent(kind)["typedData"];
        let other = ContractWallet { password: B256::random(), ..wallet };
        let wrong = offer.create(consent(&offer, kind, other.sign(typed_data)));
        let answer = wrong.send().await;
        answer.refused(400, NOT_SIGNED);
        offer.create(consent(&offer, kind, wallet.sign(typed_data))).send().await.is(201);
        world.api.cancel(&offer.invoice).await.is(200);
    }
    world.assert_paid(&sale, "0", "0").await;
}

#[tokio::test]
async fn a_token_that_takes_permits_of_keys_only_says_so() {
    let world = World::shared().await;
    let wallet = ContractWallet::deployed(&world).await;
    let sale = wallet.sale(&world).await;
    let offer = Offer::of(&world, &invoice("INV"), &sale, "5").await;
    let offered = offer.consent("erc2612");
    let mut signed = consent(&offer, "erc2612", wallet.sign(&offered["typedData"]));
    signed["permitSignature"] = json!(wallet.sign(&offered["permitTypedData"]));
    let answer = offer.create(signed).send().await;
    assert_eq!(answer.code(), "consent_not_supported", "{}", answer.body);
    answer.refused(
        400,
        "consent of type erc2612 is supported for this token with ECDSA signatures of 65 bytes only",
    );
}

#[tokio::test]
async fn a_wallet_that_is_not_there_yet_is_deployed_by_its_first_consent() {
    let world = World::shared().await;
    let wallet = ContractWallet::to_be(&world).await;
    let sale = wallet.sale(&world).await;
    assert!(!wallet.is_there(&world).await, "a proof deploys nothing");

    let offer = Offer::of(&world, &invoice("INV"), &sale, "5").await;
    let typed_data = &offer.consent("erc3009")["typedData"];
    let stranger = ContractWallet { password: B256::random(), ..wallet };
    let wrong = stranger.sign_before_it_is_there(typed_data, wallet.create());
    let creation = offer.create(consent(&offer, "erc3009", wrong));
    offer.is_refused("a stranger's", creation, "consent", NOT_SIGNED).await;
    let elsewhere = wallet.sign_before_it_is_there(typed_data, stranger.create());
    let creation = offer.create(consent(&offer, "erc3009", elsewhere));
    offer.is_refused("another wallet's deployment", creation, "consent", NOT_SIGNED).await;
    assert!(!wallet.is_there(&world).await);

    let wrapped = wallet.sign_before_it_is_there(typed_data, wallet.create());
    offer.is_taken_up(consent(&offer, "erc3009", wrapped)).await;
    assert!(wallet.is_there(&world).await);

    // Wrapped or not, from now on.
    for is_wrapped in [true, false] {
        let offer = Offer::of(&world, &invoice("INV"), &sale, "5").await;
        let typed_data = &offer.consent("erc3009")["typedData"];
        let signature = match is_wrapped {
            true => wallet.sign_before_it_is_there(typed_data, wallet.create()),
            false => wallet.sign(typed_data),
        };
        offer.create(consent(&offer, "erc3009", signature)).send().await.is(201);
    }
}

#[tokio::test]
async fn a_wallets_first_call_can_be_the_approval() {
    let world = World::shared().await;
    for (kind, spender) in [("eip712", world.ready.escrow), ("permit2", PERMIT2)] {
        let wallet = ContractWallet::to_be(&world).await;
        let sale = wallet.sale(&world).await;
        let offer = Offer::of(&world, &invoice("INV"), &sale, "5").await;
        let first = WalletFactory::createAndApproveCall {
            password: wallet.password,
            token: world.ready.token.address,
            spender,
        };
        let wrapped = wallet.sign_before_it_is_there(&offer.consent(kind)["typedData"], first);
        offer.create(consent(&offer, kind, wrapped)).send().await.is(201);
        world.api.settle(&offer.invoice, "5").await.is(200);
        world.assert_paid(&sale, "5", "0").await;
    }
}
