//! The database as somebody beside the daemon sees it who only looks.

use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{Sqlite, SqlitePool, Transaction};

use super::{BUSY_TIMEOUT, DATABASE_FILE, MIGRATIONS, StoreError, sealing};

/// An open database that cannot be written to.
pub struct StoreReader {
    reads: SqlitePool,
}

impl StoreReader {
    /// Opens the database in `folder`.
    ///
    /// # Errors
    /// [`StoreError::OtherVersion`] when its tables are not those of this version, or another fault.
    pub async fn open(folder: &Path) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(folder.join(DATABASE_FILE))
            .busy_timeout(BUSY_TIMEOUT)
            .read_only(true);
        let reads = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
        let applied: Vec<i64> =
            sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success ORDER BY version")
                .fetch_all(&reads)
                .await?;
        let is_ours = applied.into_iter().eq(MIGRATIONS.iter().map(|migration| migration.version));
        if !is_ours || !sealing::is_done(&mut *reads.acquire().await?).await? {
            return Err(StoreError::OtherVersion);
        }
        Ok(Self { reads })
    }

    /// The database as it stands now: what is read through one snapshot belongs together, whatever the daemon writes
    /// meanwhile. Not to be held while waiting for the node, because the write-ahead log grows as long.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn snapshot(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        Ok(self.reads.begin().await?)
    }
}
