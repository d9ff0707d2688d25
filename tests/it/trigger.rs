//! Any event on demand, in a `dev` that runs: really brought about, and told as it always is.

use serde_json::Value;

use crate::harness::{Plan, World};

/// Triggers an event and answers what was told on the way: one object a line.
async fn triggered(world: &World, kind: &str) -> Vec<Value> {
    let output = world.try_cli(&["trigger", kind, "--json", "--ready-file", "ready.json"]).await;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{kind}: {said}{}", String::from_utf8_lossy(&output.stderr));
    said.lines().map(|line| serde_json::from_str(line).expect("an event a line")).collect()
}

#[tokio::test]
async fn every_kind_but_a_reorg_can_be_triggered() {
    // The mining modes of a dev that is told nothing, and of one that hardly leaves time.
    for world in
        [World::start(Plan { block_time: "0", ..Plan::quick() }).await, World::start(Plan::quick()).await]
    {
        for kind in
            ["authorized", "rejected", "settled", "settlement_failed", "cancelled", "expired", "expiring"]
        {
            let told = triggered(&world, &format!("preauth.{kind}")).await;
            let last = told.last().expect("an event");
            assert_eq!(last["type"], format!("preauth.{kind}"));
            let invoice = last["data"]["invoiceId"].as_str().expect("a name");
            let timeline = world.api.timeline(invoice).await;
            assert_eq!(timeline[..told.len()], told, "what was said is what the daemon tells");
        }
        world.assert_escrow_holds_what_is_open().await;
    }
}

crate::needs!(anvil: a_reorg_can_be_triggered_and_the_lock_comes_back);
async fn a_reorg_can_be_triggered_and_the_lock_comes_back() {
    let world = World::start(Plan::quick()).await;
    let told = triggered(&world, "preauth.reorged").await;
    let last = told.last().expect("an event");
    assert_eq!(
        (&last["type"], &last["data"]["previousStatus"]),
        (&"preauth.reorged".into(), &"AUTHORIZED".into())
    );
    let invoice = last["data"]["invoiceId"].as_str().expect("a name");
    world.becomes(invoice, "AUTHORIZED").await;
}

#[tokio::test]
async fn what_can_be_triggered_is_listed() {
    let world = World::shared().await;
    let listed = world.cli(&["trigger"]).await;
    let events: Vec<&str> =
        listed.as_array().expect("a list").iter().map(|way| way["event"].as_str().expect("a name")).collect();
    assert_eq!(events.len(), 8);
    assert!(events.contains(&"preauth.expired"));
}
