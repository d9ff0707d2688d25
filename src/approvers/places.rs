//! How many questions one approver has before it at once, so that a slow one slows down nobody else's creations.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use tokio::sync::Semaphore;

/// Questions to one approver at once. More wait, on their own time limit.
const PLACES: usize = 64;

/// The places of all approvers that are being asked, by their rows. Clones share them.
#[derive(Clone, Default)]
pub(super) struct Places(Arc<Mutex<HashMap<i64, Weak<Semaphore>>>>);

impl Places {
    /// The places of an approver, as long as somebody asks it.
    pub fn of(&self, approver: i64) -> Arc<Semaphore> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(places) = all.get(&approver).and_then(Weak::upgrade) {
            return places;
        }
        all.retain(|_, places| places.strong_count() > 0);
        let places = Arc::new(Semaphore::new(PLACES));
        all.insert(approver, Arc::downgrade(&places));
        places
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_approver_has_places_of_its_own() {
        let places = Places::default();
        let one = places.of(1);
        let taken = Arc::clone(&one).try_acquire_many_owned(u32::try_from(PLACES).unwrap()).unwrap();
        assert!(places.of(1).try_acquire().is_err());
        assert!(places.of(2).try_acquire().is_ok());
        drop((one, taken));
        assert!(places.of(1).try_acquire().is_ok());
        assert_eq!(places.0.lock().unwrap().len(), 1, "what nobody asks any more is forgotten");
    }
}
