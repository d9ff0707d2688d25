//! Rules in the Common Expression Language: what is written down, and what it becomes before it is asked.

use std::any::Any;
use std::sync::{Arc, LazyLock};

use cel::common::ast::SourceInfo;
use cel::common::types::{BOOL_TYPE, CelBool, CelInt, CelString, INT_TYPE, STRING_TYPE};
use cel::common::value::CowVal;
use cel::context::VariableResolver;
use cel::parser::Expression as Node;
use cel::{Context, DeclarationError, Env, Value};
use serde::{Deserialize, Serialize};

use super::check::{Mentions, check, spelled};
use super::tokens::{self, Tokens};
use super::{Creation, Ruling};

/// Expressions a tenant may have.
pub(super) const MAX_EXPRESSIONS: usize = 16;
/// The longest expression. All work on one, its parsing, its check and its evaluation, grows with its length alone.
const MAX_BYTES: usize = 2_000;
/// Parentheses, brackets, braces and `? :` that may stand in each other.
const MAX_NESTING: u16 = 24;
/// The longest name, and the longest reason: both are read by people, in one line.
const MAX_NAME_CHARS: usize = 64;
const MAX_WHY_CHARS: usize = 200;
/// What is told of an evaluation that failed.
const MAX_ERROR_CHARS: usize = 200;
/// The parser recurses once for each operator of a chain such as 1+1+…, of which the longest expression holds a thousand, and
/// in a debug build each takes tens of KiB. What is not used of a stack costs nothing.
const PARSER_STACK_BYTES: usize = 128 << 20;

/// A rule of one's own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Expression {
    /// What it is called where it refuses.
    pub name: String,
    /// A CEL expression that is true of what is allowed.
    pub allow: String,
    /// Why it refuses, for people.
    pub why: String,
}

/// What is wrong with an expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the expression {name:?}{}: {why}", place.map(|(line, column)| format!(" in line {line}, column {column}")).unwrap_or_default())]
pub struct ExpressionFlaw {
    pub name: String,
    /// Line and column, from 1.
    pub place: Option<(usize, usize)>,
    pub why: String,
}

/// An expression that was read, ready to be asked.
#[derive(Debug)]
pub(super) struct Compiled {
    root: Node,
    pub mentions: Mentions,
}

/// The words of the language: CEL's operators and standard functions, and amounts. What rules may use of them is said by
/// [`check`].
static LANGUAGE: LazyLock<Result<Arc<Env>, DeclarationError>> = LazyLock::new(|| {
    let mut language = Env::default().with_optional_support(false).with_stdlib();
    language.add_overload(tokens::FUNCTION, "tokens_string", vec![STRING_TYPE], tokens::from_text)?;
    language.add_overload(tokens::FUNCTION, "tokens_int", vec![INT_TYPE], tokens::from_number)?;
    Ok(Arc::new(language))
});

/// Reads expressions: each, or what is wrong with it.
pub(super) fn compile_all(expressions: &[Expression]) -> Vec<Result<Compiled, ExpressionFlaw>> {
    if expressions.is_empty() {
        return Vec::new();
    }
    let work = || expressions.iter().map(Expression::compile).collect();
    let done = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("rules".to_owned()).stack_size(PARSER_STACK_BYTES);
        let thread = thread.spawn_scoped(scope, work).map_err(|error| error.to_string())?;
        thread.join().map_err(|panic| panic_text(panic.as_ref()))
    });
    done.unwrap_or_else(|why| {
        let flaw = |one: &Expression| Err(one.flaw(None, format!("could not be read: {why}")));
        expressions.iter().map(flaw).collect()
    })
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "the parser gave up".to_owned())
}

impl Expression {
    fn compile(&self) -> Result<Compiled, ExpressionFlaw> {
        self.check_size()?;
        let language = LANGUAGE.as_ref().map_err(|error| self.flaw(None, error.to_string()))?;
        let parsed = language.parser().max_recursion_depth(MAX_NESTING).parse_with_source_info(&self.allow);
        let (mut root, source) = parsed.map_err(|errors| {
            let Some(first) = errors.errors.into_iter().next() else {
                return self.flaw(None, "cannot be read".to_owned());
            };
            let place = match first.pos {
                (line, column) if line > 0 => usize::try_from(line).ok().zip(usize::try_from(column).ok()),
                _ => None,
            };
            if first.msg.contains("Recursion limit") {
                return self.flaw(None, format!("is nested more than {MAX_NESTING} deep"));
            }
            self.flaw(place, first.msg)
        })?;
        let mentions =
            check(&mut root).map_err(|misfit| self.flaw(place(&source, misfit.node), misfit.why))?;
        Ok(Compiled { root, mentions })
    }

    fn check_size(&self) -> Result<(), ExpressionFlaw> {
        let is_line = |text: &str, most: usize| {
            !text.is_empty()
                && text.trim() == text
                && text.chars().count() <= most
                && !text.chars().any(char::is_control)
        };
        if !is_line(&self.name, MAX_NAME_CHARS) {
            return Err(
                self.flaw(None, format!("its name must have 1 to {MAX_NAME_CHARS} printable characters"))
            );
        }
        if !is_line(&self.why, MAX_WHY_CHARS) {
            return Err(self.flaw(None, format!("why must have 1 to {MAX_WHY_CHARS} printable characters")));
        }
        if self.allow.len() > MAX_BYTES {
            return Err(self.flaw(None, format!("is longer than {MAX_BYTES} bytes")));
        }
        Ok(())
    }

    pub(super) fn flaw(&self, place: Option<(usize, usize)>, why: String) -> ExpressionFlaw {
        ExpressionFlaw { name: self.name.clone(), place, why }
    }
}

/// Where a node was written: line and column in characters, both from 1.
fn place(source: &SourceInfo, node: u64) -> Option<(usize, usize)> {
    let (start, _) = source.offset_for(node)?;
    let before = source.source.get(..usize::try_from(start).ok()?)?;
    let line = before.rsplit('\n').next().unwrap_or_default();
    Some((1 + before.matches('\n').count(), 1 + line.chars().count()))
}

impl Compiled {
    /// Whether the expression is true of a creation. One that cannot be evaluated refuses.
    pub fn ruling(&self, why: &str, creation: &Creation<'_>) -> Ruling {
        let unknown = creation.sender.is_none() && (self.mentions.sender || self.mentions.open_total);
        if unknown || (creation.consent.is_none() && self.mentions.consent) {
            return Ruling::Waits;
        }
        match self.evaluate(creation) {
            Ok(true) => Ruling::Passes,
            Ok(false) => Ruling::Refuses(why.to_owned().into()),
            Err(error) => {
                let error: String = error.chars().take(MAX_ERROR_CHARS).collect();
                Ruling::Refuses(format!("it could not be evaluated: {error}").into())
            }
        }
    }

    fn evaluate(&self, creation: &Creation<'_>) -> Result<bool, String> {
        let language = LANGUAGE.as_ref().map_err(ToString::to_string)?;
        let words = Words::of(creation);
        let mut context = Context::with_env(Arc::clone(language));
        context.set_variable_resolver(&words);
        let value = Value::resolve_val(&self.root, &context).map_err(|error| error.to_string())?;
        let truth = value.downcast_ref::<CelBool>().map(|truth| *truth.inner());
        truth.ok_or_else(|| format!("it is no {}", BOOL_TYPE.name()))
    }
}

/// What the variables of an expression stand for.
struct Words<'a> {
    creation: &'a Creation<'a>,
    sender: Option<String>,
    receiver: String,
    token: String,
}

impl<'a> Words<'a> {
    fn of(creation: &'a Creation<'a>) -> Self {
        Self {
            creation,
            sender: creation.sender.map(spelled),
            receiver: spelled(creation.receiver),
            token: spelled(creation.token.contract.address()),
        }
    }

    fn amount<'b>(&self, units: u128) -> Option<CowVal<'b, 'b>> {
        Tokens::from_base_units(units, self.creation.token.decimals).map(CowVal::owned)
    }
}

fn number<'b>(number: u64) -> Option<CowVal<'b, 'b>> {
    i64::try_from(number).ok().map(|number| CowVal::owned(CelInt::from(number)))
}

fn text(text: &str) -> Option<CowVal<'_, '_>> {
    Some(CowVal::owned(CelString::from(text)))
}

fn truth<'b>(truth: bool) -> Option<CowVal<'b, 'b>> {
    Some(CowVal::owned(CelBool::from(truth)))
}

impl VariableResolver for Words<'_> {
    fn resolve<'b>(&'b self, variable: &str) -> Option<CowVal<'b, 'b>> {
        let creation = self.creation;
        match variable {
            "amount" => self.amount(creation.amount.get()),
            "hold" => self.amount(creation.hold.get()),
            "openTotal" => self.amount(creation.open_total),
            "sender" => self.sender.as_deref().and_then(text),
            "receiver" => text(&self.receiver),
            "token" => text(&self.token),
            "symbol" => text(&creation.token.symbol),
            "invoiceId" => text(creation.invoice.as_str()),
            "consent" => creation.consent.and_then(text),
            "now" => number(creation.now.0),
            "expiresAt" => number(creation.expires_at.0),
            "ttlSeconds" => number(creation.expires_at.seconds_since(creation.now)),
            "payLink" => truth(creation.pay_link),
            "scheduled" => truth(creation.scheduled),
            _ => None,
        }
    }
}
