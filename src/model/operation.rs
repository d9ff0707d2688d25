//! A durable intent to change one preauthorization on chain.

use super::{BaseUnits, BatchId, CallFailure, ChainTime, OperationId, PreauthKey, TokenAmount};

/// The four methods of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum OperationKind {
    Settle,
    Authorize,
    Cancel,
    Expire,
}

impl OperationKind {
    /// In the order in which they are served.
    pub const ALL: [Self; 4] = [Self::Settle, Self::Authorize, Self::Cancel, Self::Expire];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Settle => "settle",
            Self::Authorize => "authorize",
            Self::Cancel => "cancel",
            Self::Expire => "expire",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Where an operation stands. `Due` and `Batched` are open; a preauth has at most one open operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum OperationState {
    /// Waits for a lane; nothing signed holds it that could still be mined.
    Due,
    /// Part of an open batch: signed bytes that hold it exist.
    Batched,
    /// Its effect was seen on chain.
    Done,
    /// It failed for a reason of its own.
    Failed,
    /// Another outcome made it pointless.
    Superseded,
    /// A reorg undid what it depends on; due again when that is back.
    Parked,
}

impl OperationState {
    pub const ALL: [Self; 6] =
        [Self::Due, Self::Batched, Self::Done, Self::Failed, Self::Superseded, Self::Parked];

    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Batched => "batched",
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Superseded => "superseded",
            Self::Parked => "parked",
        }
    }

    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Due | Self::Batched)
    }
}

/// One operation as it is stored.
#[derive(Debug, Clone)]
pub struct Operation {
    pub id: OperationId,
    pub preauth: PreauthKey,
    pub kind: OperationKind,
    pub state: OperationState,
    /// What a settlement pays: base units, and as it was written.
    pub amount: Option<(BaseUnits, TokenAmount)>,
    /// The nearer, the sooner it is served: the expiry of the preauth.
    pub deadline: ChainTime,
    /// The last batch that carried it; `None`: never signed.
    pub batch: Option<BatchId>,
    /// Why it failed; kept while a reorg makes it possible again, because its caller was told so.
    pub failure: Option<CallFailure>,
    /// How often it was put off or carried without effect.
    pub tries: u32,
}
