//! What the chain itself can take: the same work without a daemon, signed beforehand and sent by hand.

use std::time::Duration;

use alloy::primitives::{Address, Bytes, U256, keccak256};
use alloy::signers::SignerSync;
use alloy::signers::local::PrivateKeySigner;
use anyhow::{Context, bail};
use futures::{StreamExt, TryStreamExt, stream};
use tokio::time::Instant;

use super::plan::is_automine;
use super::scratch::Scratch;
use super::stopwatch::Lap;
use crate::chain::{
    Chain, EscrowCall, EscrowEvent, SendAdvice, SignedTransaction, TransactionPlan, transfer_input,
};
use crate::cli::dev::{Anvil, Saved, find_anvil, operator, set_stage};
use crate::lane::call_gas;
use crate::model::{BaseUnits, ChainTime, OperationKind, Terms};

/// What a lock is called that nothing else is done beside.
pub(super) const LONE_LOCK: &str = "locks, each awaited";
/// As much gas as a transaction can have (EIP-7825).
const FULL: u64 = 16_777_216;
/// Locks that fill it, each by what it uses and not by its cap.
const PER_BATCH: usize = 240;
/// More than any base fee of a chain that is full for minutes, in wei.
const MAX_FEE: u128 = 2_000_000_000_000;
const TIP: u128 = 1_000_000_000;
const TRANSFER_GAS: u64 = 100_000;
const LOCK_GAS: u64 = 300_000;
/// Transfers that are sent without waiting for each other; where each gets a block at once, many more make anvil stumble.
const TRANSFERS_AT_ONCE: usize = 16;
/// How often a node is asked for a receipt.
const LOOK_EVERY: Duration = Duration::from_millis(1);
const PATIENCE: Duration = Duration::from_secs(120);
/// When a transaction that is not mined is sent again: anvil may lose one that comes as it makes a block.
const SEND_AGAIN: Duration = Duration::from_secs(5);
const HOLD: BaseUnits = super::subject::HOLD;
const DAY: u64 = 86_400;

/// A chain with an escrow, and nobody else at work on it.
pub(super) struct Hand {
    chain: Chain,
    saved: Saved,
    operator: PrivateKeySigner,
    sender: PrivateKeySigner,
    expires_at: ChainTime,
    /// Whether each transaction gets a block at once.
    automine: bool,
    anvil: Anvil,
    _folder: Scratch,
}

impl Hand {
    pub async fn open(block_time: &str) -> anyhow::Result<Self> {
        let anvil = Anvil::start(&find_anvil()?, Some(block_time)).await?;
        let chain = Chain::connect(&anvil.url.as_str().into()).await.context("connecting to anvil")?;
        let folder = Scratch::new()?;
        let saved = set_stage(&chain, folder.path(), false, |_| ()).await?;
        let sender = saved.senders.first().context("dev has no sender")?.signer()?;
        let expires_at = ChainTime(chain.head().await?.timestamp.0 + DAY);
        let automine = is_automine(block_time);
        Ok(Self { chain, saved, operator: operator()?, sender, expires_at, automine, anvil, _folder: folder })
    }

    pub async fn close(self) {
        self.anvil.stop().await;
    }

    /// Transfers of a token from one account, each a transaction.
    pub async fn transfers(&self, count: u64) -> anyhow::Result<Lap> {
        let receiver = self.saved.receivers.first().context("dev has no receiver")?.address;
        let first = self.nonce(&self.sender).await?;
        let inputs = (0..count).map(|_| transfer_input(receiver, U256::from(HOLD.get())));
        let token = self.saved.token.address;
        let signed = self.signed(&self.sender, token, first, TRANSFER_GAS, inputs)?;
        self.all(signed, TRANSFERS_AT_ONCE, count).await
    }

    /// Locks, each a transaction that is waited for before the next is sent: how long one takes.
    pub async fn lone_locks(&self, count: u64) -> anyhow::Result<Lap> {
        let first = self.nonce(&self.operator).await?;
        let inputs = self.calls(OperationKind::Authorize, "lone", count)?;
        let inputs = inputs.iter().map(EscrowCall::encode);
        let signed = self.signed(&self.operator, self.saved.escrow, first, LOCK_GAS, inputs)?;
        let begun = Instant::now();
        let mut latencies = Vec::with_capacity(signed.len());
        for transaction in &signed {
            let begun = Instant::now();
            self.send(transaction).await?;
            self.mined(transaction).await?;
            latencies.push(begun.elapsed());
        }
        Ok(Lap::new(begun.elapsed(), latencies))
    }

    /// One operation on each of the holds from `from` on, in full batches.
    pub async fn batches(&self, kind: OperationKind, from: u64, count: u64) -> anyhow::Result<Lap> {
        let calls = self.calls(kind, "batch", from + count)?;
        let calls = calls.get(usize::try_from(from)?..).unwrap_or_default();
        let first = self.nonce(&self.operator).await?;
        let inputs = calls.chunks(PER_BATCH).map(|chunk| {
            let cap = chunk.iter().map(call_gas).max().unwrap_or_default();
            EscrowCall::encode_batch(chunk, cap)
        });
        let signed = self.signed(&self.operator, self.saved.escrow, first, FULL, inputs)?;
        self.all(signed, 1, count).await
    }

    /// Lets everything that is held expire.
    pub async fn expire(&self) -> anyhow::Result<()> {
        self.chain.advance_clock(DAY + 1).await?;
        Ok(())
    }

    fn calls(&self, kind: OperationKind, name: &str, count: u64) -> anyhow::Result<Vec<EscrowCall>> {
        let receiver = self.saved.receivers.first().context("dev has no receiver")?.address;
        let of = |number: u64| {
            let sender = self.saved.senders.get(usize::try_from(number).ok()? % self.saved.senders.len())?;
            let terms = Terms {
                sender: sender.address,
                receiver,
                token: self.saved.token.address,
                hold: HOLD,
                expires_at: self.expires_at,
                preauth_id: keccak256(format!("{name} {number}")),
            };
            Some(EscrowCall { kind, terms, amount: super::subject::SETTLED, consent: Bytes::new() })
        };
        (0..count).map(|number| of(number).context("dev has no such sender")).collect()
    }

    fn signed(
        &self,
        key: &PrivateKeySigner,
        to: Address,
        first: u64,
        gas_limit: u64,
        inputs: impl Iterator<Item = Bytes>,
    ) -> anyhow::Result<Vec<SignedTransaction>> {
        let chain_id = self.chain.chain_id();
        inputs
            .zip(first..)
            .map(|(input, nonce)| {
                let plan = TransactionPlan {
                    chain_id,
                    to,
                    nonce,
                    gas_limit,
                    max_fee: MAX_FEE,
                    max_priority_fee: TIP,
                    input,
                };
                Ok(plan.signed(key.sign_hash_sync(&plan.digest()).context("signing")?))
            })
            .collect()
    }

    async fn nonce(&self, key: &PrivateKeySigner) -> anyhow::Result<u64> {
        Ok(self.chain.transaction_count(key.address(), None).await?)
    }

    /// Sends transactions in their order and waits until all are mined and have succeeded. Where each gets a block at once, so
    /// many are on their way at a time; else all are, so that no block has room left.
    async fn all(&self, signed: Vec<SignedTransaction>, at_once: usize, count: u64) -> anyhow::Result<Lap> {
        let begun = Instant::now();
        let sent = stream::iter(&signed).map(|transaction| async {
            self.send(transaction).await?;
            if self.automine {
                self.mined(transaction).await?;
            }
            anyhow::Ok(())
        });
        sent.buffered(at_once).try_for_each(|()| async { Ok(()) }).await?;
        for transaction in signed.iter().filter(|_| !self.automine) {
            self.mined(transaction).await?;
        }
        Ok(Lap::whole(count, begun.elapsed()))
    }

    async fn send(&self, transaction: &SignedTransaction) -> anyhow::Result<()> {
        match self.chain.send(&transaction.raw).await {
            SendAdvice::Accepted => Ok(()),
            other => bail!("the node does not take a transaction: {other:?}"),
        }
    }

    async fn mined(&self, transaction: &SignedTransaction) -> anyhow::Result<()> {
        let polled = async {
            let mut sent = Instant::now();
            loop {
                if let Some(receipt) = self.chain.receipt(transaction.hash).await? {
                    return anyhow::Ok(receipt);
                }
                if sent.elapsed() > SEND_AGAIN {
                    // Where the node has it still, it says so, and nothing else comes of it.
                    self.chain.send(&transaction.raw).await;
                    sent = Instant::now();
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let receipt =
            tokio::time::timeout(PATIENCE, polled).await.context("a transaction is not mined")??;
        if !receipt.succeeded
            || receipt.logs.iter().any(|log| matches!(log.event, EscrowEvent::CallFailed { .. }))
        {
            bail!("a transaction of the benchmark failed");
        }
        Ok(())
    }
}
