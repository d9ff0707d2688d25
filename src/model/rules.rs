//! The rule engine: what a tenant allows its own systems to create.

use std::collections::BTreeMap;

use alloy::primitives::Address;
use serde::{Deserialize, Serialize};

use super::{AmountError, BaseUnits, ChainTime, Token, TokenAmount};

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
}

/// A creation as the rules see it.
#[derive(Debug, Clone, Copy)]
pub struct Creation<'a> {
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
}

/// Which rule refused a creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("Rule {rule} refused the preauthorization: {why}")]
pub struct RuleRefusal {
    /// The rule's name, as it is written in the tenant's rules.
    pub rule: &'static str,
    pub why: &'static str,
}

impl Rules {
    /// Reads every amount once, so that a rule which could never be evaluated is refused when it is saved.
    ///
    /// # Errors
    /// The first amount that is no amount.
    pub fn check(&self) -> Result<(), AmountError> {
        self.max_amount
            .values()
            .chain(self.max_open_per_sender.values())
            .try_for_each(|text| TokenAmount::parse(text).map(|_| ()))
    }

    /// Judges a creation.
    ///
    /// # Errors
    /// The first rule that refuses. A limit that cannot be read refuses too: a rule engine fails closed.
    pub fn judge(&self, creation: &Creation<'_>) -> Result<(), RuleRefusal> {
        let token = creation.token.contract.address();
        let ttl = creation.expires_at.seconds_since(creation.now);
        let refuse = |rule, why| Err(RuleRefusal { rule, why });

        let is_blocked = |address| self.blocked_addresses.contains(address);
        if creation.sender.as_ref().is_some_and(is_blocked) || is_blocked(&creation.receiver) {
            return refuse("blockedAddresses", "the sender or the receiver is blocked");
        }
        if self.allowed_tokens.as_ref().is_some_and(|allowed| !allowed.contains(&token)) {
            return refuse("allowedTokens", "the token is not on the tenant's list");
        }
        if self.min_ttl_seconds.is_some_and(|shortest| ttl < shortest) {
            return refuse("minTtlSeconds", "it would expire too soon");
        }
        if self.max_ttl_seconds.is_some_and(|longest| ttl > longest) {
            return refuse("maxTtlSeconds", "it would expire too late");
        }
        if exceeds(self.max_amount.get(&token), creation.amount.get(), creation.token) {
            return refuse("maxAmount", "the amount is above the tenant's limit");
        }
        let total = creation.open_total.saturating_add(creation.hold.get());
        if exceeds(self.max_open_per_sender.get(&token), total, creation.token) {
            return refuse("maxOpenPerSender", "the sender's open holds would be above the tenant's limit");
        }
        Ok(())
    }

    /// Whether judging needs the sum of the sender's open holds of this token.
    #[must_use]
    pub fn needs_open_total(&self, token: Address) -> bool {
        self.max_open_per_sender.contains_key(&token)
    }
}

fn exceeds(limit: Option<&String>, units: u128, token: &Token) -> bool {
    let Some(limit) = limit else { return false };
    match TokenAmount::parse(limit).and_then(|limit| limit.in_base_units(token.decimals)) {
        Ok(limit) => units > limit.get(),
        Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Account;

    fn token() -> Token {
        Token {
            contract: Account::from_address(Address::repeat_byte(9)),
            symbol: "USDX".into(),
            decimals: 6,
            active: true,
            signing: None,
        }
    }

    fn judge(rules: &str, change: impl FnOnce(&mut Creation<'_>)) -> Result<(), &'static str> {
        let token = token();
        let mut creation = Creation {
            sender: Some(Address::repeat_byte(1)),
            receiver: Address::repeat_byte(2),
            token: &token,
            amount: BaseUnits::new(100_000_000).unwrap(),
            hold: BaseUnits::new(110_000_000).unwrap(),
            open_total: 0,
            now: ChainTime(1_000),
            expires_at: ChainTime(4_600),
        };
        change(&mut creation);
        let rules: Rules = serde_json::from_str(rules).unwrap();
        rules.judge(&creation).map_err(|refusal| refusal.rule)
    }

    #[test]
    fn without_rules_everything_passes() {
        assert_eq!(judge("{}", |_| {}), Ok(()));
    }

    #[test]
    fn each_rule_has_two_sides() {
        let token = Address::repeat_byte(9);
        let other = Address::repeat_byte(8);
        let cases = [
            (
                format!(r#"{{"maxAmount":{{"{token}":"100"}}}}"#),
                format!(r#"{{"maxAmount":{{"{token}":"99.999999"}}}}"#),
                "maxAmount",
            ),
            (
                format!(r#"{{"maxOpenPerSender":{{"{token}":"110"}}}}"#),
                format!(r#"{{"maxOpenPerSender":{{"{token}":"109"}}}}"#),
                "maxOpenPerSender",
            ),
            (
                format!(r#"{{"allowedTokens":["{token}"]}}"#),
                format!(r#"{{"allowedTokens":["{other}"]}}"#),
                "allowedTokens",
            ),
            (r#"{"minTtlSeconds":3600}"#.into(), r#"{"minTtlSeconds":3601}"#.into(), "minTtlSeconds"),
            (r#"{"maxTtlSeconds":3600}"#.into(), r#"{"maxTtlSeconds":3599}"#.into(), "maxTtlSeconds"),
            (
                format!(r#"{{"blockedAddresses":["{other}"]}}"#),
                format!(r#"{{"blockedAddresses":["{}"]}}"#, Address::repeat_byte(2)),
                "blockedAddresses",
            ),
        ];
        for (allows, refuses, rule) in cases {
            assert_eq!(judge(&allows, |_| {}), Ok(()), "{allows}");
            assert_eq!(judge(&refuses, |_| {}), Err(rule), "{refuses}");
        }
    }

    #[test]
    fn open_holds_count_towards_the_total() {
        let rules = format!(r#"{{"maxOpenPerSender":{{"{}":"110"}}}}"#, Address::repeat_byte(9));
        assert_eq!(judge(&rules, |creation| creation.open_total = 1), Err("maxOpenPerSender"));
    }

    #[test]
    fn an_unreadable_limit_is_found_when_saved_and_refuses_when_met() {
        let rules = format!(r#"{{"maxAmount":{{"{}":"lots"}}}}"#, Address::repeat_byte(9));
        assert!(serde_json::from_str::<Rules>(&rules).unwrap().check().is_err());
        assert_eq!(judge(&rules, |_| {}), Err("maxAmount"));
    }
}
