//! `preauthd token`: the tokens that may be used.

use alloy::primitives::Address;
use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use futures::FutureExt;
use serde::Serialize;

use super::operator::{account, address};
use super::output::complain;
use super::surroundings::{Surroundings, act, connect};
use crate::chain::{TransferProbe, wall_now};
use crate::model::{self, Account, ConsentKind};
use crate::store::{StoreError, tokens};

/// The most decimals an exact decimal amount can carry.
const MAX_DECIMALS: u8 = 28;
/// Characters of a symbol that is taken from the token itself.
const MAX_SYMBOL_CHARS: usize = 32;

/// The tokens that may be used
///
/// The escrow pools what it holds of a token. A token that changes balances by itself (rebasing), or lets more or less
/// arrive than was sent, would make one payer's hold pay for another's: admit none of these.
#[derive(Subcommand)]
pub(super) enum Token {
    /// Probe a token and admit it
    ///
    /// Checks on the configured chain that there is a contract, that it has at most 28 decimals and a symbol, and, in a
    /// simulation that moves nothing, that exactly what is sent arrives. A fee that can be switched on later, and
    /// rebasing, cannot be seen this way: know your token. What its holders can sign instead of an allowance is tried as
    /// well (ERC-2612, ERC-3009), and tried again by the running daemon, at its start and every hour.
    Add(Add),
    /// Show the admitted tokens
    List,
    /// Let an admitted token be used again
    Activate {
        /// The token's contract
        #[arg(value_parser = address)]
        token: Address,
    },
    /// Stop new preauthorizations with a token; open ones go on
    Deactivate {
        /// The token's contract
        #[arg(value_parser = address)]
        token: Address,
    },
}

#[derive(Args)]
pub(super) struct Add {
    /// The token's contract
    #[arg(value_parser = account)]
    token: Account,
    /// An account with a balance of the token, for the simulation to start from
    #[arg(long, value_name = "ADDRESS", value_parser = address)]
    payer: Option<Address>,
    /// What to call it, where the token's own symbol is unusable
    #[arg(long, value_parser = symbol)]
    symbol: Option<String>,
    /// Admit it although transfers could not be simulated
    #[arg(long)]
    untried: bool,
}

#[derive(Serialize)]
struct Listed {
    address: String,
    symbol: String,
    decimals: u8,
    active: bool,
    /// Kinds of consent the token itself takes; null: it was not asked yet.
    signing: Option<Vec<&'static str>>,
}

impl From<model::Token> for Listed {
    fn from(token: model::Token) -> Self {
        Self {
            address: token.contract.written().to_owned(),
            symbol: token.symbol,
            decimals: token.decimals,
            active: token.active,
            signing: token.signing.map(|signing| signing.kinds().map(ConsentKind::as_str).collect()),
        }
    }
}

impl Token {
    pub async fn run(self, around: &Surroundings) -> anyhow::Result<()> {
        match self {
            Self::Add(wish) => add(around, wish).await,
            Self::List => list(around).await,
            Self::Activate { token } => set_active(around, token, true).await,
            Self::Deactivate { token } => set_active(around, token, false).await,
        }
    }
}

async fn add(around: &Surroundings, wish: Add) -> anyhow::Result<()> {
    let chain = connect(&around.config()?).await?;
    let written = wish.token.written().to_owned();
    let Some(probe) = chain.probe_token(wish.token.address(), wish.payer).await? else {
        bail!("there is no contract at {written} on chain {}", chain.chain_id());
    };
    let decimals = probe
        .decimals
        .with_context(|| format!("{written} does not say its decimals: it is no ERC-20 token"))?;
    if decimals > MAX_DECIMALS {
        bail!("{written} has {decimals} decimals; exact amounts carry at most {MAX_DECIMALS}");
    }
    let symbol = match (wish.symbol, probe.symbol) {
        (Some(given), _) => given,
        (None, Some(own)) => symbol(&own)
            .map_err(|error| anyhow::anyhow!("the token's own symbol {error}; give another with --symbol"))?,
        (None, None) => bail!("{written} does not say its symbol; give one with --symbol"),
    };
    match probe.transfer {
        TransferProbe::Exact => {}
        TransferProbe::Other(why) => bail!("{written} must not be admitted: in a simulation, {why}"),
        TransferProbe::Untried(why) if wish.untried => complain(&format!("transfers were not tried: {why}")),
        TransferProbe::Untried(why) => bail!(
            "transfers could not be simulated: {why}\n\
             Name an account with a balance by --payer, or, if you know the token, admit it with --untried"
        ),
    }
    let signing = Some(chain.probe_signing(wish.token.address()).await?);
    let token = model::Token { contract: wish.token, symbol, decimals, active: true, signing };
    let store = around.store().await?;
    let (known, saved) = (token.contract.address(), token.clone());
    let previous = act(&store, "token.add", &written, move |tx| {
        async move {
            let previous = tokens::by_address(tx, known).await?;
            // Amounts of its holds were written with the decimals of then.
            if previous.as_ref().is_some_and(|previous| previous.decimals != saved.decimals) {
                return Ok(previous);
            }
            tokens::save(tx, &saved, wall_now()).await?;
            Ok::<_, StoreError>(previous)
        }
        .boxed()
    })
    .await?;
    store.close().await;
    if let Some(previous) = previous.filter(|previous| previous.decimals != decimals) {
        bail!(
            "{written} was admitted with {} decimals and now says {decimals}: do not use it",
            previous.decimals
        );
    }
    let listed = Listed::from(token);
    let signing = listed.signing.iter().flatten().copied().collect::<Vec<_>>().join(", ");
    let signing = if signing.is_empty() { "nothing of its own" } else { &signing };
    let text = format!(
        "{} ({decimals} decimals) at {written} is admitted and active; its holders can sign: {signing}",
        listed.symbol
    );
    around.output.done(&text, &listed)
}

async fn list(around: &Surroundings) -> anyhow::Result<()> {
    let store = around.existing_store().await?;
    let all = tokens::all(&mut *store.read().await?).await?;
    store.close().await;
    let listed: Vec<Listed> = all.into_iter().map(Listed::from).collect();
    around.output.list(["SYMBOL", "ADDRESS", "DECIMALS", "STATE", "SIGNING"], &listed, |token| {
        let state = if token.active { "active" } else { "inactive" };
        let signing = match &token.signing {
            None => "?".to_owned(),
            Some(kinds) if kinds.is_empty() => "-".to_owned(),
            Some(kinds) => kinds.join(", "),
        };
        [token.symbol.clone(), token.address.clone(), token.decimals.to_string(), state.to_owned(), signing]
    })
}

async fn set_active(around: &Surroundings, address: Address, active: bool) -> anyhow::Result<()> {
    let store = around.existing_store().await?;
    let word = if active { "token.enable" } else { "token.disable" };
    let changed = act(&store, word, &address.to_string(), move |tx| {
        async move {
            let Some(mut token) = tokens::by_address(tx, address).await? else { return Ok(None) };
            token.active = active;
            tokens::save(tx, &token, wall_now()).await?;
            Ok::<_, StoreError>(Some(token))
        }
        .boxed()
    })
    .await?;
    store.close().await;
    let token = changed.with_context(|| format!("{address} was never admitted; use `preauthd token add`"))?;
    let text = if active {
        format!("{} can be used", token.symbol)
    } else {
        format!("{} cannot be used for new preauthorizations; open ones go on", token.symbol)
    };
    around.output.done(&text, &Listed::from(token))
}

fn symbol(text: &str) -> Result<String, String> {
    let fits = !text.is_empty()
        && text.chars().count() <= MAX_SYMBOL_CHARS
        && text.trim() == text
        && !text.chars().any(char::is_control);
    if fits {
        Ok(text.to_owned())
    } else {
        Err(format!("must have 1 to {MAX_SYMBOL_CHARS} printable characters"))
    }
}
