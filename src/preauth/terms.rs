//! The terms a payer is offered.
use alloy::primitives::{Address, Bytes};

use super::{Fault, NewAuthorization, Preauths, Refusal};
use crate::model::{Tenant, Terms};

/// Terms as they would be locked, and how to consent to them.
#[derive(Debug, Clone)]
pub struct OfferedTerms {
    pub terms: Terms,
    pub escrow: Address,
    pub chain_id: u64,
    pub decimals: u8,
    /// For `eth_signTypedData_v4`.
    pub typed_data: serde_json::Value,
    /// Input of the transaction to the token that allows the escrow to take the hold.
    pub approve_input: Bytes,
}

impl Preauths {
    /// Fixes the terms of a creation without storing anything.
    pub async fn offer_terms(
        &self,
        tenant: &Tenant,
        creation: NewAuthorization,
    ) -> Result<Result<OfferedTerms, Refusal>, Fault> {
        let _ = (tenant, creation);
        todo!()
    }
}
