//! `preauthd bench`: what it measures was really done. How fast it was is no test's business.

use serde_json::Value;

use crate::harness::{cli, until};

/// The rows of a piece of work.
fn rows<'a>(all: &'a Value, who: &str, what: &str) -> Vec<&'a Value> {
    let rows = all.as_array().expect("rows").iter();
    rows.filter(|row| row["who"] == who && row["what"] == what).collect()
}

fn measure(folder: &std::path::Path, dimensions: &str) -> Value {
    let arguments = format!("bench --block-time 0 --rounds 1 --out figures {dimensions}");
    let arguments: Vec<String> = arguments.split(' ').map(str::to_owned).collect();
    cli::run(folder, "http://127.0.0.1:9", &arguments)
}

// It starts anvils of its own.
crate::needs!(anvil: a_benchmark_does_each_work_and_the_same_by_hand);
async fn a_benchmark_does_each_work_and_the_same_by_hand() {
    let folder = tempfile::tempdir().expect("a folder");
    let all = measure(folder.path(), "--count 12 --at-once 1,4 --lanes 2 --expire 30");
    for (what, by_hand, counts) in [
        ("create", 12, vec![12, 12]),
        ("settle", 6, vec![6, 6]),
        ("expire", 6, vec![18, 18]),
        ("sweep", 30, vec![30]),
    ] {
        let hand = rows(&all, "by hand", what);
        assert_eq!(hand.iter().map(|row| &row["count"]).collect::<Vec<_>>(), [by_hand]);
        let daemon = rows(&all, "daemon", what);
        assert_eq!(daemon.iter().map(|row| &row["count"]).collect::<Vec<_>>(), counts);
        for row in daemon {
            assert_eq!((&row["lanes"], &row["rows"]), (&2.into(), &0.into()), "{row}");
            let transactions = row["transactions"].as_u64().expect("a number");
            assert!((1..=row["count"].as_u64().expect("a number")).contains(&transactions), "{row}");
            assert!(
                row["commits"].as_u64() >= Some(transactions),
                "each is written before it is sent: {row}"
            );
            assert!(row["rpcRequests"].as_u64() >= Some(transactions), "{row}");
            assert!(row["perSecond"].as_u64() > Some(0) && row["percentOfByHand"].is_u64(), "{row}");
        }
    }
    for row in rows(&all, "daemon", "accept") {
        assert_eq!(row["count"], 12);
        assert!(row["landedPerSecond"].as_u64() > Some(0) && row["transactions"].as_u64() > Some(0), "{row}");
        assert!(row["p50Us"].as_u64() <= row["p99Us"].as_u64() && row["p50Us"].is_u64(), "{row}");
    }
    let [alone, together] = rows(&all, "daemon", "read")[..] else { panic!("two rows: {all}") };
    assert_eq!((&alone["count"], &together["atOnce"]), (&60.into(), &4.into()));
    let added: Vec<_> =
        rows(&all, "daemon", "create").into_iter().map(|row| row["addedUs"].is_i64()).collect();
    assert_eq!(added, [true, false], "a lone creation is compared with a lone lock");
    let figures = folder.path().join("figures");
    let kept = std::fs::read(figures.join("bench.json")).expect("the figures");
    assert_eq!(serde_json::from_slice::<Value>(&kept).expect("JSON"), all);
    let chart = std::fs::read_to_string(figures.join("bench.svg")).expect("the chart");
    assert_eq!(chart.matches("<rect x=").count(), all.as_array().map_or(0, Vec::len), "a bar for each row");
}

crate::needs!(anvil: a_benchmark_gives_the_daemon_a_past);
async fn a_benchmark_gives_the_daemon_a_past() {
    let folder = tempfile::tempdir().expect("a folder");
    let all = measure(folder.path(), "--count 4 --at-once 4 --lanes 1,2 --rows 0,300");
    for what in ["create", "read", "accept", "settle", "expire"] {
        let cells: Vec<_> = rows(&all, "daemon", what)
            .into_iter()
            .map(|row| (row["lanes"].clone(), row["rows"].clone()))
            .collect();
        assert_eq!(cells, [(1, 0), (2, 0), (1, 300)].map(|(lanes, rows)| (lanes.into(), rows.into())));
    }
    let starts = rows(&all, "daemon", "start");
    assert_eq!(starts.len(), 3);
    assert!(
        starts.iter().all(|row| row["p50Us"].as_u64() > Some(0) && row["perSecond"].is_null()),
        "{starts:?}"
    );
    for row in all.as_array().expect("rows") {
        assert_eq!(row["percentOfFewestRows"].is_u64(), row["rows"] == 300, "{row}");
    }
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
