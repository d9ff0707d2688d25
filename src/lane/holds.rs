//! The rows that a block's logs are about, read together.

use std::collections::HashMap;

use alloy::primitives::{Address, B256};

use super::journal::Journal;
use crate::chain::EscrowLog;
use crate::model::{Preauth, PreauthKey};
use crate::store::operations::Unfinished;
use crate::store::{Connection, StoreError, UnreadableRow, operations, preauths};

/// Each row is good for the first log about it: what came of that is read again.
pub(super) struct Holds {
    preauths: HashMap<(Address, B256), Option<Result<Preauth, UnreadableRow>>>,
    unfinished: HashMap<PreauthKey, Result<Unfinished, UnreadableRow>>,
}

impl Holds {
    pub(super) async fn of(connection: &mut Connection, logs: &[EscrowLog]) -> Result<Self, StoreError> {
        let mut preauths: HashMap<_, _> =
            logs.iter().map(|log| ((log.escrow, log.preauth_id), None)).collect();
        if preauths.is_empty() {
            return Ok(Self { preauths, unfinished: HashMap::new() });
        }
        let asked: Vec<_> = preauths.keys().copied().collect();
        let found = preauths::by_preauth_ids(connection, &asked).await?;
        let keys: Vec<_> = found.values().flatten().map(|preauth| preauth.key).collect();
        let unfinished = operations::unfinished_of_each(connection, &keys).await?;
        preauths.extend(found.into_iter().map(|(hold, preauth)| (hold, Some(preauth))));
        Ok(Self { preauths, unfinished })
    }

    /// The preauth of a log, and what of its operations is not ended. `None`: the log is about none of ours.
    pub(super) async fn take(
        &mut self,
        connection: &mut Connection,
        log: &EscrowLog,
        journal: &mut Journal,
    ) -> Result<Option<(Preauth, Unfinished)>, StoreError> {
        let hold = (log.escrow, log.preauth_id);
        if !self.preauths.contains_key(&hold) {
            journal.write(connection).await?;
            let again = Self::of(connection, std::slice::from_ref(log)).await?;
            self.preauths.extend(again.preauths);
            self.unfinished.extend(again.unfinished);
        }
        let Some(preauth) = self.preauths.remove(&hold).flatten() else { return Ok(None) };
        let preauth = preauth?;
        let unfinished = self.unfinished.remove(&preauth.key).unwrap_or_else(|| Ok(Unfinished::default()));
        Ok(Some((preauth, unfinished?)))
    }
}
