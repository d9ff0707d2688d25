//! From nothing: the data folder is lost, the chain is not.

use alloy::primitives::B256;
use futures::future::join_all;
use serde_json::{Value, json};
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use crate::harness::process::Process;
use crate::harness::world::invoice;
use crate::harness::{Api, units, until};
use crate::operator::{Shop, status};
use crate::repair::{answer, assert_counts};

/// A shop with a daemon that was killed, and then its folder was lost.
struct Ruin {
    shop: Shop,
    tenant: String,
}

impl Ruin {
    async fn of(shop: Shop, mut daemon: Process) -> Self {
        let tenants = shop.office.run(&["tenant", "list"]).await;
        let tenant = tenants[0]["id"].as_str().expect("a UUID").to_owned();
        daemon.kill();
        let ruin = Self { shop, tenant };
        ruin.lose_everything();
        ruin
    }

    fn folder(&self) -> std::path::PathBuf {
        self.shop.office.folder.path().join("preauthd-data")
    }

    fn lose_everything(&self) {
        std::fs::remove_dir_all(self.folder()).expect("a folder to lose");
    }

    async fn repair(&self) -> Value {
        answer(&self.shop.office.try_run(&["reconcile", "--repair", "--json"]).await)
    }

    /// The tenant is there again under its old UUID, with a new key.
    async fn tenant_returns(&self, api: &Api) -> Api {
        let office = &self.shop.office;
        office.run(&["tenant", "create", "shop", "--id", &self.tenant]).await;
        let key = office.run(&["tenant", "key", "new", "shop", "--scope", "read", "--scope", "write"]).await;
        api.with_key(key["key"].as_str().expect("a key"))
    }
}

async fn becomes(api: &Api, name: &str, expected: &str) {
    until(&format!("{name} is {expected}"), || async { (status(api, name).await == expected).then_some(()) })
        .await;
}

#[tokio::test]
async fn from_an_empty_folder_every_hold_is_recovered_and_found_again_by_its_invoice() {
    let shop = Shop::open("").await;
    let (daemon, api) = shop.serve().await;
    let names: Vec<String> = (0..5).map(|_| invoice("INV")).collect();
    let [settled, open, expiring, unwanted, cancelled] = names.as_slice() else { panic!("five names") };
    let soon = shop.chain.in_seconds(900).await;
    for name in &names {
        let create = shop.create(&api, name);
        let create = if name == expiring { create.expires_at(&soon) } else { create };
        create.send().await.is(201);
    }
    api.settle(settled, "0.4").await.is(200);
    api.cancel(cancelled).await.is(200);
    let unwanted_id = api.preauth(unwanted).await.is(200).text("preauthId").to_owned();
    let ruin = Ruin::of(shop, daemon).await;
    let (shop, office) = (&ruin.shop, &ruin.shop.office);

    assert_counts(&ruin.repair().await, 0, 5);
    assert_counts(&ruin.repair().await, 0, 0);
    let (_daemon, api) = shop.serve().await;
    assert_eq!(office.run(&["hold", "list"]).await.as_array().map(Vec::len), Some(3));

    // Without anybody's word the daemon gives back what is overdue, and what the operator does not want.
    office.run(&["hold", "cancel", &unwanted_id]).await;
    until("the operator's cancellation lands", || async {
        let id: B256 = unwanted_id.parse().expect("32 bytes");
        (shop.chain.status_of(id).await == "CANCELLED").then_some(())
    })
    .await;
    shop.chain.pass(901).await;
    until("two holds are returned, one is open", || async {
        let listed = office.run(&["hold", "list"]).await;
        (listed.as_array().map(Vec::len) == Some(1)).then_some(())
    })
    .await;

    let api = ruin.tenant_returns(&api).await;
    assert_eq!(status(&api, settled).await, "SETTLED");
    assert_eq!(api.preauth(settled).await.is(200).text("settledAmount"), "0.4");
    assert_eq!(status(&api, cancelled).await, "CANCELLED");
    assert_eq!(status(&api, unwanted).await, "CANCELLED");
    becomes(&api, expiring, "EXPIRED").await;
    assert_eq!(status(&api, open).await, "AUTHORIZED");
    assert_eq!(api.settle(open, "0.75").await.is(200).text("status"), "SETTLED");
    assert_eq!(shop.chain.balance(shop.receiver).await, units("1.15"));
    assert_eq!(shop.chain.held_and_open().await, (units("0"), units("0")));
    assert_eq!(office.try_run(&["reconcile"]).await.status.code(), Some(0));
}

#[tokio::test]
async fn a_rebuilt_daemon_follows_a_reorg_of_what_it_was_rebuilt_from() {
    let shop = Shop::open("").await;
    let (daemon, api) = shop.serve().await;
    let (deep, shallow) = (invoice("INV"), invoice("INV"));
    shop.create(&api, &deep).send().await.is(201);
    shop.create(&api, &shallow).send().await.is(201);
    shop.chain.hold_still().await;
    shop.chain.mine_many(20).await;
    until("the daemon has seen them", || async {
        let ready = api.get("/health/ready").await;
        (ready.body["block"].as_u64()? >= shop.chain.head().await.0).then_some(())
    })
    .await;
    api.post_async(&format!("/onchain-preauth/{shallow}/settle"), json!({ "amount": "1" })).await.is(202);
    shop.chain.until_waiting(1).await;
    shop.chain.mine().await;
    becomes(&api, &shallow, "SETTLED").await;
    let ruin = Ruin::of(shop, daemon).await;
    let chain = &ruin.shop.chain;
    assert_counts(&ruin.repair().await, 0, 2);

    // The settlement is undone, and nobody has its bytes any more: the hold is open again, and can be settled again.
    chain.reorg(3).await;
    chain.mine_every(1).await;
    let (_daemon, api) = ruin.shop.serve().await;
    let api = ruin.tenant_returns(&api).await;
    assert_eq!(status(&api, &deep).await, "AUTHORIZED");
    assert_eq!(status(&api, &shallow).await, "AUTHORIZED");
    api.settle(&shallow, "0.5").await.is(200);
    assert_eq!(chain.balance(ruin.shop.receiver).await, units("0.5"));
    assert_eq!(ruin.shop.office.try_run(&["reconcile"]).await.status.code(), Some(0));
}

#[tokio::test]
async fn a_repair_that_is_killed_in_the_middle_is_begun_again() {
    const HOLDS: i64 = 600;
    let shop = Shop::open("").await;
    let (daemon, api) = shop.serve().await;
    let names: Vec<String> = (0..HOLDS).map(|_| invoice("INV")).collect();
    let created = join_all(names.iter().map(|name| shop.create(&api, name).send())).await;
    created.into_iter().for_each(|answer| drop(answer.is(201)));
    let ruin = Ruin::of(shop, daemon).await;

    // Caught after its first change and before its last: the story takes the write lock, so that it cannot end.
    let caught = until("a repair is caught in the middle", || async {
        if ruin.folder().exists() {
            ruin.lose_everything();
        }
        let mut command = ruin.shop.office.command(&["reconcile", "--repair"]);
        let mut repair = Process::start(&mut command, ruin.shop.office.folder.path(), "repair");
        let caught = catch(&ruin, &mut repair).await;
        repair.kill();
        caught
    })
    .await;
    assert!((1..HOLDS).contains(&caught), "{caught} of {HOLDS}");
    let found = ruin.repair().await;
    assert_counts(&found, 0, u64::try_from(HOLDS - caught).expect("a count"));
    assert_eq!(found["checked"], HOLDS);

    let (_daemon, api) = ruin.shop.serve().await;
    let api = ruin.tenant_returns(&api).await;
    for name in names.iter().step_by(97) {
        assert_eq!(status(&api, name).await, "AUTHORIZED");
    }
}

/// Holds a repair up in its middle; returns how many rows it has written, `None` where it was too quick.
async fn catch(ruin: &Ruin, repair: &mut Process) -> Option<i64> {
    while !repair.has_ended() {
        tokio::task::yield_now().await;
        if !ruin.folder().join("preauthd.sqlite").exists() {
            continue;
        }
        let file = ruin.folder().join("preauthd.sqlite");
        let Ok(mut database) = SqliteConnectOptions::new().filename(file).connect().await else { continue };
        let counted = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM preauths");
        if !counted.fetch_one(&mut database).await.is_ok_and(|count| count > 0) {
            continue;
        }
        sqlx::query("BEGIN IMMEDIATE").execute(&mut database).await.expect("the write lock");
        let counted = sqlx::query_scalar::<_, i64>("SELECT count(*) FROM preauths");
        let count = counted.fetch_one(&mut database).await.expect("a count");
        repair.kill();
        sqlx::query("ROLLBACK").execute(&mut database).await.expect("an end");
        return (count < 600).then_some(count);
    }
    None
}
