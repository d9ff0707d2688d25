//! The database as somebody beside the daemon sees it who only looks.

use std::path::Path;

use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{Row, Sqlite, SqlitePool, Transaction};

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
        let version: Option<i64> = sqlx::query("SELECT MAX(version) FROM _sqlx_migrations WHERE success")
            .fetch_one(&reads)
            .await?
            .try_get(0)?;
        let is_ours = version == MIGRATIONS.iter().map(|migration| migration.version).max();
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
