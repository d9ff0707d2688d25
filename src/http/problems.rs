//! The errors of each operation in the OpenAPI document, worded by the code that answers them.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use utoipa::openapi::example::ExampleBuilder;
use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::{ContentBuilder, PathItem, RefOr, Required, ResponseBuilder};

use super::approvers;
use super::error::ApiError;
use super::event_stream::too_many;
use super::idempotency;
use super::list::NO_CURSOR;
use super::manner::Manner;
use super::onboarding;
use super::refusals::{Verb, refused};
use super::shape::Shape;
use super::wallets::register::not_proven;
use super::wallets::remove::not_registered;
use super::webhooks;
use crate::approvers::ApproverRefusal;
use crate::model::{
    ApproverName, CallFailure, ConsentKind, OperationKind, PreauthStatus, RuleRefusal, WalletRole,
};
use crate::outbound::UnfitUrl;
use crate::preauth::{ConsentFlaw, Demand, Refusal, RegistrationRefusal, ReportError};
use crate::webhooks::EndpointRefusal;

/// The header as it is written.
const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

/// Adds to each operation the errors it can end with, and to each POST the key that makes it safe to repeat.
pub(super) fn add_errors(api: &mut utoipa::openapi::OpenApi) {
    for (path, item) in &mut api.paths.paths {
        let PathItem { get, post, put, delete, patch, .. } = item;
        let manner = Manner::of(path);
        if let Some(post) = post.as_mut().filter(|post| takes_api_key(post)) {
            describe_key(post);
        }
        for operation in [get, post, put, delete, patch].into_iter().flatten() {
            let mut by_status = BTreeMap::<u16, Vec<ApiError>>::new();
            for error in errors(operation) {
                let (status, _) = manner.word(&error, None);
                by_status.entry(status.as_u16()).or_default().push(error);
            }
            for (status, errors) in by_status {
                operation.responses.responses.insert(status.to_string(), response(manner, errors).into());
            }
        }
    }
}

fn response(manner: Manner, errors: Vec<ApiError>) -> utoipa::openapi::Response {
    let mut lines = Vec::with_capacity(errors.len());
    let mut examples = Vec::with_capacity(errors.len());
    for error in errors {
        for item in error.items() {
            lines.push(format!("- `{}` (code `{}`)", item.message, item.code));
        }
        let Some((code, summary)) = error.items().first().map(|item| (item.code, item.message.clone()))
        else {
            continue;
        };
        let (_, value) = manner.word(&error, None);
        examples.push((code, ExampleBuilder::new().summary(summary).value(Some(value)).build()));
    }
    let content = ContentBuilder::new().schema(Some(manner.schema())).examples_from_iter(examples).build();
    ResponseBuilder::new().description(lines.join("\n")).content("application/json", content).build()
}

fn takes_api_key(operation: &Operation) -> bool {
    operation.security.is_none()
}

fn has_key_parameter(operation: &Operation) -> bool {
    let mut parameters = operation.parameters.iter().flatten();
    parameters.any(|one| matches!(one, RefOr::T(parameter) if parameter.name == IDEMPOTENCY_KEY))
}

/// A POST takes an idempotency key, whatever it does.
fn describe_key(post: &mut Operation) {
    let key = ParameterBuilder::new()
        .name(IDEMPOTENCY_KEY)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "Makes the request safe to repeat: a name of your choice for it that cannot be guessed, such as a UUID",
        ))
        .schema(Some(
            ObjectBuilder::new()
                .schema_type(Type::String)
                .min_length(Some(1))
                .max_length(Some(255))
                .pattern(Some("^[!-~]+$")),
        ))
        .build();
    post.parameters.get_or_insert_default().push(key.into());
}

/// Everything an operation can be refused with.
fn errors(operation: &Operation) -> Vec<ApiError> {
    let id = operation.operation_id.as_deref().unwrap_or_default();
    let mut errors = Vec::new();
    if takes_api_key(operation) {
        errors.push(ApiError::unauthenticated());
        errors.push(ApiError::too_often(1));
        errors.extend(["missing_scope", "tenant_disabled"].map(ApiError::forbidden));
        errors.push(ApiError::internal());
    }
    if has_key_parameter(operation) {
        errors.extend(idempotency::errors());
    }
    if operation.request_body.is_some() {
        let malformed = "The body is not well-formed JSON (line 1, column 17)";
        errors.push(ApiError::new(StatusCode::BAD_REQUEST, "malformed_json", malformed));
        errors.extend(
            [StatusCode::PAYLOAD_TOO_LARGE, StatusCode::UNSUPPORTED_MEDIA_TYPE].map(ApiError::of_status),
        );
        let (field, why) = match id {
            "registerWallet" => ("address", "is missing"),
            "addApprover" => ("name", "is missing"),
            "changeApprover" => ("timeLimitMs", approvers::BAD_TIME_LIMIT),
            "addWebhook" => ("url", "is missing"),
            "advanceClock" => ("seconds", "must be a number from 0 to 31536000"),
            "changeWebhook" => ("events", "must be a list of types of events, such as preauth.settled"),
            "resendEvents" => ("eventId", "must be a UUID"),
            "createConsumer" => ("phone", "is missing"),
            "updateConsumer" => ("emailAddress", "must be an e-mail address"),
            "verifyPhoneCode" => ("code", "must be 6 digits"),
            "publishTerms" => ("version", "is missing"),
            "addDocument" => ("purpose", "is missing"),
            "createUser" | "addKycFile" | "addPoaFile" | "addUserVerification" => {
                ("externalUserId", "is missing")
            }
            "createUserOnboarding" => ("type", "is missing"),
            "updateUserOnboarding" => ("date_of_birth", "must be a day, such as 2030-06-11"),
            "createBusinessUser" => ("domain", "is missing"),
            "onboarding_justifications_create" | "onboarding_justifications_update" => {
                ("verification", "is missing")
            }
            "onboarding_justifications_create_justification" => ("verification_uuid", "is missing"),
            "onboarding_justifications_partial_update" => ("verification", "must be a string"),
            "onboarding_justifications_approve" | "onboarding_justifications_reject" => {
                ("staff_notes", "must be a string")
            }
            "onboarding_justifications_attach_document" => ("file", "is missing"),
            "tieWallet" => ("role", "must be \"sender\" or \"receiver\""),
            _ => ("amount", "is missing"),
        };
        let mut shape = Shape::of_body();
        shape.read::<(), _>(field, Err(why));
        errors.push(shape.refused());
    }
    if matches!(
        id,
        "listPreauthorizations"
            | "listWallets"
            | "removeWallet"
            | "listEvents"
            | "listPreauthorizationEvents"
            | "streamEvents"
            | "listDeliveries"
            | "listApprovals"
            | "reportSettlements"
            | "listClaims"
            | "listParties"
            | "getTerms"
            | "untieWallet"
            | "getCustomerDetails"
            | "onboarding_justifications_list"
    ) {
        let mut shape = Shape::of_query();
        let (name, why) = match id {
            "getCustomerDetails" => ("customerAccountId", "must be a UUID"),
            "onboarding_justifications_list" => ("page", "must be a number from 1 to 100000"),
            "getTerms" => ("language", "must be a language, such as en or pt-BR"),
            "removeWallet" | "untieWallet" => ("address", "must be 0x followed by 40 hexadecimal digits"),
            "streamEvents" => ("cursor", NO_CURSOR),
            "reportSettlements" => ("from", "must be a day, such as 2026-03-25"),
            _ => ("limit", "must be a number from 1 to 100"),
        };
        shape.read::<(), _>(name, Err(why));
        errors.push(shape.refused());
    }
    let (verb, refusals) = refusals(id);
    errors.extend(refusals.iter().map(|refusal| refused(verb, refusal)));
    errors.extend(webhook_refusals(id).into_iter().map(webhooks::refused));
    errors.extend(approver_refusals(id).into_iter().map(approvers::refused));
    errors.extend(onboarding::refusals(id).into_iter().map(onboarding::refused));
    match id {
        "registerWallet" => errors
            .extend([RegistrationRefusal::UnknownProof, RegistrationRefusal::WrongSignature].map(not_proven)),
        "removeWallet" => errors.push(not_registered()),
        "onboarding_justifications_list" => {
            errors.push(ApiError::new(StatusCode::NOT_FOUND, "no_such_page", "Invalid page."));
        }
        "addUserVerification" => {
            let message = "documentExpirationDate is past";
            errors.push(ApiError::new(StatusCode::BAD_REQUEST, "document_expired", message));
        }
        "onboarding_justifications_attach_document" => {
            errors.push(ApiError::new(StatusCode::BAD_REQUEST, "malformed_form", "The form cannot be read"));
        }
        "streamEvents" => errors.push(too_many()),
        "reportSettlements" => errors.push(ApiError::not_ready(&ReportError::Undated.to_string())),
        "healthReady" => errors.push(ApiError::not_ready("observer: the node did not answer")),
        "metrics" => errors.push(ApiError::of_status(StatusCode::NOT_FOUND)),
        _ => {}
    }
    errors
}

/// The refusals of an operation on webhooks.
fn webhook_refusals(operation_id: &str) -> Vec<EndpointRefusal> {
    let url = EndpointRefusal::Url(UnfitUrl::NotHttps);
    match operation_id {
        "addWebhook" => vec![url, EndpointRefusal::TooMany(16)],
        "changeWebhook" => vec![url, EndpointRefusal::Unknown],
        "getWebhook" | "removeWebhook" | "rotateWebhookKey" | "listDeliveries" => {
            vec![EndpointRefusal::Unknown]
        }
        "resendEvents" => {
            vec![EndpointRefusal::Unknown, EndpointRefusal::UnknownEvent, EndpointRefusal::Disabled]
        }
        _ => Vec::new(),
    }
}

/// The refusals of an operation on approvers.
fn approver_refusals(operation_id: &str) -> Vec<ApproverRefusal> {
    let url = ApproverRefusal::Url(UnfitUrl::NotHttps);
    match operation_id {
        "addApprover" => vec![url, ApproverRefusal::NameTaken, ApproverRefusal::TooMany(8)],
        "changeApprover" => vec![url, ApproverRefusal::Unknown],
        "getApprover" | "removeApprover" | "rotateApproverKey" | "testApprover" => {
            vec![ApproverRefusal::Unknown]
        }
        _ => Vec::new(),
    }
}

/// The refusals of an operation, in the order of its checks, with likely reasons.
fn refusals(operation_id: &str) -> (Verb, Vec<Refusal>) {
    match operation_id {
        "createPreauthorization" => {
            let mut refusals = refusals_before_a_row();
            refusals.extend(refusals_of_approvers());
            refusals.push(Refusal::LockFailed(CallFailure::InsufficientAllowance));
            (Verb::Create, refusals)
        }
        "offerTerms" => (Verb::Create, refusals_before_a_row()),
        "makePayLink" => {
            let mut refusals = refusals_of_anybody();
            refusals.extend([Refusal::InvalidLinkExpiry("it is past"), Refusal::PayLinkExists]);
            (Verb::Create, refusals)
        }
        "getPayLink" => (Verb::Create, vec![Refusal::PayLinkNotFound]),
        "withdrawPayLink" => (Verb::Create, vec![Refusal::PayLinkNotFound, Refusal::PayLinkUsed]),
        "getPreauthorization" | "listPreauthorizationEvents" | "listApprovals" => {
            (Verb::Settle, vec![Refusal::NotFound])
        }
        "settlePreauthorization" => (
            Verb::Settle,
            vec![
                Refusal::AmountTooPrecise { decimals: 6 },
                Refusal::AmountTooLarge,
                Refusal::InvalidSettleAt("it is past"),
                Refusal::NotInitialized(CallFailure::Other("the token refused the transfer".into())),
                Refusal::NotFound,
                Refusal::Expired,
                Refusal::InvalidState(PreauthStatus::Rejected),
                Refusal::ExceedsHold,
                Refusal::AmountNotPositive,
                Refusal::Busy(OperationKind::Cancel),
                Refusal::SettlementFailed(CallFailure::Other("the token refused the transfer".into())),
                Refusal::NotReady("observer: the node did not answer".into()),
            ],
        ),
        "withdrawScheduledSettlement" => (
            Verb::Settle,
            vec![Refusal::NotFound, Refusal::NothingScheduled, Refusal::Busy(OperationKind::Settle)],
        ),
        "cancelPreauthorization" => (
            Verb::Cancel,
            vec![
                Refusal::NotInitialized(CallFailure::Other("the token refused the transfer".into())),
                Refusal::NotFound,
                Refusal::Expired,
                Refusal::InvalidState(PreauthStatus::Settled),
                Refusal::Busy(OperationKind::Settle),
                Refusal::CancellationFailed(CallFailure::Other("the token refused the transfer".into())),
                Refusal::NotReady("observer: the node did not answer".into()),
            ],
        ),
        _ => (Verb::Create, Vec::new()),
    }
}

fn refusals_before_a_row() -> Vec<Refusal> {
    let mut refusals = refusals_of_anybody();
    refusals.extend(refusals_of_a_payer());
    refusals
}

/// Whoever pays.
fn refusals_of_anybody() -> Vec<Refusal> {
    vec![
        Refusal::AmountNotPositive,
        Refusal::SameWallet,
        Refusal::TokenNotActive,
        Refusal::InvalidExpiry("it has no zone"),
        Refusal::AmountTooPrecise { decimals: 6 },
        Refusal::AmountTooLarge,
        Refusal::InvalidSettleAt("it is not before the expiry"),
        Refusal::Rule(RuleRefusal {
            rule: "maxAmount".into(),
            why: "the amount is above the tenant's limit".into(),
        }),
        Refusal::WalletNotRegistered(WalletRole::Receiver),
        Refusal::PartyNotVerified(WalletRole::Receiver),
        Refusal::InvoiceExists,
    ]
}

fn refusals_of_approvers() -> Vec<Refusal> {
    let Ok(approver) = ApproverName::parse("fraud") else { return Vec::new() };
    let (reason, why) = (Some("too many today".into()), Some("no answer in time".into()));
    vec![
        Refusal::ApprovalRefused { approver: approver.clone(), reason },
        Refusal::ApprovalUnavailable { approver, why },
    ]
}

fn refusals_of_a_payer() -> Vec<Refusal> {
    vec![
        Refusal::ConsentWithoutExpiry,
        Refusal::ConsentRequired(Demand::Tenant),
        Refusal::ConsentNotSupported(ConsentKind::Erc3009),
        Refusal::ConsentNotByContract(ConsentKind::Erc3009),
        Refusal::WalletNotRegistered(WalletRole::Sender),
        Refusal::ReceiverNotActive,
        Refusal::ConsentRequired(Demand::Sender),
        Refusal::InvalidConsent(ConsentFlaw::NotSigned),
        Refusal::InvalidConsent(ConsentFlaw::Permit),
        Refusal::InvalidConsent(ConsentFlaw::Used),
        Refusal::ContractNotAvailable("the escrow is paused".into()),
        Refusal::InsufficientAllowance,
        Refusal::InsufficientBalance,
        Refusal::TokenRefused("the token reverted".into()),
        Refusal::PreapprovalUnknown,
        Refusal::NotReady("observer: the node did not answer".into()),
    ]
}
