//! How each kind of event is brought about.

use alloy::primitives::{Address, B256, U256};
use anyhow::{Context, bail};
use futures::FutureExt;
use secrecy::SecretString;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::chain::{Chain, Step, wall_now};
use crate::cli::dev::{Ready, admin};
use crate::cli::remote::{Remote, RemoteError};
use crate::cli::surroundings::change;
use crate::model::{Account, EventKind, Token, TokenSigning};
use crate::store::{Store, tokens};

/// What is held, and what of it is settled.
const AMOUNT: &str = "10";
const SETTLED: &str = "7.5";
/// A hold that is to expire lasts so long, in seconds: it is announced at once, and no other hold has to expire with it.
const SHORT: u64 = 120;
/// The shortest time until a scheduled settlement that leaves no doubt whether it is ahead, in seconds.
const SOON: u64 = 60;
/// How often a lock is made to fail. A block of the chain's own may come in between.
const TRIES: usize = 20;
/// Gas of a deployment, and more than enough for any other step.
const GAS: u64 = 6_000_000;
/// Of the token that refuses a receiver: its decimals, and what its payer gets of it in base units.
const DECIMALS: u8 = 6;
const FUNDS: u64 = 1_000_000_000;

/// What is done for an event, for people; `None`: it is about a party, and what is done for it is to onboard one.
pub(super) fn how(kind: EventKind) -> Option<&'static str> {
    Some(match kind {
        EventKind::Authorized => "creates",
        EventKind::Rejected => "creates; the chain's clock jumps past the expiry before the lock is mined",
        EventKind::Settled => "creates, settles a part",
        EventKind::SettlementFailed => {
            "creates in a token of its own, schedules; the token refuses the receiver, and the clock moves"
        }
        EventKind::Cancelled => "creates, cancels",
        EventKind::Expired => "creates, moves the chain's clock past the expiry",
        EventKind::Expiring => "creates with an expiry close ahead, moves the chain's clock a minute",
        EventKind::Reorged => "creates; the chain takes the lock's block back (anvil only)",
        EventKind::PartyVerified
        | EventKind::PartyRejected
        | EventKind::PartySuspended
        | EventKind::VerificationCompleted
        | EventKind::DocumentChecked => return None,
    })
}

/// A merchant of `dev` with one invoice.
pub(super) struct Till {
    remote: Remote,
    ready: Ready,
    chain: Chain,
    invoice: String,
}

impl Till {
    pub async fn open(ready: Ready) -> anyhow::Result<Self> {
        let remote = Remote::new(&ready.url, SecretString::from(ready.saved.api_key.as_str()))?;
        let chain =
            Chain::connect(&ready.rpc_url.as_str().into()).await.context("connecting to dev's chain")?;
        let chance: String = Uuid::new_v4().simple().to_string().chars().take(8).collect();
        Ok(Self { remote, ready, chain, invoice: format!("TRIGGER-{chance}") })
    }

    /// Does what the event follows from; the daemon tells it when it has happened.
    pub async fn bring_about(&self, kind: EventKind) -> anyhow::Result<()> {
        match kind {
            EventKind::Authorized => self.create(json!({})).await?,
            EventKind::Settled => {
                self.create(json!({})).await?;
                self.remote.post(&self.path("/settle"), &json!({ "amount": SETTLED })).await?;
            }
            EventKind::Cancelled => {
                self.create(json!({})).await?;
                self.remote.post(&self.path("/cancel"), &json!({})).await?;
            }
            EventKind::Expiring => {
                self.create_short().await?;
                self.advance(SHORT / 2).await?;
            }
            EventKind::Expired => {
                self.create_short().await?;
                self.advance(SHORT + 1).await?;
            }
            EventKind::Rejected => self.create_in_vain().await?,
            EventKind::SettlementFailed => self.settle_in_vain().await?,
            EventKind::Reorged => {
                self.create(json!({})).await?;
                let shown = self.remote.get(&self.path("")).await?;
                let lock = shown
                    .get("lockTransactionHash")
                    .and_then(Value::as_str)
                    .and_then(|hash| hash.parse::<B256>().ok());
                self.chain
                    .take_back(lock.context("the lock has no transaction")?)
                    .await
                    .context("a reorg, which takes an anvil")?;
            }
            EventKind::PartyVerified
            | EventKind::PartyRejected
            | EventKind::PartySuspended
            | EventKind::VerificationCompleted
            | EventKind::DocumentChecked => {
                bail!("{kind} is told of parties: docs/onboarding.md shows how one is onboarded")
            }
        }
        Ok(())
    }

    /// What was told of the invoice so far.
    pub async fn timeline(&self) -> anyhow::Result<Vec<Value>> {
        let mut page = self.remote.get(&self.path("/events?limit=100")).await?;
        match page.get_mut("data").map(Value::take) {
            Some(Value::Array(events)) => Ok(events),
            _ => bail!("the daemon shows no timeline"),
        }
    }

    /// For the message that something did not come.
    pub async fn where_it_stands(&self) -> String {
        let status = self.remote.get(&self.path("")).await.ok();
        let status = status
            .as_ref()
            .and_then(|shown| shown.get("status").and_then(Value::as_str))
            .unwrap_or("not there");
        format!("{} is {status}", self.invoice)
    }

    fn path(&self, rest: &str) -> String {
        format!("/onchain-preauth/{}{rest}", self.invoice)
    }

    /// Creates, and waits for the lock.
    async fn create(&self, more: Value) -> Result<(), RemoteError> {
        let saved = &self.ready.saved;
        let wallet = |address: Option<Address>| address.map(|address| address.to_string());
        let mut body = json!({
            "invoiceId": self.invoice,
            "sender": wallet(self.sender()),
            "receiver": wallet(self.receiver()),
            "amount": AMOUNT,
            "contractAddress": saved.token.address.to_string(),
        });
        if let (Value::Object(body), Value::Object(more)) = (&mut body, more) {
            body.extend(more);
        }
        self.remote.post("/onchain-preauth", &body).await.map(|_| ())
    }

    fn sender(&self) -> Option<Address> {
        self.ready.saved.senders.first().map(|wallet| wallet.address)
    }

    fn receiver(&self) -> Option<Address> {
        self.ready.saved.receivers.first().map(|wallet| wallet.address)
    }

    async fn create_short(&self) -> anyhow::Result<()> {
        let end = self.in_seconds(SHORT).await?;
        self.create(json!({ "expiresAt": end })).await?;
        Ok(())
    }

    /// The contract refuses a lock past its expiry; the daemon does not know yet that the next block is that late.
    async fn create_in_vain(&self) -> anyhow::Result<()> {
        for _ in 0..TRIES {
            let end = self.in_seconds(SHORT).await?;
            let head = self.chain.head().await?.timestamp;
            self.chain.next_block_at(head.saturating_add(2 * SHORT)).await?;
            match self.create(json!({ "expiresAt": end })).await {
                Err(RemoteError::Refused { code, .. }) if code == "lock_failed" => return Ok(()),
                // It was locked, or refused because the late block came first. Another invoice would be another story:
                // what was refused has left this one free.
                Err(RemoteError::Refused { code, .. }) if code == "invalid_expires_at" => {}
                Err(error) => return Err(error.into()),
                Ok(()) => bail!("the lock did not fail"),
            }
        }
        bail!(
            "a block came in between {TRIES} times: the chain is too quick for this; try a longer --block-time"
        )
    }

    /// A settlement fails for good where the token refuses the receiver.
    async fn settle_in_vain(&self) -> anyhow::Result<()> {
        let admin = admin()?;
        let payer = self.ready.saved.senders.first().context("dev has no senders")?;
        let receiver = self.receiver().context("dev has no receivers")?;
        let deployment = vec![(&admin, Step::deploy_moody_token("Moody Dollar", "MOOD", DECIMALS))];
        let mined = self.chain.perform(deployment, GAS).await?;
        let token = mined.first().and_then(|mined| mined.contract).context("the token has no address")?;
        let signer = payer.signer()?;
        let steps = vec![
            (&admin, Step::mint_moody_token(token, payer.address, U256::from(FUNDS))),
            (&signer, Step::approve_all(token, self.ready.saved.escrow)),
        ];
        self.chain.perform(steps, GAS).await?;
        self.admit(token).await?;
        let time = self.in_seconds(SOON).await?;
        self.create(json!({ "contractAddress": token.to_string(), "settleAt": time })).await?;
        self.chain.perform(vec![(&admin, Step::block_in_moody_token(token, receiver))], GAS).await?;
        self.advance(SOON + 1).await
    }

    /// Beside the running daemon, as `preauthd token add` does.
    async fn admit(&self, token: Address) -> anyhow::Result<()> {
        let admitted = Token {
            contract: Account::from_address(token),
            symbol: "MOOD".to_owned(),
            decimals: DECIMALS,
            active: true,
            signing: Some(TokenSigning::default()),
        };
        let store = Store::open(&self.ready.data_dir).await?;
        let saved =
            change(&store, move |tx| async move { tokens::save(tx, &admitted, wall_now()).await }.boxed())
                .await;
        store.close().await;
        Ok(saved?)
    }

    /// A time of the chain's clock.
    async fn in_seconds(&self, seconds: u64) -> anyhow::Result<String> {
        self.advance(0).await?;
        Ok(self.chain.head().await?.timestamp.saturating_add(seconds).to_rfc3339())
    }

    async fn advance(&self, seconds: u64) -> anyhow::Result<()> {
        self.remote.post("/dev/advance", &json!({ "seconds": seconds })).await?;
        Ok(())
    }
}
