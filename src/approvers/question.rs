//! What approvers are asked, as they read it.

use alloy::primitives::{Address, B256};
use serde_json::json;
use uuid::Uuid;

use crate::model::{
    Account, BaseUnits, ChainTime, ConsentKind, InvoiceId, Millis, Tenant, TenantId, Token, TokenAmount,
    derive_preauth_id,
};

/// A creation that passed every other check that needs no chain. Whether the payer's signature is good and his tokens are
/// there is not known yet: the contract's verdict comes after.
#[derive(Debug, Clone)]
pub struct Question {
    pub tenant: TenantId,
    /// The tenant's name.
    pub tenant_name: String,
    pub invoice: InvoiceId,
    /// Of the preauthorization that this becomes.
    pub transaction_id: Uuid,
    pub preauth_id: B256,
    pub sender: Account,
    pub receiver: Account,
    pub token: Token,
    pub amount: TokenAmount,
    pub amount_units: BaseUnits,
    pub hold: BaseUnits,
    pub expires_at: ChainTime,
    /// When it settles by itself.
    pub settle_at: Option<ChainTime>,
    /// `None`: by the allowance.
    pub consent: Option<ConsentKind>,
    /// The payer named himself, on the page of a pay link.
    pub by_link: bool,
}

impl Question {
    /// About a creation there is not, to try out an approver.
    pub(super) fn sample(tenant: &Tenant, now: Millis) -> Self {
        let invoice = InvoiceId::from(B256::ZERO);
        let units = BaseUnits::new(150_750_000).unwrap_or_default();
        let seconds = ChainTime::from_i64(now.0 / 1_000);
        Self {
            tenant: tenant.id,
            tenant_name: tenant.name.clone(),
            transaction_id: Uuid::new_v4(),
            preauth_id: derive_preauth_id(tenant.id, &invoice),
            invoice,
            sender: Account::from_address(Address::repeat_byte(0x11)),
            receiver: Account::from_address(Address::repeat_byte(0x22)),
            token: Token {
                contract: Account::from_address(Address::repeat_byte(0x33)),
                symbol: "TEST".to_owned(),
                decimals: 6,
                active: true,
                signing: None,
            },
            amount: units.in_tokens(6),
            amount_units: units,
            hold: units,
            expires_at: seconds.saturating_add(tenant.default_ttl_seconds),
            settle_at: None,
            consent: None,
            by_link: false,
        }
    }

    /// The body of the question. `kind`: `approval.requested`, or `approval.test`, from whose answer nothing follows.
    pub(super) fn body(&self, kind: &str, now: Millis) -> Vec<u8> {
        let decimals = self.token.decimals;
        let body = json!({
            "type": kind,
            "timestamp": now.to_rfc3339(),
            "data": {
                "tenant": self.tenant_name,
                "invoiceId": self.invoice.as_str(),
                "transactionId": self.transaction_id,
                "preauthId": self.preauth_id.to_string(),
                "sender": self.sender.written(),
                "receiver": self.receiver.written(),
                "token": {
                    "contractAddress": self.token.contract.written(),
                    "symbol": self.token.symbol,
                    "decimals": decimals,
                },
                "amount": self.amount.to_string(),
                "amountBaseUnits": self.amount_units.to_string(),
                "holdAmount": self.hold.in_tokens(decimals).to_string(),
                "holdBaseUnits": self.hold.to_string(),
                "expiresAt": self.expires_at.to_rfc3339(),
                "settleAt": self.settle_at.map(ChainTime::to_rfc3339),
                "consent": self.consent.map_or("allowance", ConsentKind::as_str),
                "payLink": self.by_link,
            },
        });
        body.to_string().into_bytes()
    }
}
