//! What falls due with time: scheduled settlements, the return of what nobody settled, and word of it beforehand.
//!
//! Nothing is kept in memory. With every block the database is asked what is due by the chain's clock; a missed look
//! costs delay and nothing else, and what fell due while the daemon was down is found at its start.

use std::time::Duration;

use futures::FutureExt;
use tokio_util::sync::CancellationToken;

use super::KEY_DAYS;
use crate::chain::ChainClock;
use crate::lane::{Signals, Standing};
use crate::model::{EventKind, Millis, OperationKind, Preauth, PreauthKey, PreauthStatus};
use crate::store::{Connection, Store, StoreError, due, events, idempotency, operations, preauths};

/// Due rows per look.
const PAGE: u32 = 500;
/// Expiries that may be open at once, so that a backlog neither fills memory nor the lanes' queries.
const OPEN_EXPIRIES: u64 = 1_000;
/// How long a request that came with a key is kept, in milliseconds.
const KEY_MS: i64 = KEY_DAYS * 24 * 3_600 * 1_000;
/// Pages of such requests that are forgotten at one look.
const FORGOTTEN_PAGES: u32 = 20;
/// How long to wait without a block before looking again: the wall clock may have carried the chain's time on.
const UNASKED: Duration = Duration::from_secs(5);

/// Turns due rows into operations.
pub struct Sweeper {
    store: Store,
    clock: ChainClock,
    signals: Signals,
    standing: Standing,
    /// How long before its expiry a hold is announced to expire, in seconds; 0: never.
    warn_before: u64,
}

impl Sweeper {
    #[must_use]
    pub fn new(
        store: Store,
        clock: ChainClock,
        signals: Signals,
        standing: Standing,
        warn_before: u64,
    ) -> Self {
        Self { store, clock, signals, standing, warn_before }
    }

    /// Sweeps until told to stop. Faults are logged and outlived.
    pub async fn run(self, stop: CancellationToken) {
        let mut blocks = self.signals.blocks();
        loop {
            blocks.mark_unchanged();
            match self.sweep().await {
                Ok(0) => {}
                Ok(begun) => {
                    tracing::info!(operations = begun, "fell due");
                    self.signals.work_arrived();
                }
                Err(error) => {
                    self.standing.note(&self.store, &error);
                    tracing::error!(%error, "the sweep failed");
                }
            }
            if let Err(error) = self.warn().await {
                self.standing.note(&self.store, &error);
                tracing::error!(%error, "what expires soon could not be announced");
            }
            if let Err(error) = self.forget().await {
                self.standing.note(&self.store, &error);
                tracing::error!(%error, "old idempotency keys could not be deleted");
            }
            tokio::select! {
                () = stop.cancelled() => return,
                _ = blocks.changed() => {}
                () = tokio::time::sleep(UNASKED) => {}
            }
        }
    }

    /// One look; returns how many operations it began.
    pub(crate) async fn sweep(&self) -> Result<usize, StoreError> {
        self.standing.look_again(&self.store).await?;
        let now = self.clock.now();
        let damaged = self.standing.unreadable_count();
        let (settlements, cancels, expiries) = {
            let mut reader = self.store.read().await?;
            let settlements = due::scheduled(&mut reader, now, PAGE.saturating_add(damaged)).await?;
            let open = operations::count_open(&mut reader, OperationKind::Expire).await?;
            let room = OPEN_EXPIRIES.saturating_sub(open).min(u64::from(PAGE));
            let room = u32::try_from(room).unwrap_or(PAGE);
            let expiries = if room > 0 {
                due::overdue(&mut reader, now, room.saturating_add(damaged)).await?
            } else {
                Vec::new()
            };
            let cancels = due::to_cancel(&mut reader, PAGE.saturating_add(damaged)).await?;
            (
                self.standing.readable(settlements),
                self.standing.readable(cancels),
                self.standing.readable(expiries),
            )
        };
        if settlements.is_empty() && cancels.is_empty() && expiries.is_empty() {
            return Ok(0);
        }
        let wall = self.clock.wall();
        self.store
            .write(move |tx| {
                async move {
                    let mut begun = 0;
                    for preauth in settlements {
                        let amount = preauth.schedule.map(|schedule| (schedule.amount, schedule.written));
                        begun += usize::from(begin(tx, &preauth, OperationKind::Settle, amount, wall).await?);
                    }
                    for preauth in cancels {
                        begun += usize::from(begin(tx, &preauth, OperationKind::Cancel, None, wall).await?);
                    }
                    for preauth in expiries {
                        begun += usize::from(begin(tx, &preauth, OperationKind::Expire, None, wall).await?);
                    }
                    Ok(begun)
                }
                .boxed()
            })
            .await
    }
}

impl Sweeper {
    /// Announces, once for each, the holds that expire soon. What expired while the daemon was down is past announcing.
    pub(crate) async fn warn(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let until = now.saturating_add(self.warn_before);
        let damaged = self.standing.unreadable_count();
        let soon = {
            let mut reader = self.store.read().await?;
            due::unwarned(&mut reader, now, until, PAGE.saturating_add(damaged)).await?
        };
        let soon: Vec<PreauthKey> =
            self.standing.readable(soon).into_iter().map(|preauth| preauth.key).collect();
        if soon.is_empty() {
            return Ok(());
        }
        let (keys, wall) = (soon.clone(), self.clock.wall());
        self.store
            .write::<_, StoreError, _>(move |tx| {
                async move {
                    for key in keys {
                        warn_of(tx, key, wall).await?;
                    }
                    Ok(())
                }
                .boxed()
            })
            .await?;
        self.signals.changed(soon);
        Ok(())
    }
}

impl Sweeper {
    /// Forgets requests with a key whose time is over. A backlog waits for the next looks.
    pub(crate) async fn forget(&self) -> Result<(), StoreError> {
        let before = self.clock.wall().saturating_add(-KEY_MS);
        for _ in 0..FORGOTTEN_PAGES {
            {
                let mut reader = self.store.read().await?;
                if !idempotency::any_before(&mut reader, before).await? {
                    return Ok(());
                }
            }
            let page = self.store.write::<_, StoreError, _>(move |tx| {
                async move { idempotency::forget(tx, before, PAGE).await }.boxed()
            });
            page.await?;
        }
        Ok(())
    }
}

/// Tells what the hold is now, unless it is open no more: the row was read before the change began.
async fn warn_of(tx: &mut Connection, key: PreauthKey, now: Millis) -> Result<(), StoreError> {
    let preauth = preauths::by_key(tx, key).await?;
    if preauth.status != PreauthStatus::Authorized {
        return Ok(());
    }
    due::mark_warned(tx, key).await?;
    events::insert(tx, &preauth, EventKind::Expiring, now).await
}

/// Begins an operation unless another is open: the row was read before the change began.
async fn begin(
    tx: &mut Connection,
    preauth: &Preauth,
    kind: OperationKind,
    amount: Option<(crate::model::BaseUnits, crate::model::TokenAmount)>,
    now: Millis,
) -> Result<bool, StoreError> {
    let current = preauths::by_key(tx, preauth.key).await?;
    let still_due = current.status == preauth.status && current.schedule == preauth.schedule;
    if !still_due {
        return Ok(false);
    }
    let begun = operations::insert(tx, preauth.key, kind, amount, preauth.expires_at, now).await?;
    Ok(begun.is_some())
}
