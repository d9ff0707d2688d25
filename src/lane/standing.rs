//! Whether the daemon is fit to accept work, and if not, why.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use super::nonce::ForeignUses;
use super::unreadable::Register;

/// What is wrong, by the part it is wrong with. Empty means ready. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    troubles: Arc<Mutex<BTreeMap<String, String>>>,
    pub(super) unreadable: Arc<Mutex<Register>>,
    pub(super) foreign: Arc<Mutex<ForeignUses>>,
}

impl Standing {
    /// The part whose trouble stops the acceptance of work: the chain or the database is not what it was.
    pub const FATAL: &'static str = "integrity";
    /// The part whose trouble stops it for as long as it lasts: nothing can be promised that cannot be written down.
    pub const DATABASE: &'static str = "database";

    /// Says what is wrong with a part, or that nothing is any more. Logs once per change; a gauge of the part is 1 for as
    /// long as something is wrong, and 0 afterwards.
    pub fn report(&self, part: &str, trouble: Option<String>) {
        let mut troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        match trouble {
            Some(text) => {
                if troubles.get(part) != Some(&text) {
                    tracing::warn!(part, trouble = text, "not ready");
                    gauge(part).set(1);
                    troubles.insert(part.to_owned(), text);
                }
            }
            None => {
                if troubles.remove(part).is_some() {
                    gauge(part).set(0);
                    tracing::info!(part, "fit again");
                }
            }
        }
    }

    /// Why nothing new may be accepted; `None`: it may. A sick node is no reason: it delays work and fails none.
    #[must_use]
    pub fn must_refuse(&self) -> Option<String> {
        let troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        troubles.get(Self::FATAL).or_else(|| troubles.get(Self::DATABASE)).cloned()
    }

    /// Everything that is wrong: part and trouble.
    #[must_use]
    pub fn troubles(&self) -> Vec<(String, String)> {
        let troubles = self.troubles.lock().unwrap_or_else(PoisonError::into_inner);
        troubles.iter().map(|(part, trouble)| (part.clone(), trouble.clone())).collect()
    }
}

fn gauge(part: &str) -> metrics::Gauge {
    metrics::gauge!("preauthd_trouble", "part" => part.to_owned())
}
