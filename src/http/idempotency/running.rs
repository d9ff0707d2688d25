//! Which requests with a key are running. One daemon serves a database, so its memory knows.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use crate::model::OnceName;

/// Everybody who is running. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Running(Arc<Mutex<HashSet<OnceName>>>);

/// The right to run, given back when it is dropped.
#[derive(Debug)]
pub struct Place {
    running: Running,
    name: OnceName,
}

impl Running {
    /// `None`: it is running already.
    pub fn enter(&self, name: OnceName) -> Option<Place> {
        let is_free = self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name);
        is_free.then(|| Place { running: self.clone(), name })
    }

    /// Nobody is running.
    #[cfg(test)]
    pub fn is_idle(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.running.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_runs_once_at_a_time() {
        let running = Running::default();
        let (one, other) = (OnceName([1; 32]), OnceName([2; 32]));
        let place = running.enter(one).unwrap();
        assert!(running.enter(one).is_none());
        assert!(running.enter(other).is_some());
        drop(place);
        assert!(running.enter(one).is_some());
    }
}
