//! Whether those whom the tenant has named let a creation go on.

use uuid::Uuid;

use super::payer::Payer;
use super::terms::Plan;
use super::{Fault, NewAuthorization, Preauths, Refusal, Stop};
use crate::approvers::{Outcome, Question};
use crate::model::{Approval, Consent, InvoiceId, Tenant};
use crate::store::{StoreError, approvals};

impl Preauths {
    /// Asks the tenant's approvers about a creation that may become `transaction_id`. What they decide is on record when
    /// this returns.
    pub(super) async fn seek_approval(
        &self,
        tenant: &Tenant,
        creation: &NewAuthorization,
        plan: &Plan,
        transaction_id: Uuid,
        payer: Payer,
    ) -> Result<(), Stop> {
        let question = Question {
            tenant: tenant.id,
            tenant_name: tenant.name.clone(),
            invoice: creation.invoice.clone(),
            transaction_id,
            preauth_id: plan.terms.preauth_id,
            sender: creation.sender.clone(),
            receiver: creation.receiver.clone(),
            token: plan.token.clone(),
            amount: creation.amount,
            amount_units: plan.judged.amount,
            hold: plan.terms.hold,
            expires_at: plan.terms.expires_at,
            settle_at: plan.schedule.as_ref().map(|schedule| schedule.settle_at),
            consent: plan.consent.as_ref().map(Consent::kind),
            by_link: matches!(payer, Payer::OfLink(_)),
        };
        match self.inner.approvers.ask(question).await? {
            Outcome::Approved => Ok(()),
            Outcome::Refused(Approval { approver_name, reason, .. }) => {
                Err(Refusal::ApprovalRefused { approver: approver_name, reason }.into())
            }
            Outcome::Unavailable(Approval { approver_name, reason, .. }) => {
                Err(Refusal::ApprovalUnavailable { approver: approver_name, why: reason }.into())
            }
        }
    }

    /// What was decided about creations of a tenant's invoice, before a row, newest first; `None`: there is neither a
    /// decision nor a preauthorization.
    pub async fn approvals(
        &self,
        tenant: &Tenant,
        invoice: &InvoiceId,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Option<Vec<Approval>>, Fault> {
        let read = async {
            let page = {
                let mut reader = self.inner.store.read().await?;
                approvals::page(&mut reader, tenant.id, invoice, before, limit).await?
            };
            let is_known =
                !page.is_empty() || before.is_some() || self.by_invoice(tenant.id, invoice).await?.is_some();
            Ok(is_known.then_some(page))
        };
        read.await.map_err(|error: StoreError| self.noted(error))
    }
}
