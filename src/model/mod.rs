//! The words of the system as types: no I/O, no async, no clock.
//!
//! Everything that can be decided from values alone is decided here: how an amount is read, which transition a
//! preauthorization may take, whether a tenant's rules allow a creation, how operations share a batch.

mod account;
mod amount;
mod approver;
mod call_failure;
mod consent;
mod eip712;
mod event;
mod history;
mod ids;
mod onboarding;
mod once;
mod operation;
mod pay_link;
mod preauth;
mod reconcile;
mod repair;
mod report;
mod rules;
mod share;
mod tenant;
mod terms;
mod time;
mod to_sign;
mod token;
mod wallet;
mod webhook;

pub use account::{Account, AccountError};
pub use amount::{AmountError, BaseUnits, TokenAmount, hold_with_tip};
pub use approver::{Approval, Approver, ApproverAnswer, ApproverName, Decision};
pub use call_failure::{CallFailure, Disposition};
pub use consent::{Consent, ConsentKind, ECDSA_BYTES, unwrap_undeployed};
pub use eip712::typed_data;
pub use event::{About, Event, EventKind, EventState, FeedEvent, PartyEvent};
pub use history::{History, HoldEvent, HoldLog};
pub use ids::{BatchId, InvoiceId, InvoiceIdError, OperationId, PreauthKey, TenantId, derive_preauth_id};
pub use onboarding::{
    Answered, Bar, BarEvent, Challenge, ChallengeKind, ChallengeState, CheckVerdict, Claim, ClaimKind,
    Country, DocumentFlaw, DocumentId, DocumentLabel, DocumentPurpose, DocumentSide, DocumentState, Email,
    ExternalId, Facts, FailureReason, ForbiddenBar, ForbiddenVerdict, Language, MAX_DOCUMENT_BYTES,
    MediaType, Participation, Party, PartyId, PartyKey, PartyKind, PartyStatus, Phone, PostalAddress,
    Profile, Requirement, RequirementKind, RequirementStatus, Review, ReviewDecision, ReviewId, SecretTag,
    TermsName, TermsText, TermsVersion, Verification, VerificationState, inspect, is_invisible,
};
pub use once::{Once, OnceName};
pub use operation::{Operation, OperationKind, OperationState};
pub use pay_link::{PayLink, PayLinkState, PayToken, PayTokenHash};
pub use preauth::{ForbiddenTransition, Preauth, PreauthEvent, PreauthStatus, Schedule, Settlement};
pub use reconcile::{
    Balance, Difference, Drift, Findings, Reconciliation, Record, UnknownHold, Unreadable, Verdict,
};
pub use repair::{Mended, Mending, Repairs};
pub use report::{Day, Sum, Tally, equal_part, sum_in_tokens};
pub use rules::{
    ALLOWANCE, Creation, Expression, ExpressionFlaw, RuleRefusal, Rulebook, Rules, RulesFlaw, Ruling,
};
pub use share::{KindCounts, share_batch};
pub use tenant::{Scope, Tenant};
pub use terms::Terms;
pub use time::{ChainTime, Millis};
pub use to_sign::{ToSign, permit2_domain};
pub use token::{SignedMethod, Token, TokenSigning};
pub use wallet::WalletRole;
pub use webhook::{Delivery, DeliveryAttempt, DeliveryState, Endpoint, KeptKey, SigningScheme};
