//! Calls at another time than their block's. Not every node lets a call have a time of its own (block overrides of
//! `eth_call`); where it does not, what the time changes is told from the terms.

use alloy::eips::BlockId;
use alloy::primitives::Bytes;
use alloy::providers::Provider;
use alloy::rpc::types::{BlockOverrides, TransactionRequest};
use alloy::transports::TransportError;

use super::Chain;
use super::raw::EscrowCall;
use super::reverts::is_revert;
use crate::model::{CallFailure, ChainTime, OperationKind};

impl Chain {
    /// Calls on the state of a block as if it were `time`. `None`: the node refuses to.
    pub(super) async fn call_at_time(
        &self,
        request: TransactionRequest,
        block: BlockId,
        time: ChainTime,
    ) -> Option<Result<Bytes, TransportError>> {
        let overrides = BlockOverrides { time: Some(time.0), ..Default::default() };
        match self.provider.call(request).block(block).with_block_overrides(overrides).await {
            Err(error) if error.is_error_resp() && !is_revert(&error) => None,
            answer => Some(answer),
        }
    }
}

/// What a call comes to at `time` that came to `answer` before: the contract compares nothing but a hold's expiry with
/// the clock.
pub(super) fn by_time(
    call: &EscrowCall,
    answer: Result<(), CallFailure>,
    time: ChainTime,
) -> Result<(), CallFailure> {
    let has_expired = call.terms.expires_at <= time;
    match (call.kind, answer) {
        (OperationKind::Authorize, Ok(())) if has_expired => Err(CallFailure::InvalidExpiry),
        (OperationKind::Settle, Ok(())) if has_expired => Err(CallFailure::PreauthExpired),
        (OperationKind::Expire, Err(CallFailure::NotExpired)) if has_expired => Ok(()),
        (_, answer) => answer,
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::{Address, B256};
    use alloy::rpc::json_rpc::ErrorPayload;
    use alloy::transports::BoxTransport;
    use alloy::transports::mock::{Asserter, MockTransport};
    use serde_json::json;

    use super::*;
    use crate::model::{BaseUnits, Terms};

    async fn answer_of(node: &Asserter) -> Option<Result<Bytes, TransportError>> {
        let chain = Chain::over(vec![BoxTransport::new(MockTransport::new(node.clone()))], 1, 1);
        chain.call_at_time(TransactionRequest::default(), BlockId::latest(), ChainTime(1_000)).await
    }

    #[tokio::test]
    async fn a_node_that_takes_no_time_is_told_from_a_call_that_fails() {
        let error = |error| serde_json::from_value::<ErrorPayload>(error).unwrap();
        let node = Asserter::new();
        node.push_success(&"0x77");
        assert_eq!(answer_of(&node).await.unwrap().unwrap(), Bytes::from([0x77]));
        node.push_failure(error(json!({"code": 3, "message": "execution reverted", "data": "0x77"})));
        assert!(is_revert(&answer_of(&node).await.unwrap().unwrap_err()));
        node.push_failure(error(
            json!({"code": -32602, "message": "trailing characters at line 1 column 160"}),
        ));
        assert!(answer_of(&node).await.is_none());
        // Nothing was answered.
        assert!(answer_of(&node).await.unwrap().is_err());
    }

    #[test]
    fn an_answer_of_the_past_is_brought_up_to_the_time() {
        let call = |kind| EscrowCall {
            kind,
            terms: Terms {
                sender: Address::ZERO,
                receiver: Address::ZERO,
                token: Address::ZERO,
                hold: BaseUnits::ZERO,
                expires_at: ChainTime(1_000),
                preauth_id: B256::ZERO,
            },
            amount: BaseUnits::ZERO,
            consent: Bytes::new(),
        };
        let (before, after) = (ChainTime(999), ChainTime(1_000));
        for (kind, early, late) in [
            (OperationKind::Authorize, Ok(()), Err(CallFailure::InvalidExpiry)),
            (OperationKind::Settle, Ok(()), Err(CallFailure::PreauthExpired)),
            (OperationKind::Cancel, Ok(()), Ok(())),
            (OperationKind::Expire, Err(CallFailure::NotExpired), Ok(())),
        ] {
            assert_eq!(by_time(&call(kind), early.clone(), before), early, "{kind:?}");
            assert_eq!(by_time(&call(kind), early, after), late, "{kind:?}");
            assert_eq!(by_time(&call(kind), Err(CallFailure::NotOpen), after), Err(CallFailure::NotOpen));
        }
    }
}
