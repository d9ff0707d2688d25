//! How long a fault is felt after its end; docs/reliability.md has the figures.

use tokio::time::Instant;

/// Begins when a fault ends, and ends when all that was due is done. It says how long that took (`--no-capture`); the bound
/// is [`until`](super::until)'s, by which everything due is waited for.
pub struct Healing {
    fault: String,
    since: Instant,
}

impl Healing {
    pub fn of(fault: impl Into<String>) -> Self {
        Self { fault: fault.into(), since: Instant::now() }
    }

    pub fn ends(self) {
        println!("healed: {:<56} {:>5.1} s", self.fault, self.since.elapsed().as_secs_f64());
    }
}
