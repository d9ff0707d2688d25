//! Rows rebuilt from their histories: as if the chain had been followed, and never a lock by surprise.

use alloy::primitives::B256;
use futures::FutureExt;

use super::projection_tests::{NOW, PREAUTH_ID, World, locked_event, units};
use super::rebuild;
use crate::chain::EscrowEvent;
use crate::model::{
    CallFailure, History, HoldEvent, HoldLog, OperationKind, OperationState, Preauth, PreauthStatus,
};
use crate::store::{StoreError, operations, preauths};

fn log(block: u8, index: u64, event: HoldEvent) -> HoldLog {
    let transaction = B256::repeat_byte(block);
    HoldLog { preauth_id: PREAUTH_ID, block: block.into(), index, transaction, time: None, event }
}

fn lock() -> HoldLog {
    let EscrowEvent::Locked { terms } = locked_event() else { panic!("a lock") };
    log(1, 0, HoldEvent::Locked(terms))
}

/// Writes the row as `change` makes it, then rebuilds it.
async fn rebuilt(world: &World, change: fn(&mut Preauth), history: Vec<HoldLog>) -> Preauth {
    let mut told = world.preauth().await;
    change(&mut told);
    let history = History::new(history);
    world
        .store
        .write::<_, StoreError, _>(move |tx| {
            async move {
                preauths::put(tx, &told, NOW).await?;
                rebuild(tx, &told, &history, NOW).await
            }
            .boxed()
        })
        .await
        .unwrap()
}

async fn end(world: &World, state: OperationState, failure: Option<CallFailure>) {
    let preauth = world.preauth;
    world
        .store
        .write::<_, StoreError, _>(move |tx| {
            async move {
                let open = operations::open_of(tx, preauth).await?.unwrap();
                operations::set_state(tx, open.id, state, failure.as_ref(), NOW).await
            }
            .boxed()
        })
        .await
        .unwrap();
}

#[tokio::test]
async fn a_rebuilt_row_is_what_following_the_chain_made_of_it_and_can_be_taken_back() {
    let world = World::new().await;
    world.locked().await;
    let settle = world.begin(OperationKind::Settle).await;
    let batch = world.sign(2).await;
    let events =
        vec![EscrowEvent::Settled { amount: units(60) }, EscrowEvent::RefundDeferred { amount: units(40) }];
    world.block(2, 2, events, Some(batch)).await;
    let before = world.preauth().await;
    let history = || {
        let settled = log(2, 0, HoldEvent::Settled(units(60)));
        vec![lock(), settled, log(2, 1, HoldEvent::RefundDeferred(units(40)))]
    };
    let changes: [fn(&mut Preauth); 4] = [
        |_| {},
        |row| row.status = PreauthStatus::Authorized,
        |row| (row.settlement, row.deferred_refund) = (None, None),
        |row| (row.lock_transaction, row.close_transaction) = (None, Some(B256::ZERO)),
    ];
    for change in changes {
        let after = rebuilt(&world, change, history()).await;
        assert_eq!(format!("{after:?}"), format!("{before:?}"));
        assert_eq!(world.open().await, None);
        assert_eq!(world.operation(settle).await.state, OperationState::Done);
    }
    world.back_to(1).await;
    let undone = world.preauth().await;
    assert_eq!((undone.status, undone.deferred_refund), (PreauthStatus::Authorized, None));
    assert_eq!(world.open().await, Some((OperationKind::Settle, OperationState::Batched)));
}

#[tokio::test]
async fn an_open_hold_that_was_believed_closed_can_be_closed_again() {
    let world = World::new().await;
    world.locked().await;
    let settle = world.begin(OperationKind::Settle).await;
    end(&world, OperationState::Done, None).await;
    let after = rebuilt(&world, |row| row.status = PreauthStatus::Settled, vec![lock()]).await;
    assert_eq!((after.status, after.settlement), (PreauthStatus::Authorized, None));
    assert_eq!(world.operation(settle).await.state, OperationState::Superseded, "it was never done");
    assert_eq!(world.open().await, None);
}

#[tokio::test]
async fn a_lock_that_is_not_on_chain_is_left_to_the_lane_or_given_up() {
    let world = World::new().await;
    let believe: fn(&mut Preauth) = |row| {
        row.status = PreauthStatus::Authorized;
        row.lock_transaction = Some(B256::ZERO);
    };
    let after = rebuilt(&world, believe, Vec::new()).await;
    assert_eq!((after.status, after.lock_transaction), (PreauthStatus::Pending, None));
    assert_eq!(world.open().await, Some((OperationKind::Authorize, OperationState::Due)));

    end(&world, OperationState::Done, None).await;
    world.begin(OperationKind::Cancel).await;
    let after = rebuilt(&world, believe, Vec::new()).await;
    assert_eq!(after.status, PreauthStatus::Rejected);
    assert!(after.failure.unwrap().to_string().contains("not on chain"));
    assert_eq!(world.open().await, None, "nothing can come of it any more");
}

#[tokio::test]
async fn a_lock_whose_caller_was_told_that_it_failed_goes_back() {
    let world = World::new().await;
    let failure = CallFailure::InsufficientAllowance;
    end(&world, OperationState::Failed, Some(failure)).await;
    let after = rebuilt(&world, |row| row.status = PreauthStatus::Rejected, vec![lock()]).await;
    assert_eq!(after.status, PreauthStatus::Authorized);
    assert_eq!(world.open().await, Some((OperationKind::Cancel, OperationState::Due)));
}
