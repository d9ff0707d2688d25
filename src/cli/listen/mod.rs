//! `preauthd listen`: a tenant's events on the terminal, and forwarded to a system under development.
//!
//! It is a client of the API like any other: it reads the stream, and comes back with the cursor where the stream ends, so
//! that nothing is missed and nothing comes twice.

mod frames;

use std::time::Duration;

use anyhow::Context;
use clap::Args;
use reqwest::Response;
use secrecy::ExposeSecret;
use serde_json::{Value, json};

use super::output::complain;
use super::remote::{Remote, RemoteError, RemoteFlags, variable_of};
use super::stop_signal::StopSignal;
use super::surroundings::Surroundings;
use super::webhook::event;
use crate::model::{DeliveryAttempt, EventKind};
use crate::webhooks::Forwarder;
use frames::Frames;

/// The first pause before the daemon is asked again, and the longest one.
const PAUSES: (Duration, Duration) = (Duration::from_millis(250), Duration::from_secs(5));

/// Follow a tenant's events, and forward them to a system under development
///
/// Prints a line for each event from now on, until Ctrl-C. With --forward-to each is sent there as the webhook it would
/// be, signed with the secret that is printed first; nothing is tried again. No endpoint is made for it, and the address
/// may be any that this machine reaches. Where the daemon goes away, it is awaited, and nothing is missed.
///
/// Without --url it listens to the `preauthd dev` that was started in this folder.
#[derive(Args)]
pub(super) struct Listen {
    /// Where to send each event, such as localhost:3000/webhooks
    #[arg(long, value_name = "URL")]
    forward_to: Option<String>,
    /// Only events of these types, such as preauth.settled,preauth.expired
    #[arg(long, value_name = "TYPES", value_delimiter = ',', value_parser = event)]
    events: Vec<EventKind>,
    /// Begin behind this `nextCursor` of GET /events instead of now
    #[arg(long, value_name = "CURSOR")]
    cursor: Option<String>,
    /// The environment variable that holds the secret to sign with (whsec_…) [default: a new one each time]
    #[arg(long, value_name = "VARIABLE", requires = "forward_to")]
    secret_env: Option<String>,
    #[command(flatten)]
    daemon: RemoteFlags,
}

impl Listen {
    pub async fn run(self, around: &Surroundings) -> anyhow::Result<()> {
        let mut signal = StopSignal::listen()?;
        tokio::select! {
            ended = self.follow(around) => ended,
            () = signal.asked() => Ok(()),
        }
    }

    async fn follow(self, around: &Surroundings) -> anyhow::Result<()> {
        let forwarder = self.forwarder()?;
        let remote = self.daemon.remote()?;
        // Here an error is the user's to mend; later the daemon may come back.
        let mut stream = remote.stream(self.cursor.as_deref()).await?;
        announce(around, &remote, forwarder.as_ref())?;
        let after = self.cursor.clone();
        let mut listener = Listener { around, forwarder, events: self.events.clone(), after };
        loop {
            listener.hear(&mut stream).await?;
            stream = self.come_back(&mut listener.after).await?;
        }
    }

    /// Asks until the daemon answers again.
    async fn come_back(&self, after: &mut Option<String>) -> anyhow::Result<Response> {
        let (mut pause, longest) = PAUSES;
        let mut said = false;
        loop {
            // A `dev` that was started again may have another address and other keys.
            let why = match self.daemon.remote() {
                Err(error) => error.to_string(),
                Ok(remote) => match remote.stream(after.as_deref()).await {
                    Ok(stream) => {
                        if said {
                            complain(&format!("listening to {} again", remote.url));
                        }
                        return Ok(stream);
                    }
                    Err(error) if error.is_passing() => error.to_string(),
                    Err(RemoteError::Refused { code, .. })
                        if code == "invalid_parameter" && after.take().is_some() =>
                    {
                        complain("the daemon has begun afresh: what happened before is gone");
                        continue;
                    }
                    Err(error) => return Err(error.into()),
                },
            };
            if !said {
                complain(&format!("{why}; waiting"));
                said = true;
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    }

    fn forwarder(&self) -> anyhow::Result<Option<Forwarder>> {
        let Some(url) = &self.forward_to else { return Ok(None) };
        let url = if url.contains("://") { url.clone() } else { format!("http://{url}") };
        let secret = self.secret_env.as_deref().map(variable_of).transpose()?;
        Ok(Some(Forwarder::new(&url, secret.as_ref().map(ExposeSecret::expose_secret))?))
    }
}

fn announce(around: &Surroundings, remote: &Remote, forwarder: Option<&Forwarder>) -> anyhow::Result<()> {
    let secret = forwarder.map(Forwarder::secret).transpose()?;
    let secret = secret.as_ref().map(ExposeSecret::expose_secret);
    let mut text = format!("Listening to {}. Ctrl-C stops it.", remote.url);
    if let Some(secret) = secret {
        text = format!("{text}\nWhat is forwarded is signed with {secret}");
    }
    around.output.line(&text, &json!({ "listeningTo": remote.url, "secret": secret }))
}

struct Listener<'a> {
    around: &'a Surroundings,
    forwarder: Option<Forwarder>,
    /// None: all.
    events: Vec<EventKind>,
    /// Where the stream stands.
    after: Option<String>,
}

impl Listener<'_> {
    /// Takes in a stream to its end, which comes by itself after a while.
    async fn hear(&mut self, stream: &mut Response) -> anyhow::Result<()> {
        let mut frames = Frames::default();
        while let Ok(Some(piece)) = stream.chunk().await {
            frames.push(&piece)?;
            while let Some(frame) = frames.next()? {
                if let Some(data) = frame.data {
                    self.tell(data).await?;
                }
                // Only now: what was not told is asked for again.
                self.after = frame.id.or(self.after.take());
            }
        }
        Ok(())
    }

    async fn tell(&self, data: String) -> anyhow::Result<()> {
        let event: Value = serde_json::from_str(&data).context("what came is no event")?;
        let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
        let kind = text("/type");
        if !self.events.is_empty() && !self.events.iter().any(|wanted| wanted.public_name() == kind) {
            return Ok(());
        }
        let attempt = match &self.forwarder {
            Some(forwarder) => Some(forwarder.forward(text("/id"), data.clone().into_bytes()).await?),
            None => None,
        };
        let line = format!("{}  {kind:<25}  {}", text("/timestamp"), text("/data/invoiceId"));
        let line = match &attempt {
            Some(attempt) => format!("{line}  -> {}", ending(attempt)),
            None => line,
        };
        let forwarded = attempt.as_ref().map(|attempt| {
            json!({ "status": attempt.status, "durationMs": attempt.duration_ms, "error": attempt.error })
        });
        self.around.output.line(&line, &json!({ "event": event, "forwarded": forwarded }))
    }
}

fn ending(attempt: &DeliveryAttempt) -> String {
    match (attempt.status, &attempt.error) {
        (Some(status), None) => format!("{status} in {} ms", attempt.duration_ms),
        (_, Some(error)) => error.clone(),
        (None, None) => "no answer".to_owned(),
    }
}
