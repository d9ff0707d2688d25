//! Waiting for an outcome: woken by the observer, decided by the database.

use tokio::time::Instant;

use super::{Ending, Preauths, Refusal, Snapshot, Stop, Wait};
use crate::lane::Watch;
use crate::model::{CallFailure, Operation, OperationId, OperationState, Preauth, PreauthKey, PreauthStatus};
use crate::store::{Connection, StoreError, WithOpen, operations};

/// How an operation ended for the one who asked for it.
pub(super) enum OperationEnd {
    Done,
    Failed {
        failure: CallFailure,
        was_signed: bool,
    },
    /// Another outcome came first.
    Beaten,
}

impl From<WithOpen> for Snapshot {
    fn from((preauth, open): WithOpen) -> Self {
        Self { preauth, pending_operation: open.map(|operation| operation.kind) }
    }
}

impl Snapshot {
    pub(super) async fn read(connection: &mut Connection, preauth: Preauth) -> Result<Self, StoreError> {
        let open = operations::open_of(connection, preauth.key).await?;
        Ok((preauth, open).into())
    }
}

impl Preauths {
    pub(super) async fn snapshot(&self, key: PreauthKey) -> Result<Snapshot, StoreError> {
        Ok(self.inner.store.with_open(key).await?.into())
    }

    /// Until when a request waits.
    #[allow(clippy::disallowed_methods)]
    pub(super) fn patience(&self, wait: Wait) -> Instant {
        match wait {
            Wait::ForOutcome => Instant::now() + self.inner.settings.request_timeout,
            Wait::No => Instant::now(),
        }
    }

    /// Waits for a change. `false`: the request has waited long enough, or the daemon is about to stop.
    async fn waited(&self, watch: &mut Watch, until: Instant) -> bool {
        tokio::select! {
            () = watch.changed() => true,
            () = tokio::time::sleep_until(until) => false,
            () = self.inner.signals.closing() => false,
        }
    }

    /// Follows a preauth until `decide` knows its ending, or the request has waited long enough.
    pub(super) async fn follow(
        &self,
        key: PreauthKey,
        wait: Wait,
        decide: impl Fn(&Snapshot) -> Option<Result<(), Refusal>>,
    ) -> Result<Ending, Stop> {
        let until = self.patience(wait);
        let mut watch = self.inner.signals.watch(key);
        let mut patient = true;
        loop {
            let snapshot = self.snapshot(key).await?;
            match decide(&snapshot) {
                Some(Ok(())) => return Ok(Ending::Done(Box::new(snapshot))),
                Some(Err(refusal)) => return Err(refusal.into()),
                None if !patient => return Ok(Ending::Accepted(Box::new(snapshot))),
                None => patient = self.waited(&mut watch, until).await,
            }
        }
    }

    /// Follows an operation to its end. `Ok(None)`: the request has waited long enough.
    pub(super) async fn follow_operation(
        &self,
        key: PreauthKey,
        id: OperationId,
        until: Instant,
    ) -> Result<Option<OperationEnd>, StoreError> {
        let mut watch = self.inner.signals.watch(key);
        loop {
            let operation = {
                let mut reader = self.inner.store.read().await?;
                operations::by_id(&mut reader, id).await?
            };
            if let Some(end) = end_of(operation) {
                return Ok(Some(end));
            }
            if !self.waited(&mut watch, until).await {
                return Ok(None);
            }
        }
    }

    /// Waits until no operation of the preauth is open. `false`: the request has waited long enough.
    pub(super) async fn until_decided(&self, key: PreauthKey, until: Instant) -> Result<bool, StoreError> {
        let mut watch = self.inner.signals.watch(key);
        loop {
            let (_, open) = self.inner.store.with_open(key).await?;
            if open.is_none() {
                return Ok(true);
            }
            if !self.waited(&mut watch, until).await {
                return Ok(false);
            }
        }
    }
}

fn end_of(operation: Operation) -> Option<OperationEnd> {
    match operation.state {
        OperationState::Due | OperationState::Batched | OperationState::Parked => None,
        OperationState::Done => Some(OperationEnd::Done),
        OperationState::Superseded => Some(OperationEnd::Beaten),
        OperationState::Failed => Some(OperationEnd::Failed {
            failure: operation.failure.unwrap_or_else(|| CallFailure::Other("unknown".into())),
            was_signed: operation.batch.is_some(),
        }),
    }
}

/// Why an AUTHORIZED preauth is needed and this is none.
pub(super) fn not_authorized(status: PreauthStatus) -> Refusal {
    match status {
        PreauthStatus::Expired => Refusal::Expired,
        other => Refusal::InvalidState(other),
    }
}
