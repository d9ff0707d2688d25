//! What the escrows' logs say, put in order by preauth id, to compare a database with the chain: logs come by block, rows by
//! key, and neither fits the memory. A database of its own that nobody else sees, on disk where it grows, gone when dropped.

use alloy::primitives::{Address, B256};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection as _, Row};
use tokio::sync::Mutex;

use super::column::{address, b256, base_units, corrupt, signed, unsigned};
use super::{Connection, StoreError};
use crate::model::{BaseUnits, ChainTime, History, HoldEvent, HoldLog, Terms};

const TABLES: [&str; 3] = [
    "CREATE TABLE hold_logs (
         place            INTEGER PRIMARY KEY,
         escrow           BLOB NOT NULL,
         preauth_id       BLOB NOT NULL,
         block_number     INTEGER NOT NULL,
         log_index        INTEGER NOT NULL,
         transaction_hash BLOB NOT NULL,
         time             INTEGER,
         kind             TEXT NOT NULL,
         amount           TEXT,
         sender           BLOB,
         receiver         BLOB,
         token            BLOB,
         expires_at       INTEGER
     )",
    "CREATE INDEX hold_logs_by_preauth ON hold_logs (preauth_id, escrow)",
    "CREATE INDEX hold_logs_by_block ON hold_logs (escrow, block_number)",
];

/// A log's place among all that were kept: where a walk over the locks goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place(i64);

impl Place {
    pub const START: Self = Self(0);
}

/// The logs, by preauth id.
pub struct Histories {
    connection: Mutex<Connection>,
}

impl Histories {
    /// An empty one.
    ///
    /// # Errors
    /// [`StoreError`] when no temporary database can be made.
    pub async fn open() -> Result<Self, StoreError> {
        // An empty name is SQLite's private temporary database; what a crash leaves of it, nobody reads.
        let options = SqliteConnectOptions::new()
            .filename("")
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Memory)
            .synchronous(SqliteSynchronous::Off);
        let mut connection = options.connect().await?;
        for table in TABLES {
            sqlx::query(table).execute(&mut connection).await?;
        }
        Ok(Self { connection: Mutex::new(connection) })
    }

    /// Keeps logs of an escrow. Each log is to be given once, or forgotten before.
    pub async fn keep(&self, escrow: Address, logs: &[HoldLog]) -> Result<(), StoreError> {
        let mut connection = self.connection.lock().await;
        let mut transaction = connection.begin().await?;
        for log in logs {
            insert(&mut transaction, escrow, log).await?;
        }
        Ok(transaction.commit().await?)
    }

    /// Forgets an escrow's logs of block `first` and above.
    pub async fn forget_from(&self, escrow: Address, first: u64) -> Result<(), StoreError> {
        sqlx::query("DELETE FROM hold_logs WHERE escrow = $1 AND block_number >= $2")
            .bind(escrow.as_slice())
            .bind(signed(first)?)
            .execute(&mut *self.connection.lock().await)
            .await?;
        Ok(())
    }

    /// Everything about one preauth id.
    pub async fn of(&self, escrow: Address, preauth_id: B256) -> Result<History, StoreError> {
        let rows = sqlx::query("SELECT * FROM hold_logs WHERE preauth_id = $1 AND escrow = $2")
            .bind(preauth_id.as_slice())
            .bind(escrow.as_slice())
            .fetch_all(&mut *self.connection.lock().await)
            .await?;
        Ok(History::new(rows.iter().map(decode).collect::<Result<_, _>>()?))
    }

    /// The newest escrow that locked a hold of this name.
    pub async fn escrow_of(&self, preauth_id: B256) -> Result<Option<Address>, StoreError> {
        let row = sqlx::query(
            "SELECT escrow FROM hold_logs WHERE preauth_id = $1 AND kind = 'locked' ORDER BY place DESC LIMIT 1",
        )
        .bind(preauth_id.as_slice())
        .fetch_optional(&mut *self.connection.lock().await)
        .await?;
        row.map(|row| address(&row, "escrow")).transpose()
    }

    /// A page of the locks, in the order in which they were kept: place, escrow and preauth id.
    pub async fn locks_after(
        &self,
        place: Place,
        limit: u32,
    ) -> Result<Vec<(Place, Address, B256)>, StoreError> {
        let rows = sqlx::query(
            "SELECT place, escrow, preauth_id FROM hold_logs
             WHERE place > $1 AND kind = 'locked' ORDER BY place LIMIT $2 + 0",
        )
        .bind(place.0)
        .bind(i64::from(limit))
        .fetch_all(&mut *self.connection.lock().await)
        .await?;
        rows.iter()
            .map(|row| Ok((Place(row.try_get("place")?), address(row, "escrow")?, b256(row, "preauth_id")?)))
            .collect()
    }
}

async fn insert(connection: &mut Connection, escrow: Address, log: &HoldLog) -> Result<(), StoreError> {
    let (kind, amount, terms) = match log.event {
        HoldEvent::Locked(terms) => ("locked", Some(terms.hold), Some(terms)),
        HoldEvent::Settled(amount) => ("settled", Some(amount), None),
        HoldEvent::Cancelled => ("cancelled", None, None),
        HoldEvent::Expired => ("expired", None, None),
        HoldEvent::RefundDeferred(amount) => ("refund_deferred", Some(amount), None),
    };
    sqlx::query(
        "INSERT INTO hold_logs (escrow, preauth_id, block_number, log_index, transaction_hash, time, kind, amount,
             sender, receiver, token, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
    )
    .bind(escrow.as_slice())
    .bind(log.preauth_id.as_slice())
    .bind(signed(log.block)?)
    .bind(signed(log.index)?)
    .bind(log.transaction.as_slice())
    .bind(log.time.map(ChainTime::as_i64))
    .bind(kind)
    .bind(amount.map(|amount: BaseUnits| amount.to_string()))
    .bind(terms.as_ref().map(|terms| terms.sender.as_slice()))
    .bind(terms.as_ref().map(|terms| terms.receiver.as_slice()))
    .bind(terms.as_ref().map(|terms| terms.token.as_slice()))
    .bind(terms.map(|terms| terms.expires_at.as_i64()))
    .execute(connection)
    .await?;
    Ok(())
}

fn decode(row: &SqliteRow) -> Result<HoldLog, StoreError> {
    let preauth_id = b256(row, "preauth_id")?;
    let event = match row.try_get::<&str, _>("kind")? {
        "locked" => HoldEvent::Locked(Terms {
            sender: address(row, "sender")?,
            receiver: address(row, "receiver")?,
            token: address(row, "token")?,
            hold: base_units(row, "amount")?,
            expires_at: ChainTime::from_i64(row.try_get("expires_at")?),
            preauth_id,
        }),
        "settled" => HoldEvent::Settled(base_units(row, "amount")?),
        "cancelled" => HoldEvent::Cancelled,
        "expired" => HoldEvent::Expired,
        "refund_deferred" => HoldEvent::RefundDeferred(base_units(row, "amount")?),
        other => return Err(corrupt("kind", format_args!("{other:?} is no known word"))),
    };
    Ok(HoldLog {
        preauth_id,
        block: unsigned(row, "block_number")?,
        index: unsigned(row, "log_index")?,
        transaction: b256(row, "transaction_hash")?,
        time: row.try_get::<Option<i64>, _>("time")?.map(ChainTime::from_i64),
        event,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ESCROW: Address = Address::repeat_byte(9);
    const OTHER: Address = Address::repeat_byte(8);

    fn log(id: u8, block: u64, event: HoldEvent) -> HoldLog {
        let (preauth_id, transaction) = (B256::repeat_byte(id), B256::repeat_byte(0xaa));
        HoldLog { preauth_id, block, index: 2, transaction, time: Some(ChainTime(block)), event }
    }

    fn lock(id: u8, block: u64) -> HoldLog {
        let terms = Terms {
            sender: Address::repeat_byte(1),
            receiver: Address::repeat_byte(2),
            token: Address::repeat_byte(3),
            hold: BaseUnits::new((1 << 96) - 1).unwrap(),
            expires_at: ChainTime(100),
            preauth_id: B256::repeat_byte(id),
        };
        log(id, block, HoldEvent::Locked(terms))
    }

    #[tokio::test]
    async fn what_was_kept_is_read_again_by_escrow_and_preauth_id() {
        let histories = Histories::open().await.unwrap();
        let amount = BaseUnits::new(5).unwrap();
        let closes = [HoldEvent::Settled(amount), HoldEvent::Cancelled, HoldEvent::Expired];
        let mut all = vec![log(1, 9, HoldEvent::RefundDeferred(amount))];
        for (id, event) in (1..).zip(closes) {
            all.extend([lock(id, u64::from(id)), log(id, 8, event)]);
        }
        histories.keep(ESCROW, &all).await.unwrap();
        histories.keep(OTHER, &[lock(1, 5)]).await.unwrap();
        for id in 1..=3 {
            let of_id = all.iter().filter(|log| log.preauth_id == B256::repeat_byte(id)).copied().collect();
            assert_eq!(histories.of(ESCROW, B256::repeat_byte(id)).await.unwrap(), History::new(of_id));
        }
        assert_eq!(histories.of(OTHER, B256::repeat_byte(1)).await.unwrap(), History::new(vec![lock(1, 5)]));
        assert_eq!(histories.of(ESCROW, B256::repeat_byte(7)).await.unwrap(), History::default());

        histories.forget_from(ESCROW, 9).await.unwrap();
        assert_eq!(histories.of(ESCROW, B256::repeat_byte(1)).await.unwrap().deferred_refund(), None);
        let (first, rest) = (histories.locks_after(Place::START, 3).await.unwrap(), 3);
        let last = first.last().unwrap().0;
        let ids =
            |page: &[(Place, Address, B256)]| page.iter().map(|(_, at, id)| (*at, *id)).collect::<Vec<_>>();
        assert_eq!(ids(&first), (1..=3).map(|id| (ESCROW, B256::repeat_byte(id))).collect::<Vec<_>>());
        assert_eq!(ids(&histories.locks_after(last, rest).await.unwrap()), [(OTHER, B256::repeat_byte(1))]);
    }
}
