//! Creations that are refused before anything exists: each message of the contract, and the invoice id stays free.

use alloy::primitives::U256;
use preauthd::chain::PreauthEscrow;
use rustix::process::Signal;
use serde_json::json;

use crate::harness::world::invoice;
use crate::harness::{Plan, Sale, Wallet, World};

#[tokio::test]
async fn an_amount_must_be_greater_than_zero() {
    let world = World::shared().await;
    let sale = world.sale().await;
    for amount in ["0", "0.00", "-1", "-0.5", "-0"] {
        let invoice = invoice("INV");
        let answer = world.create(&invoice, &sale).amount(amount).send().await;
        answer.refused(400, "Amount must be greater than zero");
        world.api.preauth(&invoice).await.refused(404, "Preauthorization not found");
    }
}

#[tokio::test]
async fn sender_and_receiver_cannot_match() {
    let world = World::shared().await;
    let sale = world.sale().await;
    // However the address is spelled.
    let receiver = sale.sender.address.to_string().to_lowercase();
    let answer = world.create(&invoice("INV"), &sale).receiver(receiver).amount("1").send().await;
    answer.refused(400, "Sender and receiver cannot match");
}

#[tokio::test]
async fn an_unknown_token_is_not_active() {
    let world = World::shared().await;
    let sale = world.sale().await;
    let answer = world.create(&invoice("INV"), &sale).token(world.ready.escrow).amount("1").send().await;
    answer.refused(400, "Token not active");
}

#[tokio::test]
async fn a_token_that_the_operator_deactivated_takes_no_new_holds() {
    let world = World::start(Plan::quick()).await;
    let sale = world.sale().await;
    let open = world.authorized(&sale, "10").await;
    let token = world.ready.token.address.to_string();
    world.cli(&["token", "deactivate", &token]).await;

    let name = invoice("INV");
    world.create(&name, &sale).amount("1").send().await.refused(400, "Token not active");
    world.api.settle(&open, "9").await.is(200);
    world.assert_paid(&sale, "9", "0").await;

    world.cli(&["token", "activate", &token]).await;
    world.create(&name, &sale).amount("1").send().await.is(201);
}

#[tokio::test]
async fn an_expiry_must_be_a_time_within_bounds() {
    let world = World::shared().await;
    let sale = world.sale().await;
    let mut times = vec!["tomorrow".to_owned(), "2026-13-01T00:00:00Z".to_owned(), String::new()];
    // Past, too soon, beyond 30 days, without a zone.
    for seconds in [-60, 0, 50, 30 * 86_400 + 60] {
        times.push(world.chain.in_seconds(seconds).await);
    }
    times.push(world.chain.in_seconds(3_600).await.replace('Z', ""));
    for time in times {
        let answer = world.create(&invoice("INV"), &sale).amount("1").expires_at(&time).send().await;
        answer.refused(400, "Invalid expires_at format");
    }
    // A zone other than UTC is a zone.
    let name = invoice("INV");
    let time = world.chain.in_seconds(3_600).await.replace('Z', "+00:00");
    world.create(&name, &sale).amount("1").expires_at(&time).send().await.is(201);
}

#[tokio::test]
async fn a_rule_refuses_by_its_name() {
    let world = World::shared().await;
    let token = world.ready.token.address;
    let tenant = world.tenant().await;
    let sale = world.sale_of(&tenant).await;
    let cases = [
        ("maxAmount", json!({ "maxAmount": { token.to_string(): "99.99" } })),
        ("maxOpenPerSender", json!({ "maxOpenPerSender": { token.to_string(): "99.99" } })),
        ("allowedTokens", json!({ "allowedTokens": [world.ready.escrow] })),
        ("minTtlSeconds", json!({ "minTtlSeconds": 90_000 })),
        ("maxTtlSeconds", json!({ "maxTtlSeconds": 600 })),
        ("blockedAddresses", json!({ "blockedAddresses": [sale.receiver] })),
    ];
    for (rule, rules) in cases {
        world.cli(&["tenant", "set", &tenant.name, "--rules", &rules.to_string()]).await;
        let name = invoice("INV");
        let answer = world.create_by(&tenant.api, &name, &sale).amount("100").send().await;
        answer.refused_naming(400, rule);
        tenant.api.preauth(&name).await.refused(404, "Preauthorization not found");
    }
    world.cli(&["tenant", "set", &tenant.name, "--rules", "{}"]).await;
    world.create_by(&tenant.api, &invoice("INV"), &sale).amount("100").send().await.is(201);
}

#[tokio::test]
async fn the_open_total_counts_what_is_open_and_no_longer_what_was_settled() {
    let world = World::shared().await;
    let tenant = world.tenant().await;
    let sale = world.sale_of(&tenant).await;
    let rules = json!({ "maxOpenPerSender": { world.ready.token.address.to_string(): "100" } });
    world.cli(&["tenant", "set", &tenant.name, "--rules", &rules.to_string()]).await;
    let (first, second) = (invoice("INV"), invoice("INV"));
    world.create_by(&tenant.api, &first, &sale).amount("60").send().await.is(201);
    let refused = world.create_by(&tenant.api, &second, &sale).amount("40.01").send().await;
    refused.refused_naming(400, "maxOpenPerSender");
    tenant.api.settle(&first, "1").await.is(200);
    world.create_by(&tenant.api, &second, &sale).amount("40.01").send().await.is(201);
}

#[tokio::test]
async fn both_wallets_must_be_registered() {
    let world = World::shared().await;
    let sale = world.sale().await;
    let stranger = world.funded_wallet().await;
    let name = invoice("INV");
    let by_stranger = world.create(&name, &sale).sender(stranger.address).amount("1").send().await;
    by_stranger.refused(404, "Wallet not registered");
    let to_stranger = world.create(&name, &sale).receiver(Wallet::new().address).amount("1").send().await;
    to_stranger.refused(404, "Wallet not registered");
    world.create(&name, &sale).amount("1").send().await.is(201);
}

#[tokio::test]
async fn an_invoice_exists_once_whatever_became_of_it() {
    let world = World::shared().await;
    let sale = world.sale().await;
    let name = world.authorized(&sale, "1").await;
    world.create(&name, &sale).amount("1").send().await.refused(409, "Invoice already exists");
    world.create(&name, &sale).amount("2").send().await.refused(409, "Invoice already exists");
    world.api.cancel(&name).await.is(200);
    world.create(&name, &sale).amount("1").send().await.refused(409, "Invoice already exists");
    world.assert_paid(&sale, "0", "0").await;
}

#[tokio::test]
async fn an_allowance_must_suffice_and_so_must_the_balance() {
    let world = World::shared().await;
    let name = invoice("INV");
    let sale =
        Sale { sender: world.funded_wallet().await, receiver: world.receiver().await, before: U256::ZERO };
    world.register(&world.admin(), sale.sender.address, "sender").await;

    world.chain.approve(sale.sender.address, U256::from(9_999_999)).await;
    let revoked = world.create(&name, &sale).amount("10").send().await;
    revoked.refused(500, "Insufficient Allowance");

    world.chain.approve(sale.sender.address, U256::MAX).await;
    world.chain.give(sale.sender.address, U256::from(9_999_999)).await;
    let poor = world.create(&name, &sale).amount("10").send().await;
    poor.refused(500, "Insufficient Allowance");
    assert_ne!(poor.code(), revoked.code(), "a machine can tell the two apart");

    world.api.preauth(&name).await.refused(404, "Preauthorization not found");
    world.create(&name, &sale).amount("9.999999").send().await.is(201);
}

#[tokio::test]
async fn a_paused_escrow_takes_no_new_holds_and_lets_go_of_the_old() {
    let world = World::start(Plan::quick()).await;
    let sale = world.sale().await;
    let (to_settle, to_cancel) = (world.authorized(&sale, "10").await, world.authorized(&sale, "5").await);
    let admin = world.chain.admin().await;
    world.chain.act(admin, world.ready.escrow, PreauthEscrow::pauseCall {}).await;

    let name = invoice("INV");
    world.create(&name, &sale).amount("1").send().await.refused(500, "Preauth contract not available");
    world.api.preauth(&name).await.refused(404, "Preauthorization not found");
    world.api.settle(&to_settle, "8").await.is(200);
    world.api.cancel(&to_cancel).await.is(200);
    world.assert_paid(&sale, "8", "0").await;

    world.chain.act(admin, world.ready.escrow, PreauthEscrow::unpauseCall {}).await;
    world.create(&name, &sale).amount("1").send().await.is(201);
}

#[tokio::test]
async fn a_silent_node_leaves_the_invoice_free() {
    let world = World::start(Plan::on_node("0.2")).await;
    let sale = world.sale().await;
    let name = invoice("INV");
    let node = world.house.node.as_ref().expect("a node of our own");
    node.process.signal(Signal::STOP);
    let answer = world.create(&name, &sale).amount("1").send().await;
    let shown = world.api.preauth(&name).await;
    node.process.signal(Signal::CONT);
    answer.refused(500, "Failed to check preapproval");
    shown.refused(404, "Preauthorization not found");
    world.create(&name, &sale).amount("1").send().await.is(201);
}

#[tokio::test]
async fn a_lock_that_fails_on_chain_is_rejected_and_uses_the_invoice_up() {
    let world = World::start(Plan::on_node("0.2")).await;
    let sale = world.sale().await;
    let name = invoice("INV");
    world.chain.hold_still().await;
    let creating = {
        let create = world.create(&name, &sale).amount("10").body();
        let api = world.api.clone();
        tokio::spawn(async move { api.post("/onchain-preauth", create).await })
    };
    world.chain.until_waiting(1).await;
    // The payer takes his allowance back, and the block takes that first.
    world.chain.overtake_with_approval(sale.sender.address, U256::ZERO).await;
    world.chain.mine_every(1).await;
    creating.await.expect("an answer").refused(500, "Insufficient Allowance");

    assert_eq!(world.api.preauth(&name).await.is(200).text("status"), "REJECTED");
    world.api.settle(&name, "1").await.refused(409, "Invalid settlement state: REJECTED");
    world.api.cancel(&name).await.refused_naming(409, "REJECTED");
    world.chain.approve(sale.sender.address, U256::MAX).await;
    world.create(&name, &sale).amount("10").send().await.refused(409, "Invoice already exists");
    world.assert_paid(&sale, "0", "0").await;
}

#[tokio::test]
async fn a_refusal_follows_the_fixed_order_of_the_checks() {
    let world = World::shared().await;
    let sale = world.sale().await;
    let taken = world.authorized(&sale, "1").await;
    let stranger = Wallet::new().address;
    // Everything is wrong; each step puts the first wrong thing right.
    let wrong = world.create(&taken, &sale).sender(stranger).receiver(stranger).token(world.ready.escrow);
    let wrong = wrong.amount("0").expires_at("never");
    let step = |body: serde_json::Value| {
        let api = world.api.clone();
        async move { api.post("/onchain-preauth", body).await }
    };
    let mut body = wrong.body();
    step(body.clone()).await.refused(400, "Amount must be greater than zero");
    body["amount"] = json!("1");
    step(body.clone()).await.refused(400, "Sender and receiver cannot match");
    body["receiver"] = json!(sale.receiver);
    step(body.clone()).await.refused(400, "Token not active");
    body["contractAddress"] = json!(world.ready.token.address);
    step(body.clone()).await.refused(400, "Invalid expires_at format");
    body["expiresAt"] = json!(world.chain.in_seconds(600).await);
    step(body.clone()).await.refused(404, "Wallet not registered");
    body["sender"] = json!(sale.sender.address);
    step(body.clone()).await.refused(409, "Invoice already exists");
}
