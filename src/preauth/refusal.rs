//! Every way a request can be refused.

use crate::model::{
    ApproverName, CallFailure, ConsentKind, OperationKind, PreauthStatus, RuleRefusal, WalletRole,
};

/// What is wrong with a consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsentFlaw {
    /// It is not the sender's signature over these terms.
    NotSigned,
    /// The permit is not the sender's for this hold, expiry and nonce, and his allowance does not do instead.
    Permit,
    /// Its nonce was used, or withdrawn by the sender.
    Used,
}

/// Who demands that consent is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Demand {
    /// The sender, on chain.
    Sender,
    /// The tenant, for all its creations.
    Tenant,
    /// The way he came, which makes anybody a sender.
    PayLink,
}

/// Why a request was refused. `http` gives each its status, message and code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    // Of creations, in the order of the checks.
    AmountNotPositive,
    /// More decimals than the token has.
    AmountTooPrecise {
        decimals: u8,
    },
    /// Beyond what the contract can hold, tip included.
    AmountTooLarge,
    SameWallet,
    TokenNotActive,
    /// `expiresAt` is malformed, without zone, past, or out of bounds.
    InvalidExpiry(&'static str),
    /// `settleAt` is malformed, past, or not before the expiry.
    InvalidSettleAt(&'static str),
    /// A signed consent covers the expiry, so the creation must repeat it.
    ConsentWithoutExpiry,
    Rule(RuleRefusal),
    WalletNotRegistered(WalletRole),
    /// The tenant wants verified parties only, and the wallet is nobody's or of somebody who is not verified.
    PartyNotVerified(WalletRole),
    /// Registered with the tenant, but not (yet) allowed on chain.
    ReceiverNotActive,
    InvoiceExists,
    /// One of the tenant's approvers refused.
    ApprovalRefused {
        approver: ApproverName,
        reason: Option<String>,
    },
    /// One of the tenant's approvers gave no answer that counts.
    ApprovalUnavailable {
        approver: ApproverName,
        why: Option<String>,
    },
    /// Neither this token nor what stands beside it takes this kind of consent.
    ConsentNotSupported(ConsentKind),
    /// The token takes this kind of consent from accounts with a key only.
    ConsentNotByContract(ConsentKind),
    InvalidConsent(ConsentFlaw),
    ConsentRequired(Demand),
    /// No contract, another contract, paused, or the operator key was revoked.
    ContractNotAvailable(String),
    InsufficientAllowance,
    InsufficientBalance,
    /// The token refuses the transfer for a reason of its own.
    TokenRefused(String),
    /// The node did not answer.
    PreapprovalUnknown,
    /// The daemon is not ready to accept work (starting, or it must not sign).
    NotReady(String),
    /// Accepted, and then the lock failed on chain: the invoice id is used up.
    LockFailed(CallFailure),

    // Of pay links.
    /// There is no such link, or it was taken back.
    PayLinkNotFound,
    /// The invoice has a link that is open.
    PayLinkExists,
    /// A link that was used cannot be taken back.
    PayLinkUsed,
    /// The link's time is over.
    PayLinkLapsed,
    /// `linkExpiresAt` is malformed, past, or later than the terms allow.
    InvalidLinkExpiry(&'static str),
    /// The link is for another wallet.
    OtherPayer,
    /// The signed expiry is not one that was offered in the last minutes.
    OfferLapsed,
    /// The merchant may begin nothing new.
    TenantDisabled,

    // Of what follows.
    NotFound,
    Expired,
    InvalidState(PreauthStatus),
    ExceedsHold,
    /// Another operation of this preauthorization is still being decided.
    Busy(OperationKind),
    /// It failed before anything was signed.
    NotInitialized(CallFailure),
    /// It was mined and failed.
    SettlementFailed(CallFailure),
    /// The cancellation was refused or failed.
    CancellationFailed(CallFailure),
    /// There is no scheduled settlement to withdraw.
    NothingScheduled,
}
