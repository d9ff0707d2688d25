//! Blocks, forks and pools of transactions, by geth's rules rather than anvil's: a replacement needs both fees a tenth
//! higher, what is too cheap waits in the pool, and what a reorg undid may be mined again.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, OnceLock};

use alloy::consensus::transaction::SignerRecoverable;
use alloy::consensus::{Transaction as _, TxEnvelope};
use alloy::eips::Decodable2718;
use alloy::primitives::{Address, B256, Bytes, LogData, U256, keccak256};
use rand::rngs::StdRng;
use rand::seq::{IndexedMutRandom, IndexedRandom};
use rand::{RngExt, SeedableRng};
use serde_json::value::RawValue;

use super::contract::Contracts;
use crate::chain::BlockHeader;
use crate::model::ChainTime;

pub const GWEI: u128 = 1_000_000_000;
/// Most a node relays for one transaction, in wei.
const FEE_CAP: u128 = 1_000_000_000 * GWEI;
/// What executing one call of the escrow costs here, and a transaction around it.
const CALL_GAS: u64 = 90_000;
const TRANSACTION_GAS: u64 = 30_000;

/// What a transaction does.
#[derive(Debug, Clone)]
pub enum Deed {
    /// A call of the escrow.
    Call(Bytes),
    /// Something of other people.
    Foreign(Foreign),
}

/// What others than the daemon do.
#[derive(Debug, Clone)]
pub enum Foreign {
    /// A call of the escrow by somebody.
    Call(Address, Bytes),
    Allow {
        token: Address,
        owner: Address,
        units: u128,
    },
    Block {
        token: Address,
        account: Address,
        blocked: bool,
    },
    PauseToken {
        token: Address,
        paused: bool,
    },
    PauseEscrow(bool),
    SetOperator(Address, bool),
    /// A transaction of an operator key that the daemon did not send.
    TakeNonce(Address),
}

#[derive(Debug, Clone)]
pub struct Transaction {
    pub hash: B256,
    pub from: Address,
    pub nonce: u64,
    pub gas_limit: u64,
    pub max_fee: u128,
    pub tip: u128,
    pub deed: Deed,
}

/// A transaction in a block.
#[derive(Debug, Clone)]
pub struct Mined {
    pub transaction: Transaction,
    pub succeeded: bool,
    pub gas_used: u64,
    pub gas_price: u128,
    pub logs: Vec<LogData>,
    /// Index of its first log in the block.
    pub first_log: u64,
}

/// Accounts and contracts after a block.
#[derive(Debug, Clone, Default)]
pub struct State {
    pub nonces: BTreeMap<Address, u64>,
    pub money: BTreeMap<Address, U256>,
    pub contracts: Contracts,
}

#[derive(Debug)]
pub struct Block {
    pub header: BlockHeader,
    pub base_fee: u128,
    pub mined: Vec<Mined>,
    pub state: Arc<State>,
    /// The block in a node's words, once somebody has asked for it.
    pub told: OnceLock<Box<RawValue>>,
}

/// The hashes of a chain, by height.
pub type Branch = Arc<Vec<B256>>;

/// What waits at one node.
#[derive(Debug, Default)]
pub struct Pool {
    waiting: BTreeMap<(Address, u64), Transaction>,
}

/// Why a node does not take a transaction, in geth's words.
pub type Refused = String;

pub const UNDERPRICED: &str = "replacement transaction underpriced";

impl Pool {
    /// Takes a transaction in by geth's rules, as a node that stands on `block`.
    pub fn take(&mut self, transaction: Transaction, block: &Block) -> Result<(), Refused> {
        let place = (transaction.from, transaction.nonce);
        let next = block.state.nonces.get(&transaction.from).copied().unwrap_or_default();
        let cost = transaction.max_fee * u128::from(transaction.gas_limit);
        if cost > FEE_CAP {
            return Err(format!("tx fee ({cost} wei) exceeds the configured cap (1.00 ether)"));
        }
        let old = self.waiting.get(&place);
        if old.is_some_and(|old| old.hash == transaction.hash) {
            return Err("already known".into());
        }
        if transaction.gas_limit > block.header.gas_limit {
            return Err("exceeds block gas limit".into());
        }
        if transaction.nonce < next {
            return Err(format!("nonce too low: next nonce {next}, tx nonce {}", transaction.nonce));
        }
        let money = block.state.money.get(&transaction.from).copied().unwrap_or_default();
        if money < U256::from(cost) {
            return Err(format!(
                "insufficient funds for gas * price + value: balance {money}, tx cost {cost}"
            ));
        }
        if let Some(old) = old
            && (transaction.max_fee * 10 < old.max_fee * 11 || transaction.tip * 10 < old.tip * 11)
        {
            return Err(UNDERPRICED.into());
        }
        self.waiting.insert(place, transaction);
        Ok(())
    }

    /// What holds the place that a transaction wants.
    pub fn rival_of(&self, transaction: &Transaction) -> Option<B256> {
        self.waiting.get(&(transaction.from, transaction.nonce)).map(|rival| rival.hash)
    }

    pub fn forget(&mut self) {
        self.waiting.clear();
    }
}

/// Reads signed bytes.
fn decode_signed(raw: &[u8]) -> Option<Transaction> {
    let envelope = TxEnvelope::decode_2718(&mut &raw[..]).ok()?;
    Some(Transaction {
        hash: *envelope.tx_hash(),
        from: envelope.recover_signer().ok()?,
        nonce: envelope.nonce(),
        gas_limit: envelope.gas_limit(),
        max_fee: envelope.max_fee_per_gas(),
        tip: envelope.max_priority_fee_per_gas()?,
        deed: Deed::Call(envelope.input().clone()),
    })
}

/// What a reorg does with what it undid.
#[derive(Debug, Clone, Copy)]
pub enum Fate {
    /// Nobody remembers it.
    Dropped,
    /// It waits in the pools again and is mined again when its turn comes.
    Included,
    /// Another transaction takes its nonce.
    Replaced,
}

pub struct Network {
    pub blocks: HashMap<B256, Arc<Block>>,
    pub branch: Branch,
    pub pools: Vec<Pool>,
    /// Deeds of others that the next block will hold.
    pub foreign: Vec<Foreign>,
    /// Of the next block, in wei.
    pub base_fee: u128,
    pub gas_limit: u64,
    /// Whether strangers use the operators' nonces.
    pub strangers: bool,
    /// Transactions that a pool held, and those that did not offer enough more.
    pub underpriced: Vec<(B256, B256)>,
    /// What was read from signed bytes: recovering who signed costs more than all else a node does.
    read: HashMap<Bytes, Transaction>,
    random: StdRng,
}

impl Network {
    pub fn new(seed: u64, pools: usize, time: ChainTime, state: State, gas_limit: u64) -> Self {
        let hash = keccak256(seed.to_be_bytes());
        let header = BlockHeader { number: 0, hash, parent: B256::ZERO, timestamp: time, gas_limit };
        let genesis = Block {
            header,
            base_fee: GWEI,
            mined: Vec::new(),
            state: Arc::new(state),
            told: OnceLock::new(),
        };
        Self {
            blocks: HashMap::from([(hash, Arc::new(genesis))]),
            branch: Arc::new(vec![hash]),
            pools: (0..pools).map(|_| Pool::default()).collect(),
            foreign: Vec::new(),
            base_fee: GWEI,
            gas_limit,
            strangers: true,
            underpriced: Vec::new(),
            read: HashMap::new(),
            random: StdRng::seed_from_u64(seed ^ 0xb10c),
        }
    }

    pub fn head(&self) -> Arc<Block> {
        self.block(*self.branch.last().unwrap())
    }

    pub fn block(&self, hash: B256) -> Arc<Block> {
        Arc::clone(&self.blocks[&hash])
    }

    /// Reads signed bytes.
    pub fn read_signed(&mut self, raw: &Bytes) -> Option<Transaction> {
        if !self.read.contains_key(raw) {
            self.read.insert(raw.clone(), decode_signed(raw)?);
        }
        self.read.get(raw).cloned()
    }

    /// Mines a block on the newest one, at `time` or later, of what waits.
    pub fn mine(&mut self, time: ChainTime) {
        let parent = self.head();
        let mut state = State::clone(&parent.state);
        let header = BlockHeader {
            number: parent.header.number + 1,
            hash: B256::from(self.random.random::<[u8; 32]>()),
            parent: parent.header.hash,
            timestamp: time.max(parent.header.timestamp.saturating_add(1)),
            gas_limit: self.gas_limit,
        };
        let (mut mined, mut logs, mut gas) = (Vec::new(), 0, 0);
        for foreign in std::mem::take(&mut self.foreign) {
            let transaction = self.foreign_transaction(foreign, &state);
            let done = self.execute(&mut state, transaction, header.timestamp, logs);
            logs += done.logs.len() as u64;
            mined.push(done);
        }
        while let Some(transaction) = self.next_transaction(&state, gas) {
            let done = self.execute(&mut state, transaction, header.timestamp, logs);
            logs += done.logs.len() as u64;
            gas += done.gas_used;
            mined.push(done);
        }
        for pool in &mut self.pools {
            pool.waiting.retain(|(from, nonce), _| state.nonces.get(from).is_none_or(|next| nonce >= next));
        }
        let block =
            Block { header, base_fee: self.base_fee, mined, state: Arc::new(state), told: OnceLock::new() };
        self.blocks.insert(header.hash, Arc::new(block));
        Arc::make_mut(&mut self.branch).push(header.hash);
        self.base_fee = match self.random.random_range(0..8) {
            0 => self.base_fee * 9 / 8,
            1 => (self.base_fee * 7 / 8).max(GWEI / 10),
            _ => self.base_fee,
        };
    }

    /// Undoes the newest `depth` blocks and mines as many others and one more. What was in them meets its fate.
    pub fn reorg(&mut self, depth: usize, time: ChainTime) {
        let depth = depth.min(self.branch.len() - 1);
        let kept = self.branch.len() - depth;
        let undone = Arc::make_mut(&mut self.branch).split_off(kept);
        let mut replaced = Vec::new();
        for hash in &undone {
            for mined in self.block(*hash).mined.clone() {
                let fate = *[Fate::Dropped, Fate::Included, Fate::Included, Fate::Replaced]
                    .choose(&mut self.random)
                    .unwrap();
                match (fate, mined.transaction.deed.clone()) {
                    (Fate::Dropped, _) => {}
                    (Fate::Included, Deed::Foreign(foreign)) => self.foreign.push(foreign),
                    (Fate::Replaced, Deed::Foreign(_)) => {}
                    (Fate::Included, Deed::Call(_)) => {
                        let head = self.head();
                        let pool = self.pools.choose_mut(&mut self.random).unwrap();
                        let _ = pool.take(mined.transaction, &head);
                    }
                    (Fate::Replaced, Deed::Call(_)) if !self.strangers => {}
                    (Fate::Replaced, Deed::Call(_)) => {
                        replaced.push(Foreign::TakeNonce(mined.transaction.from))
                    }
                }
            }
        }
        // A stranger's transaction for each that was replaced, as long as the key allows.
        self.foreign.extend(replaced);
        let fork = self.head().header.timestamp;
        for block in 0..=depth {
            // The new branch may have passed time more slowly than the old.
            let earliest = fork.saturating_add(1 + block as u64);
            self.mine(earliest.max(ChainTime(time.0.saturating_sub((depth - block) as u64 * 2))));
        }
    }

    fn foreign_transaction(&mut self, foreign: Foreign, state: &State) -> Transaction {
        let from = match &foreign {
            Foreign::Call(caller, _) => *caller,
            Foreign::TakeNonce(operator) => *operator,
            _ => Address::repeat_byte(0xf0),
        };
        Transaction {
            hash: B256::from(self.random.random::<[u8; 32]>()),
            from,
            nonce: state.nonces.get(&from).copied().unwrap_or_default(),
            gas_limit: 500_000,
            max_fee: self.base_fee * 2,
            tip: GWEI,
            deed: Deed::Foreign(foreign),
        }
    }

    /// One of the transactions that can be mined next; where nodes hold different ones of a nonce, either.
    fn next_transaction(&mut self, state: &State, gas: u64) -> Option<Transaction> {
        let fits = |(place, transaction): &(&(Address, u64), &Transaction)| {
            state.nonces.get(&place.0).copied().unwrap_or_default() == place.1
                && transaction.max_fee >= self.base_fee
                && gas + transaction.gas_limit <= self.gas_limit
        };
        let ready: Vec<Transaction> = self
            .pools
            .iter()
            .flat_map(|pool| pool.waiting.iter().filter(fits).map(|(_, transaction)| transaction.clone()))
            .collect();
        ready.choose(&mut self.random).cloned()
    }

    fn execute(
        &mut self,
        state: &mut State,
        transaction: Transaction,
        time: ChainTime,
        first_log: u64,
    ) -> Mined {
        *state.nonces.entry(transaction.from).or_default() += 1;
        let (mut gas_used, ran) = match &transaction.deed {
            Deed::Call(input) => {
                let calls = 1 + input.len() as u64 / 600;
                let gas = TRANSACTION_GAS + calls * CALL_GAS;
                (gas.min(transaction.gas_limit), state.contracts.run(transaction.from, time, input))
            }
            Deed::Foreign(foreign) => (60_000, act(&mut state.contracts, foreign, time)),
        };
        if ran.is_err() {
            gas_used = gas_used.min(transaction.gas_limit - 1);
        }
        let gas_price = transaction.max_fee.min(self.base_fee + transaction.tip);
        let paid = U256::from(gas_price) * U256::from(gas_used);
        if let Some(money) = state.money.get_mut(&transaction.from) {
            *money = money.saturating_sub(paid);
        }
        let (succeeded, logs) = ran.map_or((false, Vec::new()), |logs| (true, logs));
        Mined { transaction, succeeded, gas_used, gas_price, logs, first_log }
    }

    /// Whether each preauth was locked and closed at most once in the chain as it stands.
    pub fn assert_effects_are_single(&self) {
        use crate::chain::PreauthEscrow::PreauthEscrowEvents as Events;
        use alloy::sol_types::SolEventInterface;
        let (mut locked, mut closed) = (HashSet::new(), HashSet::new());
        for hash in self.branch.iter() {
            for log in self.block(*hash).mined.iter().flat_map(|mined| mined.logs.clone()) {
                let fresh = match Events::decode_raw_log(log.topics(), &log.data).unwrap() {
                    Events::Authorized(event) => locked.insert(event.preauthId),
                    Events::Settled(event) => closed.insert(event.preauthId),
                    Events::Cancelled(event) => closed.insert(event.preauthId),
                    Events::Expired(event) => closed.insert(event.preauthId),
                    _ => true,
                };
                assert!(fresh, "an effect happened twice: {log:?}");
            }
        }
    }
}

fn act(contracts: &mut Contracts, foreign: &Foreign, time: ChainTime) -> super::contract::Ran {
    match foreign {
        Foreign::Call(caller, input) => return contracts.run(*caller, time, input),
        Foreign::Allow { token, owner, units } => {
            contracts.tokens.get_mut(token).unwrap().allowances.insert(*owner, *units);
        }
        Foreign::Block { token, account, blocked } => {
            let moods = &mut contracts.tokens.get_mut(token).unwrap().blocked;
            if *blocked {
                moods.insert(*account)
            } else {
                moods.remove(account)
            };
        }
        Foreign::PauseToken { token, paused } => contracts.tokens.get_mut(token).unwrap().paused = *paused,
        Foreign::PauseEscrow(paused) => contracts.paused = *paused,
        Foreign::SetOperator(operator, allowed) => {
            if *allowed {
                contracts.operators.insert(*operator)
            } else {
                contracts.operators.remove(operator)
            };
        }
        Foreign::TakeNonce(_) => {}
    }
    Ok(Vec::new())
}
