//! A tenant's rules, read once and asked often.

use std::borrow::Cow;

use alloy::primitives::Address;

use super::expression::{Compiled, compile_all};
use super::{Creation, Expression, ExpressionFlaw, RuleRefusal, Rules, Ruling};

/// Rules with their expressions read. An expression that cannot be read refuses every creation: it was one when it was saved,
/// so something is wrong, and a rule engine fails closed.
#[derive(Debug)]
pub struct Rulebook {
    rules: Rules,
    expressions: Vec<Result<Compiled, ExpressionFlaw>>,
}

impl Rulebook {
    /// Reads the expressions, which takes a moment: up to some hundred milliseconds where they are as long as they may be.
    #[must_use]
    pub fn open(rules: Rules) -> Self {
        let expressions = compile_all(&rules.expressions);
        Self { rules, expressions }
    }

    /// Rules whose expressions could not be read now: they refuse everything.
    #[must_use]
    pub fn unread(rules: Rules) -> Self {
        let flaw = |one: &Expression| Err(one.flaw(None, "could not be read".to_owned()));
        let expressions = rules.expressions.iter().map(flaw).collect();
        Self { rules, expressions }
    }

    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// What is wrong with an expression, where something is.
    #[must_use]
    pub fn flaw(&self) -> Option<&ExpressionFlaw> {
        self.expressions.iter().find_map(|one| one.as_ref().err())
    }

    /// Judges a creation.
    ///
    /// # Errors
    /// The first rule that refuses.
    pub fn judge(&self, creation: &Creation<'_>) -> Result<(), RuleRefusal> {
        let refusal = self.rulings(creation).find_map(|(rule, ruling)| match ruling {
            Ruling::Refuses(why) => Some(RuleRefusal { rule: rule.into_owned().into(), why }),
            Ruling::Passes | Ruling::Waits => None,
        });
        refusal.map_or(Ok(()), Err)
    }

    /// What each rule says, by its name, in the order in which they are asked. Those that do not apply to the token say nothing.
    pub fn rulings(&self, creation: &Creation<'_>) -> impl Iterator<Item = (Cow<'_, str>, Ruling)> {
        let fixed = self.rules.fixed(creation).map(|(rule, ruling)| (rule.into(), ruling));
        let expressions = self.rules.expressions.iter().zip(&self.expressions);
        fixed.chain(expressions.map(|(written, read)| {
            let ruling = match read {
                Ok(read) => read.ruling(&written.why, creation),
                Err(flaw) => Ruling::Refuses(flaw.why.clone().into()),
            };
            (written.name.as_str().into(), ruling)
        }))
    }

    /// Whether judging needs the sum of the sender's open holds of this token.
    #[must_use]
    pub fn needs_open_total(&self, token: Address) -> bool {
        let by_expression = |one: &Result<Compiled, _>| one.as_ref().is_ok_and(|one| one.mentions.open_total);
        self.rules.max_open_per_sender.contains_key(&token) || self.expressions.iter().any(by_expression)
    }
}
