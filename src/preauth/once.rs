//! Requests that take effect once.
//!
//! A verb that begins something notes it under the request's name in the same change, and looks there before it begins.
//! So a request that is run again, after a crash in the middle of it, follows what it has begun.

use super::Preauths;
use crate::model::Once;
use crate::store::{StoreError, idempotency};

/// How long a key is remembered, in days. Well above the 30 days that a hold may last.
pub const KEY_DAYS: i64 = 31;

impl Preauths {
    /// The verbs for a request that came with a key, or without one.
    #[must_use]
    pub fn under(&self, once: Option<Once>) -> Self {
        Self { once, ..self.clone() }
    }

    /// What an earlier run of this request has begun.
    pub(super) async fn begun_before(&self) -> Result<Option<i64>, StoreError> {
        if self.once.is_none() {
            return Ok(None);
        }
        let mut reader = self.inner.store.read().await?;
        idempotency::effect(&mut reader, self.once).await
    }
}
