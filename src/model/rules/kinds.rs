//! Kinds: what the parts of an expression stand for, and which of them an operator or a function takes.

use std::fmt;

use cel::common::ast::operators;

/// What a part of an expression stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Bool,
    Number,
    Text,
    /// In lower case, so that it is compared as bytes.
    Address,
    Amount,
    List(Box<Kind>),
    Map(Box<Kind>, Box<Kind>),
}

impl fmt::Display for Kind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Bool => "a truth value",
            Self::Number => "a number",
            Self::Text => "a text",
            Self::Address => "an address",
            Self::Amount => "an amount",
            Self::List(_) => "a list",
            Self::Map(..) => "a map",
        })
    }
}

/// What does not fit, and at which node.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Misfit {
    pub node: u64,
    pub why: String,
}

/// The kind of an operator or a function, applied to arguments of these kinds.
pub(super) fn apply(id: u64, name: &str, arguments: &[Kind]) -> Result<Kind, Misfit> {
    const COUNTS: &[Kind] = &[Kind::Number, Kind::Amount];
    match (name, arguments) {
        (operators::LOGICAL_AND | operators::LOGICAL_OR, [left, right]) => {
            expect_all(id, shown(name), [left, right], &[Kind::Bool])
        }
        (operators::LOGICAL_NOT, [one]) => expect_all(id, "!", [one, one], &[Kind::Bool]),
        (operators::CONDITIONAL, [condition, yes, no]) => {
            expect_all(id, "?", [condition, condition], &[Kind::Bool])?;
            if yes == no {
                Ok(yes.clone())
            } else {
                misfit(id, format!("is {yes} or {no}: both must be alike"))
            }
        }
        (operators::EQUALS | operators::NOT_EQUALS, [left, right]) => {
            if left == right && is_scalar(left) {
                Ok(Kind::Bool)
            } else {
                misfit(id, compares(left, right))
            }
        }
        (
            operators::LESS | operators::LESS_EQUALS | operators::GREATER | operators::GREATER_EQUALS,
            [left, right],
        ) => {
            if left == right && COUNTS.contains(left) {
                Ok(Kind::Bool)
            } else {
                misfit(id, compares(left, right))
            }
        }
        (operators::ADD | operators::SUBSTRACT, [left, right]) => {
            expect_all(id, shown(name), [left, right], COUNTS)
        }
        (operators::MULTIPLY | operators::DIVIDE | operators::MODULO, [left, right]) => {
            expect_all(id, shown(name), [left, right], &[Kind::Number])
        }
        (operators::NEGATE, [one]) => expect_all(id, "-", [one, one], &[Kind::Number]),
        (operators::IN, [one, Kind::List(of) | Kind::Map(of, _)]) => {
            if *one == **of {
                Ok(Kind::Bool)
            } else {
                misfit(id, compares(one, of))
            }
        }
        (operators::INDEX, [Kind::Map(key, value), one]) => {
            if *one == **key {
                Ok((**value).clone())
            } else {
                misfit(id, compares(key, one))
            }
        }
        (operators::INDEX, [Kind::List(element), Kind::Number]) => Ok((**element).clone()),
        (operators::INDEX | operators::IN, _) => misfit(id, "takes a list or a map".to_owned()),
        ("size", [one]) => size(id, one),
        _ => unknown_function(id, name),
    }
}

pub(super) fn size(id: u64, of: &Kind) -> Result<Kind, Misfit> {
    match of {
        Kind::Text | Kind::List(_) | Kind::Map(..) => Ok(Kind::Number),
        other => misfit(id, format!("size is that of a text, a list or a map, not of {other}")),
    }
}

pub(super) fn is_scalar(of: &Kind) -> bool {
    !matches!(of, Kind::List(_) | Kind::Map(..))
}

fn compares(left: &Kind, right: &Kind) -> String {
    let hint = match (left, right) {
        (Kind::Amount, Kind::Number) | (Kind::Number, Kind::Amount) => {
            "; an amount is written tokens('12.50')"
        }
        (Kind::Address, Kind::Text) | (Kind::Text, Kind::Address) => {
            "; an address is 0x followed by 40 hexadecimal digits"
        }
        _ => "",
    };
    format!("{left} is compared with {right}{hint}")
}

/// Both must be of one and the same of these kinds, which is the result's, too.
pub(super) fn expect_all(id: u64, what: &str, both: [&Kind; 2], one_of: &[Kind]) -> Result<Kind, Misfit> {
    let [left, right] = both;
    if left == right && one_of.contains(left) {
        return Ok(left.clone());
    }
    let wanted = one_of.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ");
    let found = if left == right { left.to_string() } else { format!("{left} and {right}") };
    misfit(id, format!("{what} takes {wanted}, not {found}"))
}

pub(super) fn unknown_function<T>(id: u64, name: &str) -> Result<T, Misfit> {
    let hint = match name {
        operators::HAS
        | operators::ALL
        | operators::EXISTS
        | operators::EXISTS_ONE
        | operators::MAP
        | operators::FILTER => "there are no loops; whether something is in a list is said by in",
        _ => "there are tokens, size, startsWith, endsWith and contains",
    };
    misfit(id, format!("unknown function {name:?}; {hint}"))
}

/// An operator as it is written.
fn shown(name: &str) -> &str {
    name.trim_matches('_')
}

pub(super) fn misfit<T>(node: u64, why: String) -> Result<T, Misfit> {
    Err(Misfit { node, why })
}
