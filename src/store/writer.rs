//! The group commit.
//!
//! A durable commit costs one fsync, however much it holds. So one task owns the only connection that writes; callers
//! hand it their changes; it runs all that have gathered, each in a savepoint of one transaction, commits once, and
//! only then answers. Idle, a change waits for nobody; busy, one fsync serves hundreds.

use std::iter::Peekable;
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use sqlx::{Connection as _, SqliteConnection};
use tokio::sync::{mpsc, oneshot};
use tracing::{Instrument, Span};

use super::StoreError;
use super::health::{DiskFault, FaultKind, Pulse};

/// Changes of one commit at most: bounds how long the first of them waits for the last.
const GROUP_LIMIT: usize = 512;
/// Changes that may wait before callers have to.
const QUEUE_LIMIT: usize = 8_192;
/// How long one try waits for another process that is writing, before that is called a trouble.
const LOCK_PATIENCE: Duration = Duration::from_secs(2);
/// Tries after which a group gives up waiting.
const LOCK_TRIES: u32 = 15;
/// How often it is tried out whether a trouble is over, where nobody else tries it.
const PROBE: Duration = Duration::from_secs(1);

/// The group's transaction, and the savepoint of its first change. Statements that go together are sent together: each
/// send wakes SQLite's thread, and that takes longer than the statement does.
const BEGIN: &str = "BEGIN IMMEDIATE; SAVEPOINT change";
/// From one change to the next. The commit releases the last.
const NEXT: &str = "RELEASE change; SAVEPOINT change";

/// Tells the caller what became of his change, once the commit has succeeded or failed.
type Answer = Box<dyn FnOnce(Result<(), DiskFault>) + Send>;

/// A finished change: whether to keep it, and whom to tell.
struct Ran {
    keep: bool,
    answer: Answer,
}

/// A change, to be run in the group's transaction, or to be refused because there is none.
type Run = Box<dyn for<'c> FnOnce(Result<&'c mut SqliteConnection, DiskFault>) -> BoxFuture<'c, Ran> + Send>;

enum Message {
    Change(Run),
    Stop(oneshot::Sender<()>),
}

#[derive(Clone)]
pub(super) struct Writer {
    queue: mpsc::Sender<Message>,
}

impl Writer {
    pub(super) async fn spawn(mut connection: SqliteConnection, pulse: Pulse) -> Result<Self, StoreError> {
        let patience = format!("PRAGMA busy_timeout = {}", LOCK_PATIENCE.as_millis());
        sqlx::query(sqlx::AssertSqlSafe(patience)).execute(&mut connection).await?;
        let (queue, changes) = mpsc::channel(QUEUE_LIMIT);
        tokio::spawn(run(connection, changes, pulse));
        Ok(Self { queue })
    }

    pub(super) async fn write<T, E, F>(&self, change: F) -> Result<T, E>
    where
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> BoxFuture<'c, Result<T, E>> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (tell, told) = oneshot::channel();
        // What is written and logged in the writer's task belongs to the caller all the same.
        let span = Span::current();
        let run: Run = Box::new(move |connection| {
            async move {
                let result = match connection {
                    Ok(connection) => change(connection).await,
                    Err(fault) => Err(StoreError::Refused(fault).into()),
                };
                Ran {
                    keep: result.is_ok(),
                    answer: Box::new(move |committed| {
                        let result = match (result, committed) {
                            (Ok(value), Ok(())) => Ok(value),
                            (Ok(_), Err(fault)) => Err(StoreError::Commit(fault).into()),
                            (Err(error), _) => Err(error),
                        };
                        // A caller who has gone away has nobody to be told.
                        let _ = tell.send(result);
                    }),
                }
            }
            .instrument(span)
            .boxed()
        });
        self.queue.send(Message::Change(run)).await.map_err(|_| StoreError::Stopped)?;
        told.await.map_err(|_| StoreError::Stopped)?
    }

    /// Resolves when the task that writes has ended.
    pub(super) async fn ended(&self) {
        self.queue.closed().await;
    }

    pub(super) async fn stop(&self) {
        let (tell, told) = oneshot::channel();
        if self.queue.send(Message::Stop(tell)).await.is_ok() {
            let _ = told.await;
        }
    }
}

async fn run(mut connection: SqliteConnection, mut changes: mpsc::Receiver<Message>, pulse: Pulse) {
    let mut gathered = Vec::with_capacity(GROUP_LIMIT);
    loop {
        let received = tokio::select! {
            received = changes.recv_many(&mut gathered, GROUP_LIMIT) => received,
            () = tokio::time::sleep(PROBE), if pulse.is_ailing() => {
                commit_group(&mut connection, vec![probe()], &pulse).await;
                continue;
            }
        };
        if received == 0 {
            return;
        }
        let mut group = Vec::with_capacity(gathered.len());
        let mut stop = None;
        for message in gathered.drain(..) {
            match message {
                Message::Change(run) => group.push(run),
                Message::Stop(tell) => stop = Some(tell),
            }
        }
        if !group.is_empty() {
            commit_group(&mut connection, group, &pulse).await;
        }
        if let Some(tell) = stop {
            close(connection, &pulse).await;
            let _ = tell.send(());
            return;
        }
    }
}

/// A change that changes nothing and is written all the same.
fn probe() -> Run {
    Box::new(|connection| {
        async move {
            if let Ok(connection) = connection {
                // What comes of it is seen at the commit.
                let _ = sqlx::query("UPDATE sealing SET done = done").execute(connection).await;
            }
            Ran { keep: true, answer: Box::new(drop) }
        }
        .boxed()
    })
}

/// Runs the group in one transaction and answers each caller after its commit.
async fn commit_group(connection: &mut SqliteConnection, group: Vec<Run>, pulse: &Pulse) {
    metrics::histogram!("preauthd_store_changes_per_commit")
        .record(f64::from(u32::try_from(group.len()).unwrap_or(u32::MAX)));
    let begun = match pulse.broken() {
        Some(fault) => Err(fault),
        None => begin(connection, pulse).await,
    };
    if let Err(fault) = begun {
        for run in group {
            (run(Err(fault.clone())).await.answer)(Err(fault.clone()));
        }
        return;
    }
    let mut answers = Vec::with_capacity(group.len());
    let committed = match run_group(connection, group, &mut answers).await {
        Ok(()) => {
            pulse.committed();
            Ok(())
        }
        Err(error) => {
            let fault = DiskFault::of(&error);
            pulse.failed(&fault);
            // The transaction may be gone already; what matters is that the next group finds none open.
            let _ = sqlx::query("ROLLBACK").execute(&mut *connection).await;
            Err(fault)
        }
    };
    for answer in answers {
        answer(committed.clone());
    }
}

/// Begins the group's transaction. Waiting costs time and fails nobody, so a lock that somebody else holds is waited for,
/// but not for ever.
async fn begin(connection: &mut SqliteConnection, pulse: &Pulse) -> Result<(), DiskFault> {
    let mut tries = 0;
    loop {
        let Err(error) = sqlx::query(BEGIN).execute(&mut *connection).await else {
            return Ok(());
        };
        let fault = DiskFault::of(&error);
        pulse.failed(&fault);
        tries += 1;
        if fault.kind != FaultKind::Locked || tries == LOCK_TRIES {
            return Err(fault);
        }
    }
}

/// Runs each change and commits. Those that did not get their turn are answered, too.
async fn run_group(
    connection: &mut SqliteConnection,
    group: Vec<Run>,
    answers: &mut Vec<Answer>,
) -> Result<(), sqlx::Error> {
    let mut group = group.into_iter().peekable();
    let ran = run_each(connection, &mut group, answers).await;
    if let Err(error) = &ran {
        let fault = DiskFault::of(error);
        for run in group {
            answers.push(run(Err(fault.clone())).await.answer);
        }
    }
    ran?;
    sqlx::query("COMMIT").execute(&mut *connection).await?;
    Ok(())
}

async fn run_each(
    connection: &mut SqliteConnection,
    group: &mut Peekable<impl Iterator<Item = Run>>,
    answers: &mut Vec<Answer>,
) -> Result<(), sqlx::Error> {
    while let Some(run) = group.next() {
        let ran = run(Ok(connection)).await;
        answers.push(ran.answer);
        if !ran.keep {
            sqlx::query("ROLLBACK TO change").execute(&mut *connection).await?;
        }
        if group.peek().is_some() {
            sqlx::query(NEXT).execute(&mut *connection).await?;
        }
    }
    Ok(())
}

async fn close(connection: SqliteConnection, pulse: &Pulse) {
    if pulse.broken().is_some() {
        // Closing would copy the log into the database and delete it, on a disk that is not to be trusted with that.
        std::mem::forget(connection);
        return;
    }
    if let Err(error) = connection.close().await {
        tracing::warn!(%error, "the database did not close cleanly");
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Store, StoreError};
    use futures::FutureExt;

    async fn insert(store: &Store, number: i64, fail: bool) -> Result<(), StoreError> {
        store
            .write(move |connection| {
                async move {
                    sqlx::query("INSERT INTO blocks (number, hash, timestamp) VALUES ($1, x'00', 0)")
                        .bind(number)
                        .execute(connection)
                        .await?;
                    if fail { Err(StoreError::Corrupt("on purpose".into())) } else { Ok(()) }
                }
                .boxed()
            })
            .await
    }

    #[tokio::test]
    async fn a_failing_change_undoes_itself_alone() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        let results =
            futures::future::join_all((0..100).map(|number| insert(&store, number, number % 3 == 0))).await;
        assert_eq!(results.iter().filter(|result| result.is_err()).count(), 34);
        let mut reader = store.read().await.unwrap();
        let kept: i64 =
            sqlx::query_scalar("SELECT count(*) FROM blocks").fetch_one(&mut *reader).await.unwrap();
        assert_eq!(kept, 66);
    }

    #[tokio::test]
    async fn what_was_answered_is_there_after_opening_again() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        insert(&store, 7, false).await.unwrap();
        store.close().await;
        assert!(matches!(insert(&store, 8, false).await, Err(StoreError::Stopped)));
        let store = Store::open(folder.path()).await.unwrap();
        assert!(insert(&store, 7, false).await.unwrap_err().is_unique_violation());
    }

    #[tokio::test]
    async fn a_reader_cannot_write() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        let mut reader = store.read().await.unwrap();
        let written = sqlx::query("DELETE FROM blocks").execute(&mut *reader).await;
        assert!(written.is_err());
    }
}
