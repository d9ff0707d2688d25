//! A request that takes effect once, however often it arrives.

use std::fmt;

/// What a request with a key is kept under: a hash of tenant, route and key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct OnceName(pub [u8; 32]);

/// A request that came with a key. Verbs note under its name what they begin, in the change that begins it.
#[derive(Clone, Copy)]
pub struct Once {
    pub name: OnceName,
    /// Random to everybody else, and the same whenever this request is run: for secrets that must come out alike.
    pub secret: [u8; 32],
}

impl fmt::Debug for Once {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Once").field("name", &self.name).finish_non_exhaustive()
    }
}
