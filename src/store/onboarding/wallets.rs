//! Whose a wallet is.

use alloy::primitives::Address;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::model::{Account, Millis, PartyKey, TenantId, WalletRole};
use crate::store::column::{account, millis, word};
use crate::store::{Connection, StoreError};

/// A wallet that is tied to a party.
#[derive(Debug, Clone)]
pub struct PartyWallet {
    pub account: Account,
    pub role: WalletRole,
    pub tied_at: Millis,
}

/// Ties a wallet in a role to a party. A unique violation is a wallet that is tied in this role.
pub async fn tie(
    connection: &mut Connection,
    tenant: TenantId,
    party: PartyKey,
    account: &Account,
    role: WalletRole,
    now: Millis,
) -> Result<(), StoreError> {
    sqlx::query(
        "INSERT INTO party_wallets (tenant_id, address, written, role, party, tied_at) VALUES ($1, $2, $3, $4, $5, $6)",
    )
    .bind(tenant.0.as_bytes().as_slice())
    .bind(account.address().as_slice())
    .bind(account.written())
    .bind(role.as_str())
    .bind(party.0)
    .bind(now.0)
    .execute(connection)
    .await?;
    Ok(())
}

/// The party that a wallet is tied to in a role.
pub async fn owner(
    connection: &mut Connection,
    tenant: TenantId,
    address: Address,
    role: WalletRole,
) -> Result<Option<PartyKey>, StoreError> {
    let row = sqlx::query(
        "SELECT party FROM party_wallets WHERE tenant_id = $1 AND address = $2 AND role = $3 AND untied_at IS NULL",
    )
    .bind(tenant.0.as_bytes().as_slice())
    .bind(address.as_slice())
    .bind(role.as_str())
    .fetch_optional(connection)
    .await?;
    row.map(|row| Ok(PartyKey(row.try_get("party")?))).transpose()
}

/// Unties a party's wallet, in a role or in both; says how often it was tied.
pub async fn untie(
    connection: &mut Connection,
    party: PartyKey,
    address: Address,
    role: Option<WalletRole>,
    now: Millis,
) -> Result<u64, StoreError> {
    let done = sqlx::query(
        "UPDATE party_wallets SET untied_at = $4
         WHERE party = $1 AND address = $2 AND ($3 IS NULL OR role = $3) AND untied_at IS NULL",
    )
    .bind(party.0)
    .bind(address.as_slice())
    .bind(role.map(WalletRole::as_str))
    .bind(now.0)
    .execute(connection)
    .await?;
    Ok(done.rows_affected())
}

/// How many wallets are tied to a party.
pub async fn count(connection: &mut Connection, party: PartyKey) -> Result<i64, StoreError> {
    let row = sqlx::query("SELECT COUNT(*) FROM party_wallets WHERE party = $1 AND untied_at IS NULL")
        .bind(party.0)
        .fetch_one(connection)
        .await?;
    Ok(row.try_get(0)?)
}

/// A party's wallets, oldest first. There are few of them.
pub async fn of_party(connection: &mut Connection, party: PartyKey) -> Result<Vec<PartyWallet>, StoreError> {
    let rows = sqlx::query(
        "SELECT written, role, tied_at FROM party_wallets WHERE party = $1 AND untied_at IS NULL ORDER BY id",
    )
    .bind(party.0)
    .fetch_all(connection)
    .await?;
    rows.iter().map(decode).collect()
}

fn decode(row: &SqliteRow) -> Result<PartyWallet, StoreError> {
    Ok(PartyWallet {
        account: account(row, "written")?,
        role: word(row, "role", WalletRole::parse)?,
        tied_at: millis(row, "tied_at")?,
    })
}
