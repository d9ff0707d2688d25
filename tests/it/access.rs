//! Who may do what, and whose is what.

use reqwest::Method;

use crate::harness::World;
use crate::harness::world::invoice;

#[tokio::test]
async fn without_a_valid_key_there_is_no_answer() {
    let world = World::shared().await;
    let sale = world.sale().await;
    let good = &world.ready.api_key;
    let flipped = format!("{}{}", &good[..good.len() - 1], if good.ends_with('0') { '1' } else { '0' });
    for key in ["", "x", flipped.as_str(), &good[..good.len() - 1]] {
        let api = world.api.with_key(key);
        let name = invoice("INV");
        world.create_by(&api, &name, &sale).amount("1").send().await.denied(401);
        api.preauth(&name).await.denied(401);
        api.list("").await.denied(401);
        api.settle(&name, "1").await.denied(401);
        api.cancel(&name).await.denied(401);
        api.get("/wallets").await.denied(401);
        api.get("/tokens").await.denied(401);
    }
}

#[tokio::test]
async fn whoever_has_a_key_is_told_how_often_he_may_use_it() {
    let world = World::shared().await;
    for (answer, kind) in [
        (world.api.get("/tokens").await.is(200), "reads"),
        (world.api.preauth("INV-NONE").await.is(404), "reads"),
        (world.api.cancel("INV-NONE").await.is(404), "writes"),
    ] {
        for name in ["ratelimit-policy", "ratelimit"] {
            let said = answer.headers[name].to_str().expect("text");
            assert!(said.starts_with(&format!("\"{kind}\";")), "{name}: {said}");
        }
    }
    for path in ["/health/live", "/metrics", "/openapi.json"] {
        assert!(!world.api.get(path).await.is(200).headers.contains_key("ratelimit"), "{path}");
    }
}

#[tokio::test]
async fn a_key_may_come_as_a_bearer_token() {
    let world = World::shared().await;
    let sale = world.sale().await;
    let name = world.authorized(&sale, "1").await;
    let bearer = format!("Bearer {}", world.ready.api_key);
    let path = format!("/onchain-preauth/{name}");
    let anonymous = world.api.with_key("");
    anonymous.send(Method::GET, &path, &[("authorization", &bearer)], Vec::new()).await.is(200);
    let basic = format!("Basic {}", world.ready.api_key);
    anonymous.send(Method::GET, &path, &[("authorization", &basic)], Vec::new()).await.denied(401);
}

#[tokio::test]
async fn a_read_only_key_reads_only() {
    let world = World::shared().await;
    let tenant = world.tenant().await;
    let sale = world.sale_of(&tenant).await;
    let reader = world.api.with_key(&world.key(&tenant.name, &["read"]).await);
    let name = invoice("INV");
    world.create_by(&reader, &name, &sale).amount("1").send().await.denied(403);
    world.create_by(&tenant.api, &name, &sale).amount("1").send().await.is(201);
    reader.preauth(&name).await.is(200);
    reader.list("").await.is(200);
    reader.settle(&name, "1").await.denied(403);
    reader.cancel(&name).await.denied(403);
    reader.withdraw_settlement(&name).await.denied(403);
    reader.delete(&format!("/wallets/{}", sale.sender.address)).await.denied(403);
    assert_eq!(reader.preauth(&name).await.text("status"), "AUTHORIZED");
}

#[tokio::test]
async fn a_disabled_tenant_is_denied_and_its_holds_live_on() {
    let world = World::shared().await;
    let tenant = world.tenant().await;
    let sale = world.sale_of(&tenant).await;
    let name = invoice("INV");
    world.create_by(&tenant.api, &name, &sale).amount("8").send().await.is(201);
    world.cli(&["tenant", "set", &tenant.name, "--disabled", "true"]).await;
    world.create_by(&tenant.api, &invoice("INV"), &sale).amount("1").send().await.denied(403);
    tenant.api.preauth(&name).await.is(200);
    world.assert_paid(&sale, "0", "8").await;
    tenant.api.settle(&name, "8").await.is(200);
    world.assert_paid(&sale, "8", "0").await;
}

#[tokio::test]
async fn a_tenant_sees_only_its_own() {
    let world = World::shared().await;
    let stranger = world.tenant().await;
    let sale = world.sale().await;
    let name = world.authorized(&sale, "3").await;
    let message = "Preauthorization not found";
    stranger.api.preauth(&name).await.refused(404, message);
    stranger.api.settle(&name, "1").await.refused(404, message);
    stranger.api.cancel(&name).await.refused(404, message);
    assert_eq!(stranger.api.list("").await.is(200).body["data"], serde_json::json!([]));
    assert_eq!(stranger.api.get("/wallets").await.is(200).body["data"], serde_json::json!([]));
    // Wallets are a tenant's own too.
    world
        .create_by(&stranger.api, &name, &sale)
        .amount("1")
        .send()
        .await
        .refused(404, "Wallet not registered");
    world.assert_paid(&sale, "0", "3").await;

    // The same invoice id names another preauthorization with another tenant.
    let other = world.sale_of(&stranger).await;
    world.create_by(&stranger.api, &name, &other).amount("4").send().await.is(201);
    world.api.settle(&name, "3").await.is(200);
    assert_eq!(stranger.api.preauth(&name).await.text("status"), "AUTHORIZED");
    world.assert_paid(&other, "0", "4").await;
}

#[tokio::test]
async fn a_key_can_be_revoked() {
    let world = World::shared().await;
    let tenant = world.tenant().await;
    let key = world.key(&tenant.name, &["read"]).await;
    let api = world.api.with_key(&key);
    api.list("").await.is(200);
    let prefix: Vec<&str> = key.splitn(3, '_').take(2).collect();
    world.cli(&["tenant", "key", "revoke", &tenant.name, &prefix.join("_")]).await;
    api.list("").await.denied(401);
    tenant.api.list("").await.is(200);
}
