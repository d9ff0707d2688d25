//! The chain changes its mind: status walks back, and ends where it should.

use crate::harness::chain::Public;
use crate::harness::world::invoice;
use crate::harness::{Answer, Plan, World};

async fn still_world() -> World {
    let world = World::start(Plan::on_node("0.2")).await;
    world.house.node.as_ref().expect("a node of our own");
    world
}

/// Sends a request whose transaction is mined by hand, exactly one block later.
async fn mined_by_hand(world: &World, request: impl Future<Output = Answer>) -> Answer {
    let hand = async {
        world.chain.until_waiting(1).await;
        world.chain.mine().await;
    };
    let (answer, ()) = tokio::join!(request, hand);
    answer
}

#[tokio::test]
async fn a_lock_that_is_undone_is_made_again() {
    for depth in 1..=3 {
        let world = still_world().await;
        let sale = world.sale().await;
        let name = invoice("INV");
        world.chain.hold_still().await;
        mined_by_hand(&world, world.create(&name, &sale).amount("10").send()).await.is(201);
        for _ in 1..depth {
            world.chain.mine().await;
        }
        world.until_daemon_stands_at_the_head().await;

        world.chain.reorg(depth).await;
        let undone = world.becomes(&name, "PENDING").await;
        assert!(undone.body["lockTransactionHash"].is_null(), "{}", undone.body);
        assert_eq!(world.chain.status_of(world.preauth_id(&name).await).await, "NONE");
        world.assert_escrow_holds_what_is_open().await;

        world.chain.mine_every(1).await;
        world.becomes(&name, "AUTHORIZED").await;
        world.assert_paid(&sale, "0", "10").await;
        assert_eq!(world.effects(&name).await.locked, 1);
        world.api.settle(&name, "10").await.is(200);
    }
}

#[tokio::test]
async fn a_settlement_that_is_undone_is_made_again() {
    for depth in 1..=3 {
        let world = still_world().await;
        let sale = world.sale().await;
        let name = world.authorized(&sale, "10").await;
        world.chain.hold_still().await;
        mined_by_hand(&world, world.api.settle(&name, "7")).await.is(200);
        for _ in 1..depth {
            world.chain.mine().await;
        }
        world.until_daemon_stands_at_the_head().await;

        world.chain.reorg(depth).await;
        let undone = world.becomes(&name, "AUTHORIZED").await;
        assert_eq!(undone.text("pendingOperation"), "settle");
        assert!(undone.body["settledAmount"].is_null(), "{}", undone.body);
        world.assert_paid(&sale, "0", "10").await;

        world.chain.mine_every(1).await;
        let settled = world.becomes(&name, "SETTLED").await;
        assert_eq!(settled.text("settledAmount"), "7");
        world.assert_paid(&sale, "7", "0").await;
        let effects = world.effects(&name).await;
        assert_eq!((effects.locked, effects.settled), (1, 1));
    }
}

#[tokio::test]
async fn a_reorg_that_undoes_lock_and_settlement_ends_settled_again() {
    let world = still_world().await;
    let sale = world.sale().await;
    let name = invoice("INV");
    world.chain.hold_still().await;
    mined_by_hand(&world, world.create(&name, &sale).amount("10").send()).await.is(201);
    mined_by_hand(&world, world.api.settle(&name, "7")).await.is(200);
    world.until_daemon_stands_at_the_head().await;

    world.chain.reorg(2).await;
    world.becomes(&name, "PENDING").await;
    world.chain.mine_every(1).await;
    world.becomes(&name, "SETTLED").await;
    world.assert_paid(&sale, "7", "0").await;
    let effects = world.effects(&name).await;
    assert_eq!((effects.locked, effects.settled), (1, 1));
}

#[tokio::test]
async fn a_reorg_while_the_daemon_is_down_is_noticed_at_start() {
    let mut world = still_world().await;
    let sale = world.sale().await;
    let (kept, undone) = (world.authorized(&sale, "3").await, invoice("INV"));
    world.chain.hold_still().await;
    mined_by_hand(&world, world.create(&undone, &sale).amount("10").send()).await.is(201);
    world.until_daemon_stands_at_the_head().await;
    world.kill_daemon().await;
    world.chain.reorg(1).await;
    world.chain.mine_every(1).await;
    world.restart().await;
    world.becomes(&undone, "AUTHORIZED").await;
    world.becomes(&kept, "AUTHORIZED").await;
    assert_eq!(world.effects(&undone).await.locked, 1);
    world.assert_paid(&sale, "0", "13").await;
}

#[tokio::test]
async fn a_lock_that_is_undone_and_cannot_be_made_again_is_rejected() {
    let world = still_world().await;
    let sale = world.sale().await;
    let name = invoice("INV");
    world.chain.hold_still().await;
    mined_by_hand(&world, world.create(&name, &sale).amount("10").send()).await.is(201);
    world.until_daemon_stands_at_the_head().await;
    // On the new branch the payer has taken his allowance back.
    world.chain.reorg(1).await;
    world.chain.overtake_with_approval(sale.sender.address, alloy::primitives::U256::ZERO).await;
    world.chain.mine_every(1).await;
    world.becomes(&name, "REJECTED").await;
    world.assert_paid(&sale, "0", "0").await;
    world.api.settle(&name, "1").await.refused(409, "Invalid settlement state: REJECTED");
}

#[tokio::test]
async fn a_cancellation_and_an_expiry_that_are_undone_are_made_again() {
    let world = still_world().await;
    let sale = world.sale().await;
    let (cancelled, expired) = (world.authorized(&sale, "10").await, invoice("INV"));
    let expires_at = world.chain.now().await + 600;
    let text = crate::harness::chain::rfc3339(i64::try_from(expires_at).expect("a time"));
    world.create(&expired, &sale).amount("20").expires_at(&text).send().await.is(201);
    world.chain.hold_still().await;
    mined_by_hand(&world, world.api.cancel(&cancelled)).await.is(200);
    world.chain.mine_at(expires_at).await;
    world.chain.until_waiting(1).await;
    world.chain.mine().await;
    world.becomes(&expired, "EXPIRED").await;
    world.until_daemon_stands_at_the_head().await;
    world.assert_paid(&sale, "0", "0").await;

    world.chain.reorg(3).await;
    world.becomes(&cancelled, "AUTHORIZED").await;
    world.becomes(&expired, "AUTHORIZED").await;
    world.assert_paid(&sale, "0", "30").await;
    // The new branch has yet to reach the expiry.
    world.chain.mine_at(expires_at.max(world.chain.now().await)).await;
    world.chain.mine_every(1).await;
    world.becomes(&cancelled, "CANCELLED").await;
    // The undone blocks took the time that had passed with them.
    world.chain.mine_at(expires_at).await;
    world.becomes(&expired, "EXPIRED").await;
    world.assert_paid(&sale, "0", "0").await;
}

#[tokio::test]
async fn a_merchant_who_cancelled_what_was_cancelled_already_is_kept_his_word() {
    let world = still_world().await;
    let sale = world.sale().await;
    let name = world.authorized(&sale, "10").await;
    let terms = world.terms(&name).await;
    world.chain.hold_still().await;
    let theirs = world.chain.act(sale.receiver, world.ready.escrow, Public::cancelCall { terms });
    tokio::join!(theirs, async {
        world.chain.until_waiting(1).await;
        world.chain.mine().await;
    });
    world.becomes(&name, "CANCELLED").await;
    world.api.cancel(&name).await.is(200);

    world.chain.reorg(1).await;
    world.becomes(&name, "AUTHORIZED").await;
    world.chain.mine_every(1).await;
    world.becomes(&name, "CANCELLED").await;
    assert_eq!(world.effects(&name).await.cancelled, 1);
    world.assert_paid(&sale, "0", "0").await;
}

#[tokio::test]
async fn a_settlement_that_is_undone_and_comes_too_late_the_second_time_expires() {
    let world = still_world().await;
    let sale = world.sale().await;
    let name = invoice("INV");
    let expires_at = world.chain.now().await + 600;
    let text = crate::harness::chain::rfc3339(i64::try_from(expires_at).expect("a time"));
    world.create(&name, &sale).amount("10").expires_at(&text).send().await.is(201);
    world.chain.hold_still().await;
    world.chain.mine_at(expires_at - 60).await;
    mined_by_hand(&world, world.api.settle(&name, "7")).await.is(200);
    world.until_daemon_stands_at_the_head().await;

    world.chain.reorg(1).await;
    world.chain.forget_all().await;
    world.chain.mine_at(expires_at).await;
    world.chain.mine_every(1).await;
    let shown = world.becomes(&name, "EXPIRED").await;
    assert!(shown.body["settledAmount"].is_null(), "{}", shown.body);
    world.api.settle(&name, "1").await.refused(409, "Pre-authorization expired");
    world.assert_paid(&sale, "0", "0").await;
    let effects = world.effects(&name).await;
    assert_eq!((effects.locked, effects.settled, effects.expired), (1, 0, 1));
}

#[tokio::test]
async fn a_rejected_hold_that_a_reorg_locks_after_all_is_returned() {
    let world = still_world().await;
    let sale = world.sale().await;
    let name = invoice("INV");
    world.chain.hold_still().await;
    world.create(&name, &sale).amount("10").respond_async().send().await.is(202);
    world.chain.until_waiting(1).await;
    world.chain.overtake_with_approval(sale.sender.address, alloy::primitives::U256::ZERO).await;
    world.becomes(&name, "REJECTED").await;
    world.until_daemon_stands_at_the_head().await;
    // On the new branch the payer never took his allowance back.
    world.chain.reorg(1).await;
    world.chain.mine_every(1).await;
    // Whoever asked was told that it failed: the payer's tokens do not wait for him.
    world.becomes(&name, "CANCELLED").await;
    assert_eq!(world.effects(&name).await.locked, 1);
    world.assert_paid(&sale, "0", "0").await;
}
