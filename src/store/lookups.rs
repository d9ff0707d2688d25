//! The rows that every request looks up, [gathered](super::gathered): who calls, which token and wallets are meant, and where
//! a preauthorization stands.

use std::collections::HashMap;

use alloy::primitives::Address;
use futures::FutureExt;
use futures::future::BoxFuture;
use sqlx::SqlitePool;

use super::gathered::Gathered;
use super::operations::Unfinished;
use super::{
    Connection, Store, StoreError, UnreadableRow, api_keys, onboarding, operations, preauths, tokens,
    unclaimed, wallets,
};
use crate::model::{
    InvoiceId, Operation, Participation, Preauth, PreauthKey, Scope, Tenant, TenantId, Token, WalletRole,
    derive_preauth_id,
};

/// A preauthorization, and the operation of it that is open.
pub type WithOpen = (Preauth, Option<Operation>);

/// What stands under a tenant's invoice.
#[derive(Debug, Clone)]
pub enum Named {
    Known(Box<WithOpen>),
    /// A hold that was recovered from the chain, and whose tenant has not asked for it yet.
    Unclaimed,
}

/// A live API key's hash, its tenant, and its scopes.
pub type KeyHolder = (Vec<u8>, Tenant, Vec<Scope>);

type Read<T> = Result<T, UnreadableRow>;
type Invoice = (TenantId, InvoiceId);
type Registration = (TenantId, Address, WalletRole);

/// Clones share everything.
#[derive(Clone)]
pub(super) struct Lookups {
    key_holders: Gathered<String, Vec<KeyHolder>>,
    tokens: Gathered<Address, Token>,
    registrations: Gathered<Registration, ()>,
    participations: Gathered<Registration, Participation>,
    with_open: Gathered<PreauthKey, Read<WithOpen>>,
    named: Gathered<Invoice, Read<Named>>,
}

impl Lookups {
    pub(super) fn spawn(reads: &SqlitePool) -> Self {
        Self {
            key_holders: Gathered::spawn(reads, |connection, prefixes| {
                api_keys::by_prefixes(connection, prefixes).boxed()
            }),
            tokens: Gathered::spawn(reads, |connection, addresses| {
                tokens::by_addresses(connection, addresses).boxed()
            }),
            registrations: Gathered::spawn(reads, |connection, wallets| {
                wallets::registered_among(connection, wallets).boxed()
            }),
            participations: Gathered::spawn(reads, |connection, wallets| {
                onboarding::participation::among(connection, wallets).boxed()
            }),
            with_open: Gathered::spawn(reads, with_open),
            named: Gathered::spawn(reads, named),
        }
    }
}

impl Store {
    /// Candidates for a presented key: all live keys with its prefix, each with its hash. The caller compares the hashes in
    /// constant time.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn key_holders(&self, prefix: &str) -> Result<Vec<KeyHolder>, StoreError> {
        self.pass().await;
        Ok(self.lookups.key_holders.find(prefix.to_owned()).await?.unwrap_or_default())
    }

    /// A token that was admitted.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn token(&self, address: Address) -> Result<Option<Token>, StoreError> {
        self.pass().await;
        self.lookups.tokens.find(address).await
    }

    /// Whether an address is registered in a role.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn is_registered(
        &self,
        tenant: TenantId,
        address: Address,
        role: WalletRole,
    ) -> Result<bool, StoreError> {
        self.pass().await;
        Ok(self.lookups.registrations.find((tenant, address, role)).await?.is_some())
    }

    /// Whether a wallet may take part in a role, by what is known of its party.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn participation(
        &self,
        tenant: TenantId,
        address: Address,
        role: WalletRole,
    ) -> Result<Participation, StoreError> {
        self.pass().await;
        let found = self.lookups.participations.find((tenant, address, role)).await?;
        Ok(found.unwrap_or(Participation::NotVerified))
    }

    /// A preauthorization and its open operation.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`], or another fault of the database.
    pub async fn with_open(&self, key: PreauthKey) -> Result<WithOpen, StoreError> {
        self.pass().await;
        let found = self.lookups.with_open.find(key).await?;
        found.ok_or(StoreError::Database(sqlx::Error::RowNotFound))?.map_err(StoreError::from)
    }

    /// What stands under a tenant's invoice.
    ///
    /// # Errors
    /// [`StoreError::Unreadable`], or another fault of the database.
    pub async fn named(&self, tenant: TenantId, invoice: &InvoiceId) -> Result<Option<Named>, StoreError> {
        self.pass().await;
        let found = self.lookups.named.find((tenant, invoice.clone())).await?;
        Ok(found.transpose()?)
    }
}

fn with_open(
    connection: &mut Connection,
    keys: Vec<PreauthKey>,
) -> BoxFuture<'_, Result<HashMap<PreauthKey, Read<WithOpen>>, StoreError>> {
    async move {
        let preauths = preauths::by_keys(connection, &keys).await?;
        let mut unfinished = operations::unfinished_of_each(connection, &keys).await?;
        let with_open = |(key, preauth)| (key, joined(preauth, unfinished.remove(&key)));
        Ok(preauths.into_iter().map(with_open).collect())
    }
    .boxed()
}

fn named(
    connection: &mut Connection,
    invoices: Vec<Invoice>,
) -> BoxFuture<'_, Result<HashMap<Invoice, Read<Named>>, StoreError>> {
    async move {
        let preauths = preauths::by_invoices(connection, &invoices).await?;
        let keys: Vec<_> = preauths.values().flatten().map(|preauth| preauth.key).collect();
        let mut unfinished = match keys.as_slice() {
            [] => HashMap::new(),
            keys => operations::unfinished_of_each(connection, keys).await?,
        };
        let missing = invoices.into_iter().filter(|invoice| !preauths.contains_key(invoice));
        let missing: HashMap<_, _> =
            missing.map(|invoice| (derive_preauth_id(invoice.0, &invoice.1), invoice)).collect();
        let unclaimed = match missing.len() {
            0 => Vec::new(),
            _ => unclaimed::among(connection, missing.keys()).await?,
        };
        let unclaimed = unclaimed.iter().filter_map(|preauth_id| missing.get(preauth_id));
        let unclaimed = unclaimed.map(|invoice| (invoice.clone(), Ok(Named::Unclaimed))).collect::<Vec<_>>();
        let known = preauths.into_iter().map(|(invoice, preauth)| {
            let open = preauth.as_ref().ok().and_then(|preauth| unfinished.remove(&preauth.key));
            (invoice, joined(preauth, open).map(|preauth| Named::Known(Box::new(preauth))))
        });
        Ok(known.chain(unclaimed).collect())
    }
    .boxed()
}

fn joined(preauth: Read<Preauth>, unfinished: Option<Read<Unfinished>>) -> Read<WithOpen> {
    Ok((preauth?, unfinished.transpose()?.and_then(|unfinished| unfinished.open)))
}

#[cfg(test)]
mod tests {
    use super::super::testing::plan_of;
    use super::*;

    /// Whatever the database holds, a lookup costs what it looks up.
    #[tokio::test]
    async fn every_lookup_searches_an_index() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        let mut reader = store.read().await.unwrap();
        for (sql, step) in [
            (api_keys::BY_PREFIXES.to_owned(), "SEARCH api_keys USING INDEX api_keys_by_prefix (prefix=?)"),
            (tokens::addresses_sql(), "SEARCH tokens USING INDEX sqlite_autoindex_tokens_1 (address=?)"),
            (
                wallets::REGISTERED_AMONG.to_owned(),
                "SEARCH wallets USING INDEX wallets_registered (tenant_id=? AND address=? AND role=?)",
            ),
            (
                onboarding::participation::AMONG.to_owned(),
                "SEARCH w USING INDEX party_wallets_tied (tenant_id=? AND address=? AND role=?)",
            ),
            (
                onboarding::requirements::OF_EACH.to_owned(),
                "SEARCH r USING INDEX sqlite_autoindex_party_requirements_1 (party=?)",
            ),
            (preauths::keys_sql(), "SEARCH preauths USING INTEGER PRIMARY KEY (rowid=?)"),
            (
                preauths::invoices_sql(),
                "SEARCH preauths USING INDEX sqlite_autoindex_preauths_3 (tenant_id=? AND invoice_id=?)",
            ),
            (
                preauths::preauth_ids_sql(),
                "SEARCH preauths USING INDEX sqlite_autoindex_preauths_2 (preauth_id=?)",
            ),
            (operations::unfinished_sql(), "SEARCH o USING INDEX operations_of_preauth (preauth=?)"),
            (
                unclaimed::AMONG.to_owned(),
                "SEARCH preauths USING INDEX sqlite_autoindex_preauths_2 (preauth_id=?)",
            ),
        ] {
            let plan = plan_of(&mut reader, &sql).await;
            assert!(plan.iter().any(|line| line == step), "{step}: {plan:#?}");
            // What is asked for is a list in memory; nothing else is read from end to end, and nothing is sorted.
            let is_slow = |line: &String| {
                line.contains("ORDER BY") || line.starts_with("SCAN") && !line.contains("VIRTUAL TABLE")
            };
            assert!(!plan.iter().any(is_slow), "{plan:#?}");
        }
    }
}
