//! `GET /admin/overview`: how the daemon stands, at a glance.

use std::time::Duration;

use alloy::primitives::{Address, U256};
use axum::Json;
use axum::extract::State;
use futures::future::join_all;
use serde::Serialize;

use super::AdminState;
use super::holds::{Hold, shown};
use super::operator::Onlooker;
use crate::chain::ChainError;
use crate::http::error::ApiError;
use crate::model::{BaseUnits, Token};
use crate::store::dashboard::{self, BatchRow};
use crate::store::{comparison, tokens};

/// How long the node may take to tell balances.
const PATIENCE: Duration = Duration::from_secs(2);
/// Rows of a list.
const SHOWN: u32 = 10;
/// Lanes are few; so are their open batches.
const MOST_OPEN: u32 = 100;

/// Everything at once.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Overview {
    chain_id: u64,
    escrow: String,
    explorer_url: Option<String>,
    block: u64,
    chain_time: String,
    /// Whether parties are onboarded here.
    onboarding: bool,
    /// Empty: all is well.
    troubles: Vec<Trouble>,
    counts: Vec<Count>,
    held: Vec<Held>,
    waiting: Vec<Waiting>,
    lanes: Vec<LaneView>,
    batches: Vec<Batch>,
    expiring: Vec<Hold>,
}

#[derive(Debug, Serialize)]
struct Trouble {
    part: String,
    trouble: String,
}

#[derive(Debug, Serialize)]
struct Count {
    token: String,
    symbol: String,
    status: &'static str,
    count: u64,
}

/// What an escrow should hold of a token, and what it does.
#[derive(Debug, Serialize)]
struct Held {
    escrow: String,
    token: String,
    symbol: String,
    /// In tokens, by the database.
    held: String,
    /// In tokens, by the chain; null where the node did not tell. It may be more than what is held: refunds that wait to be
    /// claimed, and what anybody sent there.
    balance: Option<String>,
    /// Less is there than should be.
    short: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Waiting {
    kind: &'static str,
    count: u64,
    oldest: String,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LaneView {
    operator: String,
    /// Wei, as decimal digits; null where the node did not tell.
    balance: Option<String>,
    /// The next nonce, by the chain.
    nonce: Option<u64>,
    open_batch: Option<Batch>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Batch {
    id: i64,
    operator: String,
    nonce: u64,
    state: String,
    items: u64,
    attempts: u64,
    transaction_hash: Option<String>,
    /// Wei per gas.
    max_fee: Option<String>,
    gas_price: Option<String>,
    block: Option<i64>,
    succeeded: Option<bool>,
    gas_used: Option<i64>,
    created_at: String,
}

impl From<BatchRow> for Batch {
    fn from(row: BatchRow) -> Self {
        Self {
            id: row.id,
            operator: row.operator.to_checksum(None),
            nonce: row.nonce,
            state: row.state,
            items: row.items,
            attempts: row.attempts,
            transaction_hash: row.transaction.map(|hash| hash.to_string()),
            max_fee: row.max_fee,
            gas_price: row.gas_price,
            block: row.mined_block,
            succeeded: row.succeeded,
            gas_used: row.gas_used,
            created_at: row.created_at.to_rfc3339(),
        }
    }
}

/// What the node says, in time; a node that is slow or away leaves a gap.
async fn told<T>(answer: impl Future<Output = Result<T, ChainError>>) -> Option<T> {
    tokio::time::timeout(PATIENCE, answer).await.ok()?.ok()
}

fn symbol(tokens: &[Token], address: Address) -> (String, u8) {
    let token = tokens.iter().find(|token| token.contract.address() == address);
    token.map_or_else(|| (String::new(), 0), |token| (token.symbol.clone(), token.decimals))
}

async fn held(state: &AdminState, tokens: &[Token], escrow: Address, token: Address, units: u128) -> Held {
    let (symbol, decimals) = symbol(tokens, token);
    let balance = told(state.chain.token_balance(token, escrow)).await;
    let in_tokens = |units: u128| {
        BaseUnits::new(units).map_or_else(|| units.to_string(), |units| units.in_tokens(decimals).to_string())
    };
    Held {
        escrow: escrow.to_checksum(None),
        token: token.to_checksum(None),
        symbol,
        held: in_tokens(units),
        balance: balance
            .map(|balance| u128::try_from(balance).map_or_else(|_| balance.to_string(), in_tokens)),
        short: balance.is_some_and(|balance| balance < U256::from(units)),
    }
}

pub async fn overview(_: Onlooker, State(state): State<AdminState>) -> Result<Json<Overview>, ApiError> {
    let mut reader = state.api.store.read().await?;
    let tokens = tokens::all(&mut reader).await?;
    let counts = dashboard::counts(&mut reader).await?;
    let mut totals = comparison::open_totals(&mut reader).await?;
    let waiting = dashboard::waiting(&mut reader).await?;
    let batches = dashboard::batches(&mut reader, false, SHOWN).await?;
    let mut open = dashboard::batches(&mut reader, true, MOST_OPEN).await?;
    let soonest = dashboard::expiring(&mut reader, SHOWN).await?;
    let expiring = shown(&mut reader, soonest).await?;
    // The node may take its time; the database's connection is wanted elsewhere.
    drop(reader);

    for token in &tokens {
        totals.entry((state.api.escrow, token.contract.address())).or_default();
    }
    let held = totals.iter().map(|((escrow, token), units)| held(&state, &tokens, *escrow, *token, *units));
    let of_lane = state.operators.iter().map(|operator| async {
        let (balance, nonce) = tokio::join!(
            told(state.chain.native_balance(*operator)),
            told(state.chain.transaction_count(*operator, None)),
        );
        (*operator, balance, nonce)
    });
    let (held, of_lane) = tokio::join!(join_all(held), join_all(of_lane));
    let lanes = of_lane
        .into_iter()
        .map(|(operator, balance, nonce)| {
            let place = open.iter().position(|batch| batch.operator == operator);
            LaneView {
                operator: operator.to_checksum(None),
                balance: balance.map(|wei| wei.to_string()),
                nonce,
                open_batch: place.map(|place| open.swap_remove(place).into()),
            }
        })
        .collect();
    Ok(Json(Overview {
        chain_id: state.api.chain_id,
        escrow: state.api.escrow.to_checksum(None),
        explorer_url: state.explorer_url.as_deref().map(str::to_owned),
        block: state.api.clock.block(),
        chain_time: state.api.clock.now().to_rfc3339(),
        onboarding: state.api.onboarding.is_some(),
        troubles: state
            .api
            .standing
            .troubles()
            .into_iter()
            .map(|(part, trouble)| Trouble { part, trouble: crate::chain::without_urls(&trouble) })
            .collect(),
        counts: counts
            .into_iter()
            .map(|(token, status, count)| Count {
                token: token.to_checksum(None),
                symbol: symbol(&tokens, token).0,
                status: status.as_str(),
                count,
            })
            .collect(),
        held,
        waiting: waiting
            .into_iter()
            .map(|(kind, count, oldest)| Waiting { kind: kind.as_str(), count, oldest: oldest.to_rfc3339() })
            .collect(),
        lanes,
        batches: batches.into_iter().map(Into::into).collect(),
        expiring,
    }))
}
