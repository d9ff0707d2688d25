//! What each refusal looks like from outside: status, message and code.

use axum::http::StatusCode;

use super::error::ApiError;
use crate::model::{CallFailure, ConsentKind};
use crate::preauth::{ConsentFlaw, Demand, Refusal};

/// What the client asked for: the same refusal can have another status or message on another route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// A creation, or the terms of one.
    Create,
    /// A creation by a payer on a pay link: who guards the merchant, and why, is no business of his.
    Pay,
    /// A settlement, or the withdrawal of a scheduled one.
    Settle,
    Cancel,
}

const BAD_REQUEST: StatusCode = StatusCode::BAD_REQUEST;
const NOT_FOUND: StatusCode = StatusCode::NOT_FOUND;
const CONFLICT: StatusCode = StatusCode::CONFLICT;
const INTERNAL: StatusCode = StatusCode::INTERNAL_SERVER_ERROR;

/// The answer to a refused request. Exhaustive on purpose: a new refusal does not compile without its answer.
#[must_use]
pub fn refused(verb: Verb, refusal: &Refusal) -> ApiError {
    match refusal {
        Refusal::AmountNotPositive => {
            // The contract of the API says 400 for a creation and 409 for a settlement.
            let is_creation = matches!(verb, Verb::Create | Verb::Pay);
            let status = if is_creation { BAD_REQUEST } else { CONFLICT };
            error(status, "amount_not_positive", "Amount must be greater than zero").field("amount")
        }
        Refusal::AmountTooPrecise { decimals } => {
            let message = format!("amount has more decimals than the token, which has {decimals}");
            error(BAD_REQUEST, "amount_too_precise", message).field("amount")
        }
        Refusal::AmountTooLarge => {
            let message = "amount is larger than the contract can hold, allowed tip included";
            error(BAD_REQUEST, "amount_too_large", message).field("amount")
        }
        Refusal::SameWallet => {
            error(BAD_REQUEST, "same_wallet", "Sender and receiver cannot match").field("receiver")
        }
        Refusal::TokenNotActive => {
            error(BAD_REQUEST, "token_not_active", "Token not active").field("contractAddress")
        }
        Refusal::InvalidExpiry(why) => error(BAD_REQUEST, "invalid_expires_at", "Invalid expires_at format")
            .field("expiresAt")
            .detail(why),
        Refusal::InvalidSettleAt(why) => {
            let message = "settleAt must be an RFC 3339 time with a zone, ahead and before the expiry";
            error(BAD_REQUEST, "invalid_settle_at", message).field("settleAt").detail(why)
        }
        Refusal::ConsentWithoutExpiry => {
            let message = "expiresAt must repeat the expiry of the terms that the consent covers";
            error(BAD_REQUEST, "consent_without_expiry", message).field("expiresAt")
        }
        Refusal::Rule(rule) => error(BAD_REQUEST, "rule_refused", rule.to_string()).detail(&rule.rule),
        Refusal::WalletNotRegistered(role) => {
            error(NOT_FOUND, "wallet_not_registered", "Wallet not registered").field(role.as_str())
        }
        Refusal::PartyNotVerified(role) => {
            error(NOT_FOUND, "party_not_verified", "Wallet not registered").field(role.as_str())
        }
        Refusal::ReceiverNotActive => error(NOT_FOUND, "receiver_not_active", "Wallet not registered")
            .field("receiver")
            .detail("the receiver is registered here, but not (or not yet) allowed on chain"),
        Refusal::InvoiceExists => {
            error(CONFLICT, "invoice_exists", "Invoice already exists").field("invoiceId")
        }
        Refusal::ApprovalRefused { .. } if verb == Verb::Pay => {
            error(BAD_REQUEST, "approval_refused", "Refused by the merchant's checks")
        }
        Refusal::ApprovalRefused { approver, reason } => {
            let message = format!("Refused by approver {}", approver.as_str());
            error(BAD_REQUEST, "approval_refused", message)
                .detail(reason.as_deref().unwrap_or("it gave no reason"))
        }
        Refusal::ApprovalUnavailable { .. } if verb == Verb::Pay => approval_unavailable(),
        Refusal::ApprovalUnavailable { approver, why } => {
            let why = why.as_deref().unwrap_or("no answer");
            approval_unavailable().detail(&format!("{}: {why}", approver.as_str()))
        }
        Refusal::ConsentNotSupported(kind) => consent_not_supported(*kind, "is not supported for this token"),
        Refusal::ConsentNotByContract(kind) => {
            consent_not_supported(*kind, "is supported for this token with ECDSA signatures of 65 bytes only")
        }
        Refusal::InvalidConsent(flaw) => invalid_consent(*flaw),
        Refusal::ConsentRequired(demand) => {
            let whose = match demand {
                Demand::Sender => "this sender demands signed consent",
                Demand::Tenant => "signed consent is required here",
                Demand::PayLink => "a pay link takes a signature only",
            };
            let message = format!("consent is missing, and {whose}");
            error(BAD_REQUEST, "consent_required", message).field("consent")
        }
        Refusal::ContractNotAvailable(why) => {
            error(INTERNAL, "contract_not_available", "Preauth contract not available").detail(why)
        }
        Refusal::InsufficientAllowance => error(INTERNAL, "insufficient_allowance", INSUFFICIENT_ALLOWANCE),
        Refusal::InsufficientBalance => error(INTERNAL, "insufficient_balance", INSUFFICIENT_ALLOWANCE)
            .detail("the allowance suffices, the balance does not"),
        Refusal::TokenRefused(why) => {
            error(INTERNAL, "token_refused", "Failed to check preapproval").detail(why)
        }
        Refusal::PreapprovalUnknown => error(INTERNAL, "preapproval_unknown", "Failed to check preapproval")
            .detail("the node did not answer; nothing was stored, so the same request can be sent again"),
        Refusal::PayLinkNotFound => error(NOT_FOUND, "pay_link_not_found", "Pay link not found"),
        Refusal::PayLinkExists => {
            error(CONFLICT, "pay_link_exists", "A pay link of this invoice is open").field("invoiceId")
        }
        Refusal::PayLinkUsed => error(CONFLICT, "pay_link_used", "The pay link was used").field("invoiceId"),
        Refusal::PayLinkLapsed => error(CONFLICT, "pay_link_lapsed", "The pay link's time is over"),
        Refusal::InvalidLinkExpiry(why) => {
            let message =
                "linkExpiresAt must be an RFC 3339 time with a zone, ahead and before the terms' own times";
            error(BAD_REQUEST, "invalid_link_expires_at", message).field("linkExpiresAt").detail(why)
        }
        Refusal::OtherPayer => {
            error(CONFLICT, "other_payer", "The pay link is for another wallet").field("sender")
        }
        Refusal::OfferLapsed => {
            let message = "expiresAt is not that of terms that were offered in the last 15 minutes";
            error(CONFLICT, "offer_lapsed", message).field("expiresAt")
        }
        Refusal::TenantDisabled => ApiError::forbidden("tenant_disabled"),
        Refusal::NotReady(why) => ApiError::not_ready(why),
        Refusal::LockFailed(why) => lock_failed(why),
        Refusal::NotFound => {
            error(NOT_FOUND, "preauthorization_not_found", "Preauthorization not found").field("invoiceId")
        }
        Refusal::Expired => error(CONFLICT, "expired", "Pre-authorization expired"),
        Refusal::InvalidState(status) => {
            let what = if verb == Verb::Cancel { "cancellation" } else { "settlement" };
            error(CONFLICT, "invalid_state", format!("Invalid {what} state: {status}"))
        }
        Refusal::ExceedsHold => {
            let message = "Settlement exceeds authorized amount with allowed tip";
            error(CONFLICT, "exceeds_hold", message).field("amount")
        }
        Refusal::Busy(kind) => {
            let message = format!("Another operation is still being decided: {}", kind.as_str());
            error(CONFLICT, "operation_pending", message)
        }
        Refusal::NotInitialized(why) => {
            let message = "Errors occurred while initializing transaction on chain";
            error(BAD_REQUEST, "not_initialized", message).detail(&why.to_string())
        }
        Refusal::SettlementFailed(why) => {
            error(INTERNAL, "settlement_failed", "Settlement failed").detail(&why.to_string())
        }
        Refusal::CancellationFailed(why) => {
            error(INTERNAL, "cancellation_failed", "Cancellation failed").detail(&why.to_string())
        }
        Refusal::NothingScheduled => error(CONFLICT, "nothing_scheduled", "No settlement is scheduled"),
    }
}

/// Nothing was stored, and the same may be asked again soon.
fn approval_unavailable() -> ApiError {
    error(StatusCode::SERVICE_UNAVAILABLE, "approval_unavailable", "Approver not available")
        .retry_after(APPROVAL_RETRY_SECONDS)
}

/// Seconds after which a creation may be asked for again for which an approver gave no answer.
const APPROVAL_RETRY_SECONDS: u64 = 5;
const INSUFFICIENT_ALLOWANCE: &str = "Insufficient Allowance";

fn error(status: StatusCode, code: &'static str, message: impl Into<String>) -> ApiError {
    ApiError::new(status, code, message)
}

fn consent_not_supported(kind: ConsentKind, how: &str) -> ApiError {
    let message = format!("consent of type {} {how}", kind.as_str());
    error(BAD_REQUEST, "consent_not_supported", message).field("consent.type")
}

/// What is wrong with a consent, as far as it is known.
fn invalid_consent(flaw: ConsentFlaw) -> ApiError {
    let (field, message) = match flaw {
        ConsentFlaw::NotSigned => ("consent", "consent is not the sender's signature over these terms"),
        ConsentFlaw::Permit => (
            "consent.permitSignature",
            "consent.permitSignature is not the sender's permit for this hold, and his allowance is too small without it",
        ),
        ConsentFlaw::Used => ("consent", "consent was used before, or withdrawn by the sender"),
    };
    error(BAD_REQUEST, "invalid_consent", message).field(field)
}

/// The row exists and is REJECTED. "Failed to check preapproval" would say that the invoice id is still free, so what
/// is no lack of allowance or balance has a message of its own.
fn lock_failed(failure: &CallFailure) -> ApiError {
    let message = match failure {
        CallFailure::InsufficientAllowance | CallFailure::InsufficientBalance => INSUFFICIENT_ALLOWANCE,
        _ => "Preauthorization failed",
    };
    error(INTERNAL, "lock_failed", message).detail(&failure.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{OperationKind, PreauthStatus, RuleRefusal, WalletRole};

    fn seen(verb: Verb, refusal: &Refusal) -> (u16, String, &'static str) {
        let error = refused(verb, refusal);
        let item = &error.items()[0];
        (error.status().as_u16(), item.message.clone(), item.code)
    }

    #[test]
    fn creations_are_refused_in_the_words_of_the_contract() {
        let rule =
            RuleRefusal { rule: "maxAmount".into(), why: "the amount is above the tenant's limit".into() };
        let cases = [
            (Refusal::AmountNotPositive, 400, "Amount must be greater than zero", "amount_not_positive"),
            (
                Refusal::AmountTooPrecise { decimals: 6 },
                400,
                "amount has more decimals than the token, which has 6",
                "amount_too_precise",
            ),
            (
                Refusal::AmountTooLarge,
                400,
                "amount is larger than the contract can hold, allowed tip included",
                "amount_too_large",
            ),
            (Refusal::SameWallet, 400, "Sender and receiver cannot match", "same_wallet"),
            (Refusal::TokenNotActive, 400, "Token not active", "token_not_active"),
            (Refusal::InvalidExpiry("is past"), 400, "Invalid expires_at format", "invalid_expires_at"),
            (
                Refusal::InvalidSettleAt("is past"),
                400,
                "settleAt must be an RFC 3339 time with a zone, ahead and before the expiry",
                "invalid_settle_at",
            ),
            (
                Refusal::ConsentWithoutExpiry,
                400,
                "expiresAt must repeat the expiry of the terms that the consent covers",
                "consent_without_expiry",
            ),
            (
                Refusal::Rule(rule),
                400,
                "Rule maxAmount refused the preauthorization: the amount is above the tenant's limit",
                "rule_refused",
            ),
            (
                Refusal::WalletNotRegistered(WalletRole::Sender),
                404,
                "Wallet not registered",
                "wallet_not_registered",
            ),
            (
                Refusal::PartyNotVerified(WalletRole::Receiver),
                404,
                "Wallet not registered",
                "party_not_verified",
            ),
            (Refusal::ReceiverNotActive, 404, "Wallet not registered", "receiver_not_active"),
            (Refusal::InvoiceExists, 409, "Invoice already exists", "invoice_exists"),
            (
                Refusal::ConsentNotSupported(ConsentKind::Erc3009),
                400,
                "consent of type erc3009 is not supported for this token",
                "consent_not_supported",
            ),
            (
                Refusal::ConsentNotByContract(ConsentKind::Erc2612),
                400,
                "consent of type erc2612 is supported for this token with ECDSA signatures of 65 bytes only",
                "consent_not_supported",
            ),
            (
                Refusal::InvalidConsent(ConsentFlaw::NotSigned),
                400,
                "consent is not the sender's signature over these terms",
                "invalid_consent",
            ),
            (
                Refusal::InvalidConsent(ConsentFlaw::Permit),
                400,
                "consent.permitSignature is not the sender's permit for this hold, and his allowance is too small without it",
                "invalid_consent",
            ),
            (
                Refusal::InvalidConsent(ConsentFlaw::Used),
                400,
                "consent was used before, or withdrawn by the sender",
                "invalid_consent",
            ),
            (
                Refusal::ConsentRequired(Demand::Sender),
                400,
                "consent is missing, and this sender demands signed consent",
                "consent_required",
            ),
            (
                Refusal::ConsentRequired(Demand::Tenant),
                400,
                "consent is missing, and signed consent is required here",
                "consent_required",
            ),
            (
                Refusal::ContractNotAvailable("paused".into()),
                500,
                "Preauth contract not available",
                "contract_not_available",
            ),
            (Refusal::InsufficientAllowance, 500, "Insufficient Allowance", "insufficient_allowance"),
            (Refusal::InsufficientBalance, 500, "Insufficient Allowance", "insufficient_balance"),
            (Refusal::TokenRefused("no".into()), 500, "Failed to check preapproval", "token_refused"),
            (Refusal::PreapprovalUnknown, 500, "Failed to check preapproval", "preapproval_unknown"),
            (Refusal::NotReady("starting".into()), 503, "Service not ready", "not_ready"),
            (
                Refusal::LockFailed(CallFailure::InsufficientAllowance),
                500,
                "Insufficient Allowance",
                "lock_failed",
            ),
            (
                Refusal::LockFailed(CallFailure::InsufficientBalance),
                500,
                "Insufficient Allowance",
                "lock_failed",
            ),
            (
                Refusal::LockFailed(CallFailure::ReceiverNotRegistered),
                500,
                "Preauthorization failed",
                "lock_failed",
            ),
        ];
        for (refusal, status, message, code) in cases {
            assert_eq!(seen(Verb::Create, &refusal), (status, message.to_owned(), code), "{refusal:?}");
        }
    }

    #[test]
    fn settlements_are_refused_in_the_words_of_the_contract() {
        let cases = [
            (Refusal::AmountNotPositive, 409, "Amount must be greater than zero", "amount_not_positive"),
            (Refusal::NotFound, 404, "Preauthorization not found", "preauthorization_not_found"),
            (Refusal::Expired, 409, "Pre-authorization expired", "expired"),
            (
                Refusal::ExceedsHold,
                409,
                "Settlement exceeds authorized amount with allowed tip",
                "exceeds_hold",
            ),
            (
                Refusal::Busy(OperationKind::Cancel),
                409,
                "Another operation is still being decided: cancel",
                "operation_pending",
            ),
            (
                Refusal::NotInitialized(CallFailure::Other("no".into())),
                400,
                "Errors occurred while initializing transaction on chain",
                "not_initialized",
            ),
            (
                Refusal::SettlementFailed(CallFailure::Other("no".into())),
                500,
                "Settlement failed",
                "settlement_failed",
            ),
            (Refusal::NothingScheduled, 409, "No settlement is scheduled", "nothing_scheduled"),
        ];
        for (refusal, status, message, code) in cases {
            assert_eq!(seen(Verb::Settle, &refusal), (status, message.to_owned(), code), "{refusal:?}");
        }
        for status in PreauthStatus::ALL {
            let expected = format!("Invalid settlement state: {status}");
            assert_eq!(seen(Verb::Settle, &Refusal::InvalidState(status)), (409, expected, "invalid_state"));
        }
    }

    #[test]
    fn cancellations_are_refused_in_their_own_words() {
        let failed = Refusal::CancellationFailed(CallFailure::Other("no".into()));
        assert_eq!(seen(Verb::Cancel, &failed), (500, "Cancellation failed".into(), "cancellation_failed"));
        let state = Refusal::InvalidState(PreauthStatus::Settled);
        assert_eq!(
            seen(Verb::Cancel, &state),
            (409, "Invalid cancellation state: SETTLED".into(), "invalid_state")
        );
    }

    #[test]
    fn a_reason_is_given_beside_the_message() {
        let error = refused(Verb::Create, &Refusal::ContractNotAvailable("it is paused".into()));
        assert_eq!(error.items()[0].detail.as_deref(), Some("it is paused"));
    }
}
