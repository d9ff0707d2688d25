//! A signature over the terms, beside an allowance: a payer who signs the very terms needs to trust no list of receivers.

use preauthd::chain::PreauthEscrow;

use super::terms;
use crate::harness::world::invoice;
use crate::harness::{Plan, Wallet, World};

#[tokio::test]
async fn the_offered_terms_are_the_ones_that_get_locked() {
    let world = World::shared().await;
    let sale = world.sale().await;
    let invoice = invoice("INV");
    let terms = terms(&world, &invoice, &sale, "21").await;
    let message = &terms.body["typedData"]["message"];
    assert_eq!(message["sender"], sale.sender.address.to_string());
    assert_eq!(message["receiver"], sale.receiver.to_string());
    assert_eq!(message["token"], world.ready.token.address.to_string());
    assert_eq!(message["hold"], "21000000");
    assert_eq!(message["preauthId"], terms.text("preauthId"));
    world.api.preauth(&invoice).await.refused(404, "Preauthorization not found");

    let signature = sale.sender.sign(&terms.body["typedData"]);
    let create = world.create(&invoice, &sale).amount("21").expires_at(terms.text("expiresAt"));
    let created = create.consent(&signature).send().await.is(201);
    assert_eq!(created.text("expiresAt"), terms.text("expiresAt"));
    assert_eq!(created.text("preauthId"), terms.text("preauthId"));
    world.assert_paid(&sale, "0", "21").await;
    world.api.settle(&invoice, "20").await.is(200);
    world.assert_paid(&sale, "20", "0").await;
}

#[tokio::test]
async fn a_signature_stands_in_for_the_receivers_registration_on_chain() {
    // A daemon of its own: on a shared one, the admin's transactions would cross those of the daemon itself.
    let world = World::start(Plan::quick()).await;
    let sale = world.sale().await;
    let admin = world.chain.admin().await;
    let removal = PreauthEscrow::removeReceiverCall { receiver: sale.receiver };
    world.chain.act(admin, world.ready.escrow, removal).await;

    let refused = world.create(&invoice("INV"), &sale).amount("5").send().await;
    assert!((400..=500).contains(&refused.status), "an allowance alone is not enough: {}", refused.body);

    let invoice = invoice("INV");
    let terms = terms(&world, &invoice, &sale, "5").await;
    let signature = sale.sender.sign(&terms.body["typedData"]);
    let create = world.create(&invoice, &sale).amount("5").expires_at(terms.text("expiresAt"));
    create.consent(&signature).send().await.is(201);
    world.api.settle(&invoice, "5").await.is(200);
    world.assert_paid(&sale, "5", "0").await;
}

#[tokio::test]
async fn a_sender_can_demand_to_be_asked() {
    let world = World::shared().await;
    let sale = world.sale().await;
    let demand = PreauthEscrow::requireSignedConsentCall { required: true };
    world.chain.act(sale.sender.address, world.ready.escrow, demand).await;

    let refused = invoice("INV");
    let answer = world.create(&refused, &sale).amount("5").send().await;
    assert!((400..=500).contains(&answer.status), "an allowance alone is not enough: {}", answer.body);
    answer.refused_naming(answer.status, "consent");
    world.api.preauth(&refused).await.envelope(404);

    let invoice = invoice("INV");
    let terms = terms(&world, &invoice, &sale, "5").await;
    let signature = sale.sender.sign(&terms.body["typedData"]);
    let create = world.create(&invoice, &sale).amount("5").expires_at(terms.text("expiresAt"));
    create.consent(&signature).send().await.is(201);
    world.api.cancel(&invoice).await.is(200);
    world.assert_paid(&sale, "0", "0").await;
}

#[tokio::test]
async fn a_signature_over_other_terms_is_worth_nothing() {
    let world = World::shared().await;
    let sale = world.sale().await;
    let stranger = Wallet::new();
    let name = invoice("INV");
    let terms = terms(&world, &name, &sale, "5").await;
    let expires_at = terms.text("expiresAt");
    let typed_data = &terms.body["typedData"];
    let (own, strange) = (sale.sender.sign(typed_data), stranger.sign(typed_data));
    let receiver = world.receiver().await;

    let create = |invoice: &str| world.create(invoice, &sale).amount("5").expires_at(expires_at);
    let other_invoice = invoice("INV");
    let tries = [
        ("another signer", create(&name).consent(&strange)),
        ("another amount", create(&name).amount("5.000001").consent(&own)),
        ("another receiver", create(&name).receiver(receiver).consent(&own)),
        ("another invoice", create(&other_invoice).consent(&own)),
        ("no signature at all", create(&name).consent("0x")),
    ];
    for (what, creation) in tries {
        let answer = creation.send().await;
        assert_eq!(answer.status, 400, "{what}: {}", answer.body);
        answer.refused_naming(400, "consent");
    }
    // The expiry is part of what was signed, so it must be said again.
    let without = create(&name).without("expiresAt").consent(&own).send().await;
    without.refused_naming(400, "expiresAt");
    world.api.preauth(&name).await.refused(404, "Preauthorization not found");
    world.assert_paid(&sale, "0", "0").await;
}
