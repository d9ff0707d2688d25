//! Parties. One whose key was destroyed is there for what refers to it, and found by nobody.

use std::collections::HashMap;

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::requirements;
use crate::model::{Bar, ExternalId, Millis, Party, PartyId, PartyKey, PartyKind, PartyStatus, TenantId};
use crate::store::column::{corrupt, list, millis, tenant_id, uuid, word};
use crate::store::{Connection, StoreError};

const COLUMNS: &str = "id, uuid, tenant_id, kind, external_id, bar, created_at";
/// Where only some parties are wanted, so many are looked at in one statement, and so often for one answer.
const LOOK: u32 = 100;
const MOST_LOOKS: u32 = 10;

/// A party to be.
#[derive(Debug, Clone)]
pub struct NewParty {
    pub id: PartyId,
    pub tenant: TenantId,
    pub kind: PartyKind,
    pub external_id: Option<ExternalId>,
    /// The key of its personal data, wrapped.
    pub data_key: Vec<u8>,
}

/// Adds a party. A unique violation is an external id that another one has.
pub async fn insert(
    connection: &mut Connection,
    new: &NewParty,
    now: Millis,
) -> Result<PartyKey, StoreError> {
    let row = sqlx::query(
        "INSERT INTO parties (uuid, tenant_id, kind, external_id, data_key, created_at) VALUES ($1, $2, $3, $4, $5, $6)
         RETURNING id",
    )
    .bind(new.id.0.as_bytes().as_slice())
    .bind(new.tenant.0.as_bytes().as_slice())
    .bind(new.kind.as_str())
    .bind(new.external_id.as_ref().map(ExternalId::as_str))
    .bind(new.data_key.as_slice())
    .bind(now.0)
    .fetch_one(connection)
    .await?;
    Ok(PartyKey(row.try_get("id")?))
}

/// A tenant's party.
pub async fn find(
    connection: &mut Connection,
    tenant: TenantId,
    id: PartyId,
) -> Result<Option<Party>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM parties WHERE uuid = $1 AND tenant_id = $2 AND data_key IS NOT NULL"
    ));
    let row = sqlx::query(sql)
        .bind(id.0.as_bytes().as_slice())
        .bind(tenant.0.as_bytes().as_slice())
        .fetch_optional(&mut *connection)
        .await?;
    Ok(whole(connection, row.as_slice()).await?.pop())
}

/// A party by its row: one that a challenge, a verification or a repeated request leads to.
pub async fn by_key(connection: &mut Connection, key: PartyKey) -> Result<Option<Party>, StoreError> {
    let sql =
        sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM parties WHERE id = $1 AND data_key IS NOT NULL"));
    let row = sqlx::query(sql).bind(key.0).fetch_optional(&mut *connection).await?;
    Ok(whole(connection, row.as_slice()).await?.pop())
}

/// The name of a tenant's party, by the tenant's own name for it.
pub async fn by_external_id(
    connection: &mut Connection,
    tenant: TenantId,
    id: &ExternalId,
) -> Result<Option<PartyId>, StoreError> {
    let row = sqlx::query("SELECT uuid FROM parties WHERE tenant_id = $1 AND external_id = $2")
        .bind(tenant.0.as_bytes().as_slice())
        .bind(id.as_str())
        .fetch_optional(connection)
        .await?;
    row.map(|row| Ok(PartyId(uuid(&row, "uuid")?))).transpose()
}

/// A tenant's parties before a row, newest first.
pub async fn page(
    connection: &mut Connection,
    tenant: TenantId,
    before: Option<i64>,
    limit: u32,
) -> Result<Vec<Party>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM parties
         WHERE tenant_id = $1 AND data_key IS NOT NULL AND ($2 IS NULL OR id < $2) ORDER BY id DESC LIMIT $3 + 0"
    ));
    let rows = sqlx::query(sql)
        .bind(tenant.0.as_bytes().as_slice())
        .bind(before)
        .bind(i64::from(limit))
        .fetch_all(&mut *connection)
        .await?;
    whole(connection, &rows).await
}

fn of_all_sql() -> String {
    format!(
        "SELECT {COLUMNS} FROM parties WHERE data_key IS NOT NULL AND id < $1 ORDER BY id DESC LIMIT $2 + 0"
    )
}

/// Parties of all tenants before a row, newest first, and the row to go on before; `None`: that was all.
///
/// Where a party stands is stored nowhere, so those that stand somewhere are found by a look at everybody. One answer looks at so
/// many and no more: it can be short, or empty, and still not be the last.
pub async fn page_of_all(
    connection: &mut Connection,
    before: Option<PartyKey>,
    status: Option<PartyStatus>,
    limit: u32,
) -> Result<(Vec<Party>, Option<PartyKey>), StoreError> {
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let look = if status.is_some() { LOOK } else { limit.saturating_add(1) };
    let mut last = before.unwrap_or(PartyKey(i64::MAX));
    let mut found = Vec::new();
    for _ in 0..MOST_LOOKS {
        let sql = sqlx::AssertSqlSafe(of_all_sql());
        let rows = sqlx::query(sql).bind(last.0).bind(i64::from(look)).fetch_all(&mut *connection).await?;
        for party in whole(connection, &rows).await? {
            if found.len() >= most {
                return Ok((found, Some(last)));
            }
            last = party.key;
            if status.is_none_or(|status| party.status() == status) {
                found.push(party);
            }
        }
        if u32::try_from(rows.len()).is_ok_and(|rows| rows < look) {
            return Ok((found, None));
        }
    }
    Ok((found, Some(last)))
}

const NAMES: &str =
    "SELECT p.id, p.uuid FROM json_each($1) AS asked CROSS JOIN parties p WHERE p.id = asked.value";

/// The names of parties, by their rows.
pub async fn names(
    connection: &mut Connection,
    parties: &[PartyKey],
) -> Result<HashMap<PartyKey, PartyId>, StoreError> {
    let keys = list(parties.iter().map(|party| party.0));
    let rows = sqlx::query(NAMES).bind(keys).fetch_all(connection).await?;
    rows.iter().map(|row| Ok((PartyKey(row.try_get("id")?), PartyId(uuid(row, "uuid")?)))).collect()
}

/// The wrapped key of a party's personal data.
pub async fn data_key(connection: &mut Connection, key: PartyKey) -> Result<Option<Vec<u8>>, StoreError> {
    let row = sqlx::query("SELECT data_key FROM parties WHERE id = $1")
        .bind(key.0)
        .fetch_optional(connection)
        .await?;
    Ok(row.map(|row| row.try_get("data_key")).transpose()?.flatten())
}

/// Some party and its wrapped key, to try the operator's key on.
pub async fn any_data_key(connection: &mut Connection) -> Result<Option<(PartyId, Vec<u8>)>, StoreError> {
    let row = sqlx::query(
        "SELECT uuid, data_key FROM parties WHERE data_key IS NOT NULL ORDER BY tenant_id, id LIMIT 1",
    )
    .fetch_optional(connection)
    .await?;
    row.map(|row| Ok((PartyId(uuid(&row, "uuid")?), row.try_get("data_key")?))).transpose()
}

/// Writes down what was decided about a party.
pub async fn set_bar(connection: &mut Connection, key: PartyKey, bar: Option<Bar>) -> Result<(), StoreError> {
    sqlx::query("UPDATE parties SET bar = $2 WHERE id = $1")
        .bind(key.0)
        .bind(bar.map(Bar::as_str))
        .execute(connection)
        .await?;
    Ok(())
}

/// Destroys a party's key and everything that is encrypted with it; its id and what money needs remain. What is freed in the
/// file is overwritten.
pub async fn delete(connection: &mut Connection, key: PartyKey, now: Millis) -> Result<(), StoreError> {
    sqlx::query("PRAGMA secure_delete = ON").execute(&mut *connection).await?;
    for sql in [
        "DELETE FROM party_profiles WHERE party = $1",
        "DELETE FROM party_challenges WHERE party = $1",
        "DELETE FROM party_requirements WHERE party = $1",
        "DELETE FROM party_claims WHERE party = $1",
        "UPDATE party_documents SET review = NULL, label = x'', content = x'' WHERE party = $1",
        "DELETE FROM party_reviews WHERE party = $1",
        "UPDATE parties SET data_key = NULL, external_id = NULL WHERE id = $1",
    ] {
        sqlx::query(sql).bind(key.0).execute(&mut *connection).await?;
    }
    for sql in [
        "UPDATE party_wallets SET untied_at = $2 WHERE party = $1 AND untied_at IS NULL",
        "UPDATE party_verifications SET state = 'failed', ended_at = $2 WHERE party = $1 AND state = 'pending'",
        "UPDATE party_documents SET state = 'refused', checked_at = $2 WHERE party = $1 AND state = 'pending'",
    ] {
        sqlx::query(sql).bind(key.0).bind(now.0).execute(&mut *connection).await?;
    }
    sqlx::query("PRAGMA secure_delete = OFF").execute(connection).await?;
    Ok(())
}

async fn whole(connection: &mut Connection, rows: &[SqliteRow]) -> Result<Vec<Party>, StoreError> {
    let mut parties = rows.iter().map(decode).collect::<Result<Vec<_>, _>>()?;
    let keys: Vec<PartyKey> = parties.iter().map(|party| party.key).collect();
    let mut requirements = requirements::of_each(connection, &keys).await?;
    for party in &mut parties {
        party.requirements = requirements.remove(&party.key).unwrap_or_default();
        if party.requirements.is_empty() {
            // It would count as verified.
            return Err(corrupt("party_requirements", format_args!("{} has none", party.id)));
        }
    }
    Ok(parties)
}

pub(super) fn bar(row: &SqliteRow) -> Result<Option<Bar>, StoreError> {
    let text: Option<&str> = row.try_get("bar")?;
    text.map(|_| word(row, "bar", Bar::parse)).transpose()
}

fn decode(row: &SqliteRow) -> Result<Party, StoreError> {
    let external_id: Option<&str> = row.try_get("external_id")?;
    let external_id = external_id.map(ExternalId::parse).transpose();
    Ok(Party {
        key: PartyKey(row.try_get("id")?),
        id: PartyId(uuid(row, "uuid")?),
        tenant: tenant_id(row, "tenant_id")?,
        kind: word(row, "kind", PartyKind::parse)?,
        external_id: external_id.map_err(|why| corrupt("external_id", why))?,
        bar: bar(row)?,
        requirements: Vec::new(),
        created_at: millis(row, "created_at")?,
    })
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::store::Store;
    use crate::store::testing::plan_of;

    /// Everything that is known of `count` parties, the first of which is suspended.
    fn crowd(count: u32) -> [String; 3] {
        [
            "INSERT INTO tenants (id, name, disabled, default_ttl_seconds, created_at)
             VALUES (x'00000000000000000000000000000007', 'shop', 0, 60, 0)"
                .to_owned(),
            format!(
                "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
                 INSERT INTO parties (id, uuid, tenant_id, kind, bar, data_key, created_at)
                 SELECT i, randomblob(16), x'00000000000000000000000000000007', 'consumer',
                     CASE WHEN i = 1 THEN 'suspended' END, x'00', 0 FROM n"
            ),
            "INSERT INTO party_requirements (party, kind, mandatory) SELECT id, 'identity', 1 FROM parties"
                .to_owned(),
        ]
    }

    async fn run(store: &Store, statements: impl IntoIterator<Item = String>) {
        for sql in statements {
            let write = store.write::<_, StoreError, _>(move |tx| {
                async move {
                    sqlx::query(sqlx::AssertSqlSafe(sql)).execute(tx).await?;
                    Ok(())
                }
                .boxed()
            });
            write.await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_look_at_everybody_is_bounded_and_goes_on_where_it_ended() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        run(&store, crowd(1_250)).await;
        let mut reader = store.read().await.unwrap();
        let suspended = Some(PartyStatus::Suspended);
        let (found, next) = page_of_all(&mut reader, None, suspended, 20).await.unwrap();
        assert_eq!((found.len(), next), (0, Some(PartyKey(251))), "after a thousand it rests");
        let (found, next) = page_of_all(&mut reader, next, suspended, 20).await.unwrap();
        assert_eq!((found.iter().map(|one| one.key).collect::<Vec<_>>(), next), (vec![PartyKey(1)], None));
        let (found, next) = page_of_all(&mut reader, None, None, 20).await.unwrap();
        assert_eq!((found.len(), found[0].key, next), (20, PartyKey(1_250), Some(PartyKey(1_231))));
        let (found, next) = page_of_all(&mut reader, Some(PartyKey(21)), None, 20).await.unwrap();
        assert_eq!((found.len(), next), (20, None), "the last page is full");
    }

    #[tokio::test]
    async fn who_was_deleted_is_in_nobodys_way() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        let deleted = "UPDATE parties SET data_key = NULL WHERE id > 3".to_owned();
        run(&store, crowd(500).into_iter().chain([deleted])).await;
        let mut reader = store.read().await.unwrap();
        let (found, next) = page_of_all(&mut reader, None, None, 2).await.unwrap();
        assert_eq!(found.iter().map(|one| one.key.0).collect::<Vec<_>>(), [3, 2]);
        assert_eq!(next, Some(PartyKey(2)));
        for (sql, step) in [
            (of_all_sql(), "SEARCH parties USING INDEX parties_kept (id<?)"),
            (NAMES.to_owned(), "SEARCH p USING INTEGER PRIMARY KEY (rowid=?)"),
        ] {
            let plan = plan_of(&mut reader, &sql).await;
            assert!(plan.iter().any(|line| line == step), "{step}: {plan:#?}");
            assert!(!plan.iter().any(|line| line.contains("ORDER BY")), "{plan:#?}");
        }
    }
}
