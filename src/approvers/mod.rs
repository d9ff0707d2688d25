//! Asking those whom a tenant has named whether a creation may go on.
//!
//! All of a tenant's approvers are asked at once, and all must approve. Who does not answer in time, or answers anything
//! but one of the two words, has not approved: nothing is locked then. What was decided is written down before anything
//! follows from it, and stays on record whatever becomes of the creation.

mod panel;
mod places;
mod question;
mod registry;

use std::sync::Arc;

use crate::model::Once;
use crate::outbound::{Outbound, Post};
use crate::store::Store;

pub use panel::{Outcome, Tried};
pub use question::Question;
pub use registry::{ApproverFault, ApproverRefusal, ApproverWish, NewApprover};

use places::Places;

/// The verbs. Clones share everything.
#[derive(Clone)]
pub struct Approvers {
    store: Store,
    outbound: Arc<Outbound>,
    post: Post,
    places: Places,
    /// The request they act for, where it came with a key.
    once: Option<Once>,
}

impl Approvers {
    #[must_use]
    pub fn new(store: Store, outbound: Outbound, post: Post) -> Self {
        Self { store, outbound: Arc::new(outbound), post, places: Places::default(), once: None }
    }

    /// The verbs for a request that came with a key, or without one. What such a request begins is noted under its name in
    /// the change that begins it: run again, it shows what it has begun, and does nothing twice.
    #[must_use]
    pub fn under(&self, once: Option<Once>) -> Self {
        Self { once, ..self.clone() }
    }
}
