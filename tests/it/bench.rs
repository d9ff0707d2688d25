//! `preauthd bench`: what it measures was really done. How fast it was is no test's business.

use serde_json::Value;

use crate::harness::{cli, until};

fn row<'a>(rows: &'a Value, who: &str, what: &str) -> &'a Value {
    let rows = rows.as_array().expect("rows");
    rows.iter().find(|row| row["who"] == who && row["what"] == what).expect("the row")
}

// It starts anvils of its own.
crate::needs!(anvil: a_benchmark_does_each_work_and_the_same_by_hand);
async fn a_benchmark_does_each_work_and_the_same_by_hand() {
    let folder = tempfile::tempdir().expect("a folder");
    let measured = ["bench", "--count", "12", "--at-once", "4", "--block-time", "0", "--rounds", "1"];
    let out = ["--out", "figures"];
    let arguments: Vec<String> = measured.iter().chain(&out).map(|word| (*word).to_owned()).collect();
    let rows = cli::run(folder.path(), "http://127.0.0.1:9", &arguments);
    for (what, count) in [("create", 12), ("settle", 6), ("expire", 6)] {
        for who in ["by hand", "daemon"] {
            let row = row(&rows, who, what);
            assert_eq!(row["count"], count, "{row}");
            assert!(row["perSecond"].as_u64() > Some(0), "{row}");
        }
        let row = row(&rows, "daemon", what);
        let transactions = row["transactions"].as_u64().expect("a number");
        assert!((1..=count).contains(&transactions), "{row}");
        assert!(row["percentOfByHand"].is_u64(), "{row}");
    }
    assert_eq!(row(&rows, "daemon", "read")["count"], 60);
    let create = row(&rows, "daemon", "create");
    assert!(create["p50Us"].as_u64() <= create["p99Us"].as_u64() && create["p50Us"].is_u64(), "{create}");
    let figures = folder.path().join("figures");
    let kept = std::fs::read(figures.join("bench.json")).expect("the figures");
    assert_eq!(serde_json::from_slice::<Value>(&kept).expect("JSON"), rows);
    let chart = std::fs::read_to_string(figures.join("bench.svg")).expect("the chart");
    assert_eq!(chart.matches("<rect x=").count(), rows.as_array().map_or(0, Vec::len), "a bar for each row");
}

crate::needs!(anvil: a_benchmark_that_is_stopped_leaves_nothing_behind);
async fn a_benchmark_that_is_stopped_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let scratch = folder.path().join("scratch");
    std::fs::create_dir(&scratch).expect("a folder");
    let left = || std::fs::read_dir(&scratch).expect("a folder").count();
    let arguments = ["bench", "--count", "100000", "--rounds", "1"];
    let mut bench = cli::start(folder.path(), &arguments, ("TMPDIR", scratch.to_str().expect("UTF-8")));
    until("it is at work", || async { (left() > 0).then_some(()) }).await;
    assert!(bench.stop(), "it ends when it is asked to");
    assert_eq!(left(), 0);
    assert!(bench.said().contains("stopped before everything was measured"), "{}", bench.said());
}
