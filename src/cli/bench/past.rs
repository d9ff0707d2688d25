//! A past for the daemon that is measured: preauthorizations that were settled long ago, as many as are asked for.
//!
//! They are in the database and not on chain, whose first block comes after theirs. No part of a daemon asks the chain about what
//! was closed so long ago: the comparison on a schedule looks at what is open and at what has changed since its last look.

use std::path::Path;

use alloy::primitives::keccak256;
use anyhow::Context;
use uuid::Uuid;

use super::subject::{AMOUNT, HOLD, SETTLED, SETTLED_AMOUNT};
use crate::chain::wall_now;
use crate::cli::dev::Saved;
use crate::model::{
    Account, ChainTime, InvoiceId, Millis, Preauth, PreauthKey, PreauthStatus, Settlement, TenantId,
    TokenAmount, derive_preauth_id,
};
use crate::store::filling::{Carrier, Lot, fill};

/// As many as one transaction carries.
const PER_LOT: u64 = 240;
/// One was created each second, the last of them so long ago.
const AGE_S: u64 = 40 * 86_400;
const DAY_S: u64 = 86_400;
const GAS_EACH: u64 = 45_000;
const GAS_PRICE: u128 = 1_000_000_000;

/// The first block that is not taken by the past of so many rows.
pub(super) fn blocks(rows: u64) -> u64 {
    rows.div_ceil(PER_LOT) * 2
}

/// Writes so many rows into the database of a `dev` that does not run.
pub(super) async fn write(folder: &Path, saved: &Saved, rows: u64) -> anyhow::Result<()> {
    let past = Past::of(saved, rows)?;
    let lots = (0..rows.div_ceil(PER_LOT)).map_while(|number| past.lot(number));
    fill(folder, lots).await.context("filling the database")
}

struct Past<'a> {
    saved: &'a Saved,
    rows: u64,
    tenant: TenantId,
    senders: Vec<Account>,
    receiver: Account,
    amount: TokenAmount,
    settlement: Settlement,
    /// When the first was created.
    begin: ChainTime,
}

impl<'a> Past<'a> {
    fn of(saved: &'a Saved, rows: u64) -> anyhow::Result<Self> {
        let now = u64::try_from(wall_now().0 / 1_000).context("the clock stands before 1970")?;
        let receiver = saved.receivers.first().context("dev has no receiver")?.address;
        Ok(Self {
            saved,
            rows,
            tenant: TenantId(saved.tenant.parse().context("dev's tenant")?),
            senders: saved.senders.iter().map(|sender| Account::from_address(sender.address)).collect(),
            receiver: Account::from_address(receiver),
            amount: TokenAmount::parse(AMOUNT)?,
            settlement: Settlement { amount: SETTLED, written: TokenAmount::parse(SETTLED_AMOUNT)? },
            begin: ChainTime(now.saturating_sub(AGE_S + rows)),
        })
    }

    /// Those that came and went together; `None` beyond the last.
    fn lot(&self, number: u64) -> Option<Lot> {
        let first = number * PER_LOT;
        let end = (first + PER_LOT).min(self.rows);
        let carrier = |part: u64| Carrier {
            operator: self.saved.admin,
            nonce: number * 2 + part,
            escrow: self.saved.escrow,
            raw: format!("transaction {} of long ago", number * 2 + part).into_bytes().into(),
            block: number * 2 + part,
            // It was sent when the last of them was there.
            time: self.begin.saturating_add(end + part),
            gas_used: (end - first) * GAS_EACH,
            gas_price: GAS_PRICE,
        };
        let (lock, close) = (carrier(0), carrier(1));
        let preauths: Option<Vec<Preauth>> =
            (first..end).map(|number| self.preauth(number, &lock, &close)).collect();
        Some(Lot { preauths: preauths.filter(|preauths| !preauths.is_empty())?, lock, close })
    }

    fn preauth(&self, number: u64, lock: &Carrier, close: &Carrier) -> Option<Preauth> {
        let invoice = InvoiceId::parse(&format!("LONG-AGO-{number}")).ok()?;
        let sender = usize::try_from(number).ok()?.checked_rem(self.senders.len())?;
        let created = self.begin.saturating_add(number);
        Some(Preauth {
            key: PreauthKey(0),
            transaction_id: Uuid::now_v7(),
            tenant: self.tenant,
            preauth_id: derive_preauth_id(self.tenant, &invoice),
            invoice,
            escrow: self.saved.escrow,
            sender: self.senders.get(sender)?.clone(),
            receiver: self.receiver.clone(),
            token: Account::from_address(self.saved.token.address),
            decimals: self.saved.token.decimals,
            amount: self.amount,
            hold: HOLD,
            expires_at: created.saturating_add(DAY_S),
            consent: Default::default(),
            status: PreauthStatus::Settled,
            cancel_requested: false,
            schedule: None,
            settlement: Some(self.settlement),
            lock_transaction: Some(keccak256(&lock.raw)),
            close_transaction: Some(keccak256(&close.raw)),
            deferred_refund: None,
            failure: None,
            created_at: millis(created),
            updated_at: millis(close.time),
        })
    }
}

fn millis(time: ChainTime) -> Millis {
    Millis(time.as_i64().saturating_mul(1_000))
}
