//! A tenant that takes no allowance for a consent.

use serde_json::json;

use super::Offer;
use crate::harness::world::invoice;
use crate::harness::{Plan, Wallet, World};

#[tokio::test]
async fn a_tenant_can_demand_that_its_payers_sign() {
    let mut world = World::start(Plan::on_node("0.2")).await;
    let tenant = world.tenant().await;
    let sale = world.sale_of(&tenant).await;
    world.api = tenant.api.clone();
    let before = world.authorized(&sale, "1").await;

    let set = world.cli(&["tenant", "set", &tenant.name, "--require-signed-consent", "on"]).await;
    assert_eq!(set["requireSignedConsent"], json!(true));
    let listed = world.cli(&["tenant", "list"]).await;
    let listed = listed.as_array().expect("tenants").iter().find(|one| one["name"] == tenant.name.as_str());
    assert_eq!(listed.expect("the tenant")["requireSignedConsent"], json!(true));

    // Before anything is asked of the chain, and before the wallets are looked at.
    let name = invoice("INV");
    let refused = world.create(&name, &sale).amount("5").receiver(sale.sender.address).send().await;
    refused.refused(400, "Sender and receiver cannot match");
    let refused = world.create(&name, &sale).amount("5").receiver(Wallet::new().address).send().await;
    assert_eq!((refused.status, refused.code()), (400, "consent_required"), "{}", refused.body);
    world
        .create(&name, &sale)
        .amount("5")
        .send()
        .await
        .refused(400, "consent is missing, and signed consent is required here");

    // Terms are offered all the same, and with a signature it goes on.
    let offer = Offer::of(&world, &name, &sale, "5").await;
    offer.create(offer.signed("eip712", &sale.sender)).send().await.is(201);
    // What is open is settled as ever.
    world.api.settle(&before, "1").await.is(200);

    world.cli(&["tenant", "set", &tenant.name, "--require-signed-consent", "off"]).await;
    world.authorized(&sale, "1").await;
}
