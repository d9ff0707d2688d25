//! Requests that came with a key: what was asked, what was begun, what was answered.
//!
//! What is sealed is sealed above; here it is bytes.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::column::corrupt;
use super::{Connection, StoreError};
use crate::model::{Millis, Once, OnceName, TenantId};

/// A request as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptRequest {
    pub salt: [u8; 32],
    pub request: Vec<u8>,
    /// Whether something was begun.
    pub has_effect: bool,
    /// `None`: it was not answered, or with nothing final.
    pub answer: Option<Vec<u8>>,
}

/// A request by its name.
pub async fn find(connection: &mut Connection, name: OnceName) -> Result<Option<KeptRequest>, StoreError> {
    let row = sqlx::query("SELECT salt, request, effect, answer FROM idempotency_keys WHERE name = $1")
        .bind(name.0.as_slice())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(decode).transpose()
}

/// Writes down that a request is about to be begun. Nobody else may have the name.
pub async fn insert(
    connection: &mut Connection,
    tenant: TenantId,
    name: OnceName,
    salt: [u8; 32],
    request: &[u8],
    now: Millis,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO idempotency_keys (tenant_id, name, salt, request, created_at) VALUES ($1, $2, $3, $4, $5)",
    )
    .bind(tenant.0.as_bytes().as_slice())
    .bind(name.0.as_slice())
    .bind(salt.as_slice())
    .bind(request)
    .bind(now.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// What a request has begun; a request without a key never has.
pub async fn effect(connection: &mut Connection, once: Option<Once>) -> Result<Option<i64>, StoreError> {
    let Some(Once { name, .. }) = once else { return Ok(None) };
    let row = sqlx::query("SELECT effect FROM idempotency_keys WHERE name = $1")
        .bind(name.0.as_slice())
        .fetch_optional(connection)
        .await?;
    Ok(row.map(|row| row.try_get("effect")).transpose()?.flatten())
}

/// Notes what a request has begun, in the change that begins it; of a request without a key there is nothing to note.
pub async fn note_effect(
    connection: &mut Connection,
    once: Option<Once>,
    effect: i64,
) -> Result<(), StoreError> {
    let Some(Once { name, .. }) = once else { return Ok(()) };
    let done = sqlx::query("UPDATE idempotency_keys SET effect = $2 WHERE name = $1")
        .bind(name.0.as_slice())
        .bind(effect)
        .execute(connection)
        .await?;
    if done.rows_affected() == 1 { Ok(()) } else { Err(sqlx::Error::RowNotFound.into()) }
}

/// Keeps the answer to a request.
pub async fn keep_answer(
    connection: &mut Connection,
    name: OnceName,
    answer: &[u8],
) -> Result<(), StoreError> {
    let done = sqlx::query("UPDATE idempotency_keys SET answer = $2 WHERE name = $1")
        .bind(name.0.as_slice())
        .bind(answer)
        .execute(connection)
        .await?;
    if done.rows_affected() == 1 { Ok(()) } else { Err(sqlx::Error::RowNotFound.into()) }
}

/// Forgets a request that came to nothing, so that its key is free.
pub async fn free(connection: &mut Connection, name: OnceName) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM idempotency_keys WHERE name = $1")
        .bind(name.0.as_slice())
        .execute(connection)
        .await?;
    Ok(())
}

/// The same where nothing was begun. `false`: something was.
pub async fn free_unless_begun(connection: &mut Connection, name: OnceName) -> Result<bool, StoreError> {
    let done = sqlx::query("DELETE FROM idempotency_keys WHERE name = $1 AND effect IS NULL")
        .bind(name.0.as_slice())
        .execute(connection)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// Whether there are requests from before a time.
pub async fn any_before(connection: &mut Connection, time: Millis) -> Result<bool, StoreError> {
    let row = sqlx::query("SELECT id FROM idempotency_keys WHERE created_at < $1 LIMIT 1")
        .bind(time.0)
        .fetch_optional(connection)
        .await?;
    Ok(row.is_some())
}

/// Forgets requests from before a time, oldest first, `limit` at most; says how many there were.
pub async fn forget(connection: &mut Connection, before: Millis, limit: u32) -> Result<u64, StoreError> {
    let done = sqlx::query(
        "DELETE FROM idempotency_keys WHERE id IN
             (SELECT id FROM idempotency_keys WHERE created_at < $1 ORDER BY created_at, id LIMIT $2 + 0)",
    )
    .bind(before.0)
    .bind(i64::from(limit))
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

fn decode(row: &SqliteRow) -> Result<KeptRequest, StoreError> {
    let salt: &[u8] = row.try_get("salt")?;
    Ok(KeptRequest {
        salt: salt.try_into().map_err(|error| corrupt("salt", error))?,
        request: row.try_get("request")?,
        has_effect: row.try_get::<Option<i64>, _>("effect")?.is_some(),
        answer: row.try_get("answer")?,
    })
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use uuid::Uuid;

    use super::*;
    use crate::model::{Rules, Tenant};
    use crate::store::{Store, tenants};

    const NAME: OnceName = OnceName([7; 32]);
    const ONCE: Once = Once { name: NAME, secret: [0; 32] };

    async fn store() -> (Store, TenantId, tempfile::TempDir) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        let tenant = Tenant {
            id: TenantId(Uuid::new_v4()),
            name: "shop".into(),
            disabled: false,
            allowed_tip_bps: 0,
            default_ttl_seconds: 60,
            require_signed_consent: false,
            require_verified_party: false,
            rules: Rules::default(),
        };
        let id = tenant.id;
        store
            .write::<_, StoreError, _>(move |tx| {
                async move { tenants::insert(tx, &tenant, Millis(0)).await }.boxed()
            })
            .await
            .unwrap();
        (store, id, folder)
    }

    #[tokio::test]
    async fn what_was_begun_is_not_freed_by_mistake() {
        let (store, tenant, _folder) = store().await;
        let (begun, freed) = store
            .write::<_, StoreError, _>(move |tx| {
                async move {
                    insert(tx, tenant, NAME, [1; 32], b"asked", Millis(5)).await?;
                    assert_eq!(effect(tx, Some(ONCE)).await?, None);
                    note_effect(tx, Some(ONCE), 42).await?;
                    Ok((effect(tx, Some(ONCE)).await?, free_unless_begun(tx, NAME).await?))
                }
                .boxed()
            })
            .await
            .unwrap();
        assert_eq!((begun, freed), (Some(42), false));
        let mut reader = store.read().await.unwrap();
        let kept = find(&mut reader, NAME).await.unwrap().unwrap();
        assert_eq!(
            (kept.request.as_slice(), kept.has_effect, kept.answer),
            (b"asked".as_slice(), true, None)
        );
    }

    #[tokio::test]
    async fn old_requests_go_in_pages_and_young_ones_stay() {
        let (store, tenant, _folder) = store().await;
        let gone = store
            .write::<_, StoreError, _>(move |tx| {
                async move {
                    for age in 0..5 {
                        let at = Millis(i64::from(age));
                        insert(tx, tenant, OnceName([age; 32]), [1; 32], b"", at).await?;
                    }
                    Ok((forget(tx, Millis(3), 2).await?, forget(tx, Millis(3), 2).await?))
                }
                .boxed()
            })
            .await
            .unwrap();
        assert_eq!(gone, (2, 1));
        let mut reader = store.read().await.unwrap();
        assert!(!any_before(&mut reader, Millis(3)).await.unwrap());
        assert!(find(&mut reader, OnceName([3; 32])).await.unwrap().is_some());
    }
}
