//! Many at once: one wins, the others are told what won, and the chain saw one.

use futures::future::join_all;

use crate::harness::world::invoice;
use crate::harness::{Answer, Plan, World};

/// Parts answers into winners and losers.
fn parted(answers: Vec<Answer>, won: u16) -> (Vec<Answer>, Vec<Answer>) {
    answers.into_iter().partition(|answer| answer.status == won)
}

#[tokio::test]
async fn of_a_settlement_and_a_cancellation_one_wins() {
    let world = World::start(Plan::quick()).await;
    let sale = world.sale().await;
    let mut names = Vec::new();
    for _ in 0..12 {
        names.push(world.authorized(&sale, "1").await);
    }
    let both = names.iter().enumerate().map(|(round, name)| {
        let world = &world;
        async move {
            let (settled, cancelled) = if round % 2 == 0 {
                tokio::join!(world.api.settle(name, "1"), world.api.cancel(name))
            } else {
                let (cancelled, settled) = tokio::join!(world.api.cancel(name), world.api.settle(name, "1"));
                (settled, cancelled)
            };
            (name, settled, cancelled)
        }
    });
    for (name, settled, cancelled) in join_all(both).await {
        let shown = world.api.preauth(name).await;
        let effects = world.effects(name).await;
        assert_eq!(effects.closed(), 1, "{name} is closed once");
        match (settled.status, cancelled.status) {
            (200, 409) => {
                assert_eq!((shown.text("status"), effects.settled), ("SETTLED", 1));
                cancelled.refused_naming(409, "settle");
            }
            (409, 200) => {
                assert_eq!((shown.text("status"), effects.cancelled), ("CANCELLED", 1));
                settled.refused_naming(409, "cancel");
            }
            other => panic!("{name}: one wins and one loses, not {other:?}"),
        }
    }
    world.assert_escrow_holds_what_is_open().await;
}

#[tokio::test]
async fn of_settlement_cancellation_and_expiry_at_the_last_second_one_wins() {
    let world = World::start(Plan::on_node("0.2")).await;
    let sale = world.sale().await;
    // The chain stands two seconds before the expiry when everybody comes.
    let expires_at = world.chain.now().await + 900;
    let text = crate::harness::chain::rfc3339(i64::try_from(expires_at).expect("a time"));
    let mut names = Vec::new();
    for _ in 0..6 {
        let name = invoice("INV");
        world.create(&name, &sale).amount("2").expires_at(&text).send().await.is(201);
        names.push(name);
    }
    world.chain.hold_still().await;
    world.chain.mine_at(expires_at - 2).await;
    world.until_daemon_stands_at_the_head().await;
    let everybody = names.iter().map(|name| {
        let world = &world;
        async move { tokio::join!(world.api.settle(name, "1"), world.api.cancel(name)) }
    });
    let blocks = async {
        world.chain.until_waiting(1).await;
        world.chain.mine_every(1).await;
    };
    let (answers, ()) = tokio::join!(join_all(everybody), blocks);
    for (name, (settled, cancelled)) in names.iter().zip(answers) {
        let effects = world.effects(name).await;
        let shown = world.api.preauth(name).await;
        let won =
            [(effects.settled, "SETTLED"), (effects.cancelled, "CANCELLED"), (effects.expired, "EXPIRED")];
        assert!(effects.closed() <= 1, "{name} is closed at most once");
        for (count, status) in won {
            if count == 1 {
                world.becomes(name, status).await;
            }
        }
        assert!(settled.status != 200 || effects.settled == 1, "{name}: {}", shown.body);
        assert!(cancelled.status != 200 || effects.cancelled == 1, "{name}: {}", shown.body);
        for loser in [settled, cancelled].iter().filter(|answer| answer.status != 200) {
            loser.envelope(409);
        }
    }
    for name in &names {
        world.until_closed(name).await;
        assert_eq!(world.effects(name).await.closed(), 1);
    }
    world.assert_escrow_holds_what_is_open().await;
}

#[tokio::test]
async fn five_hundred_creations_travel_in_few_transactions() {
    let world = World::start(Plan::on_node("1")).await;
    let mut sales = Vec::new();
    for _ in 0..5 {
        sales.push(world.sale().await);
    }
    let names: Vec<String> = (0..500).map(|_| invoice("INV")).collect();
    let creations = names
        .iter()
        .enumerate()
        .map(|(index, name)| world.create(name, &sales[index % sales.len()]).amount("1").send());
    let answers = join_all(creations).await;
    answers.into_iter().for_each(|answer| drop(answer.is(201)));
    let transactions = world.chain.lock_transactions().await;
    assert!(transactions <= 25, "500 locks in {transactions} transactions");
    for sale in &sales {
        world.assert_paid(sale, "0", "100").await;
    }

    // And the daemon reports how many there were per batch.
    let metrics = world.api.get("/metrics").await.is(200);
    let metrics = metrics.body.as_str().expect("text").to_owned();
    assert!(metrics.lines().any(|line| line.contains("batch") && line.contains("items")), "{metrics}");
}

#[tokio::test]
async fn holds_of_one_sender_never_exceed_his_pocket() {
    let world = World::start(Plan::on_node("1")).await;
    let sale = world.sale().await;
    world.chain.approve(sale.sender.address, crate::harness::units("10")).await;
    let names: Vec<String> = (0..8).map(|_| invoice("INV")).collect();
    let answers = join_all(names.iter().map(|name| world.create(name, &sale).amount("4").send())).await;
    let (created, refused) = parted(answers, 201);
    assert_eq!(created.len(), 2, "an allowance of 10 covers two holds of 4");
    refused.iter().for_each(|answer| answer.refused(500, "Insufficient Allowance"));
    world.assert_paid(&sale, "0", "8").await;
}

#[tokio::test]
async fn a_limit_on_open_holds_cannot_be_outrun() {
    let world = World::start(Plan::on_node("1")).await;
    let tenant = world.tenant().await;
    let sale = world.sale_of(&tenant).await;
    let rules = serde_json::json!({ "maxOpenPerSender": { world.ready.token.address.to_string(): "10" } });
    world.cli(&["tenant", "set", &tenant.name, "--rules", &rules.to_string()]).await;
    let names: Vec<String> = (0..8).map(|_| invoice("INV")).collect();
    let creations = names.iter().map(|name| world.create_by(&tenant.api, name, &sale).amount("4").send());
    let (created, refused) = parted(join_all(creations).await, 201);
    assert_eq!(created.len(), 2, "a limit of 10 covers two holds of 4");
    refused.iter().for_each(|answer| answer.refused_naming(400, "maxOpenPerSender"));
    world.assert_paid(&sale, "0", "8").await;
}
