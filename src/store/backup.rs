//! Copies of the database, and whether a copy is sound.
//!
//! A copy is worth what it can be restored to, so a file gets its name only after it was read back as a whole: SQLite's own
//! check of its structure, every reference between rows, and the seal of every row that is money.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use alloy::primitives::Address;
use sqlx::sqlite::{SqliteConnectOptions, SqliteRow};
use sqlx::{ConnectOptions, Connection as _, Row};

use super::{
    BUSY_TIMEOUT, Connection, DATABASE_FILE, MIGRATIONS, StoreError, batches, blocks, comparison,
    create_private, instance, operations, pay_links, sealing, tokens,
};
use crate::model::{Findings, OperationId, PreauthKey, PreauthStatus, Token};

/// Rows that are read at once.
const PAGE: u32 = 1_000;

/// What a database's file holds, as far as it can be read.
#[derive(Debug, Default)]
pub struct Inspection {
    /// The chain it belongs to; `None` before a daemon's first start.
    pub chain_id: Option<u64>,
    /// The newest block that was taken in.
    pub block: Option<u64>,
    pub preauths: BTreeMap<&'static str, u64>,
    /// Open holds by escrow and token, in base units.
    pub held: BTreeMap<(Address, Address), u128>,
    pub tokens: Vec<Token>,
    /// What is damaged.
    pub faults: Findings<String>,
}

impl Inspection {
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.faults.count == 0
    }

    /// Keeps what was read, or the fault where it could not be because of damage.
    fn take<T>(&mut self, what: &str, read: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
        match read {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.is_damage() => {
                self.faults.add(format!("{what}: {error}"));
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// How a backup ended.
#[derive(Debug)]
pub enum Backup {
    /// The file is there, and sound.
    Made(Inspection),
    /// What was copied is damaged; it stays under this name.
    Damaged(PathBuf, Inspection),
}

/// Copies the database in `folder`, beside its running daemon, into `file`, which must not be there yet.
///
/// # Errors
/// [`StoreError`] when it cannot be copied; nothing is left behind then.
pub async fn back_up(folder: &Path, file: &Path) -> Result<Backup, StoreError> {
    if file.exists() {
        let source = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
        return Err(StoreError::File { path: file.to_owned(), source });
    }
    let mut partial = file.as_os_str().to_owned();
    partial.push(".partial");
    let partial = PathBuf::from(partial);
    // Left by a backup that did not come to its end.
    remove(&partial)?;
    let copied = copy(folder, &partial).await;
    if copied.is_err() {
        remove(&partial)?;
    }
    copied?;
    let inspection = inspect(&partial).await?;
    if !inspection.is_sound() {
        return Ok(Backup::Damaged(partial, inspection));
    }
    std::fs::rename(&partial, file).map_err(at(file))?;
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    sync(parent)?;
    Ok(Backup::Made(inspection))
}

async fn copy(folder: &Path, partial: &Path) -> Result<(), StoreError> {
    let name = partial.to_str().ok_or_else(|| {
        let source = std::io::Error::new(std::io::ErrorKind::InvalidFilename, "must be UTF-8");
        at(partial)(source)
    })?;
    let mut connection = open(&folder.join(DATABASE_FILE)).await?;
    create_private(partial)?;
    // One snapshot, whatever the daemon writes meanwhile.
    sqlx::query("VACUUM INTO $1").bind(name).execute(&mut connection).await?;
    connection.close().await?;
    // SQLite leaves that to the system.
    sync(partial)
}

/// Reads a database's file as a whole and changes nothing.
///
/// # Errors
/// [`StoreError`] where nothing can be said about it: it is not there, cannot be opened, or is of another version.
pub async fn inspect(file: &Path) -> Result<Inspection, StoreError> {
    std::fs::metadata(file).map_err(at(file))?;
    let mut inspection = Inspection::default();
    let opened = open(file).await;
    if let Some(mut connection) = inspection.take("the file", opened)? {
        let version = check_version(&mut connection).await;
        if inspection.take("the schema", version)?.is_some() {
            // What is read belongs together, also where the file is a database at work.
            let mut snapshot = connection.begin().await?;
            check_structure(&mut snapshot, &mut inspection).await?;
            read_rows(&mut snapshot, &mut inspection).await?;
            snapshot.rollback().await?;
        }
    }
    Ok(inspection)
}

async fn open(file: &Path) -> Result<Connection, StoreError> {
    let options = SqliteConnectOptions::new().filename(file).busy_timeout(BUSY_TIMEOUT).read_only(true);
    Ok(options.connect().await?)
}

async fn check_version(connection: &mut Connection) -> Result<(), StoreError> {
    let version: Option<i64> = sqlx::query("SELECT MAX(version) FROM _sqlx_migrations WHERE success")
        .fetch_one(&mut *connection)
        .await?
        .try_get(0)?;
    let is_ours = version == MIGRATIONS.iter().map(|migration| migration.version).max();
    if is_ours && sealing::is_done(connection).await? { Ok(()) } else { Err(StoreError::OtherVersion) }
}

async fn check_structure(connection: &mut Connection, found: &mut Inspection) -> Result<(), StoreError> {
    let lines = sqlx::query("PRAGMA integrity_check(100)").fetch_all(&mut *connection).await;
    for line in found.take("structure", lines.map_err(Into::into))?.unwrap_or_default() {
        let line: String = line.try_get(0)?;
        if line != "ok" {
            found.faults.add(format!("structure: {line}"));
        }
    }
    let strays = sqlx::query("PRAGMA foreign_key_check").fetch_all(connection).await;
    for stray in found.take("references", strays.map_err(Into::into))?.unwrap_or_default() {
        found.faults.add(stray_reference(&stray)?);
    }
    Ok(())
}

fn stray_reference(row: &SqliteRow) -> Result<String, StoreError> {
    let (table, parent): (String, String) = (row.try_get("table")?, row.try_get("parent")?);
    let id: Option<i64> = row.try_get("rowid")?;
    Ok(format!("{table} row {}: the row of {parent} that it names is not there", id.unwrap_or_default()))
}

async fn read_rows(connection: &mut Connection, found: &mut Inspection) -> Result<(), StoreError> {
    let chain_id = instance::chain_id(connection).await;
    found.chain_id = found.take("instance", chain_id)?.flatten();
    let tip = blocks::tip(connection).await;
    found.block = found.take("blocks", tip)?.flatten().map(|block| block.number);
    let tokens = tokens::all(connection).await;
    found.tokens = found.take("tokens", tokens)?.unwrap_or_default();
    read_preauths(connection, found).await?;
    read_operations(connection, found).await?;
    read_pay_links(connection, found).await?;
    let attempts = batches::unreadable_attempts(connection).await;
    for row in found.take("attempts", attempts)?.unwrap_or_default() {
        found.faults.add(row.to_string());
    }
    Ok(())
}

async fn read_preauths(connection: &mut Connection, found: &mut Inspection) -> Result<(), StoreError> {
    let mut after = PreauthKey(0);
    loop {
        let page = comparison::page_of_all(connection, after, PAGE).await;
        let page = found.take("preauths", page)?.unwrap_or_default();
        if page.is_empty() {
            return Ok(());
        }
        for row in page {
            match row {
                Ok(preauth) => {
                    after = preauth.key;
                    *found.preauths.entry(preauth.status.as_str()).or_default() += 1;
                    if preauth.status == PreauthStatus::Authorized {
                        let held = found.held.entry((preauth.escrow, preauth.token.address())).or_default();
                        *held = held.saturating_add(preauth.hold.get());
                    }
                }
                Err(row) => {
                    after = PreauthKey(row.id);
                    found.faults.add(row.to_string());
                }
            }
        }
    }
}

async fn read_operations(connection: &mut Connection, found: &mut Inspection) -> Result<(), StoreError> {
    let mut after = OperationId(0);
    loop {
        let page = operations::page_of_all(connection, after, PAGE).await;
        let page = found.take("operations", page)?.unwrap_or_default();
        if page.is_empty() {
            return Ok(());
        }
        for row in page {
            after = row.as_ref().map_or_else(|row| OperationId(row.id), |operation| operation.id);
            if let Err(row) = row {
                found.faults.add(row.to_string());
            }
        }
    }
}

async fn read_pay_links(connection: &mut Connection, found: &mut Inspection) -> Result<(), StoreError> {
    let mut next = Some(0);
    while let Some(after) = next {
        let page = pay_links::unreadable_after(connection, after, PAGE).await;
        let (unreadable, last) = found.take("pay_links", page)?.unwrap_or_default();
        unreadable.iter().for_each(|row| found.faults.add(row.to_string()));
        next = last;
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), StoreError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(at(path)(error)),
        _ => Ok(()),
    }
}

/// Makes sure that a file, or the names in a folder, are on the disk.
fn sync(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(at(path))
}

fn at(path: &Path) -> impl FnOnce(std::io::Error) -> StoreError + use<> {
    let path = path.to_owned();
    move |source| StoreError::File { path, source }
}
