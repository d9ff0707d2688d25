//! What merchants ask for, what they are told, and what other people do meanwhile.

use alloy::primitives::Bytes;
use futures::FutureExt;
use rand::RngExt;
use rand::seq::IndexedRandom;

use super::life::{Life, Verdict};
use super::network::Foreign;
use super::stage::{RECEIVERS, SENDERS, TOKENS, tenant};
use super::truth;
use crate::chain::EscrowCall;
use crate::model::{
    Account, BaseUnits, ChainTime, InvoiceId, OperationKind, Preauth, PreauthStatus, TokenAmount,
};
use crate::preauth::{Ending, Fault, NewAuthorization, RequestedTime, Wait};

impl Life {
    /// A merchant's system asks for something.
    pub(super) async fn request(&mut self) -> Verdict {
        let Some(preauths) = self.preauths() else { return Ok(()) };
        if self.invoices == 0 || self.random.random_range(0..5) < 2 {
            return self.request_creation().await;
        }
        let invoice = format!("INV-{}", self.random.random_range(1..=self.invoices));
        let id = InvoiceId::parse(&invoice).unwrap();
        let shop = tenant();
        let kind = self.random.random_range(0..4);
        let at = self.seconds_ahead(1);
        let ask = async {
            match kind {
                0 | 1 => {
                    let amount = TokenAmount::parse("0.5").unwrap();
                    preauths.settle(&shop, &id, amount, RequestedTime::Absent, Wait::No).await
                }
                2 => {
                    let amount = TokenAmount::parse("0.25").unwrap();
                    preauths.settle(&shop, &id, amount, RequestedTime::At(at), Wait::No).await
                }
                _ => preauths.cancel(&shop, &id, Wait::No).await,
            }
        };
        let Some(ending) = self.fate.allows(ask).await else {
            self.die().await;
            return Ok(());
        };
        tracing::debug!(invoice, kind, ending = ?ending.as_ref().map(name), "asked");
        if let (3, Ok(Ending::Done(ended))) = (kind, &ending)
            && let Some(store) = self.store()
            && !truth::may_be_paid_by_what_is_signed(&store, ended.preauth.key).await
        {
            self.ledger.entry(invoice.clone()).or_default().cancelled = true;
        }
        self.hear(&invoice, ending);
        Ok(())
    }

    pub(super) async fn request_creation(&mut self) -> Verdict {
        let Some(preauths) = self.preauths() else { return Ok(()) };
        self.invoices += 1;
        let invoice = format!("INV-{}", self.invoices);
        let expires_at = match self.random.random_range(0..4) {
            0 => RequestedTime::Absent,
            _ => RequestedTime::At(self.seconds_ahead(61)),
        };
        let settle_at = match self.random.random_range(0..5) {
            0 => RequestedTime::At(self.seconds_ahead(1)),
            _ => RequestedTime::Absent,
        };
        let random = &mut self.random;
        let creation = NewAuthorization {
            invoice: InvoiceId::parse(&invoice).unwrap(),
            sender: Account::from_address(*SENDERS.choose(random).unwrap()),
            receiver: Account::from_address(*RECEIVERS.choose(random).unwrap()),
            token: Account::from_address(*TOKENS.choose(random).unwrap()),
            amount: TokenAmount::parse("1.5").unwrap(),
            expires_at,
            settle_at,
            consent: None,
        };
        let create = async move { preauths.authorize(&tenant(), creation, Wait::No).await }.boxed();
        self.create(invoice, create).await
    }

    /// A time that is at least so many seconds ahead.
    fn seconds_ahead(&mut self, least: u64) -> ChainTime {
        let seconds: u64 = *[5, 30, 120, 600, 1_500].choose(&mut self.random).unwrap();
        self.network.head().header.timestamp.saturating_add(least + seconds)
    }

    /// What a merchant is told binds.
    pub(super) fn hear(&mut self, invoice: &str, ending: Result<Ending, Fault>) {
        if let Ok(Ending::Done(_) | Ending::Accepted(_)) = ending {
            self.ledger.entry(invoice.to_owned()).or_default().accepted = true;
        }
    }

    /// Somebody else does something on the same chain.
    pub(super) async fn deed(&mut self) {
        let (token, sender) =
            (*TOKENS.choose(&mut self.random).unwrap(), *SENDERS.choose(&mut self.random).unwrap());
        let yes = self.random.random_range(0..3) == 0;
        let deed = match self.random.random_range(0..9) {
            0 => Foreign::Allow { token, owner: sender, units: if yes { 0 } else { 1_000_000_000 } },
            1 => Foreign::Block { token, account: sender, blocked: yes },
            2 => {
                let account = *RECEIVERS.choose(&mut self.random).unwrap();
                Foreign::Block { token, account, blocked: yes }
            }
            3 => Foreign::PauseToken { token, paused: yes },
            4 => Foreign::PauseEscrow(yes),
            5 if self.weather.strangers => Foreign::TakeNonce(self.some_operator()),
            6 => Foreign::SetOperator(self.some_operator(), !yes),
            _ => match self.somebodys_call().await {
                Some(call) => call,
                None => return,
            },
        };
        tracing::debug!(?deed, "somebody did something");
        self.network.foreign.push(deed);
    }

    fn some_operator(&mut self) -> alloy::primitives::Address {
        self.operators.choose(&mut self.random).unwrap().address()
    }

    /// The receiver cancels by himself, or anybody expires.
    async fn somebodys_call(&mut self) -> Option<Foreign> {
        let open: Vec<Preauth> = truth::rows(&self.store()?)
            .await
            .into_iter()
            .filter(|row| row.status == PreauthStatus::Authorized)
            .collect();
        let row = open.choose(&mut self.random)?;
        let (kind, caller) = match self.random.random_range(0..2) {
            0 => (OperationKind::Cancel, row.receiver.address()),
            _ => (OperationKind::Expire, row.sender.address()),
        };
        let call = EscrowCall { kind, terms: row.terms(), amount: BaseUnits::ZERO, consent: Bytes::new() };
        Some(Foreign::Call(caller, call.encode()))
    }
}

fn name(ending: &Ending) -> &'static str {
    match ending {
        Ending::Done(_) => "done",
        Ending::Accepted(_) => "accepted",
        Ending::Refused(_) => "refused",
    }
}
