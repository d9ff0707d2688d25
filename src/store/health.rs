//! What the disk under the database is fit for, as SQLite's result codes tell it.
//!
//! A full disk and a lock that somebody else holds pass: the next commit tries again. A commit whose fsync failed does not:
//! the kernel may have dropped what it could not write and report the next fsync as done, so nothing that this process
//! writes can be promised any more. Nor is anything written into a file that is found to be corrupt.

use std::fmt;

use tokio::sync::watch;

use super::StoreError;

/// Primary result codes of SQLite, the low byte of an extended one.
const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const IOERR: i32 = 10;
const CORRUPT: i32 = 11;
const FULL: i32 = 13;
const NOTADB: i32 = 26;
/// Extended result codes of faults that concern memory shared between connections, and none of the data: what fails here
/// on a full disk works again when there is room.
const IOERR_NOMEM: i32 = 3_082;
const IOERR_SHMSIZE: i32 = 4_874;

/// What kind of trouble a disk is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    Full,
    /// Another process holds the lock for writing.
    Locked,
    /// It could not be made sure that what was written is on the disk.
    Io,
    /// The file is no longer a sound database.
    Corrupt,
    Other,
}

/// A fault of the disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskFault {
    pub kind: FaultKind,
    /// What SQLite said.
    pub why: String,
}

/// Whether changes can be committed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Health {
    #[default]
    Sound,
    /// The last commit failed; the next may not.
    Ailing(DiskFault),
    /// Nothing is committed any more until a restart.
    Broken(DiskFault),
}

impl FaultKind {
    pub const ALL: [Self; 5] = [Self::Full, Self::Locked, Self::Io, Self::Corrupt, Self::Other];

    fn of(error: &sqlx::Error) -> Self {
        let code = match error {
            sqlx::Error::Database(error) => error.code().and_then(|code| code.parse::<i32>().ok()),
            // The connection is gone, and with it the knowledge of what it has done.
            sqlx::Error::WorkerCrashed | sqlx::Error::Io(_) => Some(IOERR),
            _ => None,
        };
        match (code, code.map(|code| code & 0xff)) {
            (Some(IOERR_NOMEM), _) => Self::Other,
            (Some(IOERR_SHMSIZE), _) | (_, Some(FULL)) => Self::Full,
            (_, Some(BUSY | LOCKED)) => Self::Locked,
            (_, Some(IOERR)) => Self::Io,
            (_, Some(CORRUPT | NOTADB)) => Self::Corrupt,
            _ => Self::Other,
        }
    }

    /// The label of the metric.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Locked => "locked",
            Self::Io => "io",
            Self::Corrupt => "corrupt",
            Self::Other => "other",
        }
    }

    fn is_final(self) -> bool {
        matches!(self, Self::Io | Self::Corrupt)
    }
}

impl DiskFault {
    pub(super) fn of(error: &sqlx::Error) -> Self {
        Self { kind: FaultKind::of(error), why: error.to_string() }
    }
}

impl fmt::Display for DiskFault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            FaultKind::Full => "the disk is full",
            FaultKind::Locked => "another process holds the lock for writing",
            FaultKind::Io => "the disk did not keep what was written",
            FaultKind::Corrupt => "the file is corrupt",
            FaultKind::Other => "a commit failed",
        };
        write!(formatter, "{what}: {}", self.why)
    }
}

impl Health {
    /// What is wrong, in a sentence; `None`: nothing.
    #[must_use]
    pub fn trouble(&self) -> Option<String> {
        match self {
            Self::Sound => None,
            Self::Ailing(fault) => Some(format!("{fault}; goes on by itself when that is over")),
            Self::Broken(fault) => Some(format!(
                "{fault}; nothing is written any more until a restart, which finds all that was acknowledged"
            )),
        }
    }
}

/// Health as the writer and all who read agree on it. Clones share it.
#[derive(Debug, Clone, Default)]
pub(super) struct Pulse {
    health: watch::Sender<Health>,
}

impl Pulse {
    pub(super) fn subscribe(&self) -> watch::Receiver<Health> {
        self.health.subscribe()
    }

    /// Why nothing is committed any more.
    pub(super) fn broken(&self) -> Option<DiskFault> {
        match &*self.health.borrow() {
            Health::Broken(fault) => Some(fault.clone()),
            Health::Sound | Health::Ailing(_) => None,
        }
    }

    pub(super) fn is_ailing(&self) -> bool {
        matches!(&*self.health.borrow(), Health::Ailing(_))
    }

    /// A commit failed, or could not begin.
    pub(super) fn failed(&self, fault: &DiskFault) {
        metrics::counter!("preauthd_store_commit_failures_total", "kind" => fault.kind.as_str()).increment(1);
        self.turn(if fault.kind.is_final() {
            Health::Broken(fault.clone())
        } else {
            Health::Ailing(fault.clone())
        });
    }

    /// A commit succeeded.
    pub(super) fn committed(&self) {
        self.turn(Health::Sound);
    }

    /// A statement failed. Only corruption is everybody's trouble: the rest is for the one who met it.
    pub(super) fn examine(&self, error: &StoreError) {
        if let StoreError::Database(error) = error
            && FaultKind::of(error) == FaultKind::Corrupt
        {
            self.turn(Health::Broken(DiskFault::of(error)));
        }
    }

    /// What is broken stays so.
    fn turn(&self, health: Health) {
        self.health.send_if_modified(|current| {
            let turns = !matches!(current, Health::Broken(_)) && *current != health;
            if turns {
                *current = health;
            }
            turns
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(kind: FaultKind) -> DiskFault {
        DiskFault { kind, why: "on purpose".into() }
    }

    #[test]
    fn what_passes_heals_with_the_next_commit_and_what_is_final_does_not() {
        for kind in [FaultKind::Full, FaultKind::Locked, FaultKind::Other, FaultKind::Io, FaultKind::Corrupt]
        {
            let pulse = Pulse::default();
            let seen = pulse.subscribe();
            pulse.failed(&fault(kind));
            assert!(seen.borrow().trouble().is_some());
            pulse.committed();
            let stays = matches!(kind, FaultKind::Io | FaultKind::Corrupt);
            assert_eq!(seen.borrow().trouble().is_some(), stays, "{kind:?}");
            assert_eq!(pulse.broken().is_some(), stays, "{kind:?}");
        }
    }

    #[test]
    fn what_is_broken_is_not_talked_down() {
        let pulse = Pulse::default();
        pulse.failed(&fault(FaultKind::Io));
        pulse.failed(&fault(FaultKind::Full));
        assert_eq!(pulse.broken(), Some(fault(FaultKind::Io)));
    }
}
