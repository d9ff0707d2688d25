//! The operator's side: the commands of the same binary on the same folder, beside the running daemon.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

use super::process::Process;

/// Runs a command to its end, well or not.
pub fn try_run(data_dir: &Path, rpc_url: &str, arguments: &[String]) -> Output {
    let mut command = command(data_dir);
    command.env("PREAUTHD_DATA_DIR", data_dir).env("PREAUTHD_RPC_URL", rpc_url);
    command.args(arguments).output().expect("the command starts")
}

/// Starts a command that goes on until it is stopped, with one more variable in its environment.
pub fn start(data_dir: &Path, arguments: &[&str], variable: (&str, &str)) -> Process {
    let mut command = command(data_dir);
    command.args(arguments).env(variable.0, variable.1);
    Process::start(&mut command, data_dir, arguments.first().expect("a command"))
}

fn command(data_dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_preauthd"));
    clear_environment(&mut command);
    // Where no configuration file lies about.
    command.current_dir(data_dir);
    command
}

/// Runs a command to its end and reads what it answers.
pub fn run(data_dir: &Path, rpc_url: &str, arguments: &[String]) -> Value {
    let output = try_run(data_dir, rpc_url, &[arguments, &["--json".to_owned()]].concat());
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "preauthd {} failed: {said}{}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_str(&said).unwrap_or(Value::String(said))
}

/// Keys and settings of the person who runs the tests have no business here.
pub fn clear_environment(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("PREAUTHD_") && text != "PREAUTHD_ANVIL" {
            command.env_remove(&name);
        }
    }
}
