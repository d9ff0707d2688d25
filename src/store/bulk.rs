//! Many rows by one statement.
//!
//! Each statement wakes its connection's thread and is waited for, which takes many times as long as writing a row does. So
//! rows that are written together travel as the `VALUES` of one statement, whose columns are called `column1`, `column2`, ….

use sqlx::{QueryBuilder, Sqlite};

use super::seal::Value;
use super::{Connection, StoreError};

/// Rows of one statement at most: their values stay well below the 32,766 that SQLite lets one statement bind.
const ROWS_LIMIT: usize = 256;

/// Executes `before`, the rows' `VALUES`, and `after`, for all rows in their order. Returns how many rows that changed.
pub(super) async fn execute(
    connection: &mut Connection,
    before: &str,
    mut rows: Vec<Vec<Value>>,
    after: &str,
) -> Result<u64, StoreError> {
    let mut changed = 0;
    while !rows.is_empty() {
        let rest = rows.split_off(ROWS_LIMIT.min(rows.len()));
        let chunk = std::mem::replace(&mut rows, rest);
        // A statement for a number of rows that hardly comes again is not worth its place among those that are kept.
        let is_kept = matches!(chunk.len(), 1 | ROWS_LIMIT);
        let mut statement = QueryBuilder::<Sqlite>::new(before);
        statement.push_values(chunk, |mut row, values| {
            for value in values {
                match value {
                    Value::Null => row.push_bind(None::<i64>),
                    Value::Integer(number) => row.push_bind(number),
                    Value::Text(text) => row.push_bind(text),
                    Value::Blob(bytes) => row.push_bind(bytes),
                };
            }
        });
        statement.push(after);
        changed += statement.build().persistent(is_kept).execute(&mut *connection).await?.rows_affected();
    }
    Ok(changed)
}
