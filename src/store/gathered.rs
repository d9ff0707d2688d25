//! Lookups that gather.
//!
//! SQLite finds a row in microseconds, but every statement wakes its connection's thread and is waited for, which takes many
//! times as long. So while one statement runs, whoever looks up another row waits for the next, which looks up the rows of
//! all who wait. Idle, a lookup waits for nobody; busy, one statement serves dozens. Each statement begins after those whom
//! it serves have asked, so nobody is told of a state that was gone before.

use std::collections::HashMap;
use std::hash::Hash;

use futures::future::BoxFuture;
use sqlx::SqlitePool;
use tokio::sync::{mpsc, oneshot};

use super::{Connection, StoreError};

/// Lookups of one statement at most.
const GROUP_LIMIT: usize = 256;
/// Lookups that may wait before callers have to.
const QUEUE_LIMIT: usize = 8_192;

/// Looks up rows. A key that is not among the answers has none.
pub(super) type Lookup<K, V> =
    for<'c> fn(&'c mut Connection, Vec<K>) -> BoxFuture<'c, Result<HashMap<K, V>, StoreError>>;

struct Question<K, V> {
    key: K,
    answer: oneshot::Sender<Option<V>>,
}

/// Lookups of one kind. Clones share one queue.
pub(super) struct Gathered<K, V> {
    pool: SqlitePool,
    lookup: Lookup<K, V>,
    queue: mpsc::Sender<Question<K, V>>,
}

impl<K, V> Clone for Gathered<K, V> {
    fn clone(&self) -> Self {
        Self { pool: self.pool.clone(), lookup: self.lookup, queue: self.queue.clone() }
    }
}

impl<K, V> Gathered<K, V>
where
    K: Clone + Eq + Hash + Send + 'static,
    V: Clone + Send + 'static,
{
    /// Starts the task that looks up. It ends with its last clone.
    pub(super) fn spawn(pool: &SqlitePool, lookup: Lookup<K, V>) -> Self {
        let (queue, questions) = mpsc::channel(QUEUE_LIMIT);
        tokio::spawn(run(pool.clone(), lookup, questions));
        Self { pool: pool.clone(), lookup, queue }
    }

    /// The row of a key, as it is or will be.
    pub(super) async fn find(&self, key: K) -> Result<Option<V>, StoreError> {
        let (answer, answered) = oneshot::channel();
        let question = Question { key: key.clone(), answer };
        if self.queue.send(question).await.is_ok()
            && let Ok(found) = answered.await
        {
            return Ok(found);
        }
        // What failed for a group is asked alone, so that each meets the fault itself.
        let mut reader = self.pool.acquire().await?;
        Ok((self.lookup)(&mut reader, vec![key.clone()]).await?.remove(&key))
    }
}

async fn run<K, V>(pool: SqlitePool, lookup: Lookup<K, V>, mut questions: mpsc::Receiver<Question<K, V>>)
where
    K: Clone + Eq + Hash,
    V: Clone,
{
    let mut group = Vec::with_capacity(GROUP_LIMIT);
    while questions.recv_many(&mut group, GROUP_LIMIT).await > 0 {
        let keys: Vec<K> = group.iter().map(|question| question.key.clone()).collect();
        let found = match pool.acquire().await {
            Ok(mut reader) => lookup(&mut reader, keys).await,
            Err(error) => Err(error.into()),
        };
        let Ok(found) = found else {
            group.clear();
            continue;
        };
        for Question { key, answer } in group.drain(..) {
            // A caller who has gone away has nobody to be told.
            let _ = answer.send(found.get(&key).cloned());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Store;
    use super::*;
    use futures::FutureExt;
    use sqlx::Row;
    use std::sync::atomic::{AtomicUsize, Ordering};

    static STATEMENTS: AtomicUsize = AtomicUsize::new(0);

    /// Doubles numbers; knows none above 900, and breaks where 0 is among them.
    fn double(
        connection: &mut Connection,
        keys: Vec<i64>,
    ) -> BoxFuture<'_, Result<HashMap<i64, i64>, StoreError>> {
        async move {
            STATEMENTS.fetch_add(1, Ordering::Relaxed);
            if keys.contains(&0) {
                return Err(StoreError::Corrupt("on purpose".into()));
            }
            let rows = sqlx::query("SELECT value, 2 * value AS twice FROM json_each($1) WHERE value <= 900")
                .bind(super::super::column::list(keys))
                .fetch_all(connection)
                .await?;
            rows.iter().map(|row| Ok((row.try_get("value")?, row.try_get("twice")?))).collect()
        }
        .boxed()
    }

    #[tokio::test]
    async fn many_share_a_statement_and_each_gets_his_own_answer() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        let gathered = Gathered::spawn(&store.reads, double);
        let answers = futures::future::join_all((1..=1_000).map(|key| gathered.find(key))).await;
        for (key, answer) in (1..=1_000).zip(answers) {
            assert_eq!(answer.unwrap(), (key <= 900).then_some(2 * key));
        }
        assert!(STATEMENTS.load(Ordering::Relaxed) < 20, "{STATEMENTS:?}");
        // One who breaks the group's statement is told so, and nobody else.
        let (broken, whole) = tokio::join!(gathered.find(0), gathered.find(7));
        assert!(matches!(broken, Err(StoreError::Corrupt(_))));
        assert_eq!(whole.unwrap(), Some(14));
    }
}
