//! Waiting for an outcome.
use super::Snapshot;
use crate::model::Preauth;
use crate::store::{Connection, StoreError, operations};

impl Snapshot {
    pub(super) async fn read(connection: &mut Connection, preauth: Preauth) -> Result<Self, StoreError> {
        let open = operations::open_of(connection, preauth.key).await?;
        Ok(Self { preauth, pending_operation: open.map(|operation| operation.kind) })
    }
}
