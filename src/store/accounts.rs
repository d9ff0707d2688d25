//! What the reports add up: the outcomes of a range of blocks, and the batches that were mined in it with what they carried.
//!
//! Both begin at the blocks, by their indexes, whatever else the tables hold: SQLite takes the tables of a CROSS JOIN in the
//! order in which they are written. Pages are bounded; amounts are not read here but from the preauths, by rows whose seals
//! are verified.

use std::ops::RangeInclusive;

use alloy::primitives::Address;
use sqlx::Row;

use super::column::{corrupt, parsed, signed, unsigned, word};
use super::outcomes::OutcomeKind;
use super::{Connection, StoreError};
use crate::model::{BatchId, PreauthKey, TenantId};

const OUTCOMES: &str = "SELECT o.block_number, o.log_index, o.kind, o.preauth
     FROM outcomes o CROSS JOIN preauths p
     WHERE o.block_number >= $1 AND o.block_number <= $2 AND (o.block_number, o.log_index) > ($3, $4)
       AND p.id = o.preauth AND ($5 IS NULL OR p.tenant_id = $5) AND ($6 IS NULL OR p.token = $6)
       AND ($7 IS NULL OR p.receiver = $7)
     ORDER BY o.block_number, o.log_index LIMIT $8 + 0";

const MINED: &str = "SELECT id, mined_block, gas_used, effective_gas_price FROM batches
     WHERE mined_block >= $1 AND mined_block <= $2 AND (mined_block, id) > ($3, $4) AND state = 'mined'
     ORDER BY mined_block, id LIMIT $5 + 0";

const ITEMS: &str = "SELECT o.preauth,
            ($2 IS NULL OR p.tenant_id = $2) AND ($3 IS NULL OR p.token = $3) AND ($4 IS NULL OR p.receiver = $4) AS wanted
     FROM batch_items i CROSS JOIN operations o CROSS JOIN preauths p
     WHERE i.batch_id = $1 AND o.id = i.operation_id AND p.id = o.preauth ORDER BY i.position";

/// What a batch without operations claimed is its sender's, in the order of the preauths.
const CLAIMED: &str = "SELECT i.preauth,
            ($2 IS NULL OR p.tenant_id = $2) AND ($3 IS NULL OR p.token = $3) AND ($4 IS NULL OR p.receiver = $4) AS wanted
     FROM claim_items i CROSS JOIN preauths p WHERE i.batch_id = $1 AND p.id = i.preauth ORDER BY i.preauth";

/// Whose preauths count. What is absent lets everything pass.
#[derive(Debug, Clone, Copy, Default)]
pub struct Scope {
    pub tenant: Option<TenantId>,
    pub token: Option<Address>,
    pub receiver: Option<Address>,
}

/// Where a page ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place(i64, i64);

impl Place {
    pub const START: Self = Self(-1, i64::MIN);
}

/// An outcome, and the preauth it is about.
pub type Happened = (OutcomeKind, PreauthKey);

/// Outcomes of a range of blocks, in the chain's order; and where to go on, `None` at the end.
pub async fn outcomes(
    connection: &mut Connection,
    blocks: &RangeInclusive<u64>,
    scope: &Scope,
    after: Place,
    limit: u32,
) -> Result<(Vec<Happened>, Option<Place>), StoreError> {
    let tenant = scope.tenant.map(|tenant| tenant.0);
    let rows = sqlx::query(OUTCOMES)
        .bind(signed(*blocks.start())?)
        .bind(signed(*blocks.end())?)
        .bind(after.0)
        .bind(after.1)
        .bind(tenant.as_ref().map(|tenant| tenant.as_bytes().as_slice()))
        .bind(scope.token.as_ref().map(|address| address.as_slice()))
        .bind(scope.receiver.as_ref().map(|address| address.as_slice()))
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await?;
    let is_full = u32::try_from(rows.len()).is_ok_and(|count| count >= limit);
    let last = rows.last().filter(|_| is_full);
    let place = last
        .map(|row| Ok::<_, StoreError>(Place(row.try_get("block_number")?, row.try_get("log_index")?)))
        .transpose()?;
    let happened = rows
        .iter()
        .map(|row| Ok((word(row, "kind", OutcomeKind::parse)?, PreauthKey(row.try_get("preauth")?))));
    Ok((happened.collect::<Result<_, StoreError>>()?, place))
}

/// A batch that was mined, and what its transaction cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MinedBatch {
    pub id: BatchId,
    /// Wei: the gas used at its effective price.
    pub fee: u128,
}

/// Batches that were mined in a range of blocks, in the chain's order; and where to go on, `None` at the end.
pub async fn mined(
    connection: &mut Connection,
    blocks: &RangeInclusive<u64>,
    after: Place,
    limit: u32,
) -> Result<(Vec<MinedBatch>, Option<Place>), StoreError> {
    let rows = sqlx::query(MINED)
        .bind(signed(*blocks.start())?)
        .bind(signed(*blocks.end())?)
        .bind(after.0)
        .bind(after.1)
        .bind(i64::from(limit))
        .fetch_all(connection)
        .await?;
    let is_full = u32::try_from(rows.len()).is_ok_and(|count| count >= limit);
    let last = rows.last().filter(|_| is_full);
    let place = last
        .map(|row| Ok::<_, StoreError>(Place(row.try_get("mined_block")?, row.try_get("id")?)))
        .transpose()?;
    let mined = rows.iter().map(|row| {
        let price: u128 = parsed(row, "effective_gas_price")?;
        let fee = u128::from(unsigned(row, "gas_used")?).checked_mul(price);
        let fee = fee.ok_or_else(|| corrupt("effective_gas_price", "no fee is that high"))?;
        Ok(MinedBatch { id: BatchId(row.try_get("id")?), fee })
    });
    Ok((mined.collect::<Result<_, StoreError>>()?, place))
}

/// The preauths of a batch's operations, in the order in which they travelled, or of what it claimed; `None` for those that
/// do not count.
pub async fn carried(
    connection: &mut Connection,
    batch: BatchId,
    scope: &Scope,
) -> Result<Vec<Option<PreauthKey>>, StoreError> {
    let operations = carried_as(connection, ITEMS, batch, scope).await?;
    if operations.is_empty() { carried_as(connection, CLAIMED, batch, scope).await } else { Ok(operations) }
}

async fn carried_as(
    connection: &mut Connection,
    sql: &'static str,
    batch: BatchId,
    scope: &Scope,
) -> Result<Vec<Option<PreauthKey>>, StoreError> {
    let tenant = scope.tenant.map(|tenant| tenant.0);
    let rows = sqlx::query(sql)
        .bind(batch.0)
        .bind(tenant.as_ref().map(|tenant| tenant.as_bytes().as_slice()))
        .bind(scope.token.as_ref().map(|address| address.as_slice()))
        .bind(scope.receiver.as_ref().map(|address| address.as_slice()))
        .fetch_all(connection)
        .await?;
    let carried = rows.iter().map(|row| {
        let is_wanted = row.try_get::<i64, _>("wanted")? != 0;
        Ok(is_wanted.then_some(PreauthKey(row.try_get("preauth")?)))
    });
    carried.collect()
}

#[cfg(test)]
mod tests {
    use super::super::Store;
    use super::super::testing::plan_of;
    use super::*;

    /// Every step of the plan finds its rows by an index, and nothing is sorted: a day of a database of any size costs what
    /// happened on that day.
    #[tokio::test]
    async fn a_report_finds_its_rows_by_indexes() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        let mut reader = store.read().await.unwrap();
        let plans = [
            (OUTCOMES, "SEARCH o USING INDEX sqlite_autoindex_outcomes_1"),
            (OUTCOMES, "SEARCH p USING INTEGER PRIMARY KEY"),
            (MINED, "SEARCH batches USING INDEX batches_by_block"),
            (ITEMS, "SEARCH i USING"),
            (CLAIMED, "SEARCH i USING"),
            (ITEMS, "SEARCH o USING INTEGER PRIMARY KEY"),
            (ITEMS, "SEARCH p USING INTEGER PRIMARY KEY"),
            (
                "SELECT MIN(number) AS first, MAX(number) AS last FROM block_times WHERE at >= $1 AND at < $2",
                "SEARCH block_times USING COVERING INDEX block_times_by_time",
            ),
        ];
        for (sql, step) in plans {
            let plan = plan_of(&mut reader, sql).await;
            assert!(plan.iter().any(|line| line.starts_with(step)), "{step}: {plan:?}");
            let is_slow = |line: &String| line.starts_with("SCAN") || line.contains("TEMP B-TREE");
            assert!(!plan.iter().any(is_slow), "{plan:?}");
        }
    }
}
