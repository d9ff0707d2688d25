//! Whose a wallet is, and whether he may take part: the one question that others ask about parties.

use std::collections::HashMap;

use alloy::hex;
use alloy::primitives::Address;
use sqlx::Row;

use super::{parties, requirements};
use crate::model::{Participation, Party, PartyId, PartyKey, PartyKind, TenantId, WalletRole};
use crate::store::column::{address, json, millis, tenant_id, uuid, word};
use crate::store::{Connection, StoreError};

/// A wallet in a role, with a tenant.
pub type TiedWallet = (TenantId, Address, WalletRole);

pub(in crate::store) const AMONG: &str =
    "SELECT w.tenant_id, w.address, w.role, p.id, p.uuid, p.kind, p.bar, p.created_at
     FROM json_each($1) AS asked CROSS JOIN party_wallets w CROSS JOIN parties p
     WHERE w.tenant_id = unhex(asked.value ->> 0) AND w.address = unhex(asked.value ->> 1) AND w.role = asked.value ->> 2
       AND w.untied_at IS NULL AND p.id = w.party AND p.tenant_id = w.tenant_id AND p.data_key IS NOT NULL";

/// What is so of wallets; one that is not among the answers is tied to nobody.
pub(in crate::store) async fn among(
    connection: &mut Connection,
    wallets: Vec<TiedWallet>,
) -> Result<HashMap<TiedWallet, Participation>, StoreError> {
    let asked = wallets.iter().map(|(tenant, address, role)| {
        (hex::encode(tenant.0.as_bytes()), hex::encode(address), role.as_str())
    });
    let rows = sqlx::query(AMONG).bind(json(&asked.collect::<Vec<_>>())?).fetch_all(&mut *connection).await?;
    let mut tied = Vec::with_capacity(rows.len());
    for row in &rows {
        let tenant = tenant_id(row, "tenant_id")?;
        let party = Party {
            key: PartyKey(row.try_get("id")?),
            id: PartyId(uuid(row, "uuid")?),
            tenant,
            kind: word(row, "kind", PartyKind::parse)?,
            external_id: None,
            bar: parties::bar(row)?,
            requirements: Vec::new(),
            created_at: millis(row, "created_at")?,
        };
        tied.push(((tenant, address(row, "address")?, word(row, "role", WalletRole::parse)?), party));
    }
    let keys: Vec<PartyKey> = tied.iter().map(|(_, party)| party.key).collect();
    let requirements = requirements::of_each(connection, &keys).await?;
    let judged = tied.into_iter().map(|(wallet, mut party)| {
        // Without requirements nothing is known of it.
        let participation = match requirements.get(&party.key) {
            Some(requirements) => {
                party.requirements.clone_from(requirements);
                party.status().into()
            }
            None => Participation::NotVerified,
        };
        (wallet, participation)
    });
    Ok(judged.collect())
}

/// What is so of one wallet, inside a change.
pub async fn of(connection: &mut Connection, wallet: TiedWallet) -> Result<Participation, StoreError> {
    let mut found = among(connection, vec![wallet]).await?;
    Ok(found.remove(&wallet).unwrap_or(Participation::NotVerified))
}
