//! What is read from the chain: blocks, logs, receipts, counts, and dry runs.

use alloy::consensus::BlockHeader as _;
use alloy::eips::{BlockId, BlockNumberOrTag, RpcBlockHash};
use alloy::network::TransactionBuilder;
use alloy::primitives::{Address, B256, Bytes, U256};
use alloy::providers::Provider;
use alloy::rpc::types::{Block, Filter, TransactionRequest};
use alloy::sol_types::SolCall;
use futures::future::join_all;

use super::bindings::{Erc20, PreauthEscrow};
use super::escrow::{EscrowLog, decode_failure};
use super::raw::EscrowCall;
use super::reverts::{is_revert, revert_data};
use super::timed::by_time;
use super::{Chain, ChainError};
use crate::model::{CallFailure, ChainTime, Consent, ConsentKind, OperationKind};

/// A block's place in the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockHeader {
    pub number: u64,
    pub hash: B256,
    pub parent: B256,
    pub timestamp: ChainTime,
    pub gas_limit: u64,
}

/// A block as the observer takes it in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockView {
    pub header: BlockHeader,
    /// The hashes of its transactions, in order.
    pub transactions: Vec<B256>,
}

/// How a transaction was mined.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    pub transaction: B256,
    pub block: u64,
    pub block_hash: B256,
    /// The transaction's place in its block.
    pub index: u64,
    pub succeeded: bool,
    pub gas_used: u64,
    /// Wei per gas.
    pub effective_gas_price: u128,
    /// What the transaction's own logs say about preauths.
    pub logs: Vec<EscrowLog>,
}

/// What a dry run of a batch says.
#[derive(Debug)]
pub enum DryRun {
    /// One answer for each call.
    Answers(Vec<Result<(), CallFailure>>),
    /// The batch as a whole cannot run: the gas does not suffice.
    Reverted(CallFailure),
    /// There is no contract.
    NoContract,
}

impl Chain {
    /// The newest block.
    pub async fn head(&self) -> Result<BlockHeader, ChainError> {
        let block = self.provider.get_block_by_number(BlockNumberOrTag::Latest).await?;
        let head = block.as_ref().map(header);
        let head = head.ok_or_else(|| ChainError::Nonsense("the chain has no newest block".into()))?;
        self.witnesses.saw_head(head.number);
        Ok(head)
    }

    /// The block at a height, with the hashes of its transactions. `None`: the node does not have it (yet).
    pub async fn block_at(&self, number: u64) -> Result<Option<BlockView>, ChainError> {
        let block = self.provider.get_block_by_number(BlockNumberOrTag::Number(number)).await?;
        Ok(block.map(|block| BlockView {
            header: header(&block),
            transactions: block.transactions.hashes().collect(),
        }))
    }

    /// The escrows' logs in one block, named by its hash so that a reorg cannot mix two blocks up.
    pub async fn logs_of_block(
        &self,
        escrows: &[Address],
        block: B256,
    ) -> Result<Vec<EscrowLog>, ChainError> {
        let filter = Filter::new().address(escrows.to_vec()).at_block_hash(block);
        let logs = self.provider.get_logs(&filter).await?;
        Ok(logs.iter().filter_map(EscrowLog::decode).collect())
    }

    /// The escrows' logs from one height to another, each with its block, for blocks that are too deep to change.
    pub async fn logs_of_range(
        &self,
        escrows: &[Address],
        first: u64,
        last: u64,
    ) -> Result<Vec<(u64, EscrowLog)>, ChainError> {
        let filter = Filter::new().address(escrows.to_vec()).from_block(first).to_block(last);
        let logs = self.provider.get_logs(&filter).await?;
        Ok(logs.iter().filter_map(|log| Some((log.block_number?, EscrowLog::decode(log)?))).collect())
    }

    /// How a transaction was mined. `None`: the node does not know (yet).
    pub async fn receipt(&self, transaction: B256) -> Result<Option<Receipt>, ChainError> {
        let Some(receipt) = self.provider.get_transaction_receipt(transaction).await? else {
            return Ok(None);
        };
        let place = receipt.block_number.zip(receipt.block_hash).zip(receipt.transaction_index);
        let ((block, block_hash), index) =
            place.ok_or_else(|| ChainError::Nonsense("a receipt without its block".into()))?;
        Ok(Some(Receipt {
            transaction,
            block,
            block_hash,
            index,
            succeeded: receipt.status(),
            gas_used: receipt.gas_used,
            effective_gas_price: receipt.effective_gas_price,
            logs: receipt.inner.logs().iter().filter_map(EscrowLog::decode).collect(),
        }))
    }

    /// Transactions an account has in the chain, up to the newest block or up to the block named by its hash.
    pub async fn transaction_count(&self, account: Address, block: Option<B256>) -> Result<u64, ChainError> {
        let block = block.map_or(BlockId::latest(), named);
        Ok(self.provider.get_transaction_count(account).block_id(block).await?)
    }

    /// An account's native balance in wei.
    pub async fn native_balance(&self, account: Address) -> Result<U256, ChainError> {
        Ok(self.provider.get_balance(account).await?)
    }

    /// A token's balance in base units.
    pub async fn token_balance(&self, token: Address, account: Address) -> Result<U256, ChainError> {
        Ok(self.view(token, Erc20::balanceOfCall { account }).await?.unwrap_or_default())
    }

    /// What `owner` allows `spender` to take of a token, in base units.
    pub async fn allowance(
        &self,
        token: Address,
        owner: Address,
        spender: Address,
    ) -> Result<U256, ChainError> {
        Ok(self.view(token, Erc20::allowanceCall { owner, spender }).await?.unwrap_or_default())
    }

    /// From when on consent by allowance may name this receiver, by the chain's clock; `None`: not registered.
    pub async fn receiver_active_from(
        &self,
        escrow: Address,
        receiver: Address,
    ) -> Result<Option<ChainTime>, ChainError> {
        let from = self.view(escrow, PreauthEscrow::receiverActiveFromCall { receiver }).await?;
        Ok(from.map(|from| from.to::<u64>()).filter(|from| *from > 0).map(ChainTime))
    }

    /// Whether `account` may authorize and settle.
    pub async fn is_operator(&self, escrow: Address, account: Address) -> Result<bool, ChainError> {
        Ok(self.view(escrow, PreauthEscrow::isOperatorCall { account }).await?.unwrap_or(false))
    }

    /// Whether the escrow locks nothing for now.
    pub async fn is_paused(&self, escrow: Address) -> Result<bool, ChainError> {
        Ok(self.view(escrow, PreauthEscrow::pausedCall {}).await?.unwrap_or(false))
    }

    /// Runs calls as `operator` without sending them, at `time` or by the newest block's clock: an answer for each.
    ///
    /// They run one after the other, so calls that spend the same allowance see each other.
    pub async fn dry_run(
        &self,
        operator: Address,
        escrow: Address,
        calls: &[EscrowCall],
        gas_per_call: u64,
        gas_limit: u64,
        time: Option<ChainTime>,
    ) -> Result<DryRun, ChainError> {
        let request = TransactionRequest::default()
            .with_from(operator)
            .with_to(escrow)
            .with_gas_limit(gas_limit)
            .with_input(EscrowCall::encode_batch(calls, gas_per_call));
        // Named, because what is not named is "pending" to some clients and "latest" to others.
        let newest = BlockId::latest();
        let timed = match time {
            Some(time) => self.call_at_time(request.clone(), newest, time).await,
            None => None,
        };
        let (answered, late) = match timed {
            Some(answered) => (answered, None),
            None => (self.provider.call(request).block(newest).await, time),
        };
        let answer = match answered {
            Ok(answer) => answer,
            Err(error) => match revert_data(&error) {
                Some(data) => return Ok(DryRun::Reverted(decode_failure(&data))),
                None => return Err(error.into()),
            },
        };
        if answer.is_empty() {
            return Ok(DryRun::NoContract);
        }
        let failures = PreauthEscrow::batchCall::abi_decode_returns(&answer)
            .map_err(|error| ChainError::Nonsense(format!("dry run: {error}")))?;
        let mut answers = vec![Ok(()); calls.len()];
        for failure in failures {
            let index = usize::try_from(failure.index).ok();
            let Some(answer) = index.and_then(|index| answers.get_mut(index)) else {
                return Err(ChainError::Nonsense("a dry run told of a call that was not in it".into()));
            };
            *answer = Err(decode_failure(&failure.reason));
        }
        let mut explanations = Vec::new();
        for (index, (call, answer)) in calls.iter().zip(&answers).enumerate() {
            if call.kind == OperationKind::Authorize && matches!(answer, Err(CallFailure::Other(_))) {
                explanations.push(self.explain(escrow, call, index));
            }
        }
        // What cannot be explained keeps the reason it has: one sick token must not hold up the others.
        for (index, better) in join_all(explanations).await.into_iter().flatten() {
            if let Some(answer) = answers.get_mut(index) {
                *answer = Err(better);
            }
        }
        if let Some(time) = late {
            answers = calls.iter().zip(answers).map(|(call, answer)| by_time(call, answer, time)).collect();
        }
        Ok(DryRun::Answers(answers))
    }

    /// Tokens name a missing allowance or balance in many ways; reading both tells which it is. `None`: neither, or the
    /// token does not say.
    async fn explain(
        &self,
        escrow: Address,
        call: &EscrowCall,
        index: usize,
    ) -> Option<(usize, CallFailure)> {
        let terms = &call.terms;
        let hold = U256::from(terms.hold.get());
        let spender = match Consent::decode(&call.consent).map(|consent| consent.kind()) {
            None | Some(ConsentKind::Eip712 | ConsentKind::Erc2612) => Some(escrow),
            Some(ConsentKind::Erc3009) => None,
            Some(ConsentKind::Permit2) => self.permit2_of(escrow).await.ok()?,
        };
        if let Some(spender) = spender
            && self.allowance(terms.token, terms.sender, spender).await.ok()? < hold
        {
            return Some((index, CallFailure::InsufficientAllowance));
        }
        if self.token_balance(terms.token, terms.sender).await.ok()? < hold {
            return Some((index, CallFailure::InsufficientBalance));
        }
        None
    }

    /// Why a mined single call failed: it is run again on the state before its block. `None`: it would succeed there,
    /// or the node no longer has that state.
    pub async fn replay(
        &self,
        operator: Address,
        escrow: Address,
        call: &EscrowCall,
        gas_limit: u64,
        block: &BlockHeader,
    ) -> Result<Option<CallFailure>, ChainError> {
        let request = TransactionRequest::default()
            .with_from(operator)
            .with_to(escrow)
            .with_gas_limit(gas_limit)
            .with_input(call.encode());
        let before = BlockId::number(block.number.saturating_sub(1));
        let replayed = match self.call_at_time(request.clone(), before, block.timestamp).await {
            Some(replayed) => replayed,
            // At the block's time there is its own state only. What failed in it has changed nothing.
            None => self.provider.call(request).block(named(block.hash)).await,
        };
        match replayed {
            Ok(_) => Ok(None),
            Err(error) => match revert_data(&error) {
                Some(data) => Ok(Some(decode_failure(&data))),
                None => Err(error.into()),
            },
        }
    }

    /// Whether a transaction of this input would succeed now; sending it costs nothing here.
    pub async fn would_succeed(
        &self,
        from: Address,
        to: Address,
        input: Bytes,
        gas_limit: u64,
    ) -> Result<Result<(), CallFailure>, ChainError> {
        let request = TransactionRequest::default()
            .with_from(from)
            .with_to(to)
            .with_gas_limit(gas_limit)
            .with_input(input);
        match self.provider.call(request).block(BlockId::latest()).await {
            Ok(_) => Ok(Ok(())),
            Err(error) => match revert_data(&error) {
                Some(data) => Ok(Err(decode_failure(&data))),
                None => Err(error.into()),
            },
        }
    }

    /// Calls a view; `None` when the callee reverts or answers with something else.
    pub(super) async fn view<C: SolCall>(
        &self,
        to: Address,
        call: C,
    ) -> Result<Option<C::Return>, ChainError> {
        let request = TransactionRequest::default().with_to(to).with_input(call.abi_encode());
        match self.call(request).await? {
            Some(answer) => Ok(C::abi_decode_returns(&answer).ok()),
            None => Ok(None),
        }
    }

    /// Calls without sending; `None` when the callee reverts.
    pub(super) async fn call(&self, request: TransactionRequest) -> Result<Option<Bytes>, ChainError> {
        match self.provider.call(request).block(BlockId::latest()).await {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if is_revert(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// A block by its hash, canonical or not, in the one form that every client reads (EIP-1898).
pub(super) fn named(block_hash: B256) -> BlockId {
    BlockId::Hash(RpcBlockHash { block_hash, require_canonical: Some(false) })
}

fn header(block: &Block) -> BlockHeader {
    BlockHeader {
        number: block.header.number(),
        hash: block.header.hash,
        parent: block.header.parent_hash(),
        timestamp: ChainTime(block.header.timestamp()),
        gas_limit: block.header.gas_limit(),
    }
}
