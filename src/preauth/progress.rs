//! How far a long piece of work is, for whoever waits for it.

use tokio::sync::watch;

/// What is being done, and how much of it is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Step {
    /// Empty: nothing yet.
    pub what: &'static str,
    pub done: u64,
    /// How much there is; 0: nobody knows.
    pub of: u64,
}

/// Where work says how far it is. Clones share it; where nobody looks, it costs next to nothing.
#[derive(Debug, Clone, Default)]
pub struct Progress(watch::Sender<Step>);

impl Progress {
    /// Says how far it is; `of` 0: nobody knows how much there is.
    pub fn at(&self, what: &'static str, done: u64, of: u64) {
        self.0.send_replace(Step { what, done, of });
    }

    /// How far it is.
    #[must_use]
    pub fn now(&self) -> Step {
        *self.0.borrow()
    }
}
