//! The dry run of creations, gathered: one `eth_call` for all that wait, with an answer for each.

use std::collections::HashSet;

use alloy::primitives::Address;
use tokio::sync::{mpsc, oneshot};

use super::refusal::{ConsentFlaw, Demand, Refusal};
use crate::chain::{Chain, ChainError, DryRun, EscrowCall};
use crate::lane::{CallNeed, fitting, transaction_gas};
use crate::model::CallFailure;

/// Creations in one dry run at most.
const GROUP_LIMIT: usize = 100;
/// Gas of one dry run at most: that of the largest transaction.
const MAX_GAS: u64 = 16_777_216;
/// Creations that may wait before their callers have to.
const QUEUE_LIMIT: usize = 4_096;

type Answer = Result<(), Refusal>;

struct Question {
    escrow: Address,
    call: EscrowCall,
    answer: oneshot::Sender<Answer>,
}

/// Asks the chain whether authorizations would succeed now. Clones share one queue.
#[derive(Clone)]
pub struct Checker {
    queue: mpsc::Sender<Question>,
}

impl Checker {
    /// Starts the task that asks, with one of `operators` as the caller of the dry runs. It ends with its last clone.
    #[must_use]
    pub fn spawn(chain: Chain, operators: Vec<Address>) -> Self {
        let (queue, questions) = mpsc::channel(QUEUE_LIMIT);
        tokio::spawn(run(chain, operators, questions));
        Self { queue }
    }

    /// Whether the authorization would succeed on the newest block; the refusal says why not.
    pub(super) async fn would_lock(&self, escrow: Address, call: EscrowCall) -> Answer {
        let (answer, answered) = oneshot::channel();
        let question = Question { escrow, call, answer };
        self.queue.send(question).await.map_err(|_| Refusal::PreapprovalUnknown)?;
        answered.await.map_err(|_| Refusal::PreapprovalUnknown)?
    }
}

async fn run(chain: Chain, mut operators: Vec<Address>, mut questions: mpsc::Receiver<Question>) {
    let mut waiting: Vec<Question> = Vec::new();
    loop {
        if waiting.is_empty() && questions.recv_many(&mut waiting, GROUP_LIMIT).await == 0 {
            return;
        }
        while waiting.len() < GROUP_LIMIT
            && let Ok(question) = questions.try_recv()
        {
            waiting.push(question);
        }
        let group = take_group(&mut waiting);
        ask(&chain, &mut operators, group).await;
    }
}

/// Takes questions of one escrow out of those that wait, as many as nodes run at once. Two creations of one preauth id
/// would spoil each other's answer, so the second waits for the next group.
fn take_group(waiting: &mut Vec<Question>) -> Vec<Question> {
    let mut seen = HashSet::new();
    let escrow = waiting.first().map(|question| question.escrow);
    let (mut group, rest): (Vec<Question>, Vec<Question>) = std::mem::take(waiting)
        .into_iter()
        .partition(|question| Some(question.escrow) == escrow && seen.insert(question.call.terms.preauth_id));
    let needs: Vec<CallNeed> = group.iter().map(|question| CallNeed::at_most(&question.call)).collect();
    *waiting = group.split_off(fitting(&needs, MAX_GAS).max(1));
    waiting.extend(rest);
    group
}

async fn ask(chain: &Chain, operators: &mut [Address], group: Vec<Question>) {
    let Some(escrow) = group.first().map(|question| question.escrow) else { return };
    let calls: Vec<EscrowCall> = group.iter().map(|question| question.call.clone()).collect();
    let answers = match dry_run(chain, operators, escrow, &calls).await {
        Ok(DryRun::Answers(answers)) => answers.into_iter().map(|answer| answer.map_err(refusal)).collect(),
        Ok(DryRun::NoContract) => {
            vec![Err(Refusal::ContractNotAvailable("there is no escrow at its address".into())); group.len()]
        }
        Ok(DryRun::Reverted(failure)) => {
            tracing::warn!(%failure, items = group.len(), "a dry run of creations could not run as a whole");
            vec![Err(Refusal::PreapprovalUnknown); group.len()]
        }
        Err(error) => {
            tracing::warn!(%error, items = group.len(), "creations could not be checked");
            vec![Err(Refusal::PreapprovalUnknown); group.len()]
        }
    };
    for (question, answer) in group.into_iter().zip(answers) {
        // A caller who has gone away has nobody to be told.
        let _ = question.answer.send(answer);
    }
}

/// Runs the calls as the first operator; where that key is revoked, as the next one, which is first from then on.
async fn dry_run(
    chain: &Chain,
    operators: &mut [Address],
    escrow: Address,
    calls: &[EscrowCall],
) -> Result<DryRun, ChainError> {
    let needs: Vec<CallNeed> = calls.iter().map(CallNeed::at_most).collect();
    let (gas_limit, gas_per_call) = transaction_gas(&needs);
    let mut answer = DryRun::NoContract;
    for _ in 0..operators.len() {
        let Some(operator) = operators.first() else { break };
        answer = chain.dry_run(*operator, escrow, calls, gas_per_call, gas_limit, None).await?;
        match &answer {
            DryRun::Answers(answers) if answers.contains(&Err(CallFailure::NotOperator)) => {
                operators.rotate_left(1)
            }
            _ => break,
        }
    }
    Ok(answer)
}

/// What a failed dry run of an authorization means for its creation.
fn refusal(failure: CallFailure) -> Refusal {
    match failure {
        CallFailure::AlreadyUsed | CallFailure::NotOpen | CallFailure::TermsMismatch => {
            Refusal::InvoiceExists
        }
        CallFailure::InvalidExpiry | CallFailure::PreauthExpired | CallFailure::NotExpired => {
            Refusal::InvalidExpiry("is not ahead of the chain's clock")
        }
        CallFailure::NotOperator | CallFailure::Paused => Refusal::ContractNotAvailable(failure.to_string()),
        CallFailure::ReceiverNotRegistered => Refusal::ReceiverNotActive,
        CallFailure::ConsentRequired => Refusal::ConsentRequired(Demand::Sender),
        CallFailure::InvalidConsent => Refusal::InvalidConsent(ConsentFlaw::NotSigned),
        CallFailure::ConsentUsed => Refusal::InvalidConsent(ConsentFlaw::Used),
        CallFailure::InsufficientAllowance => Refusal::InsufficientAllowance,
        CallFailure::InsufficientBalance => Refusal::InsufficientBalance,
        CallFailure::Other(reason) => Refusal::TokenRefused(reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{BaseUnits, ChainTime, OperationKind, Terms};
    use alloy::primitives::{B256, Bytes};

    fn question(id: u8, consent: &'static [u8]) -> Question {
        let terms = Terms {
            sender: Address::ZERO,
            receiver: Address::ZERO,
            token: Address::ZERO,
            hold: BaseUnits::ZERO,
            expires_at: ChainTime(0),
            preauth_id: B256::repeat_byte(id),
        };
        let call = EscrowCall {
            kind: OperationKind::Authorize,
            terms,
            amount: BaseUnits::ZERO,
            consent: Bytes::from_static(consent),
        };
        Question { escrow: Address::ZERO, call, answer: oneshot::channel().0 }
    }

    #[test]
    fn creations_of_one_invoice_are_asked_one_after_the_other() {
        let mut waiting = vec![question(1, &[]), question(2, &[]), question(1, &[]), question(1, &[])];
        assert_eq!(take_group(&mut waiting).len(), 2);
        assert_eq!(take_group(&mut waiting).len(), 1);
        assert_eq!(take_group(&mut waiting).len(), 1);
        assert!(waiting.is_empty());
    }

    #[test]
    fn a_group_is_no_larger_than_nodes_run_at_once() {
        // Each of these may deploy a wallet.
        static UNDEPLOYED: [u8; 33] =
            alloy::hex!("016492649264926492649264926492649264926492649264926492649264926492");
        let mut waiting: Vec<Question> = (0..60).map(|id| question(id, &UNDEPLOYED)).collect();
        let mut groups = Vec::new();
        while !waiting.is_empty() {
            groups.push(take_group(&mut waiting));
        }
        assert!(groups.len() > 1);
        for group in &groups {
            let needs: Vec<CallNeed> =
                group.iter().map(|question| CallNeed::at_most(&question.call)).collect();
            assert!(transaction_gas(&needs).0 <= MAX_GAS);
        }
        let asked: Vec<u8> =
            groups.iter().flatten().map(|question| question.call.terms.preauth_id[0]).collect();
        assert_eq!(asked, (0..60).collect::<Vec<u8>>(), "in the order in which they came");
    }
}
