//! One thing that was looked at.

use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Good,
    /// A daemon works, but somebody should know.
    Doubtful,
    /// A daemon does not start, or does not work.
    Bad,
}

#[derive(Debug, Serialize)]
pub(super) struct Finding {
    /// What was looked at.
    pub check: String,
    pub state: State,
    pub found: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
}

impl Finding {
    pub fn good(check: impl Into<String>, found: impl Into<String>) -> Self {
        Self { check: check.into(), state: State::Good, found: found.into(), advice: None }
    }

    pub fn doubtful(check: impl Into<String>, found: impl Into<String>, advice: &str) -> Self {
        Self {
            check: check.into(),
            state: State::Doubtful,
            found: found.into(),
            advice: Some(advice.to_owned()),
        }
    }

    pub fn bad(check: impl Into<String>, found: impl Into<String>, advice: &str) -> Self {
        Self { check: check.into(), state: State::Bad, found: found.into(), advice: Some(advice.to_owned()) }
    }
}

/// A line for each finding, its advice below it, and what follows from all of them.
pub(super) fn in_lines(findings: &[Finding]) -> String {
    let width = findings.iter().map(|finding| finding.check.chars().count()).max().unwrap_or_default();
    let mut lines = Vec::new();
    for Finding { check, state, found, advice } in findings {
        let mark = match state {
            State::Good => "ok",
            State::Doubtful => "warn",
            State::Bad => "FAIL",
        };
        lines.push(format!("{mark:<4}  {check:<width$}  {found}"));
        lines.extend(advice.iter().map(|advice| format!("      {:<width$}  -> {advice}", "")));
    }
    let count = |state| findings.iter().filter(|finding| finding.state == state).count();
    lines.push(String::new());
    lines.push(match (count(State::Bad), count(State::Doubtful)) {
        (0, 0) => "A daemon can work here.".to_owned(),
        (0, warnings) => format!("A daemon can work here; warnings: {warnings}."),
        (bad, _) => format!("A daemon cannot work here yet; to be mended: {bad}."),
    });
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_stands_below_what_it_is_about() {
        let findings =
            [Finding::good("disk", "12 GiB free"), Finding::bad("endpoint 1", "silent", "wake it")];
        let expected = "ok    disk        12 GiB free\n\
                        FAIL  endpoint 1  silent\n                  -> wake it\n\n\
                        A daemon cannot work here yet; to be mended: 1.";
        assert_eq!(in_lines(&findings), expected);
        assert!(in_lines(&findings[..1]).ends_with("A daemon can work here."));
    }
}
