//! Wallets: a sender's belongs to whoever can sign with it.

use serde_json::{Value, json};

use crate::harness::world::invoice;
use crate::harness::{Api, Sale, Wallet, World};

/// Asks for a challenge: what a registration without proof answers.
async fn challenge(api: &Api, wallet: &Wallet) -> Value {
    let body = json!({ "address": wallet.address.to_string(), "role": "sender" });
    let answer = api.post("/wallets", body).await;
    let answer = answer.is(202);
    assert_eq!(answer.text("status"), "PROOF_REQUIRED");
    answer.body["proof"].clone()
}

fn with_proof(wallet: &Wallet, challenge: &Value, signature: &str) -> Value {
    json!({
        "address": wallet.address.to_string(),
        "role": "sender",
        "proof": { "nonce": challenge["nonce"], "signature": signature },
    })
}

#[tokio::test]
async fn a_sender_is_registered_with_his_signature() {
    let world = World::shared().await;
    let wallet = world.funded_wallet().await;
    let sale = Sale {
        before: world.chain.balance(wallet.address).await,
        sender: wallet,
        receiver: world.receiver().await,
    };
    let name = invoice("INV");
    let challenge = challenge(&world.api, &sale.sender).await;
    world.create(&name, &sale).amount("1").send().await.refused(404, "Wallet not registered");

    let proof = with_proof(&sale.sender, &challenge, &sale.sender.sign(&challenge["typedData"]));
    let registered = world.api.post("/wallets", proof.clone()).await.is(201);
    assert_eq!(registered.text("address"), sale.sender.address.to_string());
    assert_eq!(registered.text("role"), "sender");
    let again = world
        .api
        .post("/wallets", json!({ "address": sale.sender.address.to_string(), "role": "sender" }))
        .await;
    again.is(201);
    world.create(&name, &sale).amount("1").send().await.is(201);

    // A nonce is good once.
    world.api.delete(&format!("/wallets/{}", sale.sender.address)).await.is(204);
    let replayed = world.api.post("/wallets", proof).await;
    assert!((400..500).contains(&replayed.status), "a used nonce: {}", replayed.body);
    let again = world.create(&invoice("INV"), &sale).amount("1").send().await;
    again.refused(404, "Wallet not registered");
}

#[tokio::test]
async fn a_proof_counts_for_its_wallet_and_its_tenant_only() {
    let world = World::shared().await;
    let (one, two) = (Wallet::new(), Wallet::new());
    let tenant = world.tenant().await;
    let mine = challenge(&world.api, &one).await;
    let signature = one.sign(&mine["typedData"]);

    let refused = [
        ("another tenant", tenant.api.post("/wallets", with_proof(&one, &mine, &signature)).await),
        ("another wallet", world.api.post("/wallets", with_proof(&two, &mine, &signature)).await),
        (
            "another signer",
            world.api.post("/wallets", with_proof(&one, &mine, &two.sign(&mine["typedData"]))).await,
        ),
    ];
    for (what, answer) in refused {
        assert!((400..500).contains(&answer.status), "{what}: {} {}", answer.status, answer.body);
        answer.envelope(answer.status);
    }
    let theirs = challenge(&tenant.api, &one).await;
    let crossed = with_proof(&one, &theirs, &signature);
    assert!(
        (400..500).contains(&tenant.api.post("/wallets", crossed).await.status),
        "a signature for another tenant"
    );
    let listed = tenant.api.get("/wallets").await.is(200);
    assert_eq!(listed.body["data"], json!([]));
}

#[tokio::test]
async fn an_admin_needs_no_proof() {
    let world = World::shared().await;
    let wallet = Wallet::new();
    let body = json!({ "address": wallet.address.to_string(), "role": "sender" });
    let registered = world.admin().post("/wallets", body).await.is(201);
    assert_eq!(registered.text("address"), wallet.address.to_string());
}

#[tokio::test]
async fn a_removed_wallet_stops_new_preauthorizations_only() {
    let world = World::shared().await;
    let sale = world.sale().await;
    let name = world.authorized(&sale, "10").await;
    for wallet in [sale.sender.address, sale.receiver] {
        world.api.delete(&format!("/wallets/{wallet}")).await.is(204);
    }
    let refused = world.create(&invoice("INV"), &sale).amount("1").send().await;
    refused.refused(404, "Wallet not registered");
    world.api.settle(&name, "6").await.is(200);
    world.assert_paid(&sale, "6", "0").await;

    let twice = world.api.delete(&format!("/wallets/{}", sale.sender.address)).await;
    twice.refused(404, "Wallet not registered");
}

#[tokio::test]
async fn wallets_and_tokens_are_listed() {
    let world = World::shared().await;
    let tenant = world.tenant().await;
    let sale = world.sale_of(&tenant).await;
    let listed = tenant.api.get("/wallets").await.is(200);
    let wallets: Vec<(&str, &str)> = listed.body["data"]
        .as_array()
        .expect("data")
        .iter()
        .filter_map(|wallet| Some((wallet["address"].as_str()?, wallet["role"].as_str()?)))
        .collect();
    let (sender, receiver) = (sale.sender.address.to_string(), sale.receiver.to_string());
    assert_eq!(wallets, [(sender.as_str(), "sender"), (receiver.as_str(), "receiver")]);

    let tokens = tenant.api.get("/tokens").await.is(200);
    let token = tokens.body["data"]
        .as_array()
        .expect("data")
        .iter()
        .find(|token| token["contractAddress"] == world.ready.token.address.to_string())
        .expect("the demo token");
    assert_eq!(token["decimals"], 6);
    assert_eq!(token["symbol"], world.ready.token.symbol);
    assert_eq!(token["active"], true);
}
