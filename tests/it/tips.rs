//! A tenant's tip: locked with the amount, settled only as far as it is used.

use crate::harness::World;
use crate::harness::world::invoice;

#[tokio::test]
async fn a_settlement_may_use_the_tip_and_not_a_unit_more() {
    let world = World::shared().await;
    let tenant = world.tenant().await;
    world.cli(&["tenant", "set", &tenant.name, "--tip-bps", "1000"]).await;
    let sale = world.sale_of(&tenant).await;
    let invoice = invoice("INV");

    let created = world.create_by(&tenant.api, &invoice, &sale).amount("100").send().await.is(201);
    assert_eq!(created.text("amount"), "100");
    assert_eq!(tenant.api.preauth(&invoice).await.text("holdAmount"), "110");
    world.assert_paid(&sale, "0", "110").await;

    let message = "Settlement exceeds authorized amount with allowed tip";
    tenant.api.settle(&invoice, "110.000001").await.refused(409, message);
    let settled = tenant.api.settle(&invoice, "108").await.is(200);
    assert_eq!(settled.text("authorizedAmount"), "100");
    assert_eq!(settled.text("settledAmount"), "108");
    world.assert_paid(&sale, "108", "0").await;
}

#[tokio::test]
async fn a_tip_rounds_down() {
    let world = World::shared().await;
    let tenant = world.tenant().await;
    world.cli(&["tenant", "set", &tenant.name, "--tip-bps", "1000"]).await;
    let sale = world.sale_of(&tenant).await;
    let invoice = invoice("INV");
    world.create_by(&tenant.api, &invoice, &sale).amount("0.000019").send().await.is(201);
    assert_eq!(tenant.api.preauth(&invoice).await.text("holdAmount"), "0.00002");
    tenant.api.settle(&invoice, "0.00002").await.is(200);
    world.assert_paid(&sale, "0.00002", "0").await;
}

#[tokio::test]
async fn without_a_tip_the_amount_is_the_limit() {
    let world = World::shared().await;
    let sale = world.sale().await;
    let invoice = world.authorized(&sale, "100").await;
    let message = "Settlement exceeds authorized amount with allowed tip";
    world.api.settle(&invoice, "100.000001").await.refused(409, message);
    world.api.settle(&invoice, "100.00").await.is(200);
    world.assert_paid(&sale, "100", "0").await;
}
