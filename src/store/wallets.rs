//! Registered wallets of a tenant, and the nonces by which a sender proves that a wallet is his.

use std::collections::HashMap;

use alloy::hex;
use alloy::primitives::{Address, B256};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::column::{account, address, corrupt, json, millis, tenant_id, word};
use super::{Connection, StoreError};
use crate::model::{Account, Millis, TenantId, WalletRole};

/// A registered wallet.
#[derive(Debug, Clone)]
pub struct Wallet {
    pub id: i64,
    pub account: Account,
    pub role: WalletRole,
    pub registered_at: Millis,
}

/// Registers a wallet; registering it again changes nothing.
pub async fn register(
    connection: &mut Connection,
    tenant: TenantId,
    account: &Account,
    role: WalletRole,
    now: Millis,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO wallets (tenant_id, address, written, role, registered_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (tenant_id, address, role) WHERE removed_at IS NULL DO NOTHING",
    )
    .bind(tenant.0.as_bytes().as_slice())
    .bind(account.address().as_slice())
    .bind(account.written())
    .bind(role.as_str())
    .bind(now.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// Ends a registration in the given role, or in both; says how many there were. Open holds are not touched.
pub async fn remove(
    connection: &mut Connection,
    tenant: TenantId,
    address: Address,
    role: Option<WalletRole>,
    now: Millis,
) -> Result<u64, StoreError> {
    let done = sqlx::query(
        "UPDATE wallets SET removed_at = $4
         WHERE tenant_id = $1 AND address = $2 AND ($3 IS NULL OR role = $3) AND removed_at IS NULL",
    )
    .bind(tenant.0.as_bytes().as_slice())
    .bind(address.as_slice())
    .bind(role.map(WalletRole::as_str))
    .bind(now.0)
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

/// The live registration of an address in a role.
pub async fn registered(
    connection: &mut Connection,
    tenant: TenantId,
    address: Address,
    role: WalletRole,
) -> Result<Option<Wallet>, StoreError> {
    let row = sqlx::query(
        "SELECT id, written, role, registered_at FROM wallets
         WHERE tenant_id = $1 AND address = $2 AND role = $3 AND removed_at IS NULL",
    )
    .bind(tenant.0.as_bytes().as_slice())
    .bind(address.as_slice())
    .bind(role.as_str())
    .fetch_optional(connection)
    .await?;
    row.as_ref().map(decode).transpose()
}

pub(super) const REGISTERED_AMONG: &str =
    "SELECT tenant_id, address, role
     FROM json_each($1) AS asked CROSS JOIN wallets
     WHERE tenant_id = unhex(asked.value ->> 0) AND address = unhex(asked.value ->> 1) AND role = asked.value ->> 2
       AND removed_at IS NULL";

/// Which of these registrations are live.
pub(super) async fn registered_among(
    connection: &mut Connection,
    wallets: Vec<(TenantId, Address, WalletRole)>,
) -> Result<HashMap<(TenantId, Address, WalletRole), ()>, StoreError> {
    let asked = wallets.iter().map(|(tenant, address, role)| {
        (hex::encode(tenant.0.as_bytes()), hex::encode(address), role.as_str())
    });
    let rows =
        sqlx::query(REGISTERED_AMONG).bind(json(&asked.collect::<Vec<_>>())?).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let role = word(row, "role", WalletRole::parse)?;
            Ok(((tenant_id(row, "tenant_id")?, address(row, "address")?, role), ()))
        })
        .collect()
}

/// Live registrations after `after` (a wallet's id, 0 for the start), oldest first, at most `limit`.
pub async fn page(
    connection: &mut Connection,
    tenant: TenantId,
    role: Option<WalletRole>,
    after: i64,
    limit: u32,
) -> Result<Vec<Wallet>, StoreError> {
    let rows = sqlx::query(
        "SELECT id, written, role, registered_at FROM wallets
         WHERE tenant_id = $1 AND ($2 IS NULL OR role = $2) AND id > $3 AND removed_at IS NULL ORDER BY id LIMIT $4 + 0",
    )
    .bind(tenant.0.as_bytes().as_slice())
    .bind(role.map(WalletRole::as_str))
    .bind(after)
    .bind(i64::from(limit))
    .fetch_all(connection)
    .await?;
    rows.iter().map(decode).collect()
}

/// Hands out a nonce for the proof of `address`, good until `deadline` (Unix seconds, wall clock), and forgets those
/// that are past theirs at `now`.
pub async fn offer_proof(
    connection: &mut Connection,
    tenant: TenantId,
    address: Address,
    nonce: B256,
    deadline: i64,
    now: i64,
) -> Result<(), StoreError> {
    sqlx::query("DELETE FROM wallet_proofs WHERE deadline < $1").bind(now).execute(&mut *connection).await?;
    sqlx::query("INSERT INTO wallet_proofs (nonce, tenant_id, address, deadline) VALUES ($1, $2, $3, $4)")
        .bind(nonce.as_slice())
        .bind(tenant.0.as_bytes().as_slice())
        .bind(address.as_slice())
        .bind(deadline)
        .execute(connection)
        .await?;
    Ok(())
}

/// The address and deadline a nonce was handed out for. `None`: unknown, used, or another tenant's.
pub async fn offered_proof(
    connection: &mut Connection,
    tenant: TenantId,
    nonce: B256,
) -> Result<Option<(Address, i64)>, StoreError> {
    let row = sqlx::query("SELECT address, deadline FROM wallet_proofs WHERE nonce = $1 AND tenant_id = $2")
        .bind(nonce.as_slice())
        .bind(tenant.0.as_bytes().as_slice())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(offer).transpose()
}

/// Uses up a nonce: the address and deadline it was handed out for. `None`: unknown, used, or another tenant's.
pub async fn take_proof(
    connection: &mut Connection,
    tenant: TenantId,
    nonce: B256,
) -> Result<Option<(Address, i64)>, StoreError> {
    let row = sqlx::query(
        "DELETE FROM wallet_proofs WHERE nonce = $1 AND tenant_id = $2 RETURNING address, deadline",
    )
    .bind(nonce.as_slice())
    .bind(tenant.0.as_bytes().as_slice())
    .fetch_optional(connection)
    .await?;
    row.as_ref().map(offer).transpose()
}

fn offer(row: &SqliteRow) -> Result<(Address, i64), StoreError> {
    Ok((address(row, "address")?, row.try_get("deadline").map_err(|error| corrupt("deadline", error))?))
}

fn decode(row: &SqliteRow) -> Result<Wallet, StoreError> {
    Ok(Wallet {
        id: row.try_get("id")?,
        account: account(row, "written")?,
        role: word(row, "role", WalletRole::parse)?,
        registered_at: millis(row, "registered_at")?,
    })
}
