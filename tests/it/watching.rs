//! What those who watch are given: every number that the dashboard and the rules ask for is really there, and the rules are
//! sound.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::Command;

use crate::harness::until;
use crate::harness::world::invoice;
use crate::operator::Shop;

/// What is told of once there is one: neither an endpoint nor an approver is here.
const AFTER_THE_FIRST: [&str; 2] = ["preauthd_webhook_attempts_total", "preauthd_approval_seconds_bucket"];

fn ops(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("ops").join(file)
}

/// The daemon's names in a text.
fn names_in(text: &str) -> BTreeSet<String> {
    let is_part = |char: &char| char.is_ascii_lowercase() || char.is_ascii_digit() || *char == '_';
    let names =
        text.match_indices("preauthd_").map(|(start, _)| text[start..].chars().take_while(is_part).collect());
    names.collect()
}

/// The daemon's names that have a value in what it shows.
fn shown(metrics: &str) -> BTreeSet<String> {
    let values: Vec<&str> = metrics.lines().filter(|line| !line.starts_with('#')).collect();
    values.iter().flat_map(|line| names_in(line.split(['{', ' ']).next().unwrap_or_default())).collect()
}

#[tokio::test]
async fn every_number_that_is_asked_for_is_shown() {
    let shop = Shop::open("reconcile_every_s = 1\nreorg_depth = 2").await;
    let (_daemon, api) = shop.serve().await;
    let name = invoice("INV");
    shop.create(&api, &name).send().await.is(201);
    api.settle(&name, "1").await.is(200);

    let mut asked = BTreeSet::new();
    for file in ["alerts.yml", "grafana-dashboard.json"] {
        asked.extend(names_in(&std::fs::read_to_string(ops(file)).expect("a file")));
    }
    let all = until("every number is shown", || async {
        let metrics = api.get("/metrics").await.is(200);
        let shown = shown(metrics.body.as_str().expect("text"));
        let missing: Vec<String> = asked.difference(&shown).cloned().collect();
        missing.iter().all(|name| AFTER_THE_FIRST.contains(&name.as_str())).then_some(())
    });
    all.await;

    // What was watched says what happened.
    let metrics = api.get("/metrics").await.is(200).body.as_str().expect("text").to_owned();
    for line in [
        "preauthd_events_total{type=\"preauth.authorized\"} 1",
        "preauthd_events_total{type=\"preauth.settled\"} 1",
        "preauthd_operations{kind=\"settle\",state=\"due\"} 0",
        "preauthd_operation_included_seconds_count{kind=\"settle\"} 1",
        "preauthd_reorgs_total 0",
    ] {
        assert!(metrics.contains(line), "{line} is missing:\n{metrics}");
    }
}

#[test]
fn the_rules_are_sound() {
    let checked = Command::new("promtool").arg("check").arg("rules").arg(ops("alerts.yml")).output();
    let Ok(checked) = checked else {
        eprintln!("promtool is not there (Debian package prometheus): the rules are not checked");
        return;
    };
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stderr));
}
