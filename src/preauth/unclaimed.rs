//! Holds that were recovered from the chain and that no tenant has claimed: whose they are is unknown until a tenant names
//! the invoice that the preauth id follows from. Until then they expire like any other, and the operator can cancel them.

use alloy::primitives::B256;

use super::Preauths;
use crate::chain::wall_now;
use crate::model::{InvoiceId, Millis, OperationKind, Preauth, PreauthStatus, TenantId};
use crate::store::{Connection, Named, StoreError, WithOpen, operations, preauths, unclaimed};

/// What became of the operator's wish to cancel an unclaimed hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cancellation {
    /// Written down; a lane carries it out.
    Begun,
    /// Another operation is being decided.
    Busy(OperationKind),
    /// It is closed already, or not locked.
    NotOpen(PreauthStatus),
    /// No unclaimed hold has this preauth id.
    Unknown,
}

/// A tenant's preauthorization by its invoice, inside a change. A hold that was recovered and is the tenant's becomes its
/// own here: that the preauth id follows from tenant and invoice proves it.
pub(super) async fn by_invoice(
    tx: &mut Connection,
    tenant: TenantId,
    invoice: &InvoiceId,
) -> Result<Option<Preauth>, StoreError> {
    match preauths::by_invoice(tx, tenant, invoice).await? {
        Some(preauth) => Ok(Some(preauth)),
        None => unclaimed::adopt(tx, tenant, invoice, wall_now()).await,
    }
}

impl Preauths {
    /// The same outside of a change.
    pub(super) async fn by_invoice(
        &self,
        tenant: TenantId,
        invoice: &InvoiceId,
    ) -> Result<Option<Preauth>, StoreError> {
        Ok(self.with_open(tenant, invoice).await?.map(|(preauth, _)| preauth))
    }

    /// The same with the operation that is open. Only where there is something to adopt is anything written.
    pub(super) async fn with_open(
        &self,
        tenant: TenantId,
        invoice: &InvoiceId,
    ) -> Result<Option<WithOpen>, StoreError> {
        match self.inner.store.named(tenant, invoice).await? {
            Some(Named::Known(preauth)) => return Ok(Some(*preauth)),
            None => return Ok(None),
            Some(Named::Unclaimed) => {}
        }
        let invoice = invoice.clone();
        self.inner
            .store
            .write(move |tx| {
                Box::pin(async move {
                    let Some(preauth) = by_invoice(tx, tenant, &invoice).await? else { return Ok(None) };
                    let open = operations::open_of(tx, preauth.key).await?;
                    Ok(Some((preauth, open)))
                })
            })
            .await
    }
}

/// Begins to cancel an unclaimed hold, for the operator.
///
/// # Errors
/// A fault of the database.
pub async fn cancel_unclaimed(
    tx: &mut Connection,
    preauth_id: B256,
    now: Millis,
) -> Result<Cancellation, StoreError> {
    let Some(preauth) = unclaimed::by_preauth_id(tx, preauth_id).await? else {
        return Ok(Cancellation::Unknown);
    };
    if preauth.status != PreauthStatus::Authorized {
        return Ok(Cancellation::NotOpen(preauth.status));
    }
    let kind = OperationKind::Cancel;
    if operations::insert(tx, preauth.key, kind, None, preauth.expires_at, now).await?.is_some() {
        return Ok(Cancellation::Begun);
    }
    let open = operations::open_of(tx, preauth.key).await?;
    Ok(Cancellation::Busy(open.map_or(kind, |open| open.kind)))
}
