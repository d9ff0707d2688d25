//! What the escrow's logs say of one hold, from its lock to its end: the chain's own account of a preauthorization.

use alloy::primitives::B256;

use super::{BaseUnits, ChainTime, PreauthStatus, Record, Terms};

/// What one log of the escrow says happened to a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HoldEvent {
    Locked(Terms),
    Settled(BaseUnits),
    Cancelled,
    Expired,
    /// The token refused this much of the refund; the sender can claim it.
    RefundDeferred(BaseUnits),
}

/// One log, and its place in the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HoldLog {
    pub preauth_id: B256,
    pub block: u64,
    /// The log's index in its block.
    pub index: u64,
    pub transaction: B256,
    /// The block's time, where the node tells it with its logs.
    pub time: Option<ChainTime>,
    pub event: HoldEvent,
}

/// Every log about one preauth id, in the chain's order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct History {
    logs: Vec<HoldLog>,
}

impl History {
    /// Puts logs into the chain's order.
    #[must_use]
    pub fn new(mut logs: Vec<HoldLog>) -> Self {
        logs.sort_by_key(|log| (log.block, log.index));
        Self { logs }
    }

    #[must_use]
    pub fn logs(&self) -> &[HoldLog] {
        &self.logs
    }

    /// The lock, with the terms that were locked.
    #[must_use]
    pub fn lock(&self) -> Option<(&HoldLog, Terms)> {
        self.logs.iter().find_map(|log| match log.event {
            HoldEvent::Locked(terms) => Some((log, terms)),
            _ => None,
        })
    }

    /// The settlement, cancellation or expiry, with the status it led to.
    #[must_use]
    pub fn close(&self) -> Option<(&HoldLog, PreauthStatus)> {
        self.logs.iter().find_map(|log| match log.event {
            HoldEvent::Settled(_) => Some((log, PreauthStatus::Settled)),
            HoldEvent::Cancelled => Some((log, PreauthStatus::Cancelled)),
            HoldEvent::Expired => Some((log, PreauthStatus::Expired)),
            HoldEvent::Locked(_) | HoldEvent::RefundDeferred(_) => None,
        })
    }

    /// What the receiver was paid, in base units.
    #[must_use]
    pub fn settled(&self) -> Option<BaseUnits> {
        self.logs.iter().find_map(|log| match log.event {
            HoldEvent::Settled(amount) => Some(amount),
            _ => None,
        })
    }

    /// The part of the refund that waits for its sender, in base units.
    #[must_use]
    pub fn deferred_refund(&self) -> Option<BaseUnits> {
        self.logs.iter().find_map(|log| match log.event {
            HoldEvent::RefundDeferred(amount) => Some(amount),
            _ => None,
        })
    }

    /// What the contract stores after these logs.
    #[must_use]
    pub fn record(&self) -> Record {
        match (self.close(), self.lock()) {
            (Some((_, PreauthStatus::Settled)), _) => Record::Settled,
            (Some((_, PreauthStatus::Cancelled)), _) => Record::Cancelled,
            (Some(_), _) => Record::Expired,
            (None, Some((_, terms))) => Record::Open(terms.hash()),
            (None, None) => Record::Unused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::primitives::Address;

    fn log(block: u64, index: u64, event: HoldEvent) -> HoldLog {
        let transaction = B256::with_last_byte(u8::try_from(block).unwrap());
        HoldLog { preauth_id: B256::repeat_byte(7), block, index, transaction, time: None, event }
    }

    fn terms() -> Terms {
        Terms {
            sender: Address::repeat_byte(1),
            receiver: Address::repeat_byte(2),
            token: Address::repeat_byte(3),
            hold: BaseUnits::new(10).unwrap(),
            expires_at: ChainTime(100),
            preauth_id: B256::repeat_byte(7),
        }
    }

    #[test]
    fn a_history_says_what_the_contract_stores() {
        let nothing = History::default();
        assert_eq!((nothing.record(), nothing.lock(), nothing.close()), (Record::Unused, None, None));
        let lock = log(3, 1, HoldEvent::Locked(terms()));
        assert_eq!(History::new(vec![lock]).record(), Record::Open(terms().hash()));
        let amount = BaseUnits::new(4).unwrap();
        let closes = [
            (HoldEvent::Settled(amount), Record::Settled, Some(amount)),
            (HoldEvent::Cancelled, Record::Cancelled, None),
            (HoldEvent::Expired, Record::Expired, None),
        ];
        for (event, record, settled) in closes {
            let refund = log(5, 3, HoldEvent::RefundDeferred(amount));
            let history = History::new(vec![refund, log(5, 2, event), lock]);
            assert_eq!((history.record(), history.settled()), (record, settled));
            assert_eq!(history.deferred_refund(), Some(amount));
            assert_eq!(history.logs().first(), Some(&lock), "the chain's order");
            assert_eq!(history.lock().unwrap().1, terms());
            assert_eq!(history.close().unwrap().0.block, 5);
        }
    }
}
