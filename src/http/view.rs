//! How a preauthorization is shown.

use serde::Serialize;
use utoipa::ToSchema;

use crate::model::{OperationKind, PreauthStatus, Schedule};
use crate::preauth::Snapshot;

/// Where a preauthorization stands. It moves only on outcomes seen on chain.
///
/// - `PENDING`: accepted, not locked yet.
/// - `AUTHORIZED`: the hold is locked; it can be settled or cancelled, and expires at `expiresAt`.
/// - `SETTLED`: the settled amount went to the receiver and the rest back to the sender.
/// - `CANCELLED`: everything went back to the sender (or nothing was ever locked).
/// - `EXPIRED`: as cancelled, because its time was over.
/// - `REJECTED`: the lock failed on chain; nothing was locked. The invoice id is used up.
///
/// A reorganisation of the chain can walk the last step back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum Status {
    Pending,
    Authorized,
    Settled,
    Cancelled,
    Expired,
    Rejected,
}

impl From<PreauthStatus> for Status {
    fn from(status: PreauthStatus) -> Self {
        match status {
            PreauthStatus::Pending => Self::Pending,
            PreauthStatus::Authorized => Self::Authorized,
            PreauthStatus::Settled => Self::Settled,
            PreauthStatus::Cancelled => Self::Cancelled,
            PreauthStatus::Expired => Self::Expired,
            PreauthStatus::Rejected => Self::Rejected,
        }
    }
}

/// What is being done about a preauthorization right now. While it is, the status stays as it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PendingOperation {
    Authorize,
    Settle,
    Cancel,
    Expire,
}

impl From<OperationKind> for PendingOperation {
    fn from(kind: OperationKind) -> Self {
        match kind {
            OperationKind::Authorize => Self::Authorize,
            OperationKind::Settle => Self::Settle,
            OperationKind::Cancel => Self::Cancel,
            OperationKind::Expire => Self::Expire,
        }
    }
}

/// A settlement that waits for its time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ScheduledSettlement {
    /// When it is settled, by the chain's clock.
    #[schema(format = "date-time", examples("2026-03-28T12:00:00.000Z"))]
    pub settle_at: String,
    /// What is settled, as it was written.
    #[schema(examples("120.50"))]
    pub amount: String,
}

impl From<Schedule> for ScheduledSettlement {
    fn from(schedule: Schedule) -> Self {
        Self { settle_at: schedule.settle_at.to_rfc3339(), amount: schedule.written.to_string() }
    }
}

/// A preauthorization that was just created.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({
    "transactionId": "b3f9c2a1-8d4e-4a5b-9c12-123456789abc",
    "invoiceId": "INV-2026-0001",
    "amount": "150.75",
    "sender": "0x41c528683845350e9bfc937e0f6c72bc999b5cdc",
    "receiver": "0xaec528683845350e9bfc937e0f6c72bc999b5123",
    "contractAddress": "0x9f8f72aa9304c8b593d555f12ef6589cc3a579a2",
    "status": "AUTHORIZED",
    "expiresAt": "2026-03-30T12:00:00.000Z",
    "holdAmount": "165.825",
    "preauthId": "0x7d1f3c0f3c2d6f0e8a1b5c4d9e2f7a6b3c8d1e0f5a4b9c2d7e6f1a0b3c8d5e4f",
    "transactionHash": "0x5c504ed432cb51138bcf09aa5e8a410dd4a1e204ef84bfed1be16dfba1b22060",
    "pendingOperation": null,
    "scheduledSettlement": null
}))]
pub struct CreatedPreauthorization {
    /// The daemon's own name for it.
    #[schema(format = "uuid")]
    pub transaction_id: String,
    pub invoice_id: String,
    /// The authorized amount, as it was written.
    pub amount: String,
    pub sender: String,
    pub receiver: String,
    /// The token.
    pub contract_address: String,
    pub status: Status,
    #[schema(format = "date-time")]
    pub expires_at: String,
    /// What is locked: the amount and the tenant's allowed tip, rounded down.
    pub hold_amount: String,
    /// Its name on chain, 32 bytes.
    pub preauth_id: String,
    /// The transaction that locked the hold; null while there is none.
    #[schema(required)]
    pub transaction_hash: Option<String>,
    #[schema(required)]
    pub pending_operation: Option<PendingOperation>,
    #[schema(required)]
    pub scheduled_settlement: Option<ScheduledSettlement>,
}

impl From<&Snapshot> for CreatedPreauthorization {
    fn from(snapshot: &Snapshot) -> Self {
        let preauth = &snapshot.preauth;
        Self {
            transaction_id: preauth.transaction_id.to_string(),
            invoice_id: preauth.invoice.to_string(),
            amount: preauth.amount.to_string(),
            sender: preauth.sender.written().to_owned(),
            receiver: preauth.receiver.written().to_owned(),
            contract_address: preauth.token.written().to_owned(),
            status: preauth.status.into(),
            expires_at: preauth.expires_at.to_rfc3339(),
            hold_amount: preauth.hold.in_tokens(preauth.decimals).to_string(),
            preauth_id: preauth.preauth_id.to_string(),
            transaction_hash: preauth.lock_transaction.map(|hash| hash.to_string()),
            pending_operation: snapshot.pending_operation.map(Into::into),
            scheduled_settlement: preauth.open_schedule().map(Into::into),
        }
    }
}

/// A preauthorization.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({
    "transactionId": "b3f9c2a1-8d4e-4a5b-9c12-123456789abc",
    "invoiceId": "INV-2026-0001",
    "sender": "0x41c528683845350e9bfc937e0f6c72bc999b5cdc",
    "receiver": "0xaec528683845350e9bfc937e0f6c72bc999b5123",
    "authorizedAmount": "150.75",
    "settledAmount": "120.50",
    "status": "SETTLED",
    "transactionHash": "0x5c504ed432cb51138bcf09aa5e8a410dd4a1e204ef84bfed1be16dfba1b22060",
    "contractAddress": "0x9f8f72aa9304c8b593d555f12ef6589cc3a579a2",
    "createdAt": "2026-03-25T10:15:30.000Z",
    "updatedAt": "2026-03-25T10:20:45.000Z",
    "expiresAt": "2026-03-30T12:00:00.000Z",
    "holdAmount": "150.75",
    "preauthId": "0x7d1f3c0f3c2d6f0e8a1b5c4d9e2f7a6b3c8d1e0f5a4b9c2d7e6f1a0b3c8d5e4f",
    "escrow": "0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512",
    "lockTransactionHash": "0x0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c4b5a69788796a5b4c3d2e1f0",
    "pendingOperation": null,
    "scheduledSettlement": null,
    "refundClaimable": null,
    "failure": null
}))]
pub struct Preauthorization {
    /// The daemon's own name for it.
    #[schema(format = "uuid")]
    pub transaction_id: String,
    pub invoice_id: String,
    pub sender: String,
    pub receiver: String,
    /// The amount of the creation, as it was written.
    pub authorized_amount: String,
    /// The amount that went to the receiver, as it was written; null until it is settled.
    #[schema(required)]
    pub settled_amount: Option<String>,
    pub status: Status,
    /// The transaction that settled, cancelled or expired it; null while there is none.
    #[schema(required)]
    pub transaction_hash: Option<String>,
    /// The token.
    pub contract_address: String,
    #[schema(format = "date-time")]
    pub created_at: String,
    #[schema(format = "date-time")]
    pub updated_at: String,
    #[schema(format = "date-time")]
    pub expires_at: String,
    /// What was locked: the amount and the tenant's allowed tip, rounded down.
    pub hold_amount: String,
    /// Its name on chain, 32 bytes.
    pub preauth_id: String,
    /// The contract that holds it.
    pub escrow: String,
    /// The transaction that locked the hold; null while there is none.
    #[schema(required)]
    pub lock_transaction_hash: Option<String>,
    #[schema(required)]
    pub pending_operation: Option<PendingOperation>,
    #[schema(required)]
    pub scheduled_settlement: Option<ScheduledSettlement>,
    /// The part of the refund that the token refused to send; the sender can claim it at the escrow. Else null.
    #[schema(required)]
    pub refund_claimable: Option<String>,
    /// Why the last operation failed, for people; null when none did.
    #[schema(required)]
    pub failure: Option<String>,
}

impl From<&Snapshot> for Preauthorization {
    fn from(snapshot: &Snapshot) -> Self {
        let preauth = &snapshot.preauth;
        let tokens = |units: crate::model::BaseUnits| units.in_tokens(preauth.decimals).to_string();
        Self {
            transaction_id: preauth.transaction_id.to_string(),
            invoice_id: preauth.invoice.to_string(),
            sender: preauth.sender.written().to_owned(),
            receiver: preauth.receiver.written().to_owned(),
            authorized_amount: preauth.amount.to_string(),
            settled_amount: preauth.settlement.map(|settlement| settlement.written.to_string()),
            status: preauth.status.into(),
            transaction_hash: preauth.close_transaction.map(|hash| hash.to_string()),
            contract_address: preauth.token.written().to_owned(),
            created_at: preauth.created_at.to_rfc3339(),
            updated_at: preauth.updated_at.to_rfc3339(),
            expires_at: preauth.expires_at.to_rfc3339(),
            hold_amount: tokens(preauth.hold),
            preauth_id: preauth.preauth_id.to_string(),
            escrow: preauth.escrow.to_checksum(None),
            lock_transaction_hash: preauth.lock_transaction.map(|hash| hash.to_string()),
            pending_operation: snapshot.pending_operation.map(Into::into),
            scheduled_settlement: preauth.open_schedule().map(Into::into),
            refund_claimable: preauth.deferred_refund.map(tokens),
            failure: preauth.failure.as_ref().map(ToString::to_string),
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy::primitives::B256;

    use super::*;
    use crate::http::testing::snapshot;
    use crate::model::{BaseUnits, ChainTime, Settlement, TokenAmount};

    #[test]
    fn status_and_operation_are_spelled_as_in_the_model() {
        for status in PreauthStatus::ALL {
            assert_eq!(serde_json::to_value(Status::from(status)).unwrap(), status.as_str());
        }
        for kind in OperationKind::ALL {
            assert_eq!(serde_json::to_value(PendingOperation::from(kind)).unwrap(), kind.as_str());
        }
    }

    #[test]
    fn an_open_preauthorization_shows_nulls_where_nothing_happened() {
        let shown = serde_json::to_value(Preauthorization::from(&snapshot())).unwrap();
        for (field, value) in [
            ("authorizedAmount", "150.750"),
            ("holdAmount", "165.825"),
            ("sender", "0x41c528683845350e9bfc937e0f6c72bc999b5cdc"),
            ("status", "AUTHORIZED"),
            ("expiresAt", "2026-03-30T12:00:00.000Z"),
            ("createdAt", "2026-03-25T10:15:30.000Z"),
        ] {
            assert_eq!(shown[field], value, "{field}");
        }
        for field in
            ["settledAmount", "transactionHash", "pendingOperation", "scheduledSettlement", "refundClaimable"]
        {
            assert!(shown.get(field).unwrap().is_null(), "{field}");
        }
    }

    #[test]
    fn a_settled_one_shows_what_was_written() {
        let mut snapshot = snapshot();
        let written = TokenAmount::parse("120.50").unwrap();
        snapshot.preauth.settlement = Some(Settlement { amount: written.in_base_units(6).unwrap(), written });
        snapshot.preauth.close_transaction = Some(B256::repeat_byte(0xab));
        snapshot.preauth.deferred_refund = BaseUnits::new(45_325_000);
        let shown = serde_json::to_value(Preauthorization::from(&snapshot)).unwrap();
        assert_eq!(shown["settledAmount"], "120.50");
        assert_eq!(shown["transactionHash"], format!("0x{}", "ab".repeat(32)));
        assert_eq!(shown["refundClaimable"], "45.325");
    }

    #[test]
    fn a_creation_shows_its_schedule() {
        let mut snapshot = snapshot();
        let written = TokenAmount::parse("150.750").unwrap();
        let amount = written.in_base_units(6).unwrap();
        snapshot.preauth.schedule = Some(Schedule { settle_at: ChainTime(1_774_872_000), amount, written });
        snapshot.pending_operation = Some(OperationKind::Settle);
        let shown = serde_json::to_value(CreatedPreauthorization::from(&snapshot)).unwrap();
        let schedule = serde_json::json!({"settleAt": "2026-03-30T12:00:00.000Z", "amount": "150.750"});
        assert_eq!(shown["scheduledSettlement"], schedule);
        assert_eq!((&shown["amount"], &shown["pendingOperation"]), (&"150.750".into(), &"settle".into()));
    }
}
