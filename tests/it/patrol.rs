//! The comparison on a schedule: what differs shows in the daemon's metrics, log and health, and is gone after a repair.

use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use crate::harness::Api;
use crate::harness::until;
use crate::harness::world::invoice;
use crate::operator::{Shop, status};

async fn becomes(api: &Api, name: &str, value: f64) {
    until(&format!("{name} is {value}"), || async { (api.metric(name).await == Some(value)).then_some(()) })
        .await;
}

async fn tamper(shop: &Shop, sql: &'static str, invoice: &str) {
    let file = shop.office.folder.path().join("preauthd-data/preauthd.sqlite");
    let options = SqliteConnectOptions::new().filename(file).foreign_keys(false);
    let mut database = options.connect().await.expect("the daemon's database");
    let changed = sqlx::query(sql).bind(invoice).execute(&mut database).await.expect("a change");
    assert_eq!(changed.rows_affected(), 1);
}

#[tokio::test]
async fn drift_shows_in_metrics_and_health_until_it_is_repaired() {
    let shop = Shop::open("reconcile_every_s = 1").await;
    let (mut daemon, api) = shop.serve().await;
    let (changed, lost) = (invoice("INV"), invoice("INV"));
    shop.create(&api, &changed).send().await.is(201);
    shop.create(&api, &lost).send().await.is(201);
    becomes(&api, "preauthd_reconcile_drifted", 0.0).await;
    becomes(&api, "preauthd_reconcile_unknown", 0.0).await;
    assert!(api.metric("preauthd_reconcile_last_run_timestamp_seconds").await.is_some_and(|at| at > 1e9));
    assert_eq!(api.metric("preauthd_reconcile_missing_base_units").await, Some(0.0));
    api.get("/health/ready").await.is(200);

    tamper(&shop, "UPDATE preauths SET hold = '2000000' WHERE invoice_id = $1", &changed).await;
    tamper(&shop, "DELETE FROM preauths WHERE invoice_id = $1", &lost).await;
    becomes(&api, "preauthd_reconcile_drifted", 1.0).await;
    becomes(&api, "preauthd_reconcile_unknown", 1.0).await;
    let ready = api.get("/health/ready").await;
    let errors = ready.envelope(503).to_string();
    assert!(errors.contains("reconcile: 1 preauthorizations are not as the chain says"), "{errors}");
    let told =
        || daemon.said().lines().filter(|line| line.contains(&changed) && line.contains("differ")).count();
    assert_eq!(told(), 1, "a finding is told once, however often it is met");
    daemon.kill();

    let repaired = shop.office.try_run(&["reconcile", "--repair"]).await;
    assert_eq!(repaired.status.code(), Some(0), "{}", String::from_utf8_lossy(&repaired.stdout));
    let (_daemon, api) = shop.serve().await;
    becomes(&api, "preauthd_reconcile_drifted", 0.0).await;
    becomes(&api, "preauthd_reconcile_unknown", 0.0).await;
    api.get("/health/ready").await.is(200);
    for name in [&changed, &lost] {
        assert_eq!(status(&api, name).await, "AUTHORIZED");
    }
}

#[tokio::test]
async fn a_comparison_that_is_switched_off_is_not_made() {
    let shop = Shop::open("reconcile_every_s = 0").await;
    let (_daemon, api) = shop.serve().await;
    shop.create(&api, &invoice("INV")).send().await.is(201);
    assert_eq!(api.metric("preauthd_reconcile_drifted").await, None);
}
