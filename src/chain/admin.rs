//! What an admin key does: deploy the escrow, allow receivers and operators. The daemon never holds that key; the
//! command line does, for one transaction at a time, and `dev` for its private chain.

use std::time::Duration;

use alloy::consensus::{SignableTransaction, TxEip1559, TxEnvelope};
use alloy::eips::Encodable2718;
use alloy::network::{TransactionBuilder, TxSignerSync};
use alloy::primitives::{Address, B256, Bytes, TxKind, U256, Uint};
use alloy::providers::Provider;
use alloy::rpc::types::TransactionRequest;
use alloy::signers::local::PrivateKeySigner;
use alloy::sol_types::{SolCall, SolConstructor};
use futures::future::try_join_all;

use super::bindings::{DemoToken, Erc20, PreauthEscrow};
use super::reverts::revert_data;
use super::{CONTRACT_MAX_HOLD_SECONDS, Chain, ChainError, SendAdvice, SignedTransaction, decode_failure};

/// The least that is tipped, in wei per gas.
const MIN_TIP: u128 = 100_000_000;
/// How long a transaction may take to be mined before its command gives up waiting.
const MINING_PATIENCE: Duration = Duration::from_secs(600);
/// How often a receipt is asked for.
const RECEIPT_INTERVAL: Duration = Duration::from_millis(100);

/// A transaction to be sent.
#[derive(Debug, Clone)]
pub struct Step {
    /// `None` deploys a contract.
    pub to: Option<Address>,
    pub input: Bytes,
}

/// A transaction that was mined and succeeded.
#[derive(Debug, Clone, Copy)]
pub struct Mined {
    pub transaction: B256,
    pub block: u64,
    pub block_hash: B256,
    /// The contract it deployed.
    pub contract: Option<Address>,
}

/// How an escrow is to be deployed.
#[derive(Debug, Clone)]
pub struct EscrowPlan {
    pub admin: Address,
    /// Zero: none.
    pub guardian: Address,
    pub operators: Vec<Address>,
    /// Seconds between a receiver's registration and its effect.
    pub receiver_delay: u64,
    /// The Permit2 that consents may go through. `None`: there is none.
    pub permit2: Option<Address>,
}

impl Step {
    /// Deploys an escrow whose holds last 90 days at most.
    #[must_use]
    pub fn deploy_escrow(plan: &EscrowPlan) -> Self {
        let arguments = PreauthEscrow::constructorCall {
            admin: plan.admin,
            guardian_: plan.guardian,
            operators: plan.operators.clone(),
            receiverDelay: Uint::<40, 1>::saturating_from(plan.receiver_delay),
            maxHold: Uint::<40, 1>::saturating_from(CONTRACT_MAX_HOLD_SECONDS),
            permit2: plan.permit2.unwrap_or_default(),
        };
        Self::deploy(&PreauthEscrow::BYTECODE, &arguments.abi_encode())
    }

    /// Deploys a token that its deployer can mint.
    #[must_use]
    pub fn deploy_demo_token(name: &str, symbol: &str, decimals: u8) -> Self {
        let arguments = DemoToken::constructorCall {
            name: name.to_owned(),
            symbol: symbol.to_owned(),
            decimals_: decimals,
        };
        Self::deploy(&DemoToken::BYTECODE, &arguments.abi_encode())
    }

    /// Mints demo tokens; only their deployer can.
    #[must_use]
    pub fn mint_demo_token(token: Address, to: Address, base_units: U256) -> Self {
        Self::call(token, &DemoToken::mintCall { to, amount: base_units })
    }

    /// Lets `spender` take as much of the signer's tokens as it likes.
    #[must_use]
    pub fn approve_all(token: Address, spender: Address) -> Self {
        Self::call(token, &Erc20::approveCall { spender, amount: U256::MAX })
    }

    /// Allows a receiver for consent by allowance.
    #[must_use]
    pub fn register_receiver(escrow: Address, receiver: Address) -> Self {
        Self::call(escrow, &PreauthEscrow::registerReceiverCall { receiver })
    }

    /// Withdraws a receiver, at once.
    #[must_use]
    pub fn remove_receiver(escrow: Address, receiver: Address) -> Self {
        Self::call(escrow, &PreauthEscrow::removeReceiverCall { receiver })
    }

    /// Allows or revokes an operator.
    #[must_use]
    pub fn set_operator(escrow: Address, operator: Address, allowed: bool) -> Self {
        Self::call(escrow, &PreauthEscrow::setOperatorCall { operator, allowed })
    }

    pub(super) fn call<C: SolCall>(to: Address, call: &C) -> Self {
        Self { to: Some(to), input: call.abi_encode().into() }
    }

    pub(super) fn deploy(bytecode: &Bytes, arguments: &[u8]) -> Self {
        Self { to: None, input: [bytecode.as_ref(), arguments].concat().into() }
    }
}

impl Chain {
    /// Sends one transaction and waits until it is mined.
    ///
    /// # Errors
    /// [`ChainError::Unusable`] when the contract refuses it, when it is mined and fails, or is not mined for ten
    /// minutes; it names the transaction, which may still be mined then.
    pub async fn transact(&self, signer: &PrivateKeySigner, step: Step) -> Result<Mined, ChainError> {
        let gas = self.estimate(signer.address(), &step).await?;
        let nonce = self.provider.get_transaction_count(signer.address()).pending().await?;
        let signed = self.sign_step(signer, nonce, gas, self.admin_fees().await?, step)?;
        self.broadcast(&signed).await?;
        self.mined(signed.hash).await
    }

    /// Signs and sends steps of several signers, each signer's in order, without waiting; answers their hashes in order.
    /// No gas is estimated, because a step may need what an earlier one does.
    pub(super) async fn send_steps(
        &self,
        steps: Vec<(&PrivateKeySigner, Step)>,
        gas: u64,
    ) -> Result<Vec<B256>, ChainError> {
        let fees = self.admin_fees().await?;
        let mut nonces: Vec<(Address, u64)> = Vec::new();
        let signers: std::collections::BTreeSet<Address> =
            steps.iter().map(|(signer, _)| signer.address()).collect();
        let counts = signers.iter().map(|signer| async {
            let count = self.provider.get_transaction_count(*signer).pending().await?;
            Ok::<_, ChainError>((*signer, count))
        });
        nonces.extend(try_join_all(counts).await?);
        let mut hashes = Vec::with_capacity(steps.len());
        for (signer, step) in steps {
            let nonce = nonces
                .iter_mut()
                .find(|(address, _)| *address == signer.address())
                .map(|(_, next)| std::mem::replace(next, *next + 1))
                .unwrap_or_default();
            let signed = self.sign_step(signer, nonce, gas, fees, step)?;
            // One after the other: a node need not do in order what comes in one request.
            self.broadcast(&signed).await?;
            hashes.push(signed.hash);
        }
        Ok(hashes)
    }

    /// Waits until a transaction is mined.
    ///
    /// # Errors
    /// [`ChainError::Unusable`] when it failed, or was not mined for ten minutes.
    async fn mined(&self, transaction: B256) -> Result<Mined, ChainError> {
        let polled = async {
            loop {
                if let Some(mined) = self.mined_now(transaction).await? {
                    return Ok(mined);
                }
                tokio::time::sleep(RECEIPT_INTERVAL).await;
            }
        };
        tokio::time::timeout(MINING_PATIENCE, polled).await.unwrap_or_else(|_| {
            Err(ChainError::Unusable(format!(
                "transaction {transaction} was sent and is not mined after ten minutes; look it up before sending again"
            )))
        })
    }

    /// How a transaction was mined; `None`: not yet.
    pub(super) async fn mined_now(&self, transaction: B256) -> Result<Option<Mined>, ChainError> {
        let Some(receipt) = self.provider.get_transaction_receipt(transaction).await? else {
            return Ok(None);
        };
        let (Some(block), Some(block_hash)) = (receipt.block_number, receipt.block_hash) else {
            return Ok(None);
        };
        if !receipt.status() {
            return Err(ChainError::Unusable(format!("transaction {transaction} was mined and failed")));
        }
        Ok(Some(Mined { transaction, block, block_hash, contract: receipt.contract_address }))
    }

    /// Gas for a step that stands alone, with a margin; what the contract would refuse is refused here, for free.
    async fn estimate(&self, from: Address, step: &Step) -> Result<u64, ChainError> {
        let request = match step.to {
            Some(to) => TransactionRequest::default().with_to(to).with_input(step.input.clone()),
            None => TransactionRequest::default().with_deploy_code(step.input.clone()),
        };
        match self.provider.estimate_gas(request.with_from(from)).await {
            Ok(gas) => Ok(gas + gas / 5),
            Err(error) => match revert_data(&error) {
                Some(data) => {
                    Err(ChainError::Unusable(format!("the chain would refuse it: {}", decode_failure(&data))))
                }
                None => Err(error.into()),
            },
        }
    }

    /// Largest fee and tip, in wei per gas.
    async fn admin_fees(&self) -> Result<(u128, u128), ChainError> {
        let quote = self.fee_quote().await?;
        let tip = quote.tip.max(MIN_TIP);
        // Twice the base fee: six full blocks may raise it before the offer is too low.
        Ok((quote.base_fee * 2 + tip, tip))
    }

    fn sign_step(
        &self,
        signer: &PrivateKeySigner,
        nonce: u64,
        gas_limit: u64,
        (max_fee, tip): (u128, u128),
        step: Step,
    ) -> Result<SignedTransaction, ChainError> {
        let mut transaction = TxEip1559 {
            chain_id: self.chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas: max_fee,
            max_priority_fee_per_gas: tip,
            to: step.to.map_or(TxKind::Create, TxKind::Call),
            value: U256::ZERO,
            access_list: Default::default(),
            input: step.input,
        };
        let signature = signer
            .sign_transaction_sync(&mut transaction)
            .map_err(|error| ChainError::Unusable(format!("signing: {error}")))?;
        let envelope = TxEnvelope::from(transaction.into_signed(signature));
        Ok(SignedTransaction { hash: *envelope.tx_hash(), raw: envelope.encoded_2718().into() })
    }

    async fn broadcast(&self, signed: &SignedTransaction) -> Result<(), ChainError> {
        let why = match self.send(&signed.raw).await {
            SendAdvice::Accepted => return Ok(()),
            SendAdvice::InsufficientFunds => "the key's account cannot pay for the gas".to_owned(),
            SendAdvice::NonceUsed => {
                "another transaction of the same key came in between; try again".to_owned()
            }
            SendAdvice::Underpriced => "the node demands higher fees; try again".to_owned(),
            SendAdvice::Unknown(why) => {
                format!(
                    "{why}; it may have been taken all the same, look up {} before trying again",
                    signed.hash
                )
            }
        };
        Err(ChainError::Unusable(format!("the transaction was not taken: {why}")))
    }
}
