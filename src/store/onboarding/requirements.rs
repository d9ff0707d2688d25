//! What is asked of parties, and the facts that bear on it.

use std::collections::HashMap;

use sqlx::Row;

use crate::model::{Facts, Millis, PartyKey, Requirement, RequirementKind};
use crate::store::column::{list, word};
use crate::store::{Connection, StoreError};

/// Asks something of a party.
pub async fn insert(
    connection: &mut Connection,
    party: PartyKey,
    kind: RequirementKind,
    mandatory: bool,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO party_requirements (party, kind, mandatory) VALUES ($1, $2, $3)")
        .bind(party.0)
        .bind(kind.as_str())
        .bind(mandatory)
        .execute(connection)
        .await?;
    Ok(())
}

/// Writes down that a requirement was met; `None`: that what had met it is no longer so. Since when it is met stays.
pub async fn set_met(
    connection: &mut Connection,
    party: PartyKey,
    kind: RequirementKind,
    at: Option<Millis>,
) -> Result<(), StoreError> {
    sqlx::query(
        "UPDATE party_requirements SET met_at = CASE WHEN $3 IS NULL THEN NULL ELSE COALESCE(met_at, $3) END
         WHERE party = $1 AND kind = $2",
    )
    .bind(party.0)
    .bind(kind.as_str())
    .bind(at.map(|at| at.0))
    .execute(connection)
    .await?;
    Ok(())
}

pub(in crate::store) const OF_EACH: &str =
    "SELECT r.party, r.kind, r.mandatory, r.met_at IS NOT NULL AS met,
         EXISTS (SELECT 1 FROM party_verifications v WHERE v.party = r.party AND v.state = 'verified') AS verified,
         EXISTS (SELECT 1 FROM party_verifications v WHERE v.party = r.party AND v.state = 'pending') AS examined,
         EXISTS (SELECT 1 FROM party_documents d
             WHERE d.party = r.party AND d.purpose = r.kind AND d.state = 'accepted') AS documented,
         EXISTS (SELECT 1 FROM party_documents d
             WHERE d.party = r.party AND d.purpose = r.kind AND d.state = 'pending') AS checked,
         EXISTS (SELECT 1 FROM party_challenges c
             WHERE c.party = r.party AND c.kind = 'email_link' AND c.void = 0 AND c.answered_at IS NULL) AS asked,
         EXISTS (SELECT 1 FROM party_acceptances a WHERE a.party = r.party AND a.version =
             (SELECT MAX(t.id) FROM terms_versions t WHERE t.tenant_id = p.tenant_id)) AS accepted_newest
     FROM json_each($1) AS asked CROSS JOIN parties p CROSS JOIN party_requirements r
     WHERE p.id = asked.value AND r.party = p.id";

/// The requirements of parties, as the facts have it now.
pub(super) async fn of_each(
    connection: &mut Connection,
    parties: &[PartyKey],
) -> Result<HashMap<PartyKey, Vec<Requirement>>, StoreError> {
    let mut found: HashMap<PartyKey, Vec<Requirement>> = HashMap::with_capacity(parties.len());
    if parties.is_empty() {
        return Ok(found);
    }
    let keys = list(parties.iter().map(|party| party.0));
    for row in sqlx::query(OF_EACH).bind(keys).fetch_all(connection).await? {
        let is = |column: &str| row.try_get::<i64, _>(column).map(|number| number != 0);
        let facts = Facts {
            met: is("met")?,
            accepted_newest: is("accepted_newest")?,
            verified: is("verified")?,
            examined: is("examined")?,
            documented: is("documented")?,
            checked: is("checked")?,
            asked: is("asked")?,
        };
        let kind = word(&row, "kind", RequirementKind::parse)?;
        let requirement = Requirement::of(kind, is("mandatory")?, facts);
        found.entry(PartyKey(row.try_get("party")?)).or_default().push(requirement);
    }
    for requirements in found.values_mut() {
        requirements.sort_unstable_by_key(|requirement| requirement.kind);
    }
    Ok(found)
}
