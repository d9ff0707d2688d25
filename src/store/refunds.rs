//! Refunds that tokens refused, until their senders have claimed them. How much each is, its preauth says.

use alloy::primitives::Address;
use sqlx::Row;

use super::column::{address, signed};
use super::{Connection, StoreError};
use crate::model::{BatchId, Millis, Preauth, PreauthKey, TenantId};

/// A refund that waits, and the claim it is part of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waiting {
    pub preauth: PreauthKey,
    pub escrow: Address,
    pub sender: Address,
    pub token: Address,
}

/// Writes down that a refund waits.
pub async fn insert(connection: &mut Connection, preauth: &Preauth) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO refunds (preauth, escrow, sender, token) VALUES ($1, $2, $3, $4)
         ON CONFLICT (preauth) DO UPDATE SET claimed_block = NULL, not_before = 0, tries = 0",
    )
    .bind(preauth.key.0)
    .bind(preauth.escrow.as_slice())
    .bind(preauth.sender.address().as_slice())
    .bind(preauth.token.address().as_slice())
    .execute(connection)
    .await?;
    Ok(())
}

/// Takes a refund out: it was not put off after all.
pub async fn delete(connection: &mut Connection, preauth: PreauthKey) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM refunds WHERE preauth = $1").bind(preauth.0).execute(connection).await?;
    Ok(())
}

/// Notes that a sender has his refund, as a block showed.
pub async fn mark_claimed(
    connection: &mut Connection,
    preauth: PreauthKey,
    block: u64,
) -> Result<(), StoreError> {
    sqlx::query("UPDATE refunds SET claimed_block = $2 WHERE preauth = $1 AND claimed_block IS NULL")
        .bind(preauth.0)
        .bind(signed(block)?)
        .execute(connection)
        .await?;
    Ok(())
}

/// Forgets claims that were seen above a block: they are looked for again.
pub async fn forget_claims_above(connection: &mut Connection, block: u64) -> Result<(), StoreError> {
    sqlx::query("UPDATE refunds SET claimed_block = NULL WHERE claimed_block > $1")
        .bind(signed(block)?)
        .execute(connection)
        .await?;
    Ok(())
}

/// Whether a refund still waits.
pub async fn is_waiting(connection: &mut Connection, preauth: PreauthKey) -> Result<bool, StoreError> {
    let row = sqlx::query("SELECT 1 FROM refunds WHERE preauth = $1 AND claimed_block IS NULL")
        .bind(preauth.0)
        .fetch_optional(connection)
        .await?;
    Ok(row.is_some())
}

/// The refunds that wait, those first that were put off last.
pub async fn waiting(connection: &mut Connection, limit: u32) -> Result<Vec<Waiting>, StoreError> {
    let rows = sqlx::query(
        "SELECT r.preauth, r.escrow, r.sender, r.token FROM refunds r
         LEFT JOIN outcomes o ON o.preauth = r.preauth AND o.kind = 'refund_deferred'
         WHERE r.claimed_block IS NULL ORDER BY o.block_number DESC, o.log_index DESC LIMIT $1 + 0",
    )
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Waiting {
                preauth: PreauthKey(row.try_get("preauth")?),
                escrow: address(row, "escrow")?,
                sender: address(row, "sender")?,
                token: address(row, "token")?,
            })
        })
        .collect()
}

/// A page of a tenant's refunds that wait, in the order of their preauths.
pub async fn page(
    connection: &mut Connection,
    tenant: TenantId,
    after: PreauthKey,
    limit: u32,
) -> Result<Vec<PreauthKey>, StoreError> {
    let rows = sqlx::query(
        "SELECT r.preauth FROM refunds r CROSS JOIN preauths p
         WHERE r.claimed_block IS NULL AND r.preauth > $2 AND p.id = r.preauth AND p.tenant_id = $1
         ORDER BY r.preauth LIMIT $3 + 0",
    )
    .bind(tenant.0.as_bytes().as_slice())
    .bind(after.0)
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| Ok(PreauthKey(row.try_get("preauth")?))).collect()
}

/// What one `claim` would pay: everything of a token that waits for a sender at an escrow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DueClaim {
    pub escrow: Address,
    pub sender: Address,
    pub token: Address,
    /// How often it was tried.
    pub tries: u32,
}

/// The claim that may be tried at `now` and has waited longest.
pub async fn due(connection: &mut Connection, now: Millis) -> Result<Option<DueClaim>, StoreError> {
    let row = sqlx::query(
        "SELECT escrow, sender, token, tries FROM refunds WHERE claimed_block IS NULL AND not_before <= $1
         ORDER BY not_before LIMIT 1",
    )
    .bind(now.0)
    .fetch_optional(connection)
    .await?;
    row.map(|row| {
        Ok(DueClaim {
            escrow: address(&row, "escrow")?,
            sender: address(&row, "sender")?,
            token: address(&row, "token")?,
            tries: row.try_get("tries")?,
        })
    })
    .transpose()
}

/// Puts a claim off until `not_before`. Returns the refunds it is made of; none where somebody else was sooner.
pub async fn put_off(
    connection: &mut Connection,
    claim: &DueClaim,
    not_before: Millis,
    now: Millis,
) -> Result<Vec<PreauthKey>, StoreError> {
    // Those that were put off together stay together: one claim pays them all.
    let rows = sqlx::query(
        "UPDATE refunds SET not_before = $4, tries = tries + 1
         WHERE claimed_block IS NULL AND escrow = $1 AND sender = $2 AND token = $3
           AND EXISTS (SELECT 1 FROM refunds d WHERE d.claimed_block IS NULL AND d.escrow = $1 AND d.sender = $2
                         AND d.token = $3 AND d.not_before <= $5)
         RETURNING preauth",
    )
    .bind(claim.escrow.as_slice())
    .bind(claim.sender.as_slice())
    .bind(claim.token.as_slice())
    .bind(not_before.0)
    .bind(now.0)
    .fetch_all(connection)
    .await?;
    rows.iter().map(|row| Ok(PreauthKey(row.try_get("preauth")?))).collect()
}

/// Notes what a batch without operations claims.
pub async fn carry(
    connection: &mut Connection,
    batch: BatchId,
    refunds: &[PreauthKey],
) -> Result<(), StoreError> {
    for refund in refunds {
        sqlx::query("INSERT INTO claim_items (batch_id, preauth) VALUES ($1, $2)")
            .bind(batch.0)
            .bind(refund.0)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Sender and token of what a batch without operations claims; `None`: it does nothing.
pub async fn claimed_by(
    connection: &mut Connection,
    batch: BatchId,
) -> Result<Option<(Address, Address)>, StoreError> {
    let row = sqlx::query(
        "SELECT p.sender, p.token FROM claim_items i CROSS JOIN preauths p
         WHERE i.batch_id = $1 AND p.id = i.preauth LIMIT 1",
    )
    .bind(batch.0)
    .fetch_optional(connection)
    .await?;
    row.map(|row| Ok((address(&row, "sender")?, address(&row, "token")?))).transpose()
}
