use crate::chain::Chain;
use alloy::primitives::Address;
#[derive(Clone)]
pub struct Checker;
impl Checker {
    pub fn spawn(_chain: Chain, _operator: Address) -> Self {
        Self
    }
}
