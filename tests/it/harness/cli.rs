//! The operator's side: the commands of the same binary on the same folder.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Runs a command to its end and reads what it answers.
pub fn run(data_dir: &Path, arguments: &[&str]) -> Value {
    let output = Command::new(env!("CARGO_BIN_EXE_preauthd"))
        .args(arguments)
        .arg("--data-dir")
        .arg(data_dir)
        .output()
        .expect("the command starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "preauthd {} failed: {said}{}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_str(&said).unwrap_or(Value::String(said))
}
