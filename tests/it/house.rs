//! The daemon as a whole: what it shows without a key, what it never shows, and what it leaves behind.

use reqwest::Method;
use rustix::process::Signal;

use crate::harness::world::invoice;
use crate::harness::{Plan, World, until};

#[tokio::test]
async fn every_route_is_described_and_every_described_route_exists() {
    let world = World::shared().await;
    let anonymous = world.api.with_key("");
    let document = anonymous.get("/openapi.json").await.is(200).body;
    let paths = document["paths"].as_object().expect("paths");
    let expected = [
        ("post", "/onchain-preauth"),
        ("get", "/onchain-preauth"),
        ("get", "/onchain-preauth/{invoiceId}"),
        ("post", "/onchain-preauth/{invoiceId}/settle"),
        ("delete", "/onchain-preauth/{invoiceId}/settle"),
        ("post", "/onchain-preauth/{invoiceId}/cancel"),
        ("post", "/preauth-terms"),
        ("post", "/pay-links"),
        ("get", "/pay-links/{invoiceId}"),
        ("delete", "/pay-links/{invoiceId}"),
        ("post", "/wallets"),
        ("get", "/wallets"),
        ("delete", "/wallets/{address}"),
        ("get", "/tokens"),
        ("get", "/events"),
        ("get", "/events/stream"),
        ("get", "/onchain-preauth/{invoiceId}/events"),
        ("post", "/webhooks"),
        ("get", "/webhooks"),
        ("get", "/webhooks/{id}"),
        ("patch", "/webhooks/{id}"),
        ("delete", "/webhooks/{id}"),
        ("post", "/webhooks/{id}/rotate"),
        ("get", "/webhooks/{id}/deliveries"),
        ("post", "/webhooks/{id}/resend"),
        ("post", "/approvers"),
        ("get", "/approvers"),
        ("get", "/approvers/{id}"),
        ("patch", "/approvers/{id}"),
        ("delete", "/approvers/{id}"),
        ("post", "/approvers/{id}/rotate"),
        ("post", "/approvers/{id}/test"),
        ("get", "/onchain-preauth/{invoiceId}/approvals"),
        ("get", "/reports/settlements"),
        ("get", "/claims"),
        ("post", "/terms-and-conditions"),
        ("get", "/terms-and-conditions"),
        ("post", "/consumers"),
        ("get", "/consumers/{consumerId}"),
        ("patch", "/consumers/{consumerId}"),
        ("post", "/consumers/{consumerId}/phone/verification-code"),
        ("post", "/consumers/{consumerId}/phone/verification-code/verify"),
        ("post", "/consumers/{consumerId}/email/verification-link"),
        ("post", "/consumers/{consumerId}/kyc-link"),
        ("get", "/parties/{partyId}/documents"),
        ("post", "/parties/{partyId}/documents"),
        ("get", "/parties/{partyId}/documents/{documentId}"),
        ("post", "/v1/user"),
        ("post", "/v1/user/kyc-file"),
        ("post", "/v1/user/poa-file"),
        ("post", "/v1/user/verification"),
        ("get", "/v1/user/{externalUserId}/kyc-status"),
        ("post", "/v1/user/{user_api_key_id}/user-onboarding"),
        ("put", "/v1/user/{user_api_key_id}/user-onboarding/{user_onboarding_id}"),
        ("post", "/tenant/business-user"),
        ("get", "/tenant/customer/pii-customer-details/{customerAccountId}"),
        ("get", "/api/onboarding-justifications/"),
        ("post", "/api/onboarding-justifications/"),
        ("post", "/api/onboarding-justifications/create_justification/"),
        ("get", "/api/onboarding-justifications/{uuid}/"),
        ("put", "/api/onboarding-justifications/{uuid}/"),
        ("patch", "/api/onboarding-justifications/{uuid}/"),
        ("delete", "/api/onboarding-justifications/{uuid}/"),
        ("post", "/api/onboarding-justifications/{uuid}/approve/"),
        ("post", "/api/onboarding-justifications/{uuid}/reject/"),
        ("post", "/api/onboarding-justifications/{uuid}/attach_document/"),
        ("get", "/parties"),
        ("get", "/parties/{partyId}"),
        ("delete", "/parties/{partyId}"),
        ("post", "/parties/{partyId}/suspend"),
        ("post", "/parties/{partyId}/resume"),
        ("post", "/parties/{partyId}/reject"),
        ("post", "/parties/{partyId}/wallets"),
        ("delete", "/parties/{partyId}/wallets/{address}"),
        ("get", "/health/live"),
        ("get", "/health/ready"),
        ("get", "/metrics"),
        ("get", "/openapi.json"),
        ("get", "/docs"),
        ("post", "/dev/advance"),
    ];
    for (method, path) in expected {
        assert!(document["paths"][path][method].is_object(), "{method} {path} is described");
    }
    let described: usize = paths.values().filter_map(|item| item.as_object()).map(serde_json::Map::len).sum();
    assert_eq!(described, expected.len(), "nothing else is: {:?}", paths.keys());

    for (path, item) in paths {
        for method in item.as_object().expect("methods").keys() {
            let filled =
                path.replace("{invoiceId}", "INV-NONE").replace("{address}", &world.ready.escrow.to_string());
            // A stream would not end.
            let filled = filled.replace("/stream", "/stream?cursor=none");
            let verb = Method::from_bytes(method.to_uppercase().as_bytes()).expect("a method");
            let answer = world.api.send(verb, &filled, &[], Vec::new()).await;
            assert_ne!(answer.code(), "unknown_route", "{method} {path}");
            assert_ne!(answer.status, 405, "{method} {path}");
            assert!(answer.status < 500, "{method} {path}: {}", answer.body);
        }
    }
    // Every message of the contract can be found in it.
    let text = document.to_string();
    for message in [
        "Amount must be greater than zero",
        "Sender and receiver cannot match",
        "Token not active",
        "Invalid expires_at format",
        "Access Denied",
        "Wallet not registered",
        "Invoice already exists",
        "Preauth contract not available",
        "Insufficient Allowance",
        "Failed to check preapproval",
        "Preauthorization not found",
        "Pre-authorization expired",
        "Invalid settlement state: REJECTED",
        "Settlement exceeds authorized amount with allowed tip",
        "Settlement failed",
        "Errors occurred while initializing transaction on chain",
    ] {
        assert!(text.contains(message), "the document says {message:?}");
    }
}

#[tokio::test]
async fn the_documentation_comes_from_the_binary() {
    let world = World::shared().await;
    let page = world.api.with_key("").get("/docs").await.is(200);
    let kind = page.headers["content-type"].to_str().expect("text").to_owned();
    assert!(kind.starts_with("text/html"), "{kind}");
    let text = page.body.as_str().expect("a page");
    for outside in ["src=\"http", "src=\"//", "href=\"http", "href=\"//", "@import", "cdn."] {
        assert!(!text.contains(outside), "the page asks nobody else: {outside}");
    }
}

#[tokio::test]
async fn health_needs_no_key() {
    let world = World::shared().await;
    let anonymous = world.api.with_key("");
    anonymous.get("/health/live").await.is(200);
    let ready = anonymous.get("/health/ready").await.is(200);
    assert_eq!(ready.text("status"), "ready");
    assert_eq!(ready.body["chainId"], world.ready.chain_id);
    anonymous.get("/metrics").await.is(200);
}

#[tokio::test]
async fn readiness_follows_the_node() {
    let world = World::start(Plan::on_node("0.2")).await;
    let node = world.house.node.as_ref().expect("a node of our own");
    node.process.signal(Signal::STOP);
    until("the daemon says it is not ready", || async {
        (world.api.get("/health/ready").await.status == 503).then_some(())
    })
    .await;
    world.api.get("/health/live").await.is(200);
    node.process.signal(Signal::CONT);
    until("the daemon is ready again", || async {
        (world.api.get("/health/ready").await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn whatever_is_wrong_is_said_in_the_envelope() {
    let world = World::shared().await;
    for key in [world.ready.api_key.as_str(), ""] {
        let api = world.api.with_key(key);
        for path in ["/", "/nowhere", "/onchain-preauth/", "/onchain-preauth/a/b/c", "/ONCHAIN-PREAUTH"] {
            api.get(path).await.envelope(404);
        }
        for (method, path) in
            [(Method::PUT, "/onchain-preauth"), (Method::PATCH, "/wallets"), (Method::POST, "/docs")]
        {
            api.send(method, path, &[], Vec::new()).await.envelope(405);
        }
    }
    let id = [("x-request-id", "shop-4711")];
    let answer = world.api.send(Method::GET, "/nowhere", &id, Vec::new()).await;
    assert_eq!(answer.headers["x-request-id"], "shop-4711");
}

#[tokio::test]
async fn the_log_holds_no_panic_and_no_secret() {
    let world = World::start(Plan::quick()).await;
    let sale = world.sale().await;
    let name = world.authorized(&sale, "1").await;
    world.api.settle(&name, "1").await.is(200);
    world.api.with_key("pak_wrong_key_of_somebody").get("/tokens").await.denied(401);
    world.create(&invoice("INV"), &sale).amount("nonsense").send().await.is(400);
    let log = world.house.with_daemon(|daemon| daemon.logged());
    assert!(!log.contains("panic"), "no panic:\n{log}");
    let mut secrets =
        vec![world.ready.api_key.clone(), world.ready.admin_key.clone(), "pak_wrong_key_of_somebody".into()];
    for wallet in world.ready.senders.iter().chain(&world.ready.receivers) {
        secrets.push(wallet.private_key.trim_start_matches("0x").to_owned());
    }
    // The keys every anvil has: operator and admin are among them.
    secrets.push("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80".into());
    secrets.push("test test test test".into());
    for secret in secrets {
        assert!(!log.contains(&secret), "no secret is logged: {}…", &secret[..8]);
    }
}

#[tokio::test]
async fn the_ready_file_is_its_owners_alone() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::shared().await;
    let mode =
        std::fs::metadata(world.house.folder().join("ready.json")).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert!(world.ready.senders.len() >= 10, "ten senders at least");
    assert!(!world.ready.receivers.is_empty());
    assert_eq!(world.ready.pid, world.house.with_daemon(|daemon| daemon.pid()));
    assert_eq!(world.ready.token.decimals, 6);
    for sender in &world.ready.senders {
        sender.wallet();
    }
}

crate::needs!(anvil: a_killed_daemon_takes_its_own_anvil_along);
async fn a_killed_daemon_takes_its_own_anvil_along() {
    let world = World::start(Plan::quick()).await;
    world.chain.now().await;
    world.kill_daemon().await;
    until("the daemon's anvil is gone", || async {
        let address = world.ready.rpc_url.trim_start_matches("http://").trim_end_matches('/');
        std::net::TcpStream::connect(address).is_err().then_some(())
    })
    .await;
}

crate::needs!(anvil: a_daemon_that_is_told_to_stop_takes_its_own_anvil_along);
async fn a_daemon_that_is_told_to_stop_takes_its_own_anvil_along() {
    let world = World::start(Plan::quick()).await;
    assert!(world.stop_daemon().await, "SIGTERM is obeyed");
    let address = world.ready.rpc_url.trim_start_matches("http://").trim_end_matches('/');
    assert!(std::net::TcpStream::connect(address).is_err(), "its anvil is gone with it");
}

#[tokio::test]
async fn one_folder_serves_one_daemon() {
    let world = World::start(Plan::on_node("0.2")).await;
    let refused = world.second_daemon().await;
    assert!(!refused.status.success(), "a second daemon on the same folder ends");
    let sale = world.sale().await;
    world.authorized(&sale, "1").await;
}
