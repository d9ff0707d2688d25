//! `GET /pay/{token}/state`: everything the page shows, so that a reload loses nothing.

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::LinkState;
use super::link::OpenedLink;
use crate::http::HttpState;
use crate::http::error::ApiError;
use crate::http::view::{PendingOperation, Status};
use crate::model::{BaseUnits, ChainTime};
use crate::preauth::{OpenedPayLink, Snapshot};

/// What the holder of a link sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PayState {
    state: LinkState,
    /// The tenant's name.
    merchant: String,
    invoice_id: String,
    description: Option<String>,
    return_url: Option<String>,
    /// The only wallet that may pay.
    sender: Option<String>,
    receiver: String,
    token: TokenState,
    amount: String,
    /// What would be held: the amount and the tip the merchant may add.
    hold_amount: String,
    hold_base_units: String,
    /// When the hold would expire; null: so many seconds after the signing.
    expires_at: Option<String>,
    hold_seconds: u64,
    settle_at: Option<String>,
    link_expires_at: String,
    chain_id: u64,
    escrow: String,
    wallet_rpc_url: Option<String>,
    /// The chain's time.
    now: String,
    hold: Option<HoldState>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct TokenState {
    address: String,
    symbol: String,
    decimals: u8,
}

/// What became of the link once it was used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct HoldState {
    status: Status,
    pending_operation: Option<PendingOperation>,
    sender: String,
    amount: String,
    expires_at: String,
    settled_amount: Option<String>,
    returned_amount: Option<String>,
    refund_claimable: Option<String>,
    lock_transaction_hash: Option<String>,
    close_transaction_hash: Option<String>,
    failure: Option<String>,
    /// The escrow that holds it, which may be an older one than the newest.
    escrow: String,
    /// As the escrow's `expire` takes them.
    terms: TermsState,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct TermsState {
    sender: String,
    receiver: String,
    token: String,
    hold: String,
    expires_at: u64,
    preauth_id: String,
}

impl PayState {
    pub fn new(opened: &OpenedPayLink, house: &HttpState) -> Self {
        let OpenedPayLink { link, tenant, token, hold, state, snapshot, now } = opened;
        Self {
            state: (*state).into(),
            merchant: tenant.name.clone(),
            invoice_id: link.invoice.to_string(),
            description: link.description.clone(),
            return_url: link.return_url.clone(),
            sender: link.sender.as_ref().map(|sender| sender.address().to_checksum(None)),
            receiver: link.receiver.address().to_checksum(None),
            token: TokenState {
                address: token.contract.address().to_checksum(None),
                symbol: token.symbol.clone(),
                decimals: token.decimals,
            },
            amount: link.amount.to_string(),
            hold_amount: hold.in_tokens(token.decimals).to_string(),
            hold_base_units: hold.to_string(),
            expires_at: link.expires_at.map(ChainTime::to_rfc3339),
            hold_seconds: tenant.default_ttl_seconds,
            settle_at: link.settle_at.map(ChainTime::to_rfc3339),
            link_expires_at: link.lapses.to_rfc3339(),
            chain_id: house.chain_id,
            escrow: house.escrow.to_checksum(None),
            wallet_rpc_url: house.pay.wallet_rpc_url.as_deref().map(str::to_owned),
            now: now.to_rfc3339(),
            hold: snapshot.as_ref().map(HoldState::from),
        }
    }
}

impl From<&Snapshot> for HoldState {
    fn from(snapshot: &Snapshot) -> Self {
        let preauth = &snapshot.preauth;
        let tokens = |units: BaseUnits| units.in_tokens(preauth.decimals).to_string();
        let terms = preauth.terms();
        Self {
            status: preauth.status.into(),
            pending_operation: snapshot.pending_operation.map(Into::into),
            sender: terms.sender.to_checksum(None),
            amount: tokens(preauth.hold),
            expires_at: preauth.expires_at.to_rfc3339(),
            settled_amount: preauth.settlement.map(|settlement| settlement.written.to_string()),
            returned_amount: preauth.returned().map(tokens),
            refund_claimable: preauth.deferred_refund.map(tokens),
            lock_transaction_hash: preauth.lock_transaction.map(|hash| hash.to_string()),
            close_transaction_hash: preauth.close_transaction.map(|hash| hash.to_string()),
            failure: preauth.failure.as_ref().map(ToString::to_string),
            escrow: preauth.escrow.to_checksum(None),
            terms: TermsState {
                sender: terms.sender.to_checksum(None),
                receiver: terms.receiver.to_checksum(None),
                token: terms.token.to_checksum(None),
                hold: terms.hold.to_string(),
                expires_at: terms.expires_at.0,
                preauth_id: terms.preauth_id.to_string(),
            },
        }
    }
}

pub(super) async fn state(
    OpenedLink(opened): OpenedLink,
    State(house): State<HttpState>,
) -> Result<Json<PayState>, ApiError> {
    Ok(Json(PayState::new(&opened, &house)))
}
