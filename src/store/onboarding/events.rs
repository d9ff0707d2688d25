//! What merchants are told of their parties: ids and words, nothing personal. They are in the same feed as what they are told of
//! preauthorizations.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use uuid::Uuid;

use crate::model::{About, DocumentId, EventKind, Millis, Party, PartyEvent, PartyId, PartyStatus, TenantId};
use crate::store::column::{millis, tenant_id, unsigned, uuid, word};
use crate::store::seal::{Sealed, Value, bind};
use crate::store::{Connection, StoreError};

/// What an event says, bound to its name, so that it cannot pass for another's.
const SAID: Sealed = Sealed {
    domain: "preauthd party events 1",
    columns: &["uuid", "tenant_id", "party", "kind", "status", "verification", "document"],
    column: "seal",
    what: "an event",
};

/// Writes down what happened to a party, with where it stands now.
pub async fn insert(
    connection: &mut Connection,
    party: &Party,
    kind: EventKind,
    about: About,
    now: Millis,
) -> Result<(), StoreError> {
    let id = Uuid::now_v7();
    let values = values(id, party.tenant, party.id, kind, party.status(), about);
    let seal = SAID.seal(&values);
    let insert = sqlx::query(
        "INSERT INTO events (uuid, tenant_id, party, kind, status, verification, document, seal, created_at, sequence)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, (SELECT COALESCE(MAX(sequence), 0) + 1 FROM events WHERE party = $3))",
    );
    bind(insert, values).bind(seal.as_slice()).bind(now.0).execute(connection).await?;
    Ok(())
}

/// The values of [`SAID`].
fn values(
    id: Uuid,
    tenant: TenantId,
    party: PartyId,
    kind: EventKind,
    status: PartyStatus,
    about: About,
) -> [Value; SAID.columns.len()] {
    let (verification, document) = match &about {
        About::TheParty => (None, None),
        About::Verification(id) => (Some(id.as_bytes().as_slice()), None),
        About::Document(id) => (None, Some(id.0.as_bytes().as_slice())),
    };
    [
        id.as_bytes().as_slice().into(),
        tenant.0.as_bytes().as_slice().into(),
        party.0.as_bytes().as_slice().into(),
        kind.as_str().into(),
        status.as_str().into(),
        verification.into(),
        document.into(),
    ]
}

/// Reads a row that is about a party.
pub(in crate::store) fn decode(row: &SqliteRow) -> Result<PartyEvent, StoreError> {
    SAID.verify(row)?;
    let named = |column: &str| {
        let bytes: Option<&[u8]> = row.try_get(column)?;
        bytes.map(|_| uuid(row, column)).transpose()
    };
    let about = match (named("verification")?, named("document")?) {
        (Some(id), _) => About::Verification(id),
        (None, Some(id)) => About::Document(DocumentId(id)),
        (None, None) => About::TheParty,
    };
    Ok(PartyEvent {
        position: row.try_get("id")?,
        id: uuid(row, "uuid")?,
        tenant: tenant_id(row, "tenant_id")?,
        party: PartyId(uuid(row, "party")?),
        sequence: unsigned(row, "sequence")?,
        kind: word(row, "kind", EventKind::parse)?,
        status: word(row, "status", PartyStatus::parse)?,
        about,
        created_at: millis(row, "created_at")?,
    })
}
