//! Lock a payer's tokens.

use futures::FutureExt;
use uuid::Uuid;

use super::participants::Participants;
use super::payer::Payer;
use super::terms::{Judged, Purpose};
use super::{Ending, Fault, NewAuthorization, Preauths, Refusal, Snapshot, Stop, Wait};
use crate::chain::EscrowCall;
use crate::model::{CallFailure, Consent, OperationKind, PreauthKey, PreauthStatus, Tenant};
use crate::store::preauths::NewPreauth;
use crate::store::{idempotency, operations, preauths};

impl Preauths {
    /// Locks the hold of a creation: checked against the rules, approved by those whom the tenant has named and, by a dry
    /// run, by the chain; written down; and, unless the caller does not wait, followed until it is locked or failed.
    ///
    /// # Errors
    /// A [`Fault`] of the database.
    pub async fn authorize(
        &self,
        tenant: &Tenant,
        creation: NewAuthorization,
        wait: Wait,
    ) -> Result<Ending, Fault> {
        self.ended(self.lock(tenant, creation, Payer::Named, wait).await)
    }

    pub(super) async fn lock(
        &self,
        tenant: &Tenant,
        creation: NewAuthorization,
        payer: Payer,
        wait: Wait,
    ) -> Result<Ending, Stop> {
        if let Some(key) = self.begun_before().await? {
            return self.follow(PreauthKey(key), wait, Self::locked).await;
        }
        self.accepts_work()?;
        let plan = self.plan(tenant, &creation, payer, Purpose::Lock).await?;
        let transaction_id = Uuid::new_v4();
        self.seek_approval(tenant, &creation, &plan, transaction_id, payer).await?;
        let consent = plan.consent.as_ref().map(Consent::encode).unwrap_or_default();
        let escrow = self.inner.settings.escrow;
        let call = EscrowCall {
            kind: OperationKind::Authorize,
            terms: plan.terms,
            amount: plan.terms.hold,
            consent: consent.clone(),
        };
        let checked = tokio::time::timeout(
            self.inner.settings.request_timeout,
            self.inner.checker.would_lock(escrow, call),
        );
        if let Err(refusal) = checked.await.unwrap_or(Err(Refusal::PreapprovalUnknown)) {
            return Err(self.look_closer(&plan, refusal).await.into());
        }

        let judged = Some(plan.judged).filter(Judged::depends_on_others);
        let new = NewPreauth {
            transaction_id,
            tenant: tenant.id,
            invoice: creation.invoice,
            preauth_id: plan.terms.preauth_id,
            escrow,
            sender: creation.sender,
            receiver: creation.receiver,
            token: creation.token,
            decimals: plan.token.decimals,
            amount: creation.amount,
            hold: plan.terms.hold,
            expires_at: plan.terms.expires_at,
            consent,
            schedule: plan.schedule,
        };
        let key = self.write_down(new, judged, plan.participants, payer).await?;
        self.inner.signals.work_arrived();
        match wait {
            Wait::ForOutcome => self.follow(key, wait, Self::locked).await,
            Wait::No => Ok(Ending::Accepted(Box::new(self.snapshot(key).await?))),
        }
    }

    /// The preauth and the operation to lock it, in one change. A unique violation is an invoice that exists.
    async fn write_down(
        &self,
        new: NewPreauth,
        judged: Option<Judged>,
        participants: Option<Participants>,
        payer: Payer,
    ) -> Result<PreauthKey, Stop> {
        let (now, chain_now, once) = (self.inner.clock.wall(), self.inner.clock.now(), self.once);
        let written = self
            .inner
            .store
            .write::<_, Stop, _>(move |tx| {
                async move {
                    if let Some(judged) = judged {
                        judged.judge(tx).await?;
                    }
                    if let Some(participants) = participants {
                        participants.may_still_take_part(tx).await?;
                    }
                    payer.may_still_pay(tx, chain_now).await?;
                    let key = preauths::insert(tx, &new, now).await?;
                    operations::insert(tx, key, OperationKind::Authorize, None, new.expires_at, now).await?;
                    idempotency::note_effect(tx, once, key.0).await?;
                    Ok(key)
                }
                .boxed()
            })
            .await;
        written.map_err(|stop| match stop {
            Stop::Fault(Fault::Store(error)) if error.is_unique_violation() => Refusal::InvoiceExists.into(),
            other => other,
        })
    }

    fn locked(snapshot: &Snapshot) -> Option<Result<(), Refusal>> {
        match snapshot.preauth.status {
            PreauthStatus::Pending => None,
            PreauthStatus::Rejected => {
                let reason = snapshot.preauth.failure.clone();
                Some(Err(Refusal::LockFailed(reason.unwrap_or_else(|| CallFailure::Other("unknown".into())))))
            }
            PreauthStatus::Authorized
            | PreauthStatus::Settled
            | PreauthStatus::Cancelled
            | PreauthStatus::Expired => Some(Ok(())),
        }
    }
}
