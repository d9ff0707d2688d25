//! The rule engine: what a tenant allows its own systems to create. Some rules have a fixed form; what they cannot say is
//! written as an expression.

mod check;
mod expression;
mod kinds;
mod rulebook;
mod tokens;

use std::borrow::Cow;
use std::collections::BTreeMap;

use alloy::primitives::Address;
use serde::{Deserialize, Serialize};

use super::{AmountError, BaseUnits, ChainTime, InvoiceId, Token, TokenAmount};

pub use expression::{Expression, ExpressionFlaw};
pub use rulebook::Rulebook;

/// The rules of one tenant. A rule that is absent allows everything.
///
/// Amounts are decimal strings in whole tokens; addresses are compared as bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Rules {
    /// Largest amount of one preauthorization, per token.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub max_amount: BTreeMap<Address, String>,
    /// Largest sum of a sender's open holds with this tenant, the new one included, per token.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub max_open_per_sender: BTreeMap<Address, String>,
    /// The only tokens that may be used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allowed_tokens: Option<Vec<Address>>,
    /// Shortest time from creation to expiry, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_ttl_seconds: Option<u64>,
    /// Longest time from creation to expiry, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_ttl_seconds: Option<u64>,
    /// Addresses that may neither pay nor be paid.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub blocked_addresses: Vec<Address>,
    /// Rules of the tenant's own. Each must be true of a creation.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub expressions: Vec<Expression>,
}

/// Why rules cannot be saved.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RulesFlaw {
    #[error("an amount {0}")]
    Amount(#[from] AmountError),
    #[error(transparent)]
    Expression(#[from] ExpressionFlaw),
    #[error("there are more than {0} expressions")]
    TooMany(usize),
}

/// A creation as the rules see it.
#[derive(Debug, Clone, Copy)]
pub struct Creation<'a> {
    pub invoice: &'a InvoiceId,
    /// `None`: not known yet. What depends on him is judged when he is.
    pub sender: Option<Address>,
    pub receiver: Address,
    pub token: &'a Token,
    /// Without the tip.
    pub amount: BaseUnits,
    /// With the tip.
    pub hold: BaseUnits,
    /// Sum of the sender's open holds of this token with this tenant, this creation not included.
    pub open_total: u128,
    pub now: ChainTime,
    pub expires_at: ChainTime,
    /// The kind of the payer's consent, or [`ALLOWANCE`]. `None`: not known yet.
    pub consent: Option<&'static str>,
    /// It came, or is to come, through a pay link.
    pub pay_link: bool,
    /// It is to be settled in full at a time of its own.
    pub scheduled: bool,
}

/// The consent of a creation without a signature.
pub const ALLOWANCE: &str = "allowance";

/// Which rule refused a creation.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Rule {rule} refused the preauthorization: {why}")]
pub struct RuleRefusal {
    /// The rule's name, as it is written in the tenant's rules.
    pub rule: Cow<'static, str>,
    pub why: Cow<'static, str>,
}

/// What one rule says of a creation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ruling {
    Passes,
    /// And why.
    Refuses(Cow<'static, str>),
    /// It depends on the sender or his consent, and is asked when they are known.
    Waits,
}

impl Ruling {
    fn unless(refuses: bool, why: &'static str) -> Self {
        if refuses { Self::Refuses(why.into()) } else { Self::Passes }
    }
}

impl Rules {
    /// Reads every amount and every expression once, so that a rule which could never be evaluated is refused when it is saved.
    ///
    /// # Errors
    /// The first amount that is no amount, or the first expression that says nothing about creations.
    pub fn check(&self) -> Result<(), RulesFlaw> {
        for text in self.max_amount.values().chain(self.max_open_per_sender.values()) {
            TokenAmount::parse(text)?;
        }
        if self.expressions.len() > expression::MAX_EXPRESSIONS {
            return Err(RulesFlaw::TooMany(expression::MAX_EXPRESSIONS));
        }
        let mut names = FIXED.to_vec();
        for one in &self.expressions {
            if names.contains(&one.name.as_str()) {
                return Err(one.flaw(None, "another rule has this name".to_owned()).into());
            }
            names.push(&one.name);
        }
        for compiled in expression::compile_all(&self.expressions) {
            compiled?;
        }
        Ok(())
    }

    /// What each rule of a fixed form that applies says of a creation. A limit that cannot be read refuses: a rule engine fails
    /// closed.
    fn fixed(&self, creation: &Creation<'_>) -> impl Iterator<Item = (&'static str, Ruling)> + use<> {
        let token = creation.token.contract.address();
        let ttl = creation.expires_at.seconds_since(creation.now);
        let total = creation.open_total.saturating_add(creation.hold.get());
        let is_blocked = |address| self.blocked_addresses.contains(address);
        let blocked = creation.sender.as_ref().is_some_and(is_blocked) || is_blocked(&creation.receiver);
        let rulings = [
            (!self.blocked_addresses.is_empty())
                .then(|| Ruling::unless(blocked, "the sender or the receiver is blocked")),
            self.allowed_tokens.as_ref().map(|allowed| {
                Ruling::unless(!allowed.contains(&token), "the token is not on the tenant's list")
            }),
            self.min_ttl_seconds.map(|shortest| Ruling::unless(ttl < shortest, "it would expire too soon")),
            self.max_ttl_seconds.map(|longest| Ruling::unless(ttl > longest, "it would expire too late")),
            self.max_amount.get(&token).map(|limit| {
                let exceeded = exceeds(limit, creation.amount.get(), creation.token);
                Ruling::unless(exceeded, "the amount is above the tenant's limit")
            }),
            self.max_open_per_sender.get(&token).map(|limit| {
                let exceeded = exceeds(limit, total, creation.token);
                Ruling::unless(exceeded, "the sender's open holds would be above the tenant's limit")
            }),
        ];
        FIXED.into_iter().zip(rulings).filter_map(|(rule, ruling)| Some((rule, ruling?)))
    }
}

/// The rules of a fixed form, in the order in which they are asked.
const FIXED: [&str; 6] =
    ["blockedAddresses", "allowedTokens", "minTtlSeconds", "maxTtlSeconds", "maxAmount", "maxOpenPerSender"];

fn exceeds(limit: &str, units: u128, token: &Token) -> bool {
    match TokenAmount::parse(limit).and_then(|limit| limit.in_base_units(token.decimals)) {
        Ok(limit) => units > limit.get(),
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests;
