//! What an expression may say: its words, and which of them go together.
//!
//! CEL itself finds out only when an expression is evaluated, and then only on the path it takes: `amount != 5` would be true
//! for ever, and a misspelt word behind an `||` would wait for the day it is reached. So every part of an expression is given
//! a kind when the rules are saved, and what does not fit is refused with its place. There are no loops (the macros of CEL
//! are not there), so an expression costs no more than it is long.

use alloy::primitives::Address;
use cel::common::ast::{CallExpr, EntryExpr, Expr, ListExpr, LiteralValue, MapExpr};
use cel::common::types::CelString;
use cel::parser::Expression as Node;

use super::kinds::{Kind, Misfit, apply, expect_all, is_scalar, misfit, size, unknown_function};
use super::tokens::{FUNCTION as TOKENS, Tokens};
use crate::model::{Account, AccountError};

/// How deep an expression may be nested. Evaluation recurses, on whatever stack the request has.
const MAX_DEPTH: usize = 32;

/// Which words that are not always known, or cost a question, an expression uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Mentions {
    pub sender: bool,
    pub consent: bool,
    pub open_total: bool,
}

/// The kind of a variable.
pub(super) fn variable(name: &str) -> Option<Kind> {
    Some(match name {
        "amount" | "hold" | "openTotal" => Kind::Amount,
        "sender" | "receiver" | "token" => Kind::Address,
        "symbol" | "invoiceId" | "consent" => Kind::Text,
        "now" | "expiresAt" | "ttlSeconds" => Kind::Number,
        "payLink" | "scheduled" => Kind::Bool,
        _ => return None,
    })
}

/// For the message about a word that is none.
pub(super) const VARIABLES: &str = "amount, hold, openTotal, sender, receiver, token, symbol, invoiceId, consent, now, expiresAt, \
                         ttlSeconds, payLink, scheduled";

/// Gives every part a kind, and writes every address in lower case.
///
/// # Errors
/// The first part that does not fit; or that the whole is no truth value.
pub(super) fn check(root: &mut Node) -> Result<Mentions, Misfit> {
    let mut checker = Checker { mentions: Mentions::default() };
    let whole = checker.kind_of(root, MAX_DEPTH)?;
    expect(root, &whole, &Kind::Bool, "the expression must be a truth value, and is")?;
    Ok(checker.mentions)
}

struct Checker {
    mentions: Mentions,
}

impl Checker {
    fn kind_of(&mut self, node: &mut Node, depth: usize) -> Result<Kind, Misfit> {
        let id = node.id;
        let Some(depth) = depth.checked_sub(1) else {
            return misfit(id, format!("is nested more than {MAX_DEPTH} deep"));
        };
        match &mut node.expr {
            Expr::Literal(literal) => literal_kind(id, literal),
            Expr::Ident(name) => self.variable(id, name),
            Expr::List(list) => self.list(id, list, depth),
            Expr::Map(map) => self.map(id, map, depth),
            Expr::Call(call) => self.call(id, call, depth),
            Expr::Select(select) => misfit(id, format!("there is no field {:?}", select.field)),
            Expr::Struct(_) | Expr::Comprehension(_) | Expr::Unspecified => {
                misfit(id, "is no part of the language of rules".to_owned())
            }
        }
    }

    fn variable(&mut self, id: u64, name: &str) -> Result<Kind, Misfit> {
        let Some(known) = variable(name) else {
            return misfit(id, format!("unknown variable {name:?}; there are {VARIABLES}"));
        };
        match name {
            "sender" => self.mentions.sender = true,
            "consent" => self.mentions.consent = true,
            "openTotal" => self.mentions.open_total = true,
            _ => {}
        }
        Ok(known)
    }

    fn list(&mut self, id: u64, list: &mut ListExpr, depth: usize) -> Result<Kind, Misfit> {
        let mut element: Option<Kind> = None;
        for item in &mut list.elements {
            let found = self.kind_of(item, depth)?;
            match &element {
                Some(first) => expect(item, &found, first, "all of a list must be alike: this is")?,
                None => element = Some(found),
            }
        }
        match element {
            Some(element) if is_scalar(&element) => Ok(Kind::List(Box::new(element))),
            Some(_) => misfit(id, "a list holds neither lists nor maps".to_owned()),
            None => misfit(id, "the list is empty".to_owned()),
        }
    }

    fn map(&mut self, id: u64, map: &mut MapExpr, depth: usize) -> Result<Kind, Misfit> {
        let mut entry: Option<(Kind, Kind)> = None;
        for item in &mut map.entries {
            let EntryExpr::MapEntry(written) = &mut item.expr else {
                return misfit(id, "is no part of the language of rules".to_owned());
            };
            let key = self.kind_of(&mut written.key, depth)?;
            let value = self.kind_of(&mut written.value, depth)?;
            match &entry {
                Some((first_key, first_value)) => {
                    expect(&written.key, &key, first_key, "all keys of a map must be alike: this is")?;
                    expect(&written.value, &value, first_value, "all of a map must be alike: this is")?;
                }
                None if matches!(key, Kind::Address | Kind::Text | Kind::Number) && is_scalar(&value) => {
                    entry = Some((key, value));
                }
                None => {
                    return misfit(
                        id,
                        format!(
                            "a map leads from addresses, texts or numbers to single values, not from {key} to {value}"
                        ),
                    );
                }
            }
        }
        match entry {
            Some((key, value)) => Ok(Kind::Map(Box::new(key), Box::new(value))),
            None => misfit(id, "the map is empty".to_owned()),
        }
    }

    fn call(&mut self, id: u64, call: &mut CallExpr, depth: usize) -> Result<Kind, Misfit> {
        let name = call.func_name.as_str();
        if let Some(target) = call.target.as_deref_mut() {
            let target = self.kind_of(target, depth)?;
            return match (name, call.args.as_mut_slice()) {
                ("startsWith" | "endsWith" | "contains", [part]) => {
                    let found = self.kind_of(part, depth)?;
                    expect_all(id, name, [&target, &found], &[Kind::Text]).map(|_| Kind::Bool)
                }
                ("size", []) => size(id, &target),
                _ => unknown_function(id, name),
            };
        }
        // Only an amount that stands there is known to be one when the rules are saved.
        if name == TOKENS {
            return tokens(id, &call.args);
        }
        let mut kinds = Vec::with_capacity(call.args.len());
        for argument in &mut call.args {
            kinds.push(self.kind_of(argument, depth)?);
        }
        apply(id, name, &kinds)
    }
}

fn literal_kind(id: u64, literal: &mut LiteralValue) -> Result<Kind, Misfit> {
    match literal {
        LiteralValue::Boolean(_) => Ok(Kind::Bool),
        LiteralValue::Int(_) => Ok(Kind::Number),
        LiteralValue::String(text) => {
            let Some(address) = address(id, text.inner())? else { return Ok(Kind::Text) };
            *text = CelString::from(spelled(address));
            Ok(Kind::Address)
        }
        LiteralValue::Double(_) => {
            misfit(id, "numbers are whole here; an amount is written tokens('12.50')".to_owned())
        }
        LiteralValue::UInt(_) => misfit(id, "numbers are written without u".to_owned()),
        LiteralValue::Bytes(_) | LiteralValue::Null => {
            misfit(id, "is no part of the language of rules".to_owned())
        }
    }
}

/// A text that has the form of an address is one, and must be a good one: an address with a slip would match nobody.
fn address(id: u64, text: &str) -> Result<Option<Address>, Misfit> {
    match Account::parse(text) {
        Ok(account) => Ok(Some(account.address())),
        Err(AccountError::Zero) => Ok(Some(Address::ZERO)),
        Err(AccountError::Malformed) => Ok(None),
        Err(error @ AccountError::WrongChecksum) => misfit(id, format!("{text} {error}")),
    }
}

/// An address as variables and literals hold it.
pub(super) fn spelled(address: Address) -> String {
    format!("{address:#x}")
}

/// `tokens('12.50')` or `tokens(12)`, with what stands there and nothing else.
fn tokens(id: u64, arguments: &[Node]) -> Result<Kind, Misfit> {
    let read = match arguments {
        [Node { expr: Expr::Literal(LiteralValue::String(text)), .. }] => Tokens::parse(text.inner()),
        [Node { expr: Expr::Literal(LiteralValue::Int(number)), .. }] => {
            Tokens::parse(&number.inner().to_string())
        }
        _ => return misfit(id, "takes an amount that is written out, as in tokens('12.50')".to_owned()),
    };
    read.map(|_| Kind::Amount).map_err(|error| Misfit { node: id, why: format!("an amount {error}") })
}

fn expect(node: &Node, found: &Kind, wanted: &Kind, what: &str) -> Result<(), Misfit> {
    if found == wanted { Ok(()) } else { misfit(node.id, format!("{what} {found}, not {wanted}")) }
}
