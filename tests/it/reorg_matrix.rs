//! Every operation undone by a reorg, with everything that can become of its transaction on the new branch.
//!
//! `PREAUTHD_REORGS=500 cargo nextest run reorg_matrix --no-capture` undoes at least so often, 1 to 8 blocks deep and now
//! and then 20, and prints a table.

use alloy::primitives::{Address, Bytes, TxHash};
use serde_json::{Value, json};

use crate::harness::patience::pause;
use crate::harness::world::invoice;
use crate::harness::{Answer, Plan, Sale, World};

const DEPTHS: u64 = 8;
const DEEP: u64 = 20;
/// Every so many rounds of a cell are deep.
const DEEP_EVERY: usize = 16;
/// Blocks after which everything that a reorg undid is done again.
const BLOCKS: u32 = 120;
/// Milliseconds between two of them.
const BETWEEN_BLOCKS: u64 = 50;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operation {
    Authorize,
    Settle,
    Cancel,
    Expire,
}

/// What becomes of the undone transaction on the new branch.
#[derive(Debug, Clone, Copy)]
enum Fate {
    /// It is in no block, and the node has forgotten it.
    Dropped,
    /// It is in a block again.
    Included,
    /// Another transaction has its nonce.
    Replaced,
}

/// Kinds of operations.
const OPERATIONS: usize = 4;
const FATES: [Fate; 3] = [Fate::Dropped, Fate::Included, Fate::Replaced];

impl Operation {
    /// The status it leads to.
    fn end(self) -> &'static str {
        match self {
            Self::Authorize => "AUTHORIZED",
            Self::Settle => "SETTLED",
            Self::Cancel => "CANCELLED",
            Self::Expire => "EXPIRED",
        }
    }
}

/// Rounds of each operation and fate, one of each in `make test`.
fn rounds() -> usize {
    let reorgs = std::env::var("PREAUTHD_REORGS").ok().and_then(|reorgs| reorgs.parse().ok());
    reorgs.unwrap_or(1usize).div_ceil(OPERATIONS * FATES.len())
}

async fn undo_with_every_fate(operation: Operation) {
    let mut diverged = Vec::new();
    println!("| operation | undone and | rounds | diverged |");
    println!("|---|---|---|---|");
    for fate in FATES {
        // Each fate on a chain of its own: anvil forgets what it would have to go back to once it has some thousand blocks.
        let world = World::start(Plan::on_node("0.2")).await;
        let sale = world.sale().await;
        world.chain.hold_still().await;
        let before = diverged.len();
        for round in 0..rounds() {
            let depth =
                if (round + 1).is_multiple_of(DEEP_EVERY) { DEEP } else { (round as u64 + 2) % DEPTHS + 1 };
            let story = undo(&world, &sale, operation, fate, depth).await;
            diverged.extend(story.map(|story| format!("{operation:?}, {fate:?}, {depth} deep: {story}")));
        }
        println!("| {operation:?} | {fate:?} | {} | {} |", rounds(), diverged.len() - before);
        assert!(!world.log().contains("panic"), "no panic");
    }
    assert!(diverged.is_empty(), "{}", diverged.join("\n"));
}

#[tokio::test]
async fn whatever_becomes_of_an_undone_lock_database_and_chain_agree() {
    undo_with_every_fate(Operation::Authorize).await;
}

#[tokio::test]
async fn whatever_becomes_of_an_undone_settlement_database_and_chain_agree() {
    undo_with_every_fate(Operation::Settle).await;
}

#[tokio::test]
async fn whatever_becomes_of_an_undone_cancellation_database_and_chain_agree() {
    undo_with_every_fate(Operation::Cancel).await;
}

#[tokio::test]
async fn whatever_becomes_of_an_undone_expiry_database_and_chain_agree() {
    undo_with_every_fate(Operation::Expire).await;
}

/// Carries an operation out, undoes it, and lets the chain go on. What diverged, if anything did.
async fn undo(world: &World, sale: &Sale, operation: Operation, fate: Fate, depth: u64) -> Option<String> {
    let name = invoice("INV");
    let expires_at = world.chain.now().await + 600;
    let text = crate::harness::chain::rfc3339(i64::try_from(expires_at).expect("a time"));
    world.create(&name, sale).amount("2").expires_at(&text).respond_async().send().await.is(202);
    let lock = mine_what_waits(world).await;
    world.becomes(&name, "AUTHORIZED").await;
    match operation {
        Operation::Authorize => {}
        Operation::Settle => drop(post(world, &name, "settle", json!({ "amount": "1" })).await.is(202)),
        Operation::Cancel => drop(post(world, &name, "cancel", json!({})).await.is(202)),
        Operation::Expire => world.chain.mine_at(expires_at).await,
    }
    let transaction = if operation == Operation::Authorize { lock } else { mine_what_waits(world).await };
    world.becomes(&name, operation.end()).await;
    for _ in 1..depth {
        world.chain.mine().await;
    }
    world.until_daemon_stands_at_the_head().await;

    reorg(world, transaction, fate, depth).await;
    let ended = until_it_rests(world, &name, operation, expires_at).await;
    judge(world, &name, operation).await.or(ended)
}

async fn post(world: &World, name: &str, verb: &str, body: Value) -> Answer {
    world.api.post_async(&format!("/onchain-preauth/{name}/{verb}"), body).await
}

/// Mines the one transaction that waits, or comes to.
async fn mine_what_waits(world: &World) -> TxHash {
    let waiting = world.chain.until_waiting(1).await;
    world.chain.mine().await;
    waiting[0]
}

/// Undoes the newest blocks, the oldest of which holds the transaction.
async fn reorg(world: &World, transaction: TxHash, fate: Fate, depth: u64) {
    let operator = world.chain.operators().await[0];
    let sent = world.chain.sent_by(operator).await;
    let instead = match fate {
        Fate::Dropped => json!([]),
        Fate::Included => {
            let raw: Bytes = world.chain.rpc("eth_getRawTransactionByHash", json!([transaction])).await;
            json!([[raw, depth - 1]])
        }
        Fate::Replaced => json!([[nothing_by(operator), 0]]),
    };
    world.chain.reorg_with(depth, instead).await;
    let in_a_block = world.chain.receipt(&transaction.to_string()).await.is_some();
    let nonce_is_used = world.chain.sent_by(operator).await == sent;
    let (again, used) = match fate {
        Fate::Dropped => (false, false),
        Fate::Included => (true, true),
        Fate::Replaced => (false, true),
    };
    assert_eq!((in_a_block, nonce_is_used), (again, used), "it is {fate:?} on the new branch");
    world.chain.drop_pool().await;
}

/// A transaction without effect, with the sender's next nonce.
fn nothing_by(sender: Address) -> Value {
    json!({ "from": sender, "to": sender, "value": "0x0", "gas": "0x5208", "maxFeePerGas": "0x174876e800" })
}

/// Lets the chain go on until the operation is done again. What it came to instead, if it is not.
async fn until_it_rests(world: &World, name: &str, operation: Operation, expires_at: u64) -> Option<String> {
    let mut shown = Value::Null;
    for _ in 0..BLOCKS {
        // The undone blocks took the time that had passed with them.
        if operation == Operation::Expire && world.chain.now().await < expires_at {
            world.chain.mine_at(expires_at).await;
        } else {
            world.chain.mine().await;
        }
        world.until_daemon_stands_at_the_head().await;
        shown = world.api.preauth(name).await.body;
        if shown["status"] == operation.end() && shown["pendingOperation"].is_null() {
            return None;
        }
        pause(BETWEEN_BLOCKS).await;
    }
    Some(format!("{name} does not come to rest: {shown}"))
}

/// What database and chain do not agree about, if anything.
async fn judge(world: &World, name: &str, operation: Operation) -> Option<String> {
    let shown = world.api.preauth(name).await.is(200);
    let truth = world.chain.status_of(world.preauth_id(name).await).await;
    if shown.text("status") != truth {
        return Some(format!("{name} is {} to the daemon and {truth} on chain", shown.text("status")));
    }
    let effects = world.effects(name).await;
    let closed = u32::from(operation != Operation::Authorize);
    if effects.locked != 1 || effects.closed() != closed {
        return Some(format!("{name}: {effects:?}"));
    }
    let (held, open) = world.chain.held_and_open().await;
    (held != open).then(|| format!("{name}: the escrow holds {held} where {open} is open"))
}
