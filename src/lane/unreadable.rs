//! Rows that cannot be read, as far as somebody has met one: named in the daemon's standing until they are repaired.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use super::Standing;
use crate::store::{Store, StoreError, Table, UnreadableRow};

/// The part of [`Standing`] that speaks of them.
const PART: &str = "rows";
/// Rows that are remembered; beyond that the rest of the house is no better off for knowing one more.
const REMEMBERED: usize = 10_000;
/// Rows that are named; the others are counted.
const NAMED: usize = 5;

/// The rows by table and id.
pub(super) type Register = BTreeMap<(Table, i64), UnreadableRow>;

impl Standing {
    /// Draws the conclusions from a fault of the database that are everybody's business.
    pub fn note(&self, store: &Store, error: &StoreError) {
        match error {
            StoreError::Unreadable(row) => self.note_unreadable(row.as_ref().clone()),
            other => store.examine(other),
        }
    }

    /// Takes note of a row that had to be left out.
    pub fn note_unreadable(&self, row: UnreadableRow) {
        let mut rows = self.unreadable.lock().unwrap_or_else(PoisonError::into_inner);
        if rows.len() >= REMEMBERED || rows.contains_key(&(row.table, row.id)) {
            return;
        }
        tracing::error!(%row, preauth_id = ?row.preauth_id, "a row cannot be read and is left out");
        metrics::counter!("preauthd_corrupt_rows_total").increment(1);
        rows.insert((row.table, row.id), row);
        self.report(PART, trouble(&rows));
    }

    /// Leaves out what cannot be read, and takes note of it.
    pub fn readable<T>(&self, rows: impl IntoIterator<Item = Result<T, UnreadableRow>>) -> Vec<T> {
        rows.into_iter().filter_map(|row| row.map_err(|row| self.note_unreadable(row)).ok()).collect()
    }

    /// How many rows had to be left out. Who asks for the first so many rows asks for this many more, so that damaged
    /// ones in front do not hide the others.
    #[must_use]
    pub fn unreadable_count(&self) -> u32 {
        let rows = self.unreadable.lock().unwrap_or_else(PoisonError::into_inner);
        u32::try_from(rows.len()).unwrap_or(u32::MAX)
    }

    /// Looks at the rows again and forgets those that were repaired.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn look_again(&self, store: &Store) -> Result<(), StoreError> {
        let rows: Vec<UnreadableRow> =
            self.unreadable.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        if rows.is_empty() {
            return Ok(());
        }
        let mut reader = store.read().await?;
        let mut healed = Vec::new();
        for row in rows {
            if row.is_healed(&mut reader).await? {
                healed.push(row);
            }
        }
        let mut rows = self.unreadable.lock().unwrap_or_else(PoisonError::into_inner);
        for row in healed {
            tracing::info!(table = row.table.as_str(), row = row.id, "a row can be read again");
            rows.remove(&(row.table, row.id));
        }
        self.report(PART, trouble(&rows));
        Ok(())
    }
}

fn trouble(rows: &Register) -> Option<String> {
    if rows.is_empty() {
        return None;
    }
    let named: Vec<String> = rows.values().take(NAMED).map(ToString::to_string).collect();
    let others = match rows.len().saturating_sub(NAMED) {
        0 => String::new(),
        count => format!("; and {count} more"),
    };
    Some(format!(
        "what cannot be read is left alone, and nothing is signed from it: {}{others}; `preauthd reconcile --repair` \
         writes it anew from the chain",
        named.join("; ")
    ))
}
