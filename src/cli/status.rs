//! `preauthd status`: whether a running daemon accepts work.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::ExitCode;

use clap::Args;
use reqwest::Method;
use secrecy::SecretString;
use serde_json::{Value, json};

use super::output::complain;
use super::remote::{Remote, RemoteError};
use super::surroundings::Surroundings;

/// It accepts no work, or has a trouble.
const NOT_READY: u8 = 1;
/// Nobody answers.
const FAULT: u8 = 2;

/// Ask a running daemon whether it accepts work, and what troubles it has
///
/// Exit code 0: it is ready; 1: it is not, and each trouble is named; 2: it does not answer.
#[derive(Args)]
pub(super) struct Status {
    /// The daemon's address [default: where the configuration has it listen]
    #[arg(long, value_name = "URL")]
    url: Option<String>,
}

impl Status {
    pub async fn run(self, around: &Surroundings) -> ExitCode {
        match self.ask(around).await {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::from(NOT_READY),
            Err(error) => {
                complain(&format!("error: {error:#}"));
                ExitCode::from(FAULT)
            }
        }
    }

    async fn ask(self, around: &Surroundings) -> anyhow::Result<bool> {
        let url = match self.url {
            Some(url) => url,
            None => format!("http://{}", reachable(around.config()?.listen)),
        };
        let remote = Remote::new(&url, SecretString::default())?;
        let request = remote.to(Method::GET, &["health", "ready"])?;
        match remote.ask(request).await {
            Ok(ready) => around.output.object(&ready).map(|()| true),
            Err(RemoteError::Refused { status: 503, errors, .. }) if !errors.is_empty() => {
                let troubles: Vec<&str> =
                    errors.iter().filter_map(|error| error["detail"].as_str()).collect();
                let sentences = format!("not ready\n  {}", troubles.join("\n  "));
                around.output.done(&sentences, &not_ready(&troubles))?;
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn not_ready(troubles: &[&str]) -> Value {
    json!({ "status": "not_ready", "troubles": troubles })
}

/// A listener at every address answers at this machine's own.
fn reachable(listen: SocketAddr) -> SocketAddr {
    let ip = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, listen.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_daemon_that_listens_everywhere_is_asked_at_home() {
        assert_eq!(reachable("0.0.0.0:8080".parse().unwrap()).to_string(), "127.0.0.1:8080");
        assert_eq!(reachable("[::]:1".parse().unwrap()).to_string(), "[::1]:1");
        assert_eq!(reachable("10.1.2.3:1".parse().unwrap()).to_string(), "10.1.2.3:1");
    }
}
