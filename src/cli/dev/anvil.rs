//! A private anvil: found, started, and never left behind.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, bail};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

use super::cast::ACCOUNTS;

/// Names another anvil than the one npm installed.
const VARIABLE: &str = "PREAUTHD_ANVIL";
const START_PATIENCE: Duration = Duration::from_secs(20);
const STOP_PATIENCE: Duration = Duration::from_secs(3);
/// Lines of its output that are shown when it does not start.
const LAST_LINES: usize = 12;

/// Runs a program that ends when the standard input closes. The system closes it however this process ends, `kill -9`
/// included, where no destructor runs.
const WATCHDOG: &str = r#"
exec 3<&0 </dev/null
"$@" 3<&- 2>&1 &
program=$!
(cat <&3 >/dev/null; kill -9 "$program") >/dev/null 2>&1 &
exec 3<&-
wait "$program"
"#;

/// A running anvil. Ends when dropped.
pub(in crate::cli) struct Anvil {
    pub url: String,
    watchdog: Child,
    /// Closing it ends anvil.
    lifeline: Option<ChildStdin>,
    /// Ends when anvil does.
    output: JoinHandle<()>,
}

impl Anvil {
    /// Starts it on a free port and returns once it listens.
    pub async fn start(path: &Path, block_time: Option<&str>) -> anyhow::Result<Self> {
        Self::start_at(path, block_time, 0).await
    }

    /// The same for a chain whose first block has this number.
    pub async fn start_at(path: &Path, block_time: Option<&str>, first: u64) -> anyhow::Result<Self> {
        let mut command = Command::new("sh");
        command.arg("-c").arg(WATCHDOG).arg("preauthd-anvil").arg(path);
        command.args(["--host", "127.0.0.1", "--port", "0"]);
        command.arg("--accounts").arg(ACCOUNTS.to_string());
        if first > 0 {
            command.arg("--number").arg(first.to_string());
        }
        match block_time {
            // The clock moves although nobody sends anything, so that holds expire.
            None => command.args(["--mixed-mining", "--block-time", "2"]),
            Some(zero) if zero.bytes().all(|byte| matches!(byte, b'0' | b'.')) => &mut command,
            Some(seconds) => command.args(["--block-time", seconds]),
        };
        // Its own group: Ctrl-C is for the daemon, which still needs its chain to stop in order.
        command.process_group(0).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut watchdog = command.spawn().context("starting sh, which watches over anvil")?;
        let lifeline = watchdog.stdin.take();
        let stdout = watchdog.stdout.take().context("anvil has no output")?;
        let mut lines = BufReader::new(stdout).lines();
        let address = tokio::time::timeout(START_PATIENCE, listening(&mut lines))
            .await
            .unwrap_or_else(|_| bail!("it does not listen after {} seconds", START_PATIENCE.as_secs()))
            .with_context(|| format!("{} did not start", path.display()))?;
        // What nobody reads would fill the pipe, and then anvil would wait for ever.
        let output = tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { url: format!("http://{address}"), watchdog, lifeline, output })
    }

    /// Resolves when it has come to an end by itself.
    pub async fn ended(&mut self) {
        let _ = (&mut self.output).await;
    }

    /// What the system closes when this process is killed.
    pub fn cut(&mut self) -> Option<ChildStdin> {
        self.lifeline.take()
    }

    /// Ends it, and returns once it is gone.
    pub async fn stop(mut self) {
        drop(self.cut());
        let _ = tokio::time::timeout(STOP_PATIENCE, self.watchdog.wait()).await;
    }
}

/// Reads until anvil says where it listens.
async fn listening(lines: &mut Lines<BufReader<ChildStdout>>) -> anyhow::Result<String> {
    let mut last: VecDeque<String> = VecDeque::new();
    while let Some(line) = lines.next_line().await? {
        if let Some(address) = line.trim().strip_prefix("Listening on ") {
            return Ok(address.to_owned());
        }
        if last.len() == LAST_LINES {
            last.pop_front();
        }
        last.push_back(line);
    }
    bail!("it ended, and its last words were: {}", Vec::from(last).join("\n").trim())
}

/// Where anvil is: the variable, npm's folders, the PATH.
pub(in crate::cli) fn find() -> anyhow::Result<PathBuf> {
    if let Some(path) = std::env::var_os(VARIABLE).map(PathBuf::from) {
        if !path.is_file() {
            bail!("{VARIABLE} names {}, and there is no such file", path.display());
        }
        // `sh` would look a bare name up in the PATH.
        return Ok(std::path::absolute(&path).unwrap_or(path));
    }
    let system = if cfg!(target_os = "macos") { "darwin" } else { std::env::consts::OS };
    let machine = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let package = format!("node_modules/@foundry-rs/anvil-{system}-{machine}/bin/anvil");
    let in_npm = [Path::new("."), Path::new(env!("CARGO_MANIFEST_DIR"))].map(|folder| folder.join(&package));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).map(|folder| folder.join("anvil"));
    in_npm.into_iter().chain(in_path).find(|path| path.is_file()).with_context(|| {
        format!(
            "anvil, the chain for development, was not found. Run `npm ci` in the project's folder (it installs it \
             there, and `make run` does so by itself), or name an anvil by {VARIABLE}, or give --rpc-url"
        )
    })
}
