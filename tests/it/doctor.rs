//! `preauthd doctor`: what it finds where a daemon could work, and where one could not.

use alloy::primitives::Address;
use serde_json::Value;

use crate::operator::Shop;

/// What was found about `check`, where it is in this state.
fn found<'a>(report: &'a Value, check: &str, state: &str) -> Option<&'a str> {
    let findings = report["findings"].as_array().expect("findings");
    let finding = findings.iter().find(|finding| finding["check"] == check && finding["state"] == state)?;
    finding["found"].as_str()
}

async fn examined(shop: &Shop) -> (bool, Value) {
    let output = shop.office.try_run(&["doctor", "--json"]).await;
    let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
    let healthy = report["healthy"].as_bool().expect("a verdict");
    assert_eq!(output.status.code(), Some(i32::from(!healthy)), "the exit code says the same");
    (healthy, report)
}

#[tokio::test]
async fn where_a_daemon_works_the_doctor_finds_nothing_wrong() {
    let shop = Shop::open("").await;
    let (healthy, report) = examined(&shop).await;
    assert!(healthy, "{report:#}");
    assert_eq!(found(&report, "database", "good"), Some("readable, of this version; no daemon runs on it"));
    for check in ["configuration", "data folder", "operator keys", "endpoint 1", "escrow", "fees", "operator"]
    {
        assert!(found(&report, check, "good").is_some(), "{check}: {report:#}");
    }
    let (mut daemon, _) = shop.serve().await;
    let (healthy, report) = examined(&shop).await;
    assert!(healthy, "{report:#}");
    assert_eq!(found(&report, "database", "good"), Some("readable, of this version; a daemon runs on it"));
    assert!(daemon.stop());
    let for_people = shop.office.try_run(&["doctor"]).await;
    let said = String::from_utf8_lossy(&for_people.stdout).into_owned();
    assert!(said.lines().any(|line| line.starts_with("ok    escrow")), "{said}");
    assert!(said.contains("A daemon can work here"), "{said}");
}

#[tokio::test]
async fn the_doctor_names_what_is_wrong_and_what_to_do() {
    let shop = Shop::open("").await;
    let [poor, stranger] = shop.operators;
    shop.chain.set_gas_money(poor, 0).await;
    let revoke = &["operator", "revoke", &stranger.to_string(), "--key-env", "ADMIN_SECRET"];
    shop.office.run(revoke).await;
    shop.reconfigure(|config| {
        let mut lines: Vec<&str> = config.lines().filter(|line| !line.starts_with("rpc_url")).collect();
        let node = config.lines().find_map(|line| line.strip_prefix("rpc_url = ")).expect("a node");
        let two = format!("rpc_url = [\"http://127.0.0.1:1/secret\", {node}]");
        lines.insert(0, &two);
        lines.join("\n")
    });
    let (healthy, report) = examined(&shop).await;
    assert!(!healthy);
    assert!(found(&report, "endpoint 1", "bad").is_some(), "{report:#}");
    assert!(found(&report, "endpoint 2", "good").is_some(), "{report:#}");
    let about = |operator: Address| {
        let findings = report["findings"].as_array().expect("findings");
        let of_it =
            |finding: &&Value| finding["found"].as_str().expect("words").contains(&operator.to_string());
        findings.iter().find(of_it).expect("a finding about the key").clone()
    };
    for (operator, advice) in [(poor, "native coin"), (stranger, "preauthd operator allow")] {
        let finding = about(operator);
        assert_eq!(finding["state"], "bad");
        assert!(finding["advice"].as_str().expect("advice").contains(advice), "{finding}");
    }
    assert!(!report.to_string().contains("secret"), "URLs may hold keys");

    // A contract that is not there, and a chain that is another.
    shop.reconfigure(|config| config.replace("chain_id = 31337", "chain_id = 1"));
    let (healthy, report) = examined(&shop).await;
    assert!(!healthy);
    assert!(found(&report, "endpoint 2", "bad").expect("a finding").contains("chain 31337"), "{report:#}");
    assert!(found(&report, "database", "good").is_some(), "no daemon has bound it to a chain yet");

    shop.reconfigure(|config| format!("lisen = 7\n{config}"));
    let (healthy, report) = examined(&shop).await;
    assert!(!healthy);
    assert!(found(&report, "configuration", "bad").expect("a finding").contains("lisen"), "{report:#}");
}
