//! Copies of the database: made beside a daemon at work, checked, damaged, restored.

use std::path::{Path, PathBuf};

use futures::future::join_all;
use serde_json::Value;
use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use crate::harness::world::invoice;
use crate::harness::{Plan, World};

struct Made {
    code: Option<i32>,
    found: Value,
    said: String,
}

async fn backup(world: &World, arguments: &[&str]) -> Made {
    let output = world.try_cli(&[&["backup", "--json"], arguments].concat()).await;
    Made {
        code: output.status.code(),
        found: serde_json::from_slice(&output.stdout).unwrap_or_default(),
        said: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

async fn verify(world: &World, file: &Path) -> Made {
    backup(world, &["--verify", text(file)]).await
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path in UTF-8")
}

/// Puts a copy in the place of the database of a daemon that is down.
fn restore(world: &World, copy: &Path) {
    let folder = world.house.data_dir();
    for name in ["preauthd.sqlite", "preauthd.sqlite-wal", "preauthd.sqlite-shm"] {
        let _ = std::fs::remove_file(folder.join(name));
    }
    std::fs::copy(copy, folder.join("preauthd.sqlite")).expect("a restored database");
}

#[tokio::test]
async fn a_backup_made_under_load_is_sound_and_can_be_gone_on_from() {
    let mut world = World::start(Plan::on_node("0.2")).await;
    let sale = world.sale().await;
    let (kept, settled) = (world.authorized(&sale, "5").await, world.authorized(&sale, "2").await);
    world.api.settle(&settled, "1").await.is(200);
    let file = world.house.folder().join("backup.sqlite");

    let names: Vec<String> = (0..120).map(|_| invoice("INV")).collect();
    let work = async {
        for some in names.chunks(20) {
            let made = join_all(some.iter().map(|name| world.create(name, &sale).amount("1").send())).await;
            made.into_iter().for_each(|answer| drop(answer.is(201)));
            join_all(some.iter().step_by(2).map(|name| world.api.settle(name, "0.5"))).await;
        }
    };
    let target = [text(&file)];
    let (made, ()) = tokio::join!(backup(&world, &target), work);
    assert_eq!(made.code, Some(0), "{} {:#}", made.said, made.found);
    assert!(!file.with_extension("sqlite.partial").exists());

    let again = backup(&world, &target).await;
    assert_eq!(again.code, Some(2), "a copy is never overwritten");
    assert!(again.said.contains("exists"), "{}", again.said);
    let Made { code, found, said } = verify(&world, &file).await;
    assert_eq!((code, &found["sound"]), (Some(0), &true.into()), "{said}");
    assert_eq!(found, with_file(&made.found, &file), "it says the same of the copy now and then");
    assert_eq!(found["chainId"], world.ready.chain_id);
    assert!(found["block"].as_u64().expect("a block") > 0);
    assert_eq!(found["held"][0]["symbol"], world.ready.token.symbol.as_str());
    let in_words = world.try_cli(&["backup", "--verify", text(&file)]).await;
    let words = String::from_utf8_lossy(&in_words.stdout).into_owned();
    assert!(words.contains("is sound: chain") && words.contains("AUTHORIZED"), "{words}");

    // The chain knows more than the copy.
    let later = world.authorized(&sale, "3").await;
    let later_id = world.preauth_id(&later).await;
    world.api.settle(&kept, "4").await.is(200);
    assert!(world.stop_daemon().await, "it stops in order");
    restore(&world, &file);
    world.restart().await;
    world.becomes(&kept, "SETTLED").await;
    for name in [&settled, &kept].into_iter().chain(&names) {
        if world.api.preauth(name).await.status == 404 {
            continue;
        }
        world.until_settled_down(name).await;
        let id = world.preauth_id(name).await;
        assert_eq!(world.api.preauth(name).await.text("status"), world.chain.status_of(id).await, "{name}");
    }
    world.api.preauth(&later).await.is(404);
    assert_eq!(
        world.chain.status_of(later_id).await,
        "AUTHORIZED",
        "what the copy does not know is left alone"
    );
    let compared = world.try_cli(&["reconcile"]).await;
    let said = String::from_utf8_lossy(&compared.stdout).into_owned();
    assert_eq!(compared.status.code(), Some(1), "{said}");
    assert!(said.contains(&later_id.to_string()), "and named: {said}");
    let next = world.authorized(&sale, "6").await;
    world.api.settle(&next, "6").await.is(200);
}

fn with_file(found: &Value, file: &Path) -> Value {
    let mut found = found.clone();
    found["file"] = text(file).into();
    found
}

#[tokio::test]
async fn a_damaged_copy_is_found() {
    let world = World::start(Plan::on_node("0.2")).await;
    let sale = world.sale().await;
    let damaged = world.authorized(&sale, "7.654321").await;
    let file = world.house.folder().join("backup.sqlite");
    assert_eq!(backup(&world, &[text(&file)]).await.code, Some(0));
    let sound = std::fs::read(&file).expect("the copy");
    let altered = |name: &str, change: &dyn Fn(&mut Vec<u8>)| -> PathBuf {
        let copy = world.house.folder().join(name);
        let mut bytes = sound.clone();
        change(&mut bytes);
        std::fs::write(&copy, bytes).expect("another copy");
        copy
    };

    // In its row, and in an index.
    let places: Vec<usize> = (0..sound.len() - 7).filter(|at| &sound[*at..at + 7] == b"7654321").collect();
    let hold = *places.first().expect("the hold");
    let flip = |bytes: &mut Vec<u8>| places.iter().for_each(|place| bytes[*place] ^= 1);
    let flipped = verify(&world, &altered("flipped.sqlite", &flip)).await;
    assert_eq!((flipped.code, &flipped.found["faultCount"]), (Some(1), &1.into()), "{:#}", flipped.found);
    let fault = flipped.found["faults"][0].as_str().expect("a fault");
    assert!(fault.contains(&damaged) && fault.contains("checksum"), "{fault}");

    let short = verify(&world, &altered("short.sqlite", &|bytes| bytes.truncate(bytes.len() / 2))).await;
    assert_eq!(short.code, Some(1), "{}", short.said);
    let torn = verify(&world, &altered("torn.sqlite", &|bytes| bytes[hold - 1_500..hold].fill(0))).await;
    assert_eq!(torn.code, Some(1), "{}", torn.said);
    let headless = verify(&world, &altered("headless.sqlite", &|bytes| bytes[..100].fill(0))).await;
    assert_eq!(headless.code, Some(1), "{}", headless.said);
    let missing = verify(&world, &world.house.folder().join("missing.sqlite")).await;
    assert_eq!(missing.code, Some(2), "{}", missing.said);

    // The copy of a database that is damaged itself gets no name that could be relied upon.
    let database = world.house.data_dir().join("preauthd.sqlite");
    let mut vandal = SqliteConnectOptions::new().filename(database).connect().await.expect("the database");
    let changed = sqlx::query("UPDATE preauths SET hold = '1' WHERE invoice_id = $1").bind(&damaged);
    changed.execute(&mut vandal).await.expect("a change");
    let next = world.house.folder().join("next.sqlite");
    let made = backup(&world, &[text(&next)]).await;
    assert_eq!((made.code, &made.found["faultCount"]), (Some(1), &1.into()), "{}", made.said);
    let partial = next.with_extension("sqlite.partial");
    assert!(!next.exists() && partial.exists(), "it stays {}", partial.display());
    assert_eq!(made.found["file"], text(&partial));
}
