//! Every line of SQL, one file per table. Functions take the caller's connection, so that one verb is one transaction.
//!
//! Reads go to a pool that cannot write; changes go through [`Store::write`] to the one writer, which commits whatever
//! has gathered in a single durable transaction (see [`writer`]). Rows are decoded strictly: a value that cannot be
//! what it claims to be is [`StoreError::Corrupt`], never a default, and a row of money that is not what was written is
//! [`StoreError::Unreadable`] (see [`seal`]).
//!
//! `LIMIT $n + 0`, because SQLite plans for the very number that is bound to a bare `LIMIT $n`, and so prepares the statement
//! anew each time it runs.

pub mod accounts;
pub mod admin_keys;
pub mod api_keys;
pub mod approvals;
pub mod approvers;
pub mod audit;
pub mod backup;
pub mod batches;
pub mod block_times;
pub mod blocks;
mod bulk;
mod column;
pub mod comparison;
pub mod dashboard;
pub mod deliveries;
pub mod due;
pub mod endpoints;
pub mod events;
#[cfg(test)]
mod fate;
pub mod figures;
pub mod filling;
mod gathered;
mod health;
pub mod histories;
pub mod idempotency;
pub mod instance;
mod lookups;
pub mod onboarding;
pub mod operations;
pub mod outcomes;
pub mod pay_links;
pub mod preauths;
mod reader;
pub mod recovery;
pub mod refunds;
mod seal;
#[cfg(test)]
mod seal_tests;
mod sealing;
pub mod tenants;
#[cfg(test)]
mod testing;
pub mod tokens;
pub mod unclaimed;
mod unreadable;
pub mod wallets;
mod writer;

use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures::future::BoxFuture;
use sqlx::migrate::MigrateError;
use sqlx::pool::PoolConnection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Row, Sqlite, SqlitePool, Transaction};
use tokio::sync::watch;

pub use sqlx::SqliteConnection as Connection;

#[cfg(test)]
pub(crate) use fate::Fate;
pub use health::{DiskFault, FaultKind, Health};
pub use lookups::{KeyHolder, Named, WithOpen};
pub use reader::StoreReader;
pub use unreadable::{Steps, Table, UnreadableRow};

use health::Pulse;
use lookups::Lookups;
use writer::Writer;

/// The database's file in the data folder.
const DATABASE_FILE: &str = "preauthd.sqlite";
/// How long a statement waits for another process (a command-line call beside the daemon) that is writing.
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections of the read-only pool.
const READERS: u32 = 8;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("./migrations");

/// A fault of the database. Never an expected ending.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("database: {0}")]
    Database(#[from] sqlx::Error),
    #[error("database migration: {0}")]
    Migration(MigrateError),
    #[error(
        "the database was brought to version {0} by a newer preauthd: run that one, or restore the backup that was made \
         before the upgrade"
    )]
    NewerVersion(i64),
    #[error(
        "the migration of the database to version {0} was left half done, which no preauthd does: restore a backup"
    )]
    HalfMigrated(i64),
    #[error("database row: {0}")]
    Corrupt(String),
    #[error("database: {0}")]
    Unreadable(Box<UnreadableRow>),
    /// Whether it is there after a restart is not known.
    #[error("the change could not be committed: {0}")]
    Commit(DiskFault),
    /// It was not even begun.
    #[error("the database takes no changes for now: {0}")]
    Refused(DiskFault),
    #[error("the database takes no changes")]
    Stopped,
    #[error(
        "the database was written by another version of preauthd; `preauthd serve` brings an older one up to date"
    )]
    OtherVersion,
    #[error("{path}: {source}")]
    File { path: PathBuf, source: std::io::Error },
}

impl StoreError {
    /// Whether a `UNIQUE` rule of the schema refused the change.
    #[must_use]
    pub fn is_unique_violation(&self) -> bool {
        matches!(self, Self::Database(sqlx::Error::Database(error)) if error.is_unique_violation())
    }

    /// Whether what is in the file is not what was written into it.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        match self {
            Self::Corrupt(_) | Self::Unreadable(_) => true,
            Self::Database(error) => {
                DiskFault::of(error).kind == FaultKind::Corrupt
                    || matches!(error, sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_))
            }
            _ => false,
        }
    }
}

impl From<UnreadableRow> for StoreError {
    fn from(row: UnreadableRow) -> Self {
        Self::Unreadable(Box::new(row))
    }
}

impl From<MigrateError> for StoreError {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::VersionMissing(version) => Self::NewerVersion(version),
            MigrateError::Dirty(version) => Self::HalfMigrated(version),
            other => Self::Migration(other),
        }
    }
}

/// The open database. Clones share the same connections.
#[derive(Clone)]
pub struct Store {
    reads: SqlitePool,
    lookups: Lookups,
    writer: Writer,
    pulse: Pulse,
    #[cfg(test)]
    fate: Fate,
}

impl Store {
    /// Whether `folder` holds a database.
    #[must_use]
    pub fn is_in(folder: &Path) -> bool {
        folder.join(DATABASE_FILE).exists()
    }

    /// Deletes the database in `folder`, if there is one. Only `dev` does this, and nobody may have it open.
    ///
    /// # Errors
    /// [`StoreError::File`] when a file cannot be deleted.
    pub fn delete_from(folder: &Path) -> Result<(), StoreError> {
        for suffix in ["", "-wal", "-shm"] {
            let path = folder.join(format!("{DATABASE_FILE}{suffix}"));
            match std::fs::remove_file(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => return Err(StoreError::File { path, source }),
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// Opens (and creates or migrates, and seals) the database in `folder`.
    ///
    /// # Errors
    /// [`StoreError`] when the folder cannot be used or a migration fails.
    pub async fn open(folder: &Path) -> Result<Self, StoreError> {
        let (connection, options) = connect(folder).await?;
        Self::with(connection, options, READERS).await
    }

    /// As [`Self::open`], with so many connections that read: each prepares its statements anew.
    #[cfg(test)]
    pub(crate) async fn open_for(folder: &Path, readers: u32) -> Result<Self, StoreError> {
        let (connection, options) = connect(folder).await?;
        Self::with(connection, options, readers).await
    }

    /// The same database, for one who dies of `fate`; the others live on.
    #[cfg(test)]
    pub(crate) fn of_a_mortal(&self, fate: Fate) -> Self {
        Self { fate, ..self.clone() }
    }

    async fn with(
        connection: Connection,
        options: SqliteConnectOptions,
        readers: u32,
    ) -> Result<Self, StoreError> {
        let reads = SqlitePoolOptions::new()
            .max_connections(readers)
            .test_before_acquire(false)
            .connect_lazy_with(options.read_only(true));
        let pulse = Pulse::default();
        Ok(Self {
            lookups: Lookups::spawn(&reads),
            reads,
            writer: Writer::spawn(connection, pulse.clone()).await?,
            pulse,
            #[cfg(test)]
            fate: Fate::default(),
        })
    }

    /// Opens the database as its daemon does, and brings everything in the write-ahead log into the database's file.
    ///
    /// A daemon that could not make sure of its last commit leaves a log that its system may have in memory and not on disk.
    /// What is read from it must not be built upon before it was written anew.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_as_daemon(folder: &Path) -> Result<Self, StoreError> {
        let (mut connection, options) = connect(folder).await?;
        let moved = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(&mut connection).await?;
        if moved.try_get::<i64, _>("busy")? != 0 {
            tracing::warn!("somebody reads the database: its log could not be emptied at the start");
        }
        Self::with(connection, options, READERS).await
    }

    /// A connection that can only read. It sees everything that was ever answered.
    ///
    /// # Errors
    /// [`StoreError`] when the pool gives none.
    pub async fn read(&self) -> Result<PoolConnection<Sqlite>, StoreError> {
        self.pass().await;
        Ok(self.reads.acquire().await?)
    }

    /// The database as it stands now, for reads that belong together. Not to be held while waiting for anything: the
    /// write-ahead log grows as long.
    ///
    /// # Errors
    /// [`StoreError`] when the pool gives no connection.
    pub async fn snapshot(&self) -> Result<Transaction<'static, Sqlite>, StoreError> {
        self.pass().await;
        Ok(self.reads.begin().await?)
    }

    /// Runs `change` and returns once it is durable. An error undoes this change alone.
    ///
    /// The change must not wait for anything but its own statements: everybody else's changes wait for it.
    ///
    /// # Errors
    /// The change's own error, or a [`StoreError`] when it could not be committed.
    pub async fn write<T, E, F>(&self, change: F) -> Result<T, E>
    where
        F: for<'c> FnOnce(&'c mut Connection) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.pass().await;
        let written = self.writer.write(change).await;
        self.pass().await;
        written
    }

    /// Where a mortal may die: whenever he waits for the database.
    #[allow(clippy::unused_async)]
    async fn pass(&self) {
        #[cfg(test)]
        self.fate.pass().await;
    }

    /// Whether changes can be committed, from now on.
    #[must_use]
    pub fn health(&self) -> watch::Receiver<Health> {
        self.pulse.subscribe()
    }

    /// Draws the conclusion from a fault that somebody met: nothing more is written into a file that is corrupt.
    pub fn examine(&self, error: &StoreError) {
        self.pulse.examine(error);
    }

    /// Resolves when nothing can be written any more: the store was closed, or its writer died.
    pub async fn ended(&self) {
        self.writer.ended().await;
    }

    /// Commits what has gathered, then closes every connection.
    pub async fn close(&self) {
        self.writer.stop().await;
        self.reads.close().await;
    }
}

/// The connection that writes, to a database that is up to date.
async fn connect(folder: &Path) -> Result<(Connection, SqliteConnectOptions), StoreError> {
    std::fs::create_dir_all(folder).map_err(|source| StoreError::File { path: folder.to_owned(), source })?;
    // FULL: a commit is on the disk before anyone is told about it.
    let options = SqliteConnectOptions::new()
        .filename(folder.join(DATABASE_FILE))
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full);
    create_private(&folder.join(DATABASE_FILE))?;
    let mut connection = options.clone().connect().await?;
    MIGRATIONS.run(&mut connection).await?;
    sealing::seal_all(&mut connection).await?;
    Ok((connection, options))
}

/// Makes an empty file that only its owner reads, where there is none: keys that sign may come to lie in it. SQLite gives
/// the files beside it the same mode, and takes an empty file for an empty database.
fn create_private(path: &Path) -> Result<(), StoreError> {
    let made = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match made {
        Err(source) if source.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(StoreError::File { path: path.to_owned(), source })
        }
        _ => Ok(()),
    }
}
