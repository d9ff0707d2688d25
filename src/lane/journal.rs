//! What a block did to our preauths, gathered, so that it is written by a few statements however many it moves.
//!
//! What is in it is not in the database yet: whoever reads there what it may have changed, or writes what depends on it, has
//! it written first.

use std::collections::HashSet;

use crate::model::{EventKind, Millis, OperationId, OperationState, Preauth};
use crate::store::events::NewEvent;
use crate::store::outcomes::{Outcome, Position};
use crate::store::{Connection, Steps, StoreError, events, operations, outcomes, preauths};

#[derive(Debug)]
pub(super) struct Journal {
    now: Millis,
    /// Places in the block whose outcomes were in the database before.
    known: HashSet<i64>,
    outcomes: Vec<Outcome>,
    preauths: Vec<Preauth>,
    done: Vec<OperationId>,
    superseded: Vec<OperationId>,
    events: Vec<NewEvent>,
}

impl Journal {
    pub(super) fn new(now: Millis) -> Self {
        Self {
            now,
            known: HashSet::new(),
            outcomes: Vec::new(),
            preauths: Vec::new(),
            done: Vec::new(),
            superseded: Vec::new(),
            events: Vec::new(),
        }
    }

    /// For a block of which something may be in the database.
    pub(super) async fn of_block(
        connection: &mut Connection,
        block: u64,
        now: Millis,
    ) -> Result<Self, StoreError> {
        Ok(Self { known: outcomes::places_in(connection, block).await?, ..Self::new(now) })
    }

    pub(super) fn now(&self) -> Millis {
        self.now
    }

    pub(super) fn knows(&self, position: &Position) -> bool {
        self.known.contains(&position.log)
    }

    pub(super) fn note(&mut self, outcome: Outcome) {
        self.outcomes.push(outcome);
    }

    pub(super) fn save(&mut self, preauth: &Preauth) {
        self.preauths.push(preauth.clone());
    }

    /// An operation that did what it was for, or one that came too late.
    pub(super) fn end(&mut self, operation: OperationId, is_done: bool) {
        let ended = if is_done { &mut self.done } else { &mut self.superseded };
        ended.push(operation);
    }

    pub(super) fn tell(&mut self, preauth: Preauth, kind: EventKind) {
        self.events.push(NewEvent { preauth, kind, status_before: None });
    }

    /// Writes everything that is in it; then nothing is.
    pub(super) async fn write(&mut self, connection: &mut Connection) -> Result<(), StoreError> {
        let now = self.now;
        outcomes::insert(connection, &std::mem::take(&mut self.outcomes)).await?;
        preauths::save_all(connection, &std::mem::take(&mut self.preauths), now).await?;
        for (ended, state) in [
            (std::mem::take(&mut self.done), OperationState::Done),
            (std::mem::take(&mut self.superseded), OperationState::Superseded),
        ] {
            if !ended.is_empty() {
                operations::set_state_of_all(connection, &ended, state, now).await?;
            }
        }
        // An event says which operation is open, so those that are not are written first.
        events::insert_all(connection, &std::mem::take(&mut self.events), now).await
    }

    /// After a step, with its result. Where steps are apart, each is written by itself, and forgotten where it is undone.
    pub(super) async fn end_step(
        &mut self,
        connection: &mut Connection,
        steps: &mut Steps,
        mut result: Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        if steps.are_apart() {
            if result.is_ok() {
                result = self.write(connection).await;
            }
            *self = Self { known: std::mem::take(&mut self.known), ..Self::new(self.now) };
        }
        steps.end(connection, result).await
    }
}
