//! Before the storm, and after it: nothing goes wrong, and what is due must be done.

use std::sync::atomic::Ordering;
use std::time::Duration;

use alloy::signers::local::PrivateKeySigner;
use rand::RngExt;
use tokio::time::Instant;

use super::gate::Worker;
use super::life::{CALM_BLOCK_TIME, Life, Verdict};
use super::network::{Foreign, GWEI};
use super::stage::{RECEIVERS, SENDERS, TOKENS};
use super::truth;
use super::workers::Done;
use crate::model::PreauthStatus;
use crate::preauth::{Progress, Scope, reconcile};
use crate::store::{StoreReader, batches};

/// Longest that anything due may take once nothing goes wrong any more, in virtual time.
const HEALING: Duration = Duration::from_secs(300);

impl Life {
    /// Some lives begin well: there is something that can be undone when the storm comes.
    pub(super) async fn begin_in_calm(&mut self) -> Verdict {
        if self.weather.fair_sales == 0 {
            return Ok(());
        }
        self.until_at_rest().await?;
        for _ in 0..self.weather.fair_sales {
            self.request_creation().await?;
            self.until_it_is_back(Worker::Creation).await?;
        }
        self.until_at_rest().await
    }

    /// The weather clears up: what only people can put right is put right.
    pub(super) async fn clear_up(&mut self) {
        self.stormy = false;
        self.are_silent.store(false, Ordering::Relaxed);
        self.fate.spare();
        self.next_block = Instant::now();
        let foreign = &mut self.network.foreign;
        for token in TOKENS {
            foreign.push(Foreign::PauseToken { token, paused: false });
            for account in SENDERS.into_iter().chain(RECEIVERS) {
                foreign.push(Foreign::Block { token, account, blocked: false });
            }
        }
        foreign.push(Foreign::PauseEscrow(false));
        for operator in &self.operators {
            foreign.push(Foreign::SetOperator(operator.address(), true));
        }
        let is_last_change = self.weather.rotations > 0 && self.operators.len() > 1;
        if is_last_change {
            self.change_keys_for_good().await;
        }
        if is_last_change || self.random.random_range(0..2) == 0 {
            self.network.pools.iter_mut().for_each(|pool| pool.forget());
        }
        // What is signed and cannot be signed again must be worth its gas.
        let is_signed_for_good = self.weather.is_patient() || self.configured.contains(&false);
        let most = if is_signed_for_good { GWEI / 10 } else { 50 * GWEI };
        self.network.base_fee = self.network.base_fee.min(most);
    }

    /// The keys come back where a stranger's transaction may be gone from before one of theirs: nobody else can help then.
    /// Elsewhere one stays away that has something under way, if there is one.
    async fn change_keys_for_good(&mut self) {
        self.configured.fill(true);
        if !self.weather.strangers {
            let open = match self.store() {
                Some(store) => batches::open(&mut store.read().await.unwrap(), None).await.unwrap(),
                None => Vec::new(),
            };
            let is_busy = |key: &PrivateKeySigner| open.iter().any(|batch| batch.operator == key.address());
            let dismissed = self.operators.iter().position(is_busy).unwrap_or_default();
            self.configured[dismissed] = false;
        }
        self.crash().await;
    }

    /// One second before the next hold expires nothing may be done about it yet.
    pub(super) async fn until_the_last_second(&mut self) -> Verdict {
        let Some(store) = self.store() else { return Ok(()) };
        let open =
            truth::rows(&store).await.into_iter().filter(|row| row.status == PreauthStatus::Authorized);
        let Some(expires_at) = open.map(|row| row.expires_at).min() else { return Ok(()) };
        let left = expires_at.seconds_since(self.time());
        if left > 1 {
            self.advance(Duration::from_secs(left - 1)).await;
            self.mine();
            self.until_at_rest().await?;
        }
        Ok(())
    }

    /// The time it takes to lock and close all there is, in batches as full as they may be, one after the other.
    fn work(&self) -> Duration {
        let settings = &self.weather.settings;
        let batches = (2 * u64::from(self.invoices)).div_ceil(settings.max_batch_items as u64);
        let block_time = self.weather.block_time.max(CALM_BLOCK_TIME);
        Duration::from_secs(batches * block_time * (settings.confirmations + 1))
    }

    /// In calm weather everything goes on in order until nothing is left to do.
    pub(super) async fn until_at_rest(&mut self) -> Verdict {
        let until = Instant::now() + HEALING + self.work();
        let mut looked_at = None;
        loop {
            self.see_everything();
            self.run_stragglers().await?;
            while self.gate.waiting() > 0 {
                self.release(0).await?;
            }
            if let Some(worker) = self.due().first() {
                self.begin_turn(*worker).await?;
                continue;
            }
            let left = match &self.running {
                Some(running) if running.clock.block() < self.confirmed() => "the newest block".to_owned(),
                Some(_) if looked_at == Some(self.confirmed()) => String::new(),
                Some(running) => match truth::unfinished(&running.store, running.clock.now()).await {
                    None => return Ok(()),
                    Some(left) => {
                        looked_at = Some(self.confirmed());
                        left
                    }
                },
                None => "its start".to_owned(),
            };
            if Instant::now() > until && !left.is_empty() {
                let troubles = self.running.as_ref().map(|running| running.standing.troubles());
                return Err(format!("it does not come to rest: {left}; {troubles:?}"));
            }
            self.tick();
            self.pass().await;
        }
    }

    /// The height up to which blocks count.
    fn confirmed(&self) -> u64 {
        self.network.head().header.number + 1 - self.weather.settings.confirmations
    }

    /// Compares the whole database with the whole chain, as `preauthd reconcile` does, where the daemon looked now and then.
    pub(super) async fn audit(&mut self) -> Verdict {
        if self.weather.patrol_every.is_none() {
            return Ok(());
        }
        self.until_it_is_back(Worker::Patrol).await?;
        let (folder, chain, wall) = (self.folder.clone(), self.chain.clone(), self.wall.clone());
        let depth = self.weather.settings.reorg_depth;
        let look = async move {
            let database = StoreReader::open(&folder).await?;
            reconcile(&database, &chain, depth, Scope::Everything, &wall, &Progress::default()).await
        };
        self.set_out(Worker::Patrol, Box::pin(async move { Done::Audit(Box::new(look.await)) })).await?;
        self.until_it_is_back(Worker::Patrol).await
    }

    async fn until_it_is_back(&mut self, worker: Worker) -> Verdict {
        while self.busy.contains_key(&worker) {
            if self.gate.waiting() > 0 {
                self.release(0).await?;
            } else {
                self.pass().await;
                self.run_stragglers().await?;
            }
        }
        Ok(())
    }
}
