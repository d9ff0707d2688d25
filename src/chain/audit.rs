//! What a comparison with the database reads: the state of one block, named by its hash so that a chain that moves on
//! looks like no difference.

use alloy::network::TransactionBuilder;
use alloy::primitives::{Address, B256, U256};
use alloy::providers::Provider;
use alloy::rpc::types::{Filter, Log, TransactionRequest};
use alloy::sol_types::{SolCall, SolEvent};
use futures::{StreamExt, TryStreamExt, stream};

use super::bindings::{Erc20, PreauthEscrow};
use super::escrow::{EscrowEvent, EscrowLog};
use super::reads::named;
use super::reverts::is_revert;
use super::{Chain, ChainError};
use crate::model::{ChainTime, HoldEvent, HoldLog};

/// Balances that are asked for at once. Single requests, because many nodes limit or refuse batches of them.
const CONCURRENCY: usize = 4;

/// The events that tell of a hold. A failed call changed nothing.
const HOLD_EVENTS: [B256; 5] = [
    PreauthEscrow::Authorized::SIGNATURE_HASH,
    PreauthEscrow::Settled::SIGNATURE_HASH,
    PreauthEscrow::Cancelled::SIGNATURE_HASH,
    PreauthEscrow::Expired::SIGNATURE_HASH,
    PreauthEscrow::RefundDeferred::SIGNATURE_HASH,
];

impl Chain {
    /// The contract's storage words of preauths (each an escrow and a preauth id), in the order in which they are asked
    /// for; `concurrency` of them at once.
    ///
    /// # Errors
    /// [`ChainError`] when the node does not answer, does not know the block, or no longer has its state.
    pub async fn preauth_words(
        &self,
        preauths: &[(Address, B256)],
        block: B256,
        concurrency: usize,
    ) -> Result<Vec<B256>, ChainError> {
        let asked = preauths.iter().copied().map(|(escrow, preauth_id)| async move {
            let call = PreauthEscrow::preauthsCall { preauthId: preauth_id };
            self.view_at(escrow, call, block).await?.ok_or_else(|| no_escrow(escrow, block))
        });
        stream::iter(asked).buffered(concurrency).try_collect().await
    }

    /// What accounts have of tokens (each a token and an account), in base units and in order; `None`: the token does not
    /// say.
    ///
    /// # Errors
    /// As of [`Self::preauth_words`].
    pub async fn token_balances(
        &self,
        accounts: &[(Address, Address)],
        block: B256,
    ) -> Result<Vec<Option<U256>>, ChainError> {
        let asked = accounts
            .iter()
            .copied()
            .map(|(token, account)| self.view_at(token, Erc20::balanceOfCall { account }, block));
        stream::iter(asked).buffered(CONCURRENCY).try_collect().await
    }

    /// What senders can claim (each an escrow, a sender and a token), in base units and in order.
    ///
    /// # Errors
    /// As of [`Self::preauth_words`].
    pub async fn claimable(
        &self,
        claims: &[(Address, Address, Address)],
        block: B256,
    ) -> Result<Vec<U256>, ChainError> {
        let asked = claims.iter().copied().map(|(escrow, sender, token)| async move {
            let call = PreauthEscrow::claimableCall { sender, token };
            self.view_at(escrow, call, block).await?.ok_or_else(|| no_escrow(escrow, block))
        });
        stream::iter(asked).buffered(CONCURRENCY).try_collect().await
    }

    /// What an escrow's logs from one height to another say happened to its holds.
    ///
    /// # Errors
    /// [`ChainError`] when the node does not answer, or refuses a range of this size.
    pub async fn hold_logs(
        &self,
        escrow: Address,
        first: u64,
        last: u64,
    ) -> Result<Vec<HoldLog>, ChainError> {
        let filter = Filter::new()
            .address(escrow)
            .event_signature(HOLD_EVENTS.to_vec())
            .from_block(first)
            .to_block(last);
        let logs = self.provider.get_logs(&filter).await?;
        Ok(logs.iter().filter_map(hold_log).collect())
    }

    /// A token's decimals; `None`: it does not say.
    ///
    /// # Errors
    /// [`ChainError`] when the node does not answer.
    pub async fn token_decimals(&self, token: Address) -> Result<Option<u8>, ChainError> {
        self.view(token, Erc20::decimalsCall {}).await
    }

    /// Calls a view on the state after a block; `None` when the callee reverts or answers with something else.
    async fn view_at<C: SolCall>(
        &self,
        to: Address,
        call: C,
        block: B256,
    ) -> Result<Option<C::Return>, ChainError> {
        let request = TransactionRequest::default().with_to(to).with_input(call.abi_encode());
        match self.provider.call(request).block(named(block)).await {
            Ok(answer) => Ok(C::abi_decode_returns(&answer).ok()),
            Err(error) if is_revert(&error) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

fn hold_log(log: &Log) -> Option<HoldLog> {
    let EscrowLog { preauth_id, event, transaction, index, .. } = EscrowLog::decode(log)?;
    let event = match event {
        EscrowEvent::Locked { terms } => HoldEvent::Locked(terms),
        EscrowEvent::Settled { amount } => HoldEvent::Settled(amount),
        EscrowEvent::Cancelled => HoldEvent::Cancelled,
        EscrowEvent::Expired => HoldEvent::Expired,
        EscrowEvent::RefundDeferred { amount } => HoldEvent::RefundDeferred(amount),
        EscrowEvent::CallFailed { .. } => return None,
    };
    let time = log.block_timestamp.map(ChainTime);
    Some(HoldLog { preauth_id, block: log.block_number?, index, transaction, time, event })
}

fn no_escrow(address: Address, block: B256) -> ChainError {
    ChainError::Nonsense(format!("there is no escrow at {address} in block {block}"))
}
