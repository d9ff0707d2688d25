//! A node's face: JSON-RPC over what this node has seen of the network, in geth's words.

use std::sync::Arc;

use alloy::consensus::{Eip658Value, Receipt, ReceiptEnvelope, ReceiptWithBloom};
use alloy::primitives::{Address, B256, Bytes, U256, hex};
use alloy::rpc::json_rpc::{ErrorPayload, Response, ResponsePacket, ResponsePayload, SerializedRequest};
use alloy::rpc::types::{Block as RpcBlock, BlockTransactions, FeeHistory, Header, Log, TransactionReceipt};
use alloy::sol_types::{SolCall, SolInterface};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::{RawValue, to_raw_value};

use super::contract::ESCROW;
use super::network::{Block, Branch, GWEI, Mined, Network, State, UNDERPRICED};
use crate::chain::PreauthEscrow::{self, PreauthEscrowCalls as Calls};
use crate::chain::{BlockHeader, DemoToken, RawInput};
use crate::model::ChainTime;

type Outcome = Result<Box<RawValue>, ErrorPayload>;

/// What one node believes to be the chain.
#[derive(Debug, Clone)]
pub struct Node {
    /// Index of its pool in the network.
    pub pool: usize,
    pub seen: Branch,
}

impl Node {
    /// Answers a request as far as the node has seen the network.
    pub fn answer(&self, network: &mut Network, request: &SerializedRequest) -> ResponsePacket {
        let params: Value =
            request.params().map(|raw| serde_json::from_str(raw.get()).unwrap()).unwrap_or_default();
        let outcome = self.outcome(network, request.method(), &params);
        let payload = match outcome {
            Ok(result) => ResponsePayload::Success(result),
            Err(error) => ResponsePayload::Failure(error),
        };
        ResponsePacket::Single(Response { id: request.id().clone(), payload })
    }

    fn outcome(&self, network: &mut Network, method: &str, params: &Value) -> Outcome {
        match method {
            "eth_getBlockByNumber" => match self.by_tag(network, &params[0]) {
                Some(block) => {
                    Ok(block.told.get_or_init(|| to_raw_value(&rpc_block(&block)).unwrap()).clone())
                }
                None => result(&()),
            },
            "eth_getLogs" => self.logs(network, &params[0]),
            "eth_getTransactionReceipt" => result(&self.receipt(network, read(&params[0]))),
            "eth_getTransactionCount" => {
                let account: Address = read(&params[0]);
                let state = self.state(network, &params[1])?;
                result(&U256::from(state.nonces.get(&account).copied().unwrap_or_default()))
            }
            "eth_getBalance" => {
                let account: Address = read(&params[0]);
                let state = self.state(network, params.get(1).unwrap_or(&Value::Null))?;
                result(&state.money.get(&account).copied().unwrap_or_default())
            }
            "eth_feeHistory" => result(&FeeHistory {
                base_fee_per_gas: vec![network.base_fee; 6],
                gas_used_ratio: vec![0.5; 5],
                reward: Some(vec![vec![GWEI]; 5]),
                ..Default::default()
            }),
            "eth_call" => self.call(network, params),
            "eth_sendRawTransaction" => self.send(network, read::<Bytes>(&params[0])),
            other => Err(error(-32601, format!("the method {other} does not exist"))),
        }
    }

    /// Pools a transaction.
    fn send(&self, network: &mut Network, raw: Bytes) -> Outcome {
        let transaction =
            network.read_signed(&raw).ok_or_else(|| error(-32000, "rlp: expected input".into()))?;
        let hash = transaction.hash;
        let head = network.block(*self.seen.last().unwrap());
        let pool = &mut network.pools[self.pool];
        let rival = pool.rival_of(&transaction);
        match pool.take(transaction, &head) {
            Ok(()) => result(&hash),
            Err(why) => {
                let rival = rival.filter(|_| why == UNDERPRICED);
                network.underpriced.extend(rival.map(|rival| (rival, hash)));
                Err(error(-32000, why))
            }
        }
    }

    fn call(&self, network: &Network, params: &Value) -> Outcome {
        let request = &params[0];
        let (to, from): (Address, Option<Address>) =
            (read(&request["to"]), serde_json::from_value(request["from"].clone()).ok());
        let input = request.get("input").or_else(|| request.get("data")).cloned().unwrap_or_default();
        let input: Bytes = read(&input);
        let at = params.get(1).unwrap_or(&Value::Null);
        let (block, state) = (self.block(network, at)?, self.state(network, at)?);
        let time =
            params[3]["time"].as_str().map_or(block.header.timestamp, |time| ChainTime(quantity(time)));
        let contracts = &state.contracts;
        if to != ESCROW {
            let Some(token) = contracts.tokens.get(&to) else { return result(&Bytes::new()) };
            return match DemoToken::DemoTokenCalls::abi_decode(&input) {
                Ok(DemoToken::DemoTokenCalls::balanceOf(call)) => {
                    word(token.balances.get(&call.account).copied().unwrap_or_default())
                }
                Ok(DemoToken::DemoTokenCalls::allowance(call)) => {
                    word(token.allowances.get(&call.owner).copied().unwrap_or_default())
                }
                _ => Err(error(3, "execution reverted".into())),
            };
        }
        let caller = from.unwrap_or_default();
        let is_claim = matches!(Calls::abi_decode(&input), Ok(Calls::claim(_)));
        match RawInput::read(&input) {
            Some(RawInput::Batch(calls)) => return result(&contracts.dry_run(caller, time, &calls)),
            None if !is_claim => {}
            Some(RawInput::Alone(_)) | None => {
                return match contracts.clone().run(caller, time, &input) {
                    Ok(_) => result(&Bytes::new()),
                    Err(data) => Err(ErrorPayload {
                        code: 3,
                        message: "execution reverted".into(),
                        data: Some(to_raw_value(&data).unwrap()),
                    }),
                };
            }
        }
        match Calls::abi_decode(&input) {
            Ok(Calls::isOperator(call)) => word(u128::from(contracts.operators.contains(&call.account))),
            Ok(Calls::preauths(call)) => result(&Bytes::from(
                PreauthEscrow::preauthsCall::abi_encode_returns(&contracts.word(call.preauthId)),
            )),
            Ok(Calls::claimable(call)) => {
                word(contracts.claimable.get(&(call.sender, call.token)).copied().unwrap_or_default())
            }
            _ => Err(error(3, "execution reverted".into())),
        }
    }

    fn logs(&self, network: &Network, filter: &Value) -> Outcome {
        let blocks: Vec<Arc<Block>> = if let Some(hash) = filter["blockHash"].as_str() {
            vec![self.by_hash(network, hash.parse().unwrap())?]
        } else {
            let (first, last) = (
                quantity(filter["fromBlock"].as_str().unwrap()),
                quantity(filter["toBlock"].as_str().unwrap()),
            );
            let height = |number: u64| usize::try_from(number).unwrap();
            let last = height(last).min(self.seen.len() - 1);
            (height(first)..=last).map(|height| network.block(self.seen[height])).collect()
        };
        let logs: Vec<Log> = blocks.iter().flat_map(|block| logs_of(block)).collect();
        result(&logs)
    }

    fn receipt(&self, network: &Network, hash: B256) -> Option<TransactionReceipt> {
        self.seen.iter().rev().find_map(|block| {
            let block = network.block(*block);
            let index = block.mined.iter().position(|mined| mined.transaction.hash == hash)?;
            Some(receipt_of(&block, index))
        })
    }

    fn state(&self, network: &Network, at: &Value) -> Result<Arc<State>, ErrorPayload> {
        Ok(Arc::clone(&self.block(network, at)?.state))
    }

    fn block(&self, network: &Network, at: &Value) -> Result<Arc<Block>, ErrorPayload> {
        let named =
            at["blockHash"].as_str().or_else(|| at.as_str()).and_then(|hash| hash.parse::<B256>().ok());
        if let Some(hash) = named {
            return self.by_hash(network, hash);
        }
        self.by_tag(network, at).ok_or_else(|| error(-32000, "header not found".into()))
    }

    /// A node answers for a block that it has seen, canonical or not.
    fn by_hash(&self, network: &Network, hash: B256) -> Result<Arc<Block>, ErrorPayload> {
        let block = network.blocks.get(&hash).filter(|block| block.header.number < self.seen.len() as u64);
        block.cloned().ok_or_else(|| error(-32000, "unknown block".into()))
    }

    fn by_tag(&self, network: &Network, tag: &Value) -> Option<Arc<Block>> {
        let height = match tag.as_str() {
            None | Some("latest") => self.seen.len() - 1,
            Some(number) => usize::try_from(quantity(number)).ok()?,
        };
        self.seen.get(height).map(|hash| network.block(*hash))
    }
}

/// What a node says that is too busy.
pub fn rate_limited(request: &SerializedRequest) -> ResponsePacket {
    let payload =
        ResponsePayload::Failure(error(-32005, "daily request count exceeded, request rate limited".into()));
    ResponsePacket::Single(Response { id: request.id().clone(), payload })
}

/// A success that says nothing.
pub fn garbage(request: &SerializedRequest) -> ResponsePacket {
    let payload = ResponsePayload::Success(to_raw_value(&"<html>").unwrap());
    ResponsePacket::Single(Response { id: request.id().clone(), payload })
}

/// The hash of signed bytes, as if they had been taken.
pub fn swallowed(request: &SerializedRequest) -> ResponsePacket {
    let params: Value = serde_json::from_str(request.params().unwrap().get()).unwrap();
    let hash = alloy::primitives::keccak256(read::<Bytes>(&params[0]));
    let payload = ResponsePayload::Success(to_raw_value(&hash).unwrap());
    ResponsePacket::Single(Response { id: request.id().clone(), payload })
}

/// An answer that hides what happened: no logs, or a block that is none of the chain's.
pub fn lie(request: &SerializedRequest, truth: ResponsePacket) -> ResponsePacket {
    let said = truth.as_single().and_then(|truth| truth.payload.try_success_as::<Value>());
    let Some(Ok(result)) = said else { return truth };
    let told = match request.method() {
        "eth_getLogs" => Value::Array(Vec::new()),
        "eth_getBlockByNumber" if result.is_object() => {
            let mut block = result;
            block["hash"] = serde_json::to_value(B256::repeat_byte(0x11)).unwrap();
            block
        }
        _ => return truth,
    };
    let payload = ResponsePayload::Success(to_raw_value(&told).unwrap());
    ResponsePacket::Single(Response { id: request.id().clone(), payload })
}

/// The bytes a send carries.
pub fn sent_bytes(request: &SerializedRequest) -> Option<Bytes> {
    if request.method() != "eth_sendRawTransaction" {
        return None;
    }
    let params: Value = serde_json::from_str(request.params()?.get()).ok()?;
    Some(read(&params[0]))
}

fn logs_of(block: &Block) -> Vec<Log> {
    (0..block.mined.len()).flat_map(|index| mined_logs(block, index)).collect()
}

fn mined_logs(block: &Block, index: usize) -> Vec<Log> {
    let Mined { transaction, logs, first_log, .. } = &block.mined[index];
    let log = |(place, data): (u64, &alloy::primitives::LogData)| Log {
        inner: alloy::primitives::Log { address: ESCROW, data: data.clone() },
        block_hash: Some(block.header.hash),
        block_number: Some(block.header.number),
        transaction_hash: Some(transaction.hash),
        transaction_index: Some(index as u64),
        log_index: Some(first_log + place),
        ..Default::default()
    };
    (0..).zip(logs).map(log).collect()
}

fn receipt_of(block: &Block, index: usize) -> TransactionReceipt {
    let mined = &block.mined[index];
    let receipt = Receipt {
        status: Eip658Value::Eip658(mined.succeeded),
        cumulative_gas_used: mined.gas_used,
        logs: mined_logs(block, index),
    };
    TransactionReceipt {
        inner: ReceiptEnvelope::Eip1559(ReceiptWithBloom { receipt, logs_bloom: Default::default() }),
        transaction_hash: mined.transaction.hash,
        transaction_index: Some(index as u64),
        block_hash: Some(block.header.hash),
        block_number: Some(block.header.number),
        gas_used: mined.gas_used,
        effective_gas_price: mined.gas_price,
        blob_gas_used: None,
        blob_gas_price: None,
        from: mined.transaction.from,
        to: Some(ESCROW),
        contract_address: None,
    }
}

fn rpc_block(block: &Block) -> RpcBlock<B256> {
    let BlockHeader { number, hash, parent, timestamp, gas_limit } = block.header;
    let inner = alloy::consensus::Header {
        number,
        parent_hash: parent,
        timestamp: timestamp.0,
        gas_limit,
        base_fee_per_gas: u64::try_from(block.base_fee).ok(),
        ..Default::default()
    };
    let header = Header { hash, inner, total_difficulty: None, size: None };
    let hashes = block.mined.iter().map(|mined| mined.transaction.hash).collect();
    RpcBlock {
        header,
        uncles: Vec::new(),
        transactions: BlockTransactions::Hashes(hashes),
        withdrawals: None,
    }
}

fn result(value: &impl Serialize) -> Outcome {
    Ok(to_raw_value(value).unwrap())
}

fn word(number: u128) -> Outcome {
    result(&Bytes::from(U256::from(number).to_be_bytes_vec()))
}

fn error(code: i64, message: String) -> ErrorPayload {
    ErrorPayload { code, message: message.into(), data: None }
}

fn read<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap()
}

fn quantity(text: &str) -> u64 {
    u64::from_str_radix(text.trim_start_matches("0x"), 16)
        .unwrap_or_else(|_| panic!("{text}: no quantity {}", hex::encode(text)))
}
