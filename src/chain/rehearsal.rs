//! What accounts would do one after the other, tried in one `eth_call` whose state overrides let them act. Any node that has
//! state overrides will do: `eth_simulateV1`, which is made for this, is not everywhere.

use alloy::eips::BlockId;
use alloy::network::TransactionBuilder;
use alloy::primitives::{Address, Bytes};
use alloy::providers::Provider;
use alloy::rpc::types::TransactionRequest;
use alloy::rpc::types::state::{AccountOverride, StateOverride};
use alloy::sol_types::SolCall;
use alloy::transports::TransportError;

use super::Chain;
use super::bindings::Rehearsal;
pub(super) use super::bindings::Rehearsal::{Call, Outcome};
use super::reverts::is_revert;

/// What became of a rehearsal.
pub(super) enum Rehearsed {
    /// What each call came to. All of them were made.
    Outcomes(Vec<Outcome>),
    /// The node did not play it to the end, and why: it knows no state overrides, or the gas did not suffice.
    Refused(String),
}

/// A call as it is made in a rehearsal.
pub(super) fn call<C: SolCall>(to: Address, call: &C) -> Call {
    Call { to, input: call.abi_encode().into() }
}

/// Lets an account make calls of its own within a rehearsal.
pub(super) fn as_actor(actor: Address, calls: Vec<Call>) -> Call {
    call(actor, &Rehearsal::rehearseCall { calls })
}

/// What an actor's calls came to, by the answer to [`as_actor`]. `None`: he did not get to the end.
pub(super) fn outcomes_of(acted: &Outcome) -> Option<Vec<Outcome>> {
    if !acted.success {
        return None;
    }
    Rehearsal::rehearseCall::abi_decode_returns(&acted.answer).ok()
}

impl Chain {
    /// Lets the first of `actors` make calls on the newest block's state, changed by `state`.
    ///
    /// # Errors
    /// When the node does not answer.
    pub(super) async fn rehearse(
        &self,
        actors: &[Address],
        calls: Vec<Call>,
        state: StateOverride,
    ) -> Result<Rehearsed, TransportError> {
        let code = || AccountOverride::default().with_code(Rehearsal::DEPLOYED_BYTECODE.clone());
        let state: StateOverride =
            state.into_iter().chain(actors.iter().map(|actor| (*actor, code()))).collect();
        let request = TransactionRequest::default()
            .with_to(actors.first().copied().unwrap_or_default())
            .with_input(Bytes::from(Rehearsal::rehearseCall { calls }.abi_encode()));
        let answer = match self.provider.call(request).block(BlockId::latest()).overrides(state).await {
            Ok(answer) => answer,
            Err(error) if is_revert(&error) => {
                return Ok(Rehearsed::Refused("the gas does not suffice".into()));
            }
            Err(error) if error.is_error_resp() => return Ok(Rehearsed::Refused(super::in_words(&error))),
            Err(error) => return Err(error),
        };
        Ok(match Rehearsal::rehearseCall::abi_decode_returns(&answer) {
            Ok(outcomes) => Rehearsed::Outcomes(outcomes),
            Err(_) => Rehearsed::Refused("the node answered with something else".into()),
        })
    }
}
