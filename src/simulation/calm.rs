//! After the storm: nothing goes wrong any more, and what is due must be done.

use std::time::Duration;

use rand::RngExt;
use tokio::time::Instant;

use super::gate::Worker;
use super::life::{Life, Verdict};
use super::network::{Foreign, GWEI};
use super::stage::{RECEIVERS, SENDERS, TOKENS};
use super::truth;
use super::workers::Done;
use crate::preauth::{Scope, reconcile};
use crate::store::StoreReader;

/// Longest that anything due may take once nothing goes wrong any more, in virtual time.
const HEALING: Duration = Duration::from_secs(300);

impl Life {
    /// The weather clears up: what only people can put right is put right.
    pub(super) async fn clear_up(&mut self) {
        self.stormy = false;
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
        if self.random.random_range(0..2) == 0 {
            self.network.pools.iter_mut().for_each(|pool| pool.forget());
        }
        // Where a stranger's transaction is gone from before a dismissed key's, only that key can help.
        let is_missed = self.weather.strangers || self.random.random_range(0..2) == 0;
        if is_missed && self.configured.contains(&false) {
            self.configured.fill(true);
            self.crash().await;
        }
        // What is signed and cannot be signed again must be worth its gas.
        let is_signed_for_good = self.weather.is_patient() || self.configured.contains(&false);
        let most = if is_signed_for_good { GWEI / 10 } else { 50 * GWEI };
        self.network.base_fee = self.network.base_fee.min(most);
    }

    /// In calm weather everything goes on in order until nothing is left to do.
    pub(super) async fn until_at_rest(&mut self) -> Verdict {
        let until = Instant::now() + HEALING;
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
            reconcile(&database, &chain, depth, Scope::Everything, &wall).await
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
