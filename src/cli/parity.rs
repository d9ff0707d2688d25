//! What the API can do, the command line can: each route of the served document has its command.

use std::collections::BTreeSet;

use clap::CommandFactory;

use super::CommandLine;
use crate::http::testing::{House, routes_of};

/// Routes and their commands.
const COMMANDS: [(&str, &str); 42] = [
    ("post /onchain-preauth", "preauth create"),
    ("get /onchain-preauth", "preauth list"),
    ("get /onchain-preauth/{invoiceId}", "preauth show"),
    ("post /onchain-preauth/{invoiceId}/settle", "preauth settle"),
    ("delete /onchain-preauth/{invoiceId}/settle", "preauth withdraw"),
    ("post /onchain-preauth/{invoiceId}/cancel", "preauth cancel"),
    ("get /onchain-preauth/{invoiceId}/events", "events"),
    ("post /preauth-terms", "preauth terms"),
    ("post /pay-links", "pay-link create"),
    ("get /pay-links/{invoiceId}", "pay-link show"),
    ("delete /pay-links/{invoiceId}", "pay-link withdraw"),
    ("post /wallets", "wallet register"),
    ("get /wallets", "wallet list"),
    ("delete /wallets/{address}", "wallet remove"),
    ("get /tokens", "token list"),
    ("get /events", "events"),
    ("get /events/stream", "listen"),
    ("post /webhooks", "webhook add"),
    ("get /webhooks", "webhook list"),
    ("get /webhooks/{id}", "webhook list"),
    ("patch /webhooks/{id}", "webhook set"),
    ("delete /webhooks/{id}", "webhook remove"),
    ("post /webhooks/{id}/rotate", "webhook rotate"),
    ("get /webhooks/{id}/deliveries", "webhook deliveries"),
    ("post /webhooks/{id}/resend", "webhook resend"),
    ("post /approvers", "approver add"),
    ("get /approvers", "approver list"),
    ("get /approvers/{id}", "approver list"),
    ("patch /approvers/{id}", "approver enable"),
    ("delete /approvers/{id}", "approver remove"),
    ("post /approvers/{id}/rotate", "approver rotate"),
    ("post /approvers/{id}/test", "approver test"),
    ("get /onchain-preauth/{invoiceId}/approvals", "approver decisions"),
    ("get /reports/settlements", "report settlements"),
    ("get /claims", "claims"),
    ("get /parties", "party list"),
    ("get /parties/{partyId}", "party show"),
    ("delete /parties/{partyId}", "party delete"),
    ("post /parties/{partyId}/suspend", "party suspend"),
    ("post /parties/{partyId}/resume", "party resume"),
    ("post /parties/{partyId}/reject", "party reject"),
    ("get /health/ready", "status"),
];

/// Routes that are made for other readers than people and their scripts.
const OTHERS: [(&str, &str); 4] = [
    ("get /health/live", "supervisors ask it"),
    ("get /metrics", "Prometheus asks it"),
    ("get /openapi.json", "generators read it"),
    ("get /docs", "browsers show it"),
];

/// What a merchant's system does while it onboards somebody: personal data go through it, and not through a shell and its history.
const ONBOARDING: [(&str, &str); 33] = [
    ("post /terms-and-conditions", "systems onboard"),
    ("get /terms-and-conditions", "systems onboard"),
    ("post /consumers", "systems onboard"),
    ("get /consumers/{consumerId}", "systems onboard"),
    ("patch /consumers/{consumerId}", "systems onboard"),
    ("post /consumers/{consumerId}/phone/verification-code", "systems onboard"),
    ("post /consumers/{consumerId}/phone/verification-code/verify", "systems onboard"),
    ("post /consumers/{consumerId}/email/verification-link", "systems onboard"),
    ("post /consumers/{consumerId}/kyc-link", "systems onboard"),
    ("post /parties/{partyId}/wallets", "systems onboard"),
    ("delete /parties/{partyId}/wallets/{address}", "systems onboard"),
    ("get /parties/{partyId}/documents", "systems onboard"),
    ("post /parties/{partyId}/documents", "systems onboard"),
    ("get /parties/{partyId}/documents/{documentId}", "systems onboard"),
    ("post /v1/user", "systems onboard"),
    ("post /v1/user/kyc-file", "systems onboard"),
    ("post /v1/user/poa-file", "systems onboard"),
    ("post /v1/user/verification", "systems onboard"),
    ("get /v1/user/{externalUserId}/kyc-status", "systems onboard"),
    ("post /v1/user/{user_api_key_id}/user-onboarding", "systems onboard"),
    ("put /v1/user/{user_api_key_id}/user-onboarding/{user_onboarding_id}", "systems onboard"),
    ("post /tenant/business-user", "systems onboard"),
    ("get /tenant/customer/pii-customer-details/{customerAccountId}", "systems onboard"),
    ("get /api/onboarding-justifications/", "systems onboard"),
    ("post /api/onboarding-justifications/", "systems onboard"),
    ("post /api/onboarding-justifications/create_justification/", "systems onboard"),
    ("get /api/onboarding-justifications/{uuid}/", "systems onboard"),
    ("put /api/onboarding-justifications/{uuid}/", "systems onboard"),
    ("patch /api/onboarding-justifications/{uuid}/", "systems onboard"),
    ("delete /api/onboarding-justifications/{uuid}/", "systems onboard"),
    ("post /api/onboarding-justifications/{uuid}/approve/", "systems onboard"),
    ("post /api/onboarding-justifications/{uuid}/reject/", "systems onboard"),
    ("post /api/onboarding-justifications/{uuid}/attach_document/", "systems onboard"),
];

/// Only in `dev`.
const DEV: (&str, &str) = ("post /dev/advance", "dev clock");

#[tokio::test]
async fn every_route_has_its_command() {
    let mut house = House::open().await;
    house.give_dev_powers();
    house.give_onboarding();
    let document = house.get("/openapi.json").send().await.body;
    let served = routes_of(&document);
    let known: BTreeSet<String> = COMMANDS
        .iter()
        .chain(&OTHERS)
        .chain(&ONBOARDING)
        .chain([&DEV])
        .map(|(route, _)| (*route).to_owned())
        .collect();
    assert_eq!(served, known, "each route has a command, or a reason for having none");
}

#[test]
fn every_command_of_a_route_is_there() {
    for (route, command) in COMMANDS.iter().chain([&DEV]) {
        let root = CommandLine::command();
        let mut found = Some(&root);
        for word in command.split(' ') {
            found = found.and_then(|command| command.find_subcommand(word));
        }
        assert!(found.is_some(), "{route}: there is no `preauthd {command}`");
    }
}
