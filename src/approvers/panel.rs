//! Asks approvers, all at once, and makes one verdict of what they say.

use std::time::Duration;

use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use reqwest::StatusCode;
use tracing::Instrument;
use uuid::Uuid;

use super::question::Question;
use super::registry::SCHEME;
use super::{ApproverFault, ApproverRefusal, Approvers};
use crate::chain::wall_now;
use crate::model::{Approval, Approver, ApproverAnswer, Decision, Millis, Tenant};
use crate::outbound::{Keys, Message, beginning};
use crate::store::{StoreError, approvals, approvers};

/// The largest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 4_096;
/// What a question is called in its body.
const REQUESTED: &str = "approval.requested";
/// The same for one from whose answer nothing follows.
const TEST: &str = "approval.test";

/// What a tenant's approvers make of a creation.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// All approve, or there is none to ask.
    Approved,
    /// One refuses, whatever the others say.
    Refused(Approval),
    /// Nobody refuses, and one does not answer.
    Unavailable(Approval),
}

/// What came of trying out an approver.
#[derive(Debug, Clone)]
pub struct Tried {
    pub decision: Decision,
    /// The approver's words; where it is unavailable, ours.
    pub reason: Option<String>,
    pub duration_ms: u64,
}

impl Approvers {
    /// Asks a tenant's approvers about a creation, and writes down what they decide before it returns. A refusal does not
    /// wait for those who have not answered; one who is unavailable does, because a refusal says more. A caller who goes
    /// away meanwhile takes nothing back: what was asked is decided and on record all the same.
    ///
    /// # Errors
    /// A fault of the database: nothing was decided then.
    pub async fn ask(&self, question: Question) -> Result<Outcome, StoreError> {
        let mut approvers = {
            let mut reader = self.store.read().await?;
            approvers::of_tenant(&mut reader, question.tenant).await?
        };
        approvers.retain(|approver| approver.enabled);
        if approvers.is_empty() {
            return Ok(Outcome::Approved);
        }
        let this = self.clone();
        let decided = async move { this.decide(&approvers, &question).await };
        tokio::spawn(decided.in_current_span()).await.unwrap_or_else(|error| {
            tracing::error!(%error, "asking approvers panicked");
            Err(StoreError::Stopped)
        })
    }

    /// Polls the approvers, and writes down what they say.
    async fn decide(&self, approvers: &[Approver], question: &Question) -> Result<Outcome, StoreError> {
        let approvals = self.poll(approvers, question).await;
        approvals.iter().for_each(count);
        let (tenant, written) = (question.tenant, approvals.clone());
        self.store
            .write::<_, StoreError, _>(move |tx| {
                async move {
                    for approval in &written {
                        approvals::insert(tx, tenant, approval).await?;
                    }
                    Ok(())
                }
                .boxed()
            })
            .await?;
        Ok(verdict(approvals))
    }

    /// Asks an approver about a creation there is not. Nothing is written down, nothing follows.
    ///
    /// # Errors
    /// [`ApproverFault`].
    pub async fn test(
        &self,
        tenant: &Tenant,
        id: Uuid,
    ) -> Result<Result<Tried, ApproverRefusal>, ApproverFault> {
        let approver = match self.find(tenant.id, id).await? {
            Ok(approver) => approver,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let now = wall_now();
        let question = Question::sample(tenant, now);
        let body = question.body(TEST, now);
        Ok(Ok(self.put(&approver, question.transaction_id, now, body).await))
    }

    /// A decision for each approver, in their order.
    async fn poll(&self, approvers: &[Approver], question: &Question) -> Vec<Approval> {
        let (now, started) = (wall_now(), tokio::time::Instant::now());
        let body = question.body(REQUESTED, now);
        let mut answers: FuturesUnordered<_> = approvers
            .iter()
            .map(|approver| {
                let span = tracing::info_span!("approval", approver = %approver.id);
                let put = self.put(approver, question.transaction_id, now, body.clone()).instrument(span);
                async move { (approver.key, put.await) }
            })
            .collect();
        let mut given = Vec::with_capacity(approvers.len());
        while let Some((approver, tried)) = answers.next().await {
            let is_refused = tried.decision == Decision::Refused;
            given.push((approver, tried));
            if is_refused {
                break;
            }
        }
        drop(answers);
        let withdrawn =
            Tried { decision: Decision::Withdrawn, reason: None, duration_ms: millis(started.elapsed()) };
        let of = |approver: &Approver| {
            let tried = given.iter().find(|(key, _)| *key == approver.key).map(|(_, tried)| tried.clone());
            let Tried { decision, reason, duration_ms } = tried.unwrap_or_else(|| withdrawn.clone());
            Approval {
                key: 0,
                approver: approver.key,
                approver_id: approver.id,
                approver_name: approver.name.clone(),
                invoice: question.invoice.clone(),
                transaction_id: question.transaction_id,
                decision,
                reason,
                duration_ms,
                at: now,
            }
        };
        approvers.iter().map(of).collect()
    }

    /// Puts one question to one approver, within its time limit.
    async fn put(&self, approver: &Approver, id: Uuid, now: Millis, body: Vec<u8>) -> Tried {
        // Measures the approver, decides nothing.
        let started = tokio::time::Instant::now();
        let answered =
            tokio::time::timeout(approver.time_limit(), self.exchange(approver, id, now, body)).await;
        let answered = answered.unwrap_or_else(|_| Err("no answer in time".to_owned()));
        let duration_ms = millis(started.elapsed());
        match answered {
            Ok(ApproverAnswer { approves, reason }) => {
                let decision = if approves { Decision::Approved } else { Decision::Refused };
                tracing::debug!(decision = decision.as_str(), duration_ms, "an approver answered");
                Tried { decision, reason, duration_ms }
            }
            Err(why) => {
                tracing::warn!(approver = %approver.id, %why, duration_ms, "an approver gave no answer that counts");
                Tried { decision: Decision::Unavailable, reason: Some(why), duration_ms }
            }
        }
    }

    /// The answer, or why there is none that counts.
    async fn exchange(
        &self,
        approver: &Approver,
        id: Uuid,
        now: Millis,
        body: Vec<u8>,
    ) -> Result<ApproverAnswer, String> {
        let places = self.places.of(approver.key);
        let _place = places.acquire().await.map_err(|_| "it is asked no more".to_owned())?;
        let id = id.to_string();
        let keys = Keys {
            owner: approver.id,
            scheme: SCHEME,
            secret: &approver.secret,
            old_secret: approver.old_secret.as_ref(),
        };
        let signature = keys.sign(&self.outbound.vault, &id, now, &body).map_err(|error| {
            tracing::error!(approver = %approver.id, %error, "a question to an approver cannot be signed");
            "the question could not be signed; the daemon's log says why".to_owned()
        })?;
        let message = Message { url: approver.url.clone(), id, timestamp: now.0 / 1_000, signature, body };
        let mut response = self.post.send(message, approver.time_limit()).await?;
        let status = response.status();
        if status.is_redirection() {
            return Err(format!("answered {}: redirects are not followed", status.as_u16()));
        }
        if status != StatusCode::OK {
            return Err(format!("answered {}", status.as_u16()));
        }
        let (answer, broken) = beginning(&mut response, MAX_ANSWER_BYTES + 1).await;
        if let Some(why) = broken {
            return Err(why);
        }
        if answer.len() > MAX_ANSWER_BYTES {
            return Err(format!("answered with more than {MAX_ANSWER_BYTES} bytes"));
        }
        ApproverAnswer::parse(&answer)
            .ok_or_else(|| r#"answered neither {"decision":"approve"} nor {"decision":"refuse"}"#.to_owned())
    }
}

/// One refusal refuses; else one who is unavailable keeps all from going on.
fn verdict(approvals: Vec<Approval>) -> Outcome {
    let first = |decision| approvals.iter().find(|approval| approval.decision == decision).cloned();
    if let Some(refused) = first(Decision::Refused) {
        return Outcome::Refused(refused);
    }
    match approvals.iter().find(|approval| approval.decision != Decision::Approved) {
        Some(missing) => Outcome::Unavailable(missing.clone()),
        None => Outcome::Approved,
    }
}

fn count(approval: &Approval) {
    let decision = approval.decision;
    metrics::counter!("preauthd_approvals_total", "decision" => decision.as_str()).increment(1);
    if decision != Decision::Withdrawn {
        let took = Duration::from_millis(approval.duration_ms);
        metrics::histogram!("preauthd_approval_seconds").record(took.as_secs_f64());
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ApproverName, InvoiceId};

    fn approval(decision: Decision) -> Approval {
        Approval {
            key: 0,
            approver: 1,
            approver_id: Uuid::nil(),
            approver_name: ApproverName::parse("one").unwrap(),
            invoice: InvoiceId::parse("INV-1").unwrap(),
            transaction_id: Uuid::nil(),
            decision,
            reason: None,
            duration_ms: 1,
            at: Millis(0),
        }
    }

    #[test]
    fn only_when_all_approve_it_goes_on() {
        use Decision::{Approved, Refused, Unavailable, Withdrawn};
        let said = |decisions: &[Decision]| match verdict(decisions.iter().copied().map(approval).collect()) {
            Outcome::Approved => Approved,
            Outcome::Refused(by) => by.decision,
            Outcome::Unavailable(by) => by.decision,
        };
        assert_eq!(said(&[Approved, Approved]), Approved);
        assert_eq!(said(&[Approved, Refused]), Refused);
        assert_eq!(said(&[Unavailable, Refused, Withdrawn]), Refused);
        assert_eq!(said(&[Approved, Unavailable]), Unavailable);
        assert_eq!(said(&[Withdrawn, Approved]), Withdrawn, "it takes a yes of everybody");
    }
}
