//! Those whom a tenant has named to be asked before a hold is locked, and what they decided.

use std::time::Duration;

use serde::Deserialize;
use uuid::Uuid;

use super::{InvoiceId, KeptKey, Millis, TenantId};

/// Of a reason so much is kept, in characters.
const REASON_CHARS: usize = 200;

/// A tenant's name for an approver, unique among its approvers. Refusals show it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApproverName(String);

impl ApproverName {
    /// Reads a name. What is wrong completes the sentence that begins with `name`.
    ///
    /// # Errors
    /// What is wrong.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        if (1..=40).contains(&text.len()) && text.bytes().all(is_plain) {
            Ok(Self(text.to_owned()))
        } else {
            Err("must be 1 to 40 letters, digits, hyphens, underscores and dots")
        }
    }

    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An approver: a tenant's system that is asked whether a creation may go on.
#[derive(Debug, Clone)]
pub struct Approver {
    /// The row.
    pub key: i64,
    pub id: Uuid,
    pub tenant: TenantId,
    pub name: ApproverName,
    pub url: String,
    /// How long its answer may take, in milliseconds.
    pub time_limit_ms: u32,
    /// The key that questions are signed with.
    pub secret: KeptKey,
    /// The key before, and until when it signs, too.
    pub old_secret: Option<(KeptKey, Millis)>,
    /// A disabled approver is not asked: creations go on without it.
    pub enabled: bool,
    pub created_at: Millis,
}

impl Approver {
    /// Milliseconds that an approver may be given for its answer.
    pub const TIME_LIMITS_MS: std::ops::RangeInclusive<u32> = 100..=10_000;
    /// Where nobody chose a time limit, in milliseconds.
    pub const DEFAULT_TIME_LIMIT_MS: u32 = 2_000;

    #[must_use]
    pub fn time_limit(&self) -> Duration {
        Duration::from_millis(self.time_limit_ms.into())
    }
}

/// What came of asking one approver about one creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Approved,
    Refused,
    /// It gave no answer that counts, so the creation could not go on.
    Unavailable,
    /// Another had refused meanwhile: its answer was not waited for.
    Withdrawn,
}

impl Decision {
    pub const ALL: [Self; 4] = [Self::Approved, Self::Refused, Self::Unavailable, Self::Withdrawn];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Refused => "refused",
            Self::Unavailable => "unavailable",
            Self::Withdrawn => "withdrawn",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|decision| decision.as_str() == text)
    }
}

/// A decision on record.
#[derive(Debug, Clone)]
pub struct Approval {
    /// The row; 0: it has none yet.
    pub key: i64,
    /// The row of the approver, which may have been removed since.
    pub approver: i64,
    pub approver_id: Uuid,
    pub approver_name: ApproverName,
    pub invoice: InvoiceId,
    /// Of the preauthorization that the creation would become: it tells one creation of an invoice from another.
    pub transaction_id: Uuid,
    pub decision: Decision,
    /// The approver's words; where it was unavailable, ours.
    pub reason: Option<String>,
    /// From the question to its answer, or to when none was waited for any more.
    pub duration_ms: u64,
    pub at: Millis,
}

/// What an approver answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApproverAnswer {
    pub approves: bool,
    pub reason: Option<String>,
}

/// What is not known here could be a condition, so it is not passed over.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    decision: Word,
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    Approve,
    Refuse,
}

impl ApproverAnswer {
    /// Reads `{"decision":"approve"|"refuse","reason":"…"}`, the reason being optional. `None`: it is anything else.
    #[must_use]
    pub fn parse(body: &[u8]) -> Option<Self> {
        // Serde would read a struct from an array of its fields, too.
        if !body.trim_ascii_start().starts_with(b"{") {
            return None;
        }
        let Written { decision, reason } = serde_json::from_slice(body).ok()?;
        let reason = reason.map(|reason| presentable(&reason)).filter(|reason| !reason.is_empty());
        Some(Self { approves: matches!(decision, Word::Approve), reason })
    }
}

/// Somebody else's words, as they may be shown in a log, a terminal or a page: one line, bounded, without what
/// changes how the rest is read.
fn presentable(text: &str) -> String {
    let is_formatting = |char: char| matches!(char, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    let plain: String = text
        .chars()
        .filter(|char| !is_formatting(*char))
        .map(|char| if char.is_control() { ' ' } else { char })
        .take(REASON_CHARS)
        .collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(text: &str) -> Option<(bool, Option<String>)> {
        ApproverAnswer::parse(text.as_bytes()).map(|answer| (answer.approves, answer.reason))
    }

    #[test]
    fn an_answer_is_one_of_two_words_and_perhaps_a_reason() {
        let reason = |text: &str| Some(text.to_owned());
        assert_eq!(answer(r#"{"decision":"approve"}"#), Some((true, None)));
        assert_eq!(answer(r#"{"decision":"approve","reason":"known"}"#), Some((true, reason("known"))));
        assert_eq!(answer(r#" {"reason":"new","decision":"refuse"} "#), Some((false, reason("new"))));
        assert_eq!(answer(r#"{"decision":"refuse","reason":null}"#), Some((false, None)));
        assert_eq!(answer(r#"{"decision":"refuse","reason":"  "}"#), Some((false, None)));
    }

    #[test]
    fn whatever_else_comes_is_no_answer() {
        for text in [
            "",
            "approve",
            "true",
            "{}",
            "[]",
            r#""approve""#,
            r#"["approve","known"]"#,
            r#"{"decision":"APPROVE"}"#,
            r#"{"decision":"approved"}"#,
            r#"{"decision":true}"#,
            r#"{"decision":null}"#,
            r#"{"reason":"approve"}"#,
            r#"{"decision":"approve","reason":7}"#,
            r#"{"decision":"approve","upTo":"10"}"#,
            r#"{"decision":"refuse","decision":"approve"}"#,
            r#"{"decision":"approve"} {"decision":"refuse"}"#,
            r#"{"decision":"approve""#,
            "{\"decision\":\"approve\",\"reason\":\"\u{0}\"}",
        ] {
            assert_eq!(answer(text), None, "{text}");
        }
        assert_eq!(ApproverAnswer::parse(b"{\"decision\":\"approve\",\"reason\":\"\xff\"}"), None);
    }

    #[test]
    fn a_reason_is_one_plain_line() {
        let text = "{\"decision\":\"refuse\",\"reason\":\"too\\nmany\\u001b[31m \\u202e today\\u0000\"}";
        assert_eq!(answer(text), Some((false, Some("too many [31m today".to_owned()))));
    }

    proptest! {
        #[test]
        fn a_reason_stays_within_its_bounds(reason in "\\PC{0,300}|.{0,300}") {
            let body = serde_json::json!({"decision": "refuse", "reason": reason}).to_string();
            let answer = ApproverAnswer::parse(body.as_bytes()).unwrap();
            let reason = answer.reason.unwrap_or_default();
            prop_assert!(reason.chars().count() <= REASON_CHARS);
            prop_assert!(!reason.chars().any(char::is_control));
            prop_assert_eq!(reason.trim(), reason.as_str());
        }
    }

    #[test]
    fn a_name_is_short_and_plain() {
        for name in ["fraud", "Fraud-2.eu", "a_b", &"x".repeat(40)] {
            assert_eq!(ApproverName::parse(name).unwrap().as_str(), name);
        }
        for name in ["", "a b", "ä", "a\n", "a/b", &"x".repeat(41)] {
            assert!(ApproverName::parse(name).is_err(), "{name}");
        }
    }
}
