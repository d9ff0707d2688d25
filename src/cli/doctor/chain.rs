//! What a daemon has elsewhere: nodes, the escrow, the rights and the gas money of its keys.

use std::time::Duration;

use alloy::primitives::utils::{format_ether, format_units};
use alloy::primitives::{Address, U256};
use tokio::time::Instant;

use super::finding::Finding;
use crate::chain::{BlockHeader, Chain, CodeMismatch, RpcEndpoints, wall_now};
use crate::config::Config;
use crate::keys::OperatorKey;

/// Blocks that an endpoint may be behind the best one without being spoken of.
const LAG: u64 = 5;
/// Seconds after which a newest block makes one wonder.
const STALE: u64 = 300;
/// Seconds that a block may be ahead of this machine's clock.
const AHEAD: u64 = 30;
/// Full batches that a key should be able to pay for.
const RESERVE: u64 = 10;

pub(super) async fn examine(config: &Config, operators: &[OperatorKey]) -> Vec<Finding> {
    let Some(rpc) = &config.rpc else {
        return vec![Finding::bad("rpc_url", "is missing", "name a node of the chain")];
    };
    let (mut findings, chain) = endpoints(config, rpc).await;
    if let Some((chain, head)) = chain {
        findings.push(clock(&head));
        findings.extend(escrow(config, &chain).await);
        findings.extend(fees_and_keys(config, &chain, operators).await);
    }
    findings
}

/// Each endpoint by itself, and the one that is furthest on.
async fn endpoints(config: &Config, rpc: &RpcEndpoints) -> (Vec<Finding>, Option<(Chain, BlockHeader)>) {
    let mut answers = Vec::new();
    for url in &rpc.urls {
        let begun = Instant::now();
        let answer = look_at(RpcEndpoints::new(vec![url.clone()])).await;
        answers.push((answer, begun.elapsed()));
    }
    let newest = answers.iter().filter_map(|(answer, _)| Some(answer.as_ref().ok()?.1.number)).max();
    let mut findings = Vec::new();
    let mut best = None;
    for (position, (answer, took)) in (1..).zip(answers) {
        let check = format!("endpoint {position}");
        match answer {
            Err(error) => {
                let advice =
                    "is it running, and is the URL right? URLs are not shown, because they may hold keys";
                findings.push(Finding::bad(check, error, advice));
            }
            Ok((chain, head)) => {
                findings.push(endpoint(check, config, &chain, &head, newest.unwrap_or_default(), took));
                let is_ours = config.chain_id.is_none_or(|expected| expected == chain.chain_id());
                if is_ours
                    && best.as_ref().is_none_or(|(_, known): &(_, BlockHeader)| known.number < head.number)
                {
                    best = Some((chain, head));
                }
            }
        }
    }
    (findings, best)
}

async fn look_at(rpc: RpcEndpoints) -> Result<(Chain, BlockHeader), String> {
    let chain = Chain::connect(&rpc).await.map_err(|error| error.to_string())?;
    let head = chain.head().await.map_err(|error| error.to_string())?;
    Ok((chain, head))
}

fn endpoint(
    check: String,
    config: &Config,
    chain: &Chain,
    head: &BlockHeader,
    newest: u64,
    took: Duration,
) -> Finding {
    if let Some(expected) = config.chain_id.filter(|expected| *expected != chain.chain_id()) {
        let found = format!("it is on chain {}, the configuration says {expected}", chain.chain_id());
        return Finding::bad(check, found, "name a node of the configured chain, or mend chain_id");
    }
    let found =
        format!("chain {}, block {}, answered in {} ms", chain.chain_id(), head.number, took.as_millis());
    match newest - head.number {
        ..=LAG => Finding::good(check, found),
        behind => Finding::doubtful(
            check,
            format!("{found}; {behind} blocks behind another endpoint"),
            "it delays outcomes as long as it must agree; let it catch up, or name another",
        ),
    }
}

/// The chain's clock beside this machine's: expiry goes by the one, schedules and signatures are shown by the other.
fn clock(head: &BlockHeader) -> Finding {
    let now = u64::try_from(wall_now().0 / 1_000).unwrap_or_default();
    let block = head.timestamp.0;
    let check = "clock";
    if block > now + AHEAD {
        let found = format!("the newest block is {} s ahead of this machine's clock", block - now);
        return Finding::doubtful(
            check,
            found,
            "set this machine's clock (NTP), unless the chain's can be moved by hand",
        );
    }
    let age = now.saturating_sub(block);
    if age > STALE {
        let found = format!("the newest block is {age} s old");
        let advice = "the chain stands still, the node is behind it, or this machine's clock is ahead: nothing ends in time meanwhile";
        return Finding::doubtful(check, found, advice);
    }
    Finding::good(check, format!("the newest block is {age} s old"))
}

async fn escrow(config: &Config, chain: &Chain) -> Vec<Finding> {
    let check = "escrow";
    let (Some(escrow), Some(_)) = (config.escrow, config.escrow_block) else {
        let advice = "`preauthd deploy` deploys one and writes both into the configuration";
        return vec![Finding::bad(check, "escrow or escrow_block is missing", advice)];
    };
    let finding = match chain.check_escrow_code(escrow).await {
        Err(error) => Finding::bad(check, error.to_string(), "the node must be able to show code"),
        Ok(Err(CodeMismatch::Nothing)) => Finding::bad(
            check,
            format!("there is no contract at {escrow}"),
            "mend escrow or chain_id, or `preauthd deploy`",
        ),
        Ok(Err(CodeMismatch::Other)) => Finding::bad(
            check,
            format!("the contract at {escrow} is not the one this version was built with"),
            "mend escrow, or run the version that it was deployed with",
        ),
        Ok(Ok(())) => match chain.is_paused(escrow).await {
            Ok(true) => Finding::doubtful(
                check,
                format!("{escrow} is paused: no holds are locked; settling, cancelling and expiring go on"),
                "ask its admin or guardian why",
            ),
            Ok(false) => Finding::good(check, format!("{escrow}, the code of this version, not paused")),
            Err(error) => Finding::bad(check, error.to_string(), "the node must answer calls"),
        },
    };
    vec![finding]
}

/// What a full batch would cost now, and which keys could send one.
async fn fees_and_keys(config: &Config, chain: &Chain, operators: &[OperatorKey]) -> Vec<Finding> {
    let check = "fees";
    let quote = match chain.fee_quote().await {
        Ok(quote) => quote,
        Err(error) => return vec![Finding::bad(check, error.to_string(), "the node must know EIP-1559")],
    };
    let tip = quote.tip.max(config.lane.min_tip);
    let price = quote.base_fee.saturating_add(tip);
    let found = format!("{} gwei, the cap is {} gwei", gwei(price), gwei(config.lane.max_fee_cap));
    let finding = if price > config.lane.max_fee_cap {
        Finding::bad(check, found, "wait until gas is cheaper, or raise max_fee_gwei")
    } else if price > config.lane.max_fee_cap / 2 {
        Finding::doubtful(
            check,
            found,
            "if gas becomes twice as dear, nothing is sent; consider max_fee_gwei",
        )
    } else {
        Finding::good(check, found)
    };
    let full_batch = U256::from(price).saturating_mul(U256::from(config.lane.max_batch_gas));
    let mut findings = vec![finding];
    for operator in operators {
        findings.push(key(config, chain, operator.address(), full_batch).await);
    }
    findings
}

async fn key(config: &Config, chain: &Chain, operator: Address, full_batch: U256) -> Finding {
    let check = "operator";
    let looked = async {
        let balance = chain.native_balance(operator).await?;
        let may = match config.escrow {
            Some(escrow) => chain.is_operator(escrow, operator).await?,
            None => true,
        };
        Ok::<_, crate::chain::ChainError>((balance, may))
    };
    let (balance, may) = match looked.await {
        Ok(known) => known,
        Err(error) => {
            return Finding::bad(check, format!("{operator}: {error}"), "the node must answer calls");
        }
    };
    if !may {
        let advice = "`preauthd operator allow` with the admin's key lets it";
        return Finding::bad(check, format!("{operator} may not operate the escrow"), advice);
    }
    let batches = balance.checked_div(full_batch).unwrap_or(U256::MAX);
    let found =
        format!("{operator} has {} for gas: {} full batches at these fees", coins(balance), shown(batches));
    if batches.is_zero() {
        Finding::bad(check, found, "send it the chain's native coin")
    } else if batches < U256::from(RESERVE) {
        Finding::doubtful(check, found, "send it the chain's native coin soon")
    } else {
        Finding::good(check, found)
    }
}

fn gwei(wei: u128) -> String {
    format_units(wei, "gwei").map_or_else(|_| wei.to_string(), |text| trimmed(&text))
}

fn coins(wei: U256) -> String {
    trimmed(&format_ether(wei))
}

fn trimmed(decimal: &str) -> String {
    if decimal.contains('.') {
        decimal.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        decimal.to_owned()
    }
}

fn shown(batches: U256) -> String {
    let many = U256::from(1_000u64);
    if batches > many { "more than 1000".to_owned() } else { batches.to_string() }
}
