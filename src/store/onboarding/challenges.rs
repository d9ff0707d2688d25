//! Codes and links that were sent to parties.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use crate::model::{Challenge, ChallengeKind, Millis, PartyKey, SecretTag};
use crate::store::column::{corrupt, millis, uuid, word};
use crate::store::{Connection, StoreError};

const COLUMNS: &str =
    "id, uuid, party, kind, tag, attempts, lapses_at, answered_at IS NOT NULL AS answered, void";

/// Adds a challenge; those of its kind before it can no longer be answered.
pub async fn insert(
    connection: &mut Connection,
    challenge: &Challenge,
    now: Millis,
) -> Result<(), StoreError> {
    make_void(connection, challenge.party, challenge.kind).await?;
    sqlx::query(
        "INSERT INTO party_challenges (uuid, party, kind, tag, created_at, lapses_at) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(challenge.id.as_bytes().as_slice())
    .bind(challenge.party.0)
    .bind(challenge.kind.as_str())
    .bind(challenge.tag.0.as_slice())
    .bind(now.0)
    .bind(challenge.lapses_at.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes back what was not answered yet.
pub async fn make_void(
    connection: &mut Connection,
    party: PartyKey,
    kind: ChallengeKind,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE party_challenges SET void = 1 WHERE party = $1 AND kind = $2 AND answered_at IS NULL AND void = 0",
    )
    .bind(party.0)
    .bind(kind.as_str())
    .execute(connection)
    .await?;
    Ok(())
}

/// How many of a kind a party was sent since a time, and when the first of them was.
pub async fn sent_since(
    connection: &mut Connection,
    party: PartyKey,
    kind: ChallengeKind,
    since: Millis,
) -> Result<(i64, Option<Millis>), StoreError> {
    let row = sqlx::query(
        "SELECT COUNT(*) AS n, MIN(created_at) AS first FROM party_challenges
         WHERE party = $1 AND kind = $2 AND created_at > $3",
    )
    .bind(party.0)
    .bind(kind.as_str())
    .bind(since.0)
    .fetch_one(connection)
    .await?;
    Ok((row.try_get("n")?, row.try_get::<Option<i64>, _>("first")?.map(Millis)))
}

/// The newest challenge of a kind.
pub async fn newest(
    connection: &mut Connection,
    party: PartyKey,
    kind: ChallengeKind,
) -> Result<Option<Challenge>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM party_challenges WHERE party = $1 AND kind = $2 ORDER BY id DESC LIMIT 1"
    ));
    let row = sqlx::query(sql).bind(party.0).bind(kind.as_str()).fetch_optional(connection).await?;
    row.as_ref().map(decode).transpose()
}

/// A challenge by its name, which is part of the link that was sent.
pub async fn by_id(connection: &mut Connection, id: Uuid) -> Result<Option<Challenge>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM party_challenges WHERE uuid = $1"));
    let row = sqlx::query(sql).bind(id.as_bytes().as_slice()).fetch_optional(connection).await?;
    row.as_ref().map(decode).transpose()
}

/// Counts a wrong answer.
pub async fn note_wrong(connection: &mut Connection, challenge: &Challenge) -> Result<(), StoreError> {
    sqlx::query("UPDATE party_challenges SET attempts = attempts + 1 WHERE id = $1")
        .bind(challenge.key)
        .execute(connection)
        .await?;
    Ok(())
}

/// Writes down the right answer.
pub async fn note_answered(
    connection: &mut Connection,
    challenge: &Challenge,
    now: Millis,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE party_challenges SET answered_at = $2 WHERE id = $1")
        .bind(challenge.key)
        .bind(now.0)
        .execute(connection)
        .await?;
    Ok(())
}

fn decode(row: &SqliteRow) -> Result<Challenge, StoreError> {
    let tag: &[u8] = row.try_get("tag")?;
    Ok(Challenge {
        key: row.try_get("id")?,
        id: uuid(row, "uuid")?,
        party: PartyKey(row.try_get("party")?),
        kind: word(row, "kind", ChallengeKind::parse)?,
        tag: SecretTag(tag.try_into().map_err(|why| corrupt("tag", why))?),
        attempts: row.try_get("attempts")?,
        lapses_at: millis(row, "lapses_at")?,
        answered: row.try_get::<i64, _>("answered")? != 0,
        void: row.try_get::<i64, _>("void")? != 0,
    })
}
