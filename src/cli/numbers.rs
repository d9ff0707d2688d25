//! The numbers of `/metrics`: each by its name, with what it means. `docs/operations.md` shows the same table.
//!
//! What only counts something that may never happen is there from the start, at zero: a rule that waits for it to rise must
//! see it before it does.

use std::sync::OnceLock;

use metrics::{describe_counter, describe_gauge, describe_histogram};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

use crate::lane::Standing;
use crate::model::{Decision, EventKind};
use crate::store::FaultKind;

/// Bounds of histograms that count.
const COUNTS: [f64; 10] = [1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 200.0, 400.0, 800.0];
/// Bounds of histograms of seconds.
const SECONDS: [f64; 10] = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0];
/// Bounds of histograms of what a chain takes its time for, in seconds.
const CHAIN_SECONDS: [f64; 12] = [0.1, 0.5, 1.0, 2.0, 5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3_600.0];

/// What a number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    /// Seconds, of a request.
    Seconds,
    /// Seconds, of the chain.
    ChainSeconds,
    /// Things at a time.
    Counts,
}

use Kind::{ChainSeconds, Counter, Counts, Gauge, Seconds};

/// Every number the daemon shows.
const NUMBERS: [(&str, Kind, &str); 39] = [
    ("preauthd_trouble", Gauge, "1 while a part has a trouble, 0 once it is gone"),
    ("preauthd_block", Gauge, "the newest block that was taken in"),
    ("preauthd_block_age_seconds", Gauge, "how old that block is, by the wall clock"),
    ("preauthd_operations", Gauge, "open operations: due, or batched in a transaction"),
    (
        "preauthd_operation_oldest_due_seconds",
        Gauge,
        "how long the oldest due operation has waited to be signed",
    ),
    ("preauthd_operation_signed_seconds", ChainSeconds, "from accepted to signed, told once it is mined"),
    ("preauthd_operation_included_seconds", ChainSeconds, "from accepted to taken in from its block"),
    ("preauthd_operation_final_seconds", ChainSeconds, "from accepted to reorg_depth blocks deep"),
    ("preauthd_hold_next_expiry_seconds", Gauge, "until the next open hold expires; below zero: overdue"),
    ("preauthd_events_total", Counter, "what happened to preauthorizations since the start"),
    ("preauthd_batches_total", Counter, "transactions signed"),
    ("preauthd_signature_seconds", Seconds, "how long a key took to sign, or not to"),
    ("preauthd_signature_failures_total", Counter, "signatures that a KMS did not give"),
    ("preauthd_batch_items", Counts, "operations per transaction"),
    ("preauthd_replacements_total", Counter, "transactions signed anew at higher fees"),
    ("preauthd_filled_nonces_total", Counter, "transactions of nothing, for a nonce that nobody used"),
    ("preauthd_foreign_nonces_total", Counter, "transactions of our keys that are not ours"),
    ("preauthd_reorgs_total", Counter, "reorganizations that took something back"),
    ("preauthd_operator_balance_wei", Gauge, "what an operator has for gas"),
    ("preauthd_rpc_requests_total", Counter, "requests to a node"),
    ("preauthd_rpc_request_seconds", Seconds, "how long a node took to answer, or to fail"),
    ("preauthd_rpc_endpoint_up", Gauge, "1 where a node answers as it should"),
    ("preauthd_rpc_failovers_total", Counter, "reads that went to the next node"),
    ("preauthd_http_requests_total", Counter, "requests to the API"),
    ("preauthd_http_request_seconds", Seconds, "how long they took, waiting for the chain included"),
    ("preauthd_approvals_total", Counter, "what approvers decided about creations"),
    ("preauthd_approval_seconds", Seconds, "how long an approver took to answer, or not to"),
    (
        "preauthd_webhook_oldest_pending_seconds",
        Gauge,
        "how long the oldest delivery to an enabled endpoint has waited",
    ),
    ("preauthd_webhook_attempts_total", Counter, "attempts to deliver"),
    ("preauthd_webhook_attempt_seconds", Seconds, "how long an attempt took"),
    ("preauthd_store_changes_per_commit", Counts, "changes that shared one fsync"),
    ("preauthd_store_commit_failures_total", Counter, "commits that failed"),
    ("preauthd_corrupt_rows_total", Counter, "rows that are not what was written, each once"),
    ("preauthd_claims_open", Gauge, "refunds that wait for their senders"),
    ("preauthd_claims_open_base_units", Gauge, "what they amount to"),
    ("preauthd_reconcile_drifted", Gauge, "preauthorizations that are not as the chain says"),
    ("preauthd_reconcile_unknown", Gauge, "open holds without a row"),
    ("preauthd_reconcile_last_run_timestamp_seconds", Gauge, "when database and chain were last compared"),
    ("preauthd_reconcile_missing_base_units", Gauge, "what an escrow lacks of what it owes"),
];

/// The recorder of the process; daemons in one process share it. `None`: there will be no numbers.
pub(super) fn recorder() -> Option<PrometheusHandle> {
    static HANDLE: OnceLock<Option<PrometheusHandle>> = OnceLock::new();
    HANDLE
        .get_or_init(|| {
            let installed = builder().and_then(PrometheusBuilder::install_recorder);
            let handle =
                installed.map_err(|error| tracing::warn!(%error, "there will be no metrics")).ok()?;
            describe();
            begin();
            Some(handle)
        })
        .clone()
}

/// With bounds a histogram has a fixed size; without them it grows until it is read.
fn builder() -> Result<PrometheusBuilder, metrics_exporter_prometheus::BuildError> {
    let mut builder = PrometheusBuilder::new().set_buckets(&SECONDS)?;
    for (name, kind, _) in NUMBERS {
        let bounds: &[f64] = match kind {
            Counts => &COUNTS,
            ChainSeconds => &CHAIN_SECONDS,
            Counter | Gauge | Seconds => continue,
        };
        builder = builder.set_buckets_for_metric(Matcher::Full(name.to_owned()), bounds)?;
    }
    Ok(builder)
}

fn describe() {
    for (name, kind, meaning) in NUMBERS {
        match kind {
            Counter => describe_counter!(name, meaning),
            Gauge => describe_gauge!(name, meaning),
            Seconds | ChainSeconds | Counts => describe_histogram!(name, meaning),
        }
    }
}

/// Counts nothing, so that it is seen.
fn begin() {
    for name in [
        "preauthd_batches_total",
        "preauthd_replacements_total",
        "preauthd_filled_nonces_total",
        "preauthd_foreign_nonces_total",
        "preauthd_reorgs_total",
        "preauthd_rpc_failovers_total",
        "preauthd_corrupt_rows_total",
    ] {
        metrics::counter!(name).increment(0);
    }
    for part in ["chain", Standing::DATABASE] {
        metrics::gauge!("preauthd_trouble", "part" => part).set(0.0);
    }
    for decision in Decision::ALL {
        metrics::counter!("preauthd_approvals_total", "decision" => decision.as_str()).increment(0);
    }
    for kind in FaultKind::ALL {
        metrics::counter!("preauthd_store_commit_failures_total", "kind" => kind.as_str()).increment(0);
    }
    for kind in EventKind::ALL {
        metrics::counter!("preauthd_events_total", "type" => kind.public_name()).increment(0);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// Names that begin with the daemon's, as a text has them.
    fn names_in(text: &str) -> BTreeSet<String> {
        let is_part = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '_';
        text.match_indices("preauthd_")
            .map(|(start, _)| text[start..].chars().take_while(|char| is_part(*char)).collect())
            .collect()
    }

    fn known() -> BTreeSet<String> {
        NUMBERS.iter().map(|(name, ..)| (*name).to_owned()).collect()
    }

    fn read(path: &str) -> String {
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).unwrap()
    }

    #[test]
    fn dashboard_and_rules_ask_for_numbers_that_there_are() {
        for file in ["ops/alerts.yml", "ops/grafana-dashboard.json"] {
            for name in names_in(&read(file)) {
                let whole = name.trim_end_matches("_bucket");
                assert!(known().contains(whole), "{file} asks for {name}");
            }
        }
    }

    #[test]
    fn the_docs_explain_every_number() {
        let docs = read("docs/operations.md");
        for (name, ..) in NUMBERS {
            assert!(docs.contains(&format!("| `{name}` |")), "{name} is not in the table");
        }
        for name in names_in(&docs).iter().filter(|name| name.len() > "preauthd_".len()) {
            assert!(known().contains(name), "{name} is in the docs, and is no number of ours");
        }
    }

    #[test]
    fn every_number_that_is_counted_is_in_the_table() {
        let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
        let mut counted = BTreeSet::new();
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|extension| extension == "rs") {
                    let text = std::fs::read_to_string(&path).unwrap();
                    for call in ["::counter!(", "::gauge!(", "::histogram!("] {
                        let names =
                            text.split(call).skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"'));
                        counted.extend(names.filter_map(|rest| rest.split('"').next()).map(str::to_owned));
                    }
                }
            }
        }
        counted.retain(|name| name.starts_with("preauthd_"));
        assert_eq!(counted, known());
    }
}
