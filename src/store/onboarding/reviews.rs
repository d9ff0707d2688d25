//! Justifications of failed verifications, and what people decided. What was said is encrypted before it comes here.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::verifications;
use crate::model::{Millis, PartyKey, Review, ReviewDecision, ReviewId, TenantId};
use crate::store::column::{corrupt, millis, tenant_id, uuid, word};
use crate::store::{Connection, StoreError};

const COLUMNS: &str =
    "id, uuid, party, verification, sealed, decision, decided_by, decided_at, created_at, modified_at";

/// A review and what was said in it, encrypted.
#[derive(Debug, Clone)]
pub struct StoredReview {
    pub review: Review,
    pub sealed: Vec<u8>,
}

/// A review to be stored.
#[derive(Debug, Clone)]
pub struct NewReview {
    pub id: ReviewId,
    pub tenant: TenantId,
    pub party: PartyKey,
    /// The row of the verification.
    pub verification: i64,
    pub sealed: Vec<u8>,
}

/// Adds a review. A unique violation: the verification has an open one.
pub async fn insert(connection: &mut Connection, review: &NewReview, now: Millis) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO party_reviews (uuid, tenant_id, party, verification, sealed, created_at, modified_at)
         VALUES ($1, $2, $3, $4, $5, $6, $6)",
    )
    .bind(review.id.0.as_bytes().as_slice())
    .bind(review.tenant.0.as_bytes().as_slice())
    .bind(review.party.0)
    .bind(review.verification)
    .bind(review.sealed.as_slice())
    .bind(now.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// A tenant's review.
pub async fn by_id(
    connection: &mut Connection,
    tenant: TenantId,
    id: ReviewId,
) -> Result<Option<StoredReview>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM party_reviews WHERE uuid = $1 AND tenant_id = $2"
    ));
    let row = sqlx::query(sql)
        .bind(id.0.as_bytes().as_slice())
        .bind(tenant.0.as_bytes().as_slice())
        .fetch_optional(&mut *connection)
        .await?;
    one(connection, row.as_ref()).await
}

fn of_any_tenant_sql() -> String {
    format!("SELECT {COLUMNS}, tenant_id FROM party_reviews WHERE uuid = $1")
}

/// A review and whose tenant's it is.
pub async fn of_any_tenant(
    connection: &mut Connection,
    id: ReviewId,
) -> Result<Option<(TenantId, StoredReview)>, StoreError> {
    let sql = sqlx::AssertSqlSafe(of_any_tenant_sql());
    let row = sqlx::query(sql).bind(id.0.as_bytes().as_slice()).fetch_optional(&mut *connection).await?;
    match row {
        Some(row) => Ok(Some((tenant_id(&row, "tenant_id")?, decode(connection, &row).await?))),
        None => Ok(None),
    }
}

/// The open review of a verification.
pub async fn open_of(
    connection: &mut Connection,
    verification: i64,
) -> Result<Option<StoredReview>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM party_reviews WHERE verification = $1 AND decision IS NULL"
    ));
    let row = sqlx::query(sql).bind(verification).fetch_optional(&mut *connection).await?;
    one(connection, row.as_ref()).await
}

/// How many reviews a party had.
pub async fn count(connection: &mut Connection, party: PartyKey) -> Result<usize, StoreError> {
    let row = sqlx::query("SELECT COUNT(*) FROM party_reviews WHERE party = $1")
        .bind(party.0)
        .fetch_one(connection)
        .await?;
    Ok(usize::try_from(row.try_get::<i64, _>(0)?).unwrap_or(usize::MAX))
}

/// A page of a tenant's reviews, newest first, after so many.
pub async fn page(
    connection: &mut Connection,
    tenant: TenantId,
    skip: u32,
    limit: u32,
) -> Result<Vec<StoredReview>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM party_reviews WHERE tenant_id = $1 ORDER BY id DESC LIMIT $2 + 0 OFFSET $3 + 0"
    ));
    let rows = sqlx::query(sql)
        .bind(tenant.0.as_bytes().as_slice())
        .bind(i64::from(limit))
        .bind(i64::from(skip))
        .fetch_all(&mut *connection)
        .await?;
    let mut reviews = Vec::with_capacity(rows.len());
    for row in &rows {
        reviews.push(decode(connection, row).await?);
    }
    Ok(reviews)
}

fn waiting_sql() -> String {
    format!("SELECT {COLUMNS}, tenant_id FROM party_reviews WHERE decision IS NULL ORDER BY id LIMIT $1 + 0")
}

/// The reviews that wait for a decision, of all tenants, longest first.
pub async fn waiting(
    connection: &mut Connection,
    limit: u32,
) -> Result<Vec<(TenantId, StoredReview)>, StoreError> {
    let sql = sqlx::AssertSqlSafe(waiting_sql());
    let rows = sqlx::query(sql).bind(i64::from(limit)).fetch_all(&mut *connection).await?;
    let mut reviews = Vec::with_capacity(rows.len());
    for row in &rows {
        reviews.push((tenant_id(row, "tenant_id")?, decode(connection, row).await?));
    }
    Ok(reviews)
}

/// Writes down what is said in a review now, and about which verification.
pub async fn change(
    connection: &mut Connection,
    key: i64,
    verification: i64,
    sealed: &[u8],
    now: Millis,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE party_reviews SET verification = $2, sealed = $3, modified_at = $4 WHERE id = $1")
        .bind(key)
        .bind(verification)
        .bind(sealed)
        .bind(now.0)
        .execute(connection)
        .await?;
    Ok(())
}

/// Notes that something was attached to a review.
pub async fn touch(connection: &mut Connection, key: i64, now: Millis) -> Result<(), StoreError> {
    sqlx::query("UPDATE party_reviews SET modified_at = $2 WHERE id = $1")
        .bind(key)
        .bind(now.0)
        .execute(connection)
        .await?;
    Ok(())
}

/// Writes down what was decided, by whom and why.
pub async fn decide(
    connection: &mut Connection,
    key: i64,
    decision: ReviewDecision,
    actor: &str,
    sealed: &[u8],
    now: Millis,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE party_reviews SET decision = $2, decided_by = $3, decided_at = $5, sealed = $4, modified_at = $5
         WHERE id = $1",
    )
    .bind(key)
    .bind(decision.as_str())
    .bind(actor)
    .bind(sealed)
    .bind(now.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// Removes a review, and what was attached to it.
pub async fn delete(connection: &mut Connection, key: i64) -> Result<(), StoreError> {
    sqlx::query("PRAGMA secure_delete = ON").execute(&mut *connection).await?;
    for sql in ["DELETE FROM party_documents WHERE review = $1", "DELETE FROM party_reviews WHERE id = $1"] {
        sqlx::query(sql).bind(key).execute(&mut *connection).await?;
    }
    sqlx::query("PRAGMA secure_delete = OFF").execute(connection).await?;
    Ok(())
}

async fn one(
    connection: &mut Connection,
    row: Option<&SqliteRow>,
) -> Result<Option<StoredReview>, StoreError> {
    match row {
        Some(row) => decode(connection, row).await.map(Some),
        None => Ok(None),
    }
}

async fn decode(connection: &mut Connection, row: &SqliteRow) -> Result<StoredReview, StoreError> {
    let verification: i64 = row.try_get("verification")?;
    let found = verifications::by_key(connection, verification).await?;
    let key = row.try_get("id")?;
    let documents = super::documents::of_review(connection, key).await?;
    let decision: Option<&str> = row.try_get("decision")?;
    let decided = match decision {
        None => None,
        Some(_) => Some((
            word(row, "decision", ReviewDecision::parse)?,
            row.try_get("decided_by")?,
            millis(row, "decided_at")?,
        )),
    };
    let review = Review {
        key,
        id: ReviewId(uuid(row, "uuid")?),
        party: PartyKey(row.try_get("party")?),
        verification: found.ok_or_else(|| corrupt("party_reviews.verification", "there is no such row"))?,
        decided,
        documents: documents.iter().map(|document| document.id).collect(),
        created_at: millis(row, "created_at")?,
        modified_at: millis(row, "modified_at")?,
    };
    Ok(StoredReview { review, sealed: row.try_get("sealed")? })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Store;
    use crate::store::testing::plan_of;

    #[tokio::test]
    async fn a_queue_costs_what_waits_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        let mut reader = store.read().await.unwrap();
        for (sql, step) in [
            (waiting_sql(), "SCAN party_reviews USING INDEX party_reviews_open"),
            (
                of_any_tenant_sql(),
                "SEARCH party_reviews USING INDEX sqlite_autoindex_party_reviews_1 (uuid=?)",
            ),
        ] {
            assert_eq!(plan_of(&mut reader, &sql).await, [step]);
        }
    }
}
