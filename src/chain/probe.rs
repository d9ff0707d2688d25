//! What can be learned of a token without moving any: its code, its words, and how it would move.

use alloy::eips::BlockId;
use alloy::network::TransactionBuilder;
use alloy::primitives::{Address, B256, U256, keccak256};
use alloy::providers::Provider;
use alloy::rpc::types::TransactionRequest;
use alloy::rpc::types::state::{AccountOverride, StateOverride};
use alloy::sol_types::{SolCall, SolValue};

use super::bindings::Erc20;
use super::rehearsal::{Outcome, Rehearsed, as_actor, call, outcomes_of};
use super::{Chain, ChainError};

alloy::sol! {
    /// Tokens from before the standard was final answer with 32 bytes.
    function symbol() external view returns (bytes32);
    function transferFrom(address from, address to, uint256 amount) external returns (bool);
}

/// Storage slots that are tried for a token's mapping of balances.
const SLOTS: u64 = 64;
/// The namespace in which OpenZeppelin's upgradeable ERC-20 keeps its balances (ERC-7201).
const NAMESPACE: &str = "openzeppelin.storage.ERC20";
/// A balance that no account has by chance.
const MADE_UP_BALANCE: u128 = 1 << 80;
/// Made-up accounts of the simulation: a payer, an escrow, a receiver.
const PAYER: Address = Address::repeat_byte(0xa1);
const HOLDER: Address = Address::repeat_byte(0xa2);
const PAYEE: Address = Address::repeat_byte(0xa3);

/// What was learned of a token.
#[derive(Debug, Clone)]
pub struct TokenProbe {
    /// `None`: it does not say.
    pub decimals: Option<u8>,
    /// `None`: it does not say.
    pub symbol: Option<String>,
    pub transfer: TransferProbe,
}

/// How a token moves, in a simulation that pulls by allowance and pays on, as the escrow does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TransferProbe {
    /// Exactly what was asked arrived, twice.
    Exact,
    /// Something else happened: the token must not be admitted.
    Other(String),
    /// It could not be tried.
    Untried(String),
}

impl Chain {
    /// Asks a token about itself. `None`: there is no contract. `payer` is an account with a balance of it, for tokens
    /// whose storage does not show how to make one up.
    ///
    /// # Errors
    /// [`ChainError`] when the node does not answer.
    pub async fn probe_token(
        &self,
        token: Address,
        payer: Option<Address>,
    ) -> Result<Option<TokenProbe>, ChainError> {
        if self.provider.get_code_at(token).await?.is_empty() {
            return Ok(None);
        }
        let decimals = self.view(token, Erc20::decimalsCall {}).await?;
        let symbol = match self.view(token, Erc20::symbolCall {}).await? {
            Some(symbol) => Some(symbol),
            None => self
                .view(token, symbolCall {})
                .await?
                .map(|word| String::from_utf8_lossy(word.as_slice()).trim_end_matches('\0').to_owned()),
        };
        Ok(Some(TokenProbe { decimals, symbol, transfer: self.probe_transfer(token, payer).await? }))
    }

    async fn probe_transfer(
        &self,
        token: Address,
        payer: Option<Address>,
    ) -> Result<TransferProbe, ChainError> {
        let (payer, amount, state) = match payer {
            Some(payer) => (payer, self.token_balance(token, payer).await?, StateOverride::default()),
            None => match self.find_balance_slot(token).await? {
                Some(slot) => {
                    let amount = U256::from(MADE_UP_BALANCE);
                    (PAYER, amount, storage(token, [(slot, amount)]))
                }
                None => {
                    return Ok(TransferProbe::Untried(
                        "no balance could be made up in the token's storage".into(),
                    ));
                }
            },
        };
        if amount.is_zero() {
            return Ok(TransferProbe::Untried(format!("{payer} has no balance of it")));
        }
        let balance_of = |account| call(token, &Erc20::balanceOfCall { account });
        let holder_does = vec![
            call(token, &transferFromCall { from: payer, to: HOLDER, amount }),
            balance_of(HOLDER),
            balance_of(payer),
            call(token, &Erc20::transferCall { to: PAYEE, amount }),
            balance_of(PAYEE),
        ];
        let payer_does =
            vec![call(token, &Erc20::approveCall { spender: HOLDER, amount }), as_actor(HOLDER, holder_does)];
        let outcomes = match self.rehearse(&[payer, HOLDER], payer_does, state).await? {
            Rehearsed::Outcomes(outcomes) => outcomes,
            Rehearsed::Refused(why) => {
                return Ok(TransferProbe::Untried(format!("the node cannot simulate it: {why}")));
            }
        };
        let [approve, held] = outcomes.as_slice() else { return Ok(unfinished()) };
        Ok(outcomes_of(held).map_or_else(unfinished, |held| judge(approve, &held, amount)))
    }

    /// The slot of the token's storage that holds the made-up payer's balance, found by setting every likely one to a
    /// value of its own and asking for the balance.
    async fn find_balance_slot(&self, token: Address) -> Result<Option<B256>, ChainError> {
        let candidates: Vec<(B256, U256)> = balance_slots(PAYER)
            .into_iter()
            .zip(0u128..)
            .map(|(slot, index)| (slot, U256::from(MADE_UP_BALANCE + index)))
            .collect();
        let request = TransactionRequest::default()
            .with_to(token)
            .with_input(Erc20::balanceOfCall { account: PAYER }.abi_encode());
        let answer = match self
            .provider
            .call(request)
            .block(BlockId::latest())
            .overrides(storage(token, candidates.iter().copied()))
            .await
        {
            Ok(answer) => answer,
            Err(error) if error.is_error_resp() => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let Ok(balance) = Erc20::balanceOfCall::abi_decode_returns(&answer) else { return Ok(None) };
        Ok(candidates.iter().find(|(_, value)| *value == balance).map(|(slot, _)| *slot))
    }
}

fn judge(approve: &Outcome, held: &[Outcome], amount: U256) -> TransferProbe {
    let [pull, pulled, left, pay, paid] = held else { return unfinished() };
    let agreed = |outcome: &Outcome| {
        let answer = &outcome.answer;
        outcome.success && (answer.is_empty() || bool::abi_decode(answer).unwrap_or(false))
    };
    let balance = |outcome: &Outcome| U256::abi_decode(&outcome.answer).ok();
    // In the order of the calls: what fails first explains what fails after it.
    let expectations = [
        (agreed(approve), "approve did not succeed"),
        (agreed(pull), "transferFrom did not succeed"),
        (
            balance(pulled) == Some(amount),
            "another amount than was sent arrived (a fee on transfer, or rebasing)",
        ),
        (balance(left) == Some(U256::ZERO), "another amount than was sent left the payer"),
        (agreed(pay), "transfer did not succeed"),
        (
            balance(paid) == Some(amount),
            "another amount than was sent arrived (a fee on transfer, or rebasing)",
        ),
    ];
    if let Some((_, why)) = expectations.into_iter().find(|(is_met, _)| !is_met) {
        return TransferProbe::Other(why.to_owned());
    }
    TransferProbe::Exact
}

fn unfinished() -> TransferProbe {
    TransferProbe::Untried("the simulation did not get to its end".into())
}

/// Where a balance may be kept: Solidity hashes key and slot, Vyper slot and key.
fn balance_slots(account: Address) -> Vec<B256> {
    let key = account.into_word();
    let slots = (0..SLOTS).map(|slot| B256::from(U256::from(slot))).chain([namespaced_slot()]);
    slots.flat_map(|slot| [keccak256([key, slot].concat()), keccak256([slot, key].concat())]).collect()
}

/// The first slot of the namespace, as ERC-7201 lays it down.
fn namespaced_slot() -> B256 {
    let name = U256::from_be_bytes(keccak256(NAMESPACE).0).wrapping_sub(U256::ONE);
    let mut slot = keccak256(B256::from(name));
    slot.0[31] = 0;
    slot
}

fn storage(token: Address, slots: impl IntoIterator<Item = (B256, U256)>) -> StateOverride {
    let slots = slots.into_iter().map(|(slot, value)| (slot, B256::from(value)));
    std::iter::once((token, AccountOverride::default().with_state_diff(slots))).collect()
}
