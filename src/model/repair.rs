//! What a repair did to the database, row by row.

use alloy::primitives::B256;

use super::{Findings, PreauthStatus};

/// What became of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mending {
    /// Written anew from the chain.
    Rewritten,
    /// A hold without a row has one again; nobody has claimed it yet.
    Recovered,
    /// Nothing can be told of it that could be relied on: it stands as it stood.
    Left,
}

impl Mending {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rewritten => "REWRITTEN",
            Self::Recovered => "RECOVERED",
            Self::Left => "LEFT",
        }
    }
}

/// One row that was not as the chain says.
#[derive(Debug, Clone)]
pub struct Mended {
    pub mending: Mending,
    /// As far as it can be read.
    pub preauth_id: Option<B256>,
    pub invoice: Option<String>,
    /// Its status before; `None`: it had no row, or an unreadable one.
    pub was: Option<PreauthStatus>,
    /// Its status now; `None`: it was left.
    pub is: Option<PreauthStatus>,
    pub why: String,
}

/// Everything a repair did.
#[derive(Debug, Default)]
pub struct Repairs {
    pub rewritten: u64,
    pub recovered: u64,
    pub left: u64,
    pub rows: Findings<Mended>,
}

impl Repairs {
    /// Takes in what became of one row.
    pub fn note(&mut self, mended: Mended) {
        match mended.mending {
            Mending::Rewritten => self.rewritten += 1,
            Mending::Recovered => self.recovered += 1,
            Mending::Left => self.left += 1,
        }
        self.rows.add(mended);
    }
}
