//! Documents of parties, encrypted before they come here: brought, checked, looked at.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::model::{DocumentId, DocumentPurpose, DocumentState, FailureReason, Millis, PartyKey};
use crate::store::column::{millis, unsigned, uuid, word};
use crate::store::{Connection, StoreError};

const COLUMNS: &str = "id, uuid, party, purpose, state, reason, bytes, deadline, created_at, label";

/// A document without its content.
#[derive(Debug, Clone)]
pub struct StoredDocument {
    pub key: i64,
    pub id: DocumentId,
    pub party: PartyKey,
    pub purpose: DocumentPurpose,
    pub state: DocumentState,
    pub reason: Option<FailureReason>,
    /// How long the document is, in bytes.
    pub bytes: u64,
    /// Until when the provider may answer.
    pub deadline: Millis,
    pub created_at: Millis,
    /// Encrypted.
    pub label: Vec<u8>,
}

/// A document to be stored. What is not for the provider is accepted as it comes.
#[derive(Debug, Clone)]
pub struct NewDocument {
    pub id: DocumentId,
    pub party: PartyKey,
    pub purpose: DocumentPurpose,
    /// The row of the review that it belongs to.
    pub review: Option<i64>,
    pub bytes: u64,
    pub deadline: Millis,
    pub label: Vec<u8>,
    pub content: Vec<u8>,
}

/// Adds a document, which is due to be checked at once.
pub async fn insert(
    connection: &mut Connection,
    document: &NewDocument,
    now: Millis,
) -> Result<(), StoreError> {
    let state = if document.purpose.is_checked() { DocumentState::Pending } else { DocumentState::Accepted };
    sqlx::query(
        "INSERT INTO party_documents
            (uuid, party, purpose, review, state, bytes, next_at, deadline, created_at, label, content)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $7, $9, $10)",
    )
    .bind(document.id.0.as_bytes().as_slice())
    .bind(document.party.0)
    .bind(document.purpose.as_str())
    .bind(document.review)
    .bind(state.as_str())
    .bind(i64::try_from(document.bytes).unwrap_or(i64::MAX))
    .bind(now.0)
    .bind(document.deadline.0)
    .bind(document.label.as_slice())
    .bind(document.content.as_slice())
    .execute(connection)
    .await?;
    Ok(())
}

/// A party's documents, oldest first.
pub async fn of_party(
    connection: &mut Connection,
    party: PartyKey,
) -> Result<Vec<StoredDocument>, StoreError> {
    let sql =
        sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM party_documents WHERE party = $1 ORDER BY id"));
    let rows = sqlx::query(sql).bind(party.0).fetch_all(connection).await?;
    rows.iter().map(decode).collect()
}

/// How many documents a party has.
pub async fn count(connection: &mut Connection, party: PartyKey) -> Result<i64, StoreError> {
    let row = sqlx::query("SELECT COUNT(*) FROM party_documents WHERE party = $1")
        .bind(party.0)
        .fetch_one(connection)
        .await?;
    Ok(row.try_get(0)?)
}

/// What was attached to a review, oldest first.
pub async fn of_review(connection: &mut Connection, review: i64) -> Result<Vec<StoredDocument>, StoreError> {
    let sql =
        sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM party_documents WHERE review = $1 ORDER BY id"));
    let rows = sqlx::query(sql).bind(review).fetch_all(connection).await?;
    rows.iter().map(decode).collect()
}

/// A document by its name, whosever it is.
pub async fn by_uuid(
    connection: &mut Connection,
    id: DocumentId,
) -> Result<Option<StoredDocument>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM party_documents WHERE uuid = $1"));
    let row = sqlx::query(sql).bind(id.0.as_bytes().as_slice()).fetch_optional(connection).await?;
    row.as_ref().map(decode).transpose()
}

/// The encrypted content of a document.
pub async fn content(connection: &mut Connection, key: i64) -> Result<Option<Vec<u8>>, StoreError> {
    let row = sqlx::query("SELECT content FROM party_documents WHERE id = $1")
        .bind(key)
        .fetch_optional(connection)
        .await?;
    Ok(row.map(|row| row.try_get("content")).transpose()?)
}

pub(in crate::store) const DUE: &str =
    "WHERE state = 'pending' AND next_at <= $1 ORDER BY next_at, id LIMIT $2 + 0";

/// Documents that are due to be checked at `now`, longest due first.
pub async fn due(
    connection: &mut Connection,
    now: Millis,
    limit: u32,
) -> Result<Vec<StoredDocument>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM party_documents {DUE}"));
    let rows = sqlx::query(sql).bind(now.0).bind(i64::from(limit)).fetch_all(connection).await?;
    rows.iter().map(decode).collect()
}

/// Puts the check of a document off.
pub async fn put_off(connection: &mut Connection, key: i64, next_at: Millis) -> Result<(), StoreError> {
    sqlx::query("UPDATE party_documents SET next_at = $2 WHERE id = $1")
        .bind(key)
        .bind(next_at.0)
        .execute(connection)
        .await?;
    Ok(())
}

/// Writes down what came of the check of a document.
pub async fn end(
    connection: &mut Connection,
    key: i64,
    state: DocumentState,
    reason: Option<FailureReason>,
    now: Millis,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE party_documents SET state = $2, reason = $3, checked_at = $4 WHERE id = $1")
        .bind(key)
        .bind(state.as_str())
        .bind(reason.map(FailureReason::as_str))
        .bind(now.0)
        .execute(connection)
        .await?;
    Ok(())
}

fn decode(row: &SqliteRow) -> Result<StoredDocument, StoreError> {
    let reason: Option<&str> = row.try_get("reason")?;
    Ok(StoredDocument {
        key: row.try_get("id")?,
        id: DocumentId(uuid(row, "uuid")?),
        party: PartyKey(row.try_get("party")?),
        purpose: word(row, "purpose", DocumentPurpose::parse)?,
        state: word(row, "state", DocumentState::parse)?,
        reason: reason.map(|_| word(row, "reason", FailureReason::parse)).transpose()?,
        bytes: unsigned(row, "bytes")?,
        deadline: millis(row, "deadline")?,
        created_at: millis(row, "created_at")?,
        label: row.try_get("label")?,
    })
}
