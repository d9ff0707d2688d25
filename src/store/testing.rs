//! Only in tests: how SQLite goes about a query.

use sqlx::Row;

use super::Connection;

/// The steps of a query's plan, as SQLite words them.
pub(super) async fn plan_of(connection: &mut Connection, sql: &str) -> Vec<String> {
    let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
    let rows = sqlx::query(explain).fetch_all(connection).await.unwrap();
    rows.iter().map(|row| row.try_get("detail").unwrap()).collect()
}
