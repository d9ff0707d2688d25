//! kill -9 at named places. Every durable write of the daemon lies between two requests to its node, so a proxy before
//! the node can strike in front of the write, between write and effect, and behind the effect, exactly.
//!
//! `PREAUTHD_KILLS=100 cargo nextest run kill_points --no-capture` strikes so often at each point and prints a table.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection};

use crate::harness::process::Process;
use crate::harness::proxy::{Setting, Trap};
use crate::harness::world::invoice;
use crate::harness::{Fault, Plan, Proxy, Sale, World, cli};

/// What the daemon is busy with when it dies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Creation,
    Settlement,
    Cancellation,
    Expiry,
    /// A creation whose transaction is not mined, and is replaced.
    Replacement,
    /// A creation whose block is undone.
    Reorg,
    /// The start after it was killed with a creation's transaction sent.
    CatchingUp,
    /// The start after it was killed with a creation's transaction signed and not sent.
    SendingAgain,
}

/// A place at which the daemon dies.
struct Point {
    name: &'static str,
    work: Work,
    /// The request that marks it.
    request: Request,
    side: Side,
    /// What the database must know of the work by then: this is what makes the place exact.
    known: Known,
}

/// How far the newest operation of a preauthorization has come in the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Nothing,
    Due,
    /// In an open batch that was signed so often.
    Signed(u32),
    Done,
}

/// Where in the life of that request.
enum Side {
    /// It has arrived; the node never hears of it.
    Asked,
    /// The node has done it; the daemon never hears of it.
    Answered,
}

type Request = fn(&Proxy) -> Setting<'_>;
/// What a strike does.
type Blow = Arc<dyn Fn() + Send + Sync>;

const fn asked(name: &'static str, work: Work, known: Known, request: Request) -> Point {
    Point { name, work, request, side: Side::Asked, known }
}

const fn answered(name: &'static str, work: Work, known: Known, request: Request) -> Point {
    Point { name, work, request, side: Side::Answered, known }
}

const CREATIONS: &[Point] = &[
    answered("creation: before its row is written", Work::Creation, Known::Nothing, |proxy| {
        proxy.on("eth_call")
    }),
    asked("creation: row written, before the lane's dry run", Work::Creation, Known::Due, |proxy| {
        proxy.on("eth_call").after(1)
    }),
    answered("creation, batch: before it is written", Work::Creation, Known::Due, nonce),
    asked("creation, batch: written, before the send", Work::Creation, Known::Signed(1), send),
    answered("creation, batch: sent, before the answer", Work::Creation, Known::Signed(1), send),
    answered("creation, block: logs read, before it is taken in", Work::Creation, Known::Signed(1), logs),
    answered(
        "creation, block: receipt read, before it is taken in",
        Work::Creation,
        Known::Signed(1),
        receipt,
    ),
    asked("creation, block: taken in", Work::Creation, Known::Done, next_look),
];

const SETTLEMENTS: &[Point] = &[
    answered("settlement, batch: before it is written", Work::Settlement, Known::Due, nonce),
    asked("settlement, batch: written, before the send", Work::Settlement, Known::Signed(1), send),
    answered("settlement, batch: sent, before the answer", Work::Settlement, Known::Signed(1), send),
    answered("settlement, block: before it is taken in", Work::Settlement, Known::Signed(1), receipt),
    asked("settlement, block: taken in", Work::Settlement, Known::Done, next_look),
];

const CANCELLATIONS: &[Point] = &[
    answered("cancellation, batch: before it is written", Work::Cancellation, Known::Due, nonce),
    asked("cancellation, batch: written, before the send", Work::Cancellation, Known::Signed(1), send),
    answered("cancellation, batch: sent, before the answer", Work::Cancellation, Known::Signed(1), send),
    answered("cancellation, block: before it is taken in", Work::Cancellation, Known::Signed(1), receipt),
    asked("cancellation, block: taken in", Work::Cancellation, Known::Done, next_look),
];

const EXPIRIES: &[Point] = &[
    answered("expiry, batch: before it is written", Work::Expiry, Known::Due, nonce),
    asked("expiry, batch: written, before the send", Work::Expiry, Known::Signed(1), send),
    answered("expiry, batch: sent, before the answer", Work::Expiry, Known::Signed(1), send),
    answered("expiry, block: before it is taken in", Work::Expiry, Known::Signed(1), receipt),
    asked("expiry, block: taken in", Work::Expiry, Known::Done, next_look),
];

const REPLACEMENTS: &[Point] = &[
    answered("replacement: before it is written", Work::Replacement, Known::Signed(1), |proxy| {
        proxy.on("eth_feeHistory").once_seen("eth_sendRawTransaction")
    }),
    asked("replacement: written, before the send", Work::Replacement, Known::Signed(2), other_bytes),
    answered("replacement: sent, before the answer", Work::Replacement, Known::Signed(2), other_bytes),
];

// On a still chain blocks are asked for by number in a reorg only: the one that is gone, the one below that is shared,
// and, once the roll back is written, the next one.
const REORGS: &[Point] = &[
    answered("reorg: before the roll back is written", Work::Reorg, Known::Done, |proxy| {
        block_by_number(proxy).after(1)
    }),
    asked("reorg: rolled back, before the new chain is read", Work::Reorg, Known::Signed(1), |proxy| {
        block_by_number(proxy).after(2)
    }),
];

const STARTS: &[Point] = &[
    answered("start: before what was mined is taken in", Work::CatchingUp, Known::Signed(1), receipt),
    asked("start: caught up, before the next look", Work::CatchingUp, Known::Done, next_look),
    asked("start: before stored bytes are sent again", Work::SendingAgain, Known::Signed(1), send),
    answered("start: sent again, before the answer", Work::SendingAgain, Known::Signed(1), send),
];

fn nonce(proxy: &Proxy) -> Setting<'_> {
    proxy.on("eth_getTransactionCount")
}

fn send(proxy: &Proxy) -> Setting<'_> {
    proxy.on("eth_sendRawTransaction")
}

fn logs(proxy: &Proxy) -> Setting<'_> {
    proxy.on("eth_getLogs")
}

fn receipt(proxy: &Proxy) -> Setting<'_> {
    proxy.on("eth_getTransactionReceipt")
}

/// The observer's look for the next block, after one of ours was taken in.
fn next_look(proxy: &Proxy) -> Setting<'_> {
    proxy.on("eth_getBlockByNumber").once_seen("eth_getTransactionReceipt")
}

/// A send of other bytes than the first.
fn other_bytes(proxy: &Proxy) -> Setting<'_> {
    let first: Mutex<Option<Value>> = Mutex::new(None);
    send(proxy).where_(move |request| {
        let raw = &request["params"][0];
        let mut first = first.lock().expect("no panic");
        first.get_or_insert_with(|| raw.clone()) != raw
    })
}

fn block_by_number(proxy: &Proxy) -> Setting<'_> {
    proxy.on("eth_getBlockByNumber").where_(|request| request["params"][0] != "latest")
}

/// What was found at one point.
#[derive(Default)]
struct Tally {
    kills: u32,
    lost: u32,
    double: u32,
    stories: Vec<String>,
}

fn rounds() -> u32 {
    std::env::var("PREAUTHD_KILLS").ok().and_then(|kills| kills.parse().ok()).unwrap_or(1)
}

async fn strike_at_all(points: &[Point], plan: Plan) {
    let mut world = World::start(plan.through_proxy()).await;
    let sale = world.sale().await;
    // No reorganisation shall reach the ground everything stands on.
    world.chain.mine_many(8).await;
    let mut wrong = Vec::new();
    println!("{:<58} {:>6} {:>6} {:>6}", "point", "kills", "lost", "double");
    for point in points {
        let mut tally = Tally::default();
        for round in 0..rounds() {
            strike(&mut world, &sale, point, round, &mut tally).await;
        }
        println!("{:<58} {:>6} {:>6} {:>6}", point.name, tally.kills, tally.lost, tally.double);
        wrong.extend(tally.stories);
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(!world.log().contains("panic"), "no panic");
}

/// One blow, a restart, and a look at what became of what was asked for.
async fn strike(world: &mut World, sale: &Sale, point: &Point, round: u32, tally: &mut Tally) {
    let name = match point.work {
        Work::Settlement | Work::Cancellation => world.authorized(sale, "2").await,
        Work::Creation | Work::Replacement => invoice("INV"),
        Work::Expiry => locked_with_an_end(world, sale).await,
        Work::Reorg => locked_at_the_head(world, sale).await,
        Work::CatchingUp => killed_in_creation(world, sale, Fault::StrikeAfter).await,
        Work::SendingAgain => killed_in_creation(world, sale, Fault::StrikeBefore).await,
    };
    if !matches!(point.work, Work::CatchingUp | Work::SendingAgain) {
        world.until_daemon_stands_at_the_head().await;
    }
    if matches!(point.work, Work::Replacement) {
        world.chain.hold_still().await;
    }
    let trap = set(world, point);
    // Half of the callers wait for the chain, the others have their promise at once.
    let prefer = if round.is_multiple_of(2) { "respond-async" } else { "wait" };
    let (answer, ()) = tokio::join!(ask(world, sale, point.work, &name, prefer), trap.until_caught(1));
    drop(trap);
    world.kill_daemon().await;
    assert_eq!(
        known_of(world, &name).await,
        point.known,
        "{}: the blow falls where it is meant to",
        point.name
    );
    world.restart().await;
    if matches!(point.work, Work::Replacement | Work::Reorg) {
        world.chain.mine_every(1).await;
    }
    tally.kills += 1;
    judge(world, point, &name, answer, tally).await;
}

fn set(world: &World, point: &Point) -> Trap {
    let blow = world.deadly();
    let fault = match point.side {
        Side::Asked => Fault::StrikeBefore(blow),
        Side::Answered => Fault::StrikeAfter(blow),
    };
    (point.request)(world.proxy()).times(1).fault(fault)
}

/// A hold with an end that the chain's clock can be moved to.
async fn locked_with_an_end(world: &World, sale: &Sale) -> String {
    let name = invoice("INV");
    let end = world.chain.in_seconds(600).await;
    world.create(&name, sale).amount("2").expires_at(&end).send().await.is(201);
    name
}

/// A creation that is promised and signed, and a daemon that died over its first send.
async fn killed_in_creation(world: &mut World, sale: &Sale, blow: fn(Blow) -> Fault) -> String {
    let name = invoice("INV");
    let trap = send(world.proxy()).times(1).fault(blow(world.deadly()));
    let body = world.create(&name, sale).amount("2").body();
    let asked = world.api.try_post_preferring("/onchain-preauth", body, "respond-async");
    let ((), _) = tokio::join!(trap.until_caught(1), asked);
    drop(trap);
    world.kill_daemon().await;
    world.chain.mine().await;
    name
}

/// A hold in the newest block of a chain that stands still.
async fn locked_at_the_head(world: &World, sale: &Sale) -> String {
    let name = invoice("INV");
    world.chain.hold_still().await;
    let (answer, ()) = tokio::join!(world.create(&name, sale).amount("2").send(), async {
        world.chain.until_waiting(1).await;
        world.chain.mine().await;
    });
    answer.is(201);
    name
}

/// Brings the daemon to its work, and returns what it answered, if it could.
async fn ask(world: &World, sale: &Sale, work: Work, name: &str, prefer: &str) -> Option<u16> {
    let (path, body) = match work {
        Work::Creation | Work::Replacement => {
            ("/onchain-preauth".to_owned(), world.create(name, sale).amount("2").body())
        }
        Work::Settlement => (format!("/onchain-preauth/{name}/settle"), json!({ "amount": "1" })),
        Work::Cancellation => (format!("/onchain-preauth/{name}/cancel"), json!({})),
        Work::Expiry => {
            let shown = world.api.preauth(name).await.is(200);
            let end: jiff::Timestamp = shown.text("expiresAt").parse().expect("a time");
            world.chain.mine_at(end.as_second().unsigned_abs()).await;
            return None;
        }
        Work::Reorg => {
            world.chain.reorg(1).await;
            return None;
        }
        Work::CatchingUp | Work::SendingAgain => {
            world.start_again().await;
            return None;
        }
    };
    world.api.try_post_preferring(&path, body, prefer).await.map(|(status, _)| status)
}

/// What the dead daemon's database knows. A copy is asked: opening the files would mend them before the daemon does.
async fn known_of(world: &World, name: &str) -> Known {
    let copy = tempfile::Builder::new().prefix("preauthd-it-").tempdir().expect("a folder");
    for file in ["preauthd.sqlite", "preauthd.sqlite-wal"] {
        let (from, to) = (world.house.data_dir().join(file), copy.path().join(file));
        std::fs::copy(from, to).expect("the daemon's database");
    }
    let options = SqliteConnectOptions::new().filename(copy.path().join("preauthd.sqlite"));
    let mut database = options.connect().await.expect("a copy of the database");
    let found: Option<(String, u32)> = sqlx::query_as(
        "SELECT state, (SELECT COUNT(*) FROM attempts WHERE attempts.batch_id = operations.batch_id) FROM operations
         WHERE preauth = (SELECT id FROM preauths WHERE invoice_id = $1) ORDER BY id DESC LIMIT 1",
    )
    .bind(name)
    .fetch_optional(&mut database)
    .await
    .expect("an answer");
    database.close().await.expect("a copy that closes");
    match found {
        None => Known::Nothing,
        Some((state, _)) if state == "due" => Known::Due,
        Some((state, attempts)) if state == "batched" => Known::Signed(attempts),
        Some((state, _)) if state == "done" => Known::Done,
        Some(other) => panic!("{name}: {other:?}"),
    }
}

async fn judge(world: &World, point: &Point, name: &str, answer: Option<u16>, tally: &mut Tally) {
    let mut story =
        |what: String| tally.stories.push(format!("{}: {name} (answered {answer:?}) {what}", point.name));
    let shown = world.api.preauth(name).await;
    if shown.status == 404 {
        if point.known != Known::Nothing || answer.is_some() {
            tally.lost += 1;
            story("is gone".to_owned());
        }
        return;
    }
    let expected = match point.work {
        Work::Settlement => "SETTLED",
        Work::Cancellation => "CANCELLED",
        Work::Expiry => "EXPIRED",
        _ => "AUTHORIZED",
    };
    world.until_settled_down(name).await;
    let shown = world.api.preauth(name).await.is(200);
    let truth = world.chain.status_of(world.preauth_id(name).await).await;
    if shown.text("status") != expected || truth != expected {
        tally.lost += 1;
        story(format!("is {} to the daemon and {truth} to the chain", shown.text("status")));
    }
    let effects = world.effects(name).await;
    if effects.locked > 1 || effects.closed() > 1 {
        tally.double += 1;
        story(format!("took effect twice: {effects:?}"));
    }
    world.assert_escrow_holds_what_is_open().await;
}

#[tokio::test]
async fn kill_points_of_creations() {
    strike_at_all(CREATIONS, Plan::on_node("0.2")).await;
}

#[tokio::test]
async fn kill_points_of_settlements() {
    strike_at_all(SETTLEMENTS, Plan::on_node("0.2")).await;
}

#[tokio::test]
async fn kill_points_of_cancellations() {
    strike_at_all(CANCELLATIONS, Plan::on_node("0.2")).await;
}

#[tokio::test]
async fn kill_points_of_expiries() {
    strike_at_all(EXPIRIES, Plan::on_node("0.2")).await;
}

#[tokio::test]
async fn kill_points_of_replacements() {
    strike_at_all(REPLACEMENTS, Plan::on_node("0.2").replacing_after("1")).await;
}

#[tokio::test]
async fn kill_points_of_reorgs() {
    strike_at_all(REORGS, Plan::on_node("0.2")).await;
}

#[tokio::test]
async fn kill_points_of_starts() {
    strike_at_all(STARTS, Plan::on_node("0.2")).await;
}

#[tokio::test]
async fn kill_points_of_the_comparison() {
    let world = World::start(Plan::on_node("0.2").through_proxy()).await;
    let sale = world.sale().await;
    let name = world.authorized(&sale, "2").await;
    world.until_daemon_stands_at_the_head().await;
    for round in 0..rounds() {
        // It asks for the contract's word about each preauthorization, then for balances.
        let kept =
            world.proxy().on("eth_call").after(usize::from(round % 2 == 1)).times(1).fault(Fault::Silence);
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_preauthd"));
        cli::clear_environment(&mut command);
        command
            .env("PREAUTHD_DATA_DIR", world.house.data_dir())
            .env("PREAUTHD_RPC_URL", &world.ready.rpc_url);
        command.current_dir(world.house.folder()).arg("reconcile");
        let mut comparing = Process::start(&mut command, world.house.folder(), "reconcile");
        kept.until_caught(1).await;
        comparing.kill();
        drop(kept);
        let output = world.try_cli(&["reconcile", "--json"]).await;
        let found: Value = serde_json::from_slice(&output.stdout).expect("what was found");
        assert_eq!((output.status.code(), &found["equal"]), (Some(0), &json!(true)), "{found:#}");
    }
    world.api.settle(&name, "2").await.is(200);
    world.assert_paid(&sale, "2", "0").await;
}
