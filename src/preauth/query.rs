//! Reading back.
use super::{Fault, Preauths, Snapshot};
use crate::model::{InvoiceId, Tenant, Token};
use crate::store::{StoreError, preauths, tokens};

impl Preauths {
    /// A tenant's preauthorization; another tenant's does not exist for it.
    pub async fn find(&self, tenant: &Tenant, invoice: &InvoiceId) -> Result<Option<Snapshot>, Fault> {
        self.try_find(tenant, invoice).await.map_err(|error| self.noted(error))
    }

    async fn try_find(&self, tenant: &Tenant, invoice: &InvoiceId) -> Result<Option<Snapshot>, StoreError> {
        Ok(self.with_open(tenant.id, invoice).await?.map(Snapshot::from))
    }

    /// A page of a tenant's preauthorizations, newest first.
    pub async fn list(
        &self,
        tenant: &Tenant,
        filter: &preauths::Filter,
        limit: u32,
    ) -> Result<Vec<Snapshot>, Fault> {
        self.try_list(tenant, filter, limit).await.map_err(|error| self.noted(error))
    }

    // A page that left something out would be taken for the whole.
    async fn try_list(
        &self,
        tenant: &Tenant,
        filter: &preauths::Filter,
        limit: u32,
    ) -> Result<Vec<Snapshot>, StoreError> {
        let mut reader = self.inner.store.read().await?;
        let page = preauths::page(&mut reader, tenant.id, filter, limit).await?;
        let mut snapshots = Vec::with_capacity(page.len());
        for preauth in page {
            snapshots.push(Snapshot::read(&mut reader, preauth).await?);
        }
        Ok(snapshots)
    }

    /// Every token that was admitted.
    pub async fn tokens(&self) -> Result<Vec<Token>, Fault> {
        let mut reader = self.inner.store.read().await?;
        Ok(tokens::all(&mut reader).await?)
    }
}
