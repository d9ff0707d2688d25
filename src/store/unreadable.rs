//! Rows that cannot be read: damaged, or written by something else than this daemon.
//!
//! Such a row must not be believed, and must not hold up the rows around it. So queries over many rows give each row a
//! result of its own, and a change that has to do with many rows can run in [`Steps`], each of which is undone alone
//! where it meets one.

use std::fmt;

use alloy::primitives::B256;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::{Connection, StoreError, batches, column, operations, pay_links, preauths};
use crate::model::{InvoiceId, OperationId, PreauthKey, TenantId};

/// A table whose rows are verified when they are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    Preauths,
    Operations,
    Attempts,
    PayLinks,
}

/// A row that does not hold what was written into it, with what can still be read of it. None of that can be relied
/// upon.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableRow {
    pub table: Table,
    pub id: i64,
    /// The preauth it belongs to or, in `preauths`, is.
    pub preauth: Option<PreauthKey>,
    /// Only of preauths and pay links.
    pub tenant: Option<TenantId>,
    /// Only of preauths and pay links.
    pub invoice: Option<InvoiceId>,
    /// Only of preauths.
    pub preauth_id: Option<B256>,
    pub why: Box<str>,
}

impl fmt::Display for UnreadableRow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} row {}", self.table.as_str(), self.id)?;
        match (&self.invoice, self.preauth) {
            (Some(invoice), _) => write!(formatter, " (invoice {invoice})")?,
            (None, Some(preauth)) if self.table != Table::Preauths => {
                write!(formatter, " (of preauths row {})", preauth.0)?;
            }
            _ => {}
        }
        write!(formatter, ": {}", self.why)
    }
}

impl Table {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Preauths => "preauths",
            Self::Operations => "operations",
            Self::Attempts => "attempts",
            Self::PayLinks => "pay_links",
        }
    }

    /// What is known of a row of this table that could not be decoded.
    pub(super) fn unreadable(self, row: &SqliteRow, error: &StoreError) -> UnreadableRow {
        let id = row.try_get("id").unwrap_or_default();
        let why = match error {
            StoreError::Corrupt(why) => why.as_str().into(),
            other => other.to_string().into(),
        };
        let mut unreadable = UnreadableRow {
            table: self,
            id,
            preauth: None,
            tenant: None,
            invoice: None,
            preauth_id: None,
            why,
        };
        match self {
            Self::Preauths | Self::PayLinks => {
                unreadable.preauth = (self == Self::Preauths).then_some(PreauthKey(id));
                unreadable.tenant = column::tenant_id(row, "tenant_id").ok();
                let invoice = row.try_get("invoice_id").ok();
                unreadable.invoice = invoice.and_then(|text| InvoiceId::parse(text).ok());
                unreadable.preauth_id = column::b256(row, "preauth_id").ok();
            }
            Self::Operations => unreadable.preauth = row.try_get("preauth").ok().map(PreauthKey),
            Self::Attempts => {}
        }
        unreadable
    }
}

impl UnreadableRow {
    /// Whether the row can be read again, or is gone.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read at all.
    pub async fn is_healed(&self, connection: &mut Connection) -> Result<bool, StoreError> {
        let read = match self.table {
            Table::Preauths => preauths::by_key(connection, PreauthKey(self.id)).await.map(drop),
            Table::Operations => operations::by_id(connection, OperationId(self.id)).await.map(drop),
            Table::Attempts => batches::verify_attempt(connection, self.id).await,
            Table::PayLinks => pay_links::verify(connection, self.id).await,
        };
        match read {
            Ok(()) | Err(StoreError::Database(sqlx::Error::RowNotFound)) => Ok(true),
            Err(StoreError::Unreadable(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// Decodes rows that stand for themselves.
pub(super) fn each<T>(
    rows: &[SqliteRow],
    decode: fn(&SqliteRow) -> Result<T, StoreError>,
) -> Result<Vec<Result<T, UnreadableRow>>, StoreError> {
    rows.iter().map(|row| apart(decode(row))).collect()
}

/// Tells an unreadable row from a fault that is not the row's.
pub(super) fn apart<T>(read: Result<T, StoreError>) -> Result<Result<T, UnreadableRow>, StoreError> {
    match read {
        Ok(value) => Ok(Ok(value)),
        Err(StoreError::Unreadable(row)) => Ok(Err(*row)),
        Err(error) => Err(error),
    }
}

/// The steps of one change. Where they are apart, a step that meets an unreadable row is undone alone and the rest goes
/// on; where they are not, which costs less, it fails the change.
#[derive(Debug)]
pub struct Steps {
    apart: bool,
    unreadable: Vec<UnreadableRow>,
}

impl Steps {
    /// All or nothing.
    #[must_use]
    pub fn together() -> Self {
        Self { apart: false, unreadable: Vec::new() }
    }

    /// Each for itself.
    #[must_use]
    pub fn apart() -> Self {
        Self { apart: true, unreadable: Vec::new() }
    }

    /// Whether each is undone alone.
    #[must_use]
    pub fn are_apart(&self) -> bool {
        self.apart
    }

    /// Before a step.
    ///
    /// # Errors
    /// [`StoreError`] of the database.
    pub async fn begin(&self, connection: &mut Connection) -> Result<(), StoreError> {
        if self.apart {
            sqlx::query("SAVEPOINT step").execute(connection).await?;
        }
        Ok(())
    }

    /// After a step, with its result.
    ///
    /// # Errors
    /// What the step failed with, unless it was set aside.
    pub async fn end(
        &mut self,
        connection: &mut Connection,
        result: Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        if !self.apart {
            return result;
        }
        if let Err(unreadable) = apart(result)? {
            self.unreadable.push(unreadable);
            sqlx::query("ROLLBACK TO step").execute(&mut *connection).await?;
        }
        sqlx::query("RELEASE step").execute(connection).await?;
        Ok(())
    }

    /// Notes a row that a step left out.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`] where the steps are all or nothing.
    pub fn leave_out(&mut self, row: UnreadableRow) -> Result<(), StoreError> {
        if !self.apart {
            return Err(StoreError::Unreadable(Box::new(row)));
        }
        self.unreadable.push(row);
        Ok(())
    }

    /// The rows for which steps were undone.
    #[must_use]
    pub fn unreadable(self) -> Vec<UnreadableRow> {
        self.unreadable
    }
}
