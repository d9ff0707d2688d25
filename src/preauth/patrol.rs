//! The comparison with the chain, on a schedule, inside the daemon: what is open and what has changed is looked at again
//! and again, so that a difference shows in the metrics and the log before a payer or a merchant meets it.
//!
//! It only looks, with few requests at once: the lanes need the node more. All rows and all logs are compared by
//! `preauthd reconcile`, which also repairs.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::progress::Progress;
use super::reconcile::{ReconcileError, Scope, reconcile};
use crate::chain::{Chain, WallClock};
use crate::lane::{Standing, as_gauge};
use crate::model::{Millis, Reconciliation};
use crate::store::{StoreReader, blocks};

/// The part of [`Standing`] the patrol answers for.
const PART: &str = "reconcile";
/// When the first look begins at the latest: whoever starts a daemon looks at it then.
const FIRST: Duration = Duration::from_secs(60);
/// Blocks whose logs are looked at in any case: as many as one request asks for.
const NEWEST: u64 = 1_000;
/// How much longer ago a row may have changed than the last look began, in milliseconds: a change is dated when it
/// begins, and is there when it is durable.
const OVERLAP_MILLIS: i64 = 60_000;

/// Compares again and again.
pub struct Patrol {
    data_dir: PathBuf,
    chain: Chain,
    standing: Standing,
    every: Duration,
    reorg_depth: u64,
    wall: WallClock,
    /// What the last look found: only what is new is worth a line in the log.
    known: BTreeSet<String>,
    /// Cursor and time of the last look.
    last: Option<(u64, Millis)>,
}

impl Patrol {
    /// `every`: from the end of one look to the beginning of the next.
    #[must_use]
    pub fn new(
        data_dir: PathBuf,
        chain: Chain,
        standing: Standing,
        every: Duration,
        reorg_depth: u64,
        wall: WallClock,
    ) -> Self {
        Self { data_dir, chain, standing, every, reorg_depth, wall, known: BTreeSet::new(), last: None }
    }

    /// Looks until told to stop. Faults are logged and outlived.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut pause = self.first_pause();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => pause = self.every,
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.turn() => {}
            }
        }
    }

    pub(crate) fn first_pause(&self) -> Duration {
        self.every.min(FIRST)
    }

    /// One look. Faults are logged and outlived.
    pub(crate) async fn turn(&mut self) {
        match self.look().await {
            Ok(found) => self.tell(&found),
            Err(error) => {
                tracing::warn!(%error, "whether database and chain agree could not be found out");
            }
        }
    }

    async fn look(&mut self) -> Result<Reconciliation, ReconcileError> {
        let began = self.wall.now();
        let database = StoreReader::open(&self.data_dir).await?;
        let tip = blocks::tip(&mut *database.snapshot().await?).await?.ok_or(ReconcileError::NoCursor)?;
        let newest = tip.number.saturating_sub(NEWEST);
        let every = i64::try_from(self.every.as_millis()).unwrap_or(i64::MAX);
        let (block, looked) = self.last.unwrap_or((newest, began.saturating_add(every.saturating_neg())));
        let scope =
            Scope::Since { block: block.min(newest), changed: looked.saturating_add(-OVERLAP_MILLIS) };
        let found =
            reconcile(&database, &self.chain, self.reorg_depth, scope, &self.wall, &Progress::default())
                .await?;
        self.last = Some((tip.number, began));
        Ok(found)
    }

    fn tell(&mut self, found: &Reconciliation) {
        metrics::gauge!("preauthd_reconcile_drifted").set(as_gauge(found.drifted()));
        metrics::gauge!("preauthd_reconcile_unknown").set(as_gauge(found.unknown.count));
        for balance in &found.balances {
            let labels = [("escrow", balance.escrow.to_string()), ("token", balance.token.to_string())];
            metrics::gauge!("preauthd_reconcile_missing_base_units", &labels)
                .set(as_gauge(balance.missing()));
        }
        metrics::gauge!("preauthd_reconcile_last_run_timestamp_seconds")
            .set(as_gauge(self.wall.now().0 / 1_000));
        let findings: BTreeSet<String> = findings(found).collect();
        for finding in findings.difference(&self.known) {
            tracing::warn!(finding, "database and chain differ");
        }
        self.known = findings;
        // A hold without a row is counted and logged, and no trouble: another daemon may share the escrow.
        let missing = found.balances.iter().filter(|balance| !balance.missing().is_zero()).count();
        let trouble = (found.drifted() > 0 || missing > 0).then(|| {
            format!(
                "{} preauthorizations are not as the chain says, {missing} balances are too small: `preauthd reconcile` \
                 tells more",
                found.drifted()
            )
        });
        self.standing.report(PART, trouble);
    }
}

/// One line for each.
fn findings(found: &Reconciliation) -> impl Iterator<Item = String> {
    let drifts = found.drifts.kept.iter().map(|drift| {
        format!(
            "preauth {} (invoice {}) is {} here, and {} on chain{}",
            drift.preauth_id,
            drift.invoice,
            drift.status,
            drift.word_of(drift.found),
            drift.differences.iter().map(|one| format!("; {} differs", one.field)).collect::<String>(),
        )
    });
    let unreadable = found.unreadable.kept.iter().map(|row| {
        format!("the row of invoice {} cannot be read: {}", row.invoice.as_deref().unwrap_or("?"), row.why)
    });
    let unknown = found.unknown.kept.iter().map(|hold| {
        format!("a hold of {} base units has no row: preauth {}", hold.terms.hold, hold.terms.preauth_id)
    });
    let short = found.balances.iter().filter(|balance| !balance.missing().is_zero()).map(|balance| {
        format!(
            "escrow {} has {} base units of {} less than it owes",
            balance.escrow,
            balance.missing(),
            balance.token
        )
    });
    drifts.chain(unreadable).chain(unknown).chain(short)
}
