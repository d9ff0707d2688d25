//! What must be one party's alone.

use super::refusal::{OnboardingRefusal, Stop};
use super::vault::MasterKey;
use crate::model::{Claim, PartyKey, TenantId};
use crate::store::Connection;
use crate::store::onboarding::claims;

/// Claims things for a party in a change; what another party of the tenant has is refused. What it has already stays its own.
pub(super) async fn take_claims(
    tx: &mut Connection,
    master: &MasterKey,
    tenant: TenantId,
    party: PartyKey,
    wanted: &[Claim],
) -> Result<(), Stop> {
    for claim in wanted {
        let tag = master.claim_tag(tenant, claim);
        if !claims::take(tx, tenant, party, claim.kind, &tag).await? {
            return Err(OnboardingRefusal::Claimed(claim.kind).into());
        }
    }
    Ok(())
}
