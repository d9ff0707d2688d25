//! `preauthd dev clock`: time passes when a test wants it to.

use clap::Args;
use jiff::{Span, SpanRelativeTo};
use secrecy::SecretString;
use serde_json::{Value, json};

use crate::cli::remote::{DevFlags, Remote};
use crate::cli::surroundings::Surroundings;

/// Move the chain's clock ahead, or read it
///
/// What is due by then happens: scheduled settlements, expiries and the events that announce them. The clock of a chain
/// never goes back.
#[derive(Args)]
pub(super) struct Clock {
    /// How far, such as +1h, +90m or +2d12h; without it the clock is read
    #[arg(value_name = "JUMP", value_parser = jump)]
    jump: Option<u64>,
    #[command(flatten)]
    dev: DevFlags,
}

impl Clock {
    pub async fn run(self, around: &Surroundings) -> anyhow::Result<()> {
        let ready = self.dev.ready()?;
        let remote = Remote::new(&ready.url, SecretString::from(ready.saved.api_key.as_str()))?;
        let moved = remote.post("/dev/advance", &json!({ "seconds": self.jump.unwrap_or_default() })).await?;
        let time = moved.get("timestamp").and_then(Value::as_str).unwrap_or_default();
        let block = moved.get("block").and_then(Value::as_u64).unwrap_or_default();
        around.output.done(&format!("{time} by the chain's clock, at block {block}"), &moved)
    }
}

/// Reads a jump; in seconds.
fn jump(text: &str) -> Result<u64, String> {
    let wrong = || "expected a time to go ahead by, such as +1h, +90m or +2d12h".to_owned();
    let span: Span = text.trim_start_matches('+').parse().map_err(|_| wrong())?;
    let length = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| wrong())?;
    u64::try_from(length.as_secs()).map_err(|_| "the clock of a chain never goes back".to_owned())
}

#[cfg(test)]
mod tests {
    use super::jump;

    #[test]
    fn jumps_are_read_as_people_write_them() {
        for (text, seconds) in
            [("+1h", 3_600), ("90m", 5_400), ("+2d12h", 216_000), ("1h 30m", 5_400), ("+1w", 604_800)]
        {
            assert_eq!(jump(text), Ok(seconds), "{text}");
        }
        for text in ["", "+", "soon", "1", "1h ago", "-1h"] {
            assert!(jump(text).is_err(), "{text}");
        }
    }
}
