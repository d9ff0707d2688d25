//! Blocks in, blocks back: what they make of preauths, operations and batches.

use alloy::primitives::{Address, B256, Bytes};
use futures::FutureExt;
use tempfile::TempDir;
use uuid::Uuid;

use super::endings::lose_batch;
use super::projection::{BlockChanges, MinedBatch, take_in};
use super::rollback::roll_back_to;
use crate::chain::{BlockHeader, EscrowEvent, EscrowLog, Receipt};
use crate::model::{
    Account, BaseUnits, BatchId, CallFailure, ChainTime, InvoiceId, Millis, Operation, OperationId,
    OperationKind, OperationState, Preauth, PreauthKey, PreauthStatus, Tenant, TenantId, Terms, TokenAmount,
};
use crate::store::batches::{Attempt, NewBatch};
use crate::store::preauths::NewPreauth;
use crate::store::{Steps, Store, StoreError, batches, blocks, instance, operations, preauths, tenants};

const ESCROW: Address = Address::repeat_byte(0xe5);
pub(super) const NOW: Millis = Millis(1_000);
pub(super) const PREAUTH_ID: B256 = B256::repeat_byte(7);

/// A database with one PENDING preauth whose lock is due.
pub(super) struct World {
    pub store: Store,
    pub preauth: PreauthKey,
    _folder: TempDir,
}

impl World {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        let preauth =
            store.write::<_, StoreError, _>(|tx| async move { seed(tx).await }.boxed()).await.unwrap();
        Self { store, preauth, _folder: folder }
    }

    /// Puts the preauth's open operation into a signed batch; its transaction's hash is named by `name`.
    pub async fn sign(&self, name: u8) -> BatchId {
        let preauth = self.preauth;
        self.store
            .write::<_, StoreError, _>(move |tx| {
                async move {
                    let operation = operations::open_of(tx, preauth).await?.unwrap().id;
                    let batch = NewBatch {
                        operator: ESCROW,
                        nonce: name.into(),
                        escrow: ESCROW,
                        gas_limit: 1,
                        gas_per_call: 1,
                    };
                    let id = batches::insert(tx, &batch, &[operation], NOW).await?;
                    assert_eq!(operations::take_into_batch(tx, &[operation], id, NOW).await?, 1);
                    let attempt = Attempt {
                        hash: B256::repeat_byte(name),
                        raw: Bytes::new(),
                        max_fee: 1,
                        max_priority_fee: 1,
                        created_at: NOW,
                    };
                    batches::add_attempt(tx, id, &attempt).await?;
                    Ok(id)
                }
                .boxed()
            })
            .await
            .unwrap()
    }

    pub async fn begin(&self, kind: OperationKind) -> OperationId {
        let preauth = self.preauth;
        let amount = (kind == OperationKind::Settle).then(|| (units(60), TokenAmount::parse("60").unwrap()));
        self.store
            .write::<_, StoreError, _>(move |tx| {
                operations::insert(tx, preauth, kind, amount, ChainTime(9_000), NOW).boxed()
            })
            .await
            .unwrap()
            .expect("no other operation is open")
    }

    /// Takes in a block with what the transaction `name` did; `own` says which batch of ours it was.
    pub async fn block(&self, number: u64, name: u8, events: Vec<EscrowEvent>, own: Option<BatchId>) {
        self.block_with(number, name, events, own, true, None).await;
    }

    async fn block_with(
        &self,
        number: u64,
        name: u8,
        events: Vec<EscrowEvent>,
        own: Option<BatchId>,
        succeeded: bool,
        failure: Option<CallFailure>,
    ) {
        let transaction = B256::repeat_byte(name);
        let header = BlockHeader {
            number,
            hash: B256::with_last_byte(u8::try_from(number).unwrap()),
            parent: B256::ZERO,
            timestamp: ChainTime(number),
            gas_limit: 30_000_000,
        };
        let logs = (0..)
            .zip(events)
            .map(|(index, event)| EscrowLog {
                escrow: ESCROW,
                preauth_id: PREAUTH_ID,
                event,
                transaction,
                index,
            })
            .collect();
        let mined = own.map(|batch| MinedBatch {
            batch,
            receipt: Receipt {
                transaction,
                block: number,
                block_hash: header.hash,
                index: 0,
                succeeded,
                gas_used: 1,
                effective_gas_price: 1,
                logs: Vec::new(),
            },
            failure,
        });
        let changes = BlockChanges { header, logs, mined: mined.into_iter().collect(), forget_below: 0 };
        self.store
            .write::<_, StoreError, _>(move |tx| {
                async move { take_in(tx, &changes, NOW, &mut Steps::together()).await }.boxed()
            })
            .await
            .unwrap();
    }

    pub async fn back_to(&self, number: u64) {
        self.store
            .write::<_, StoreError, _>(move |tx| {
                async move { roll_back_to(tx, number, NOW, &mut Steps::together()).await }.boxed()
            })
            .await
            .unwrap();
    }

    pub async fn preauth(&self) -> Preauth {
        let mut reader = self.store.read().await.unwrap();
        preauths::by_key(&mut reader, self.preauth).await.unwrap()
    }

    pub async fn operation(&self, id: OperationId) -> Operation {
        let mut reader = self.store.read().await.unwrap();
        operations::by_id(&mut reader, id).await.unwrap()
    }

    pub async fn open(&self) -> Option<(OperationKind, OperationState)> {
        let mut reader = self.store.read().await.unwrap();
        let open = operations::open_of(&mut reader, self.preauth).await.unwrap();
        open.map(|open| (open.kind, open.state))
    }

    pub async fn locked(&self) {
        let batch = self.sign(1).await;
        self.block(1, 1, vec![locked_event()], Some(batch)).await;
        assert_eq!(self.preauth().await.status, PreauthStatus::Authorized);
    }
}

pub(super) fn locked_event() -> EscrowEvent {
    let terms = Terms {
        sender: Address::repeat_byte(1),
        receiver: Address::repeat_byte(2),
        token: Address::repeat_byte(3),
        hold: units(100),
        expires_at: ChainTime(9_000),
        preauth_id: PREAUTH_ID,
    };
    EscrowEvent::Locked { terms }
}

pub(super) fn units(amount: u128) -> BaseUnits {
    BaseUnits::new(amount).unwrap()
}

async fn seed(tx: &mut crate::store::Connection) -> Result<PreauthKey, StoreError> {
    let tenant = Tenant {
        id: TenantId(Uuid::from_u128(1)),
        name: "shop".into(),
        disabled: false,
        allowed_tip_bps: 0,
        default_ttl_seconds: 60,
        require_signed_consent: false,
        require_verified_party: false,
        rules: Default::default(),
    };
    tenants::insert(tx, &tenant, NOW).await?;
    instance::add_escrow(tx, ESCROW, 0, NOW).await?;
    let new = NewPreauth {
        transaction_id: Uuid::from_u128(2),
        tenant: tenant.id,
        invoice: InvoiceId::parse("INV-1").unwrap(),
        preauth_id: PREAUTH_ID,
        escrow: ESCROW,
        sender: Account::from_address(Address::repeat_byte(1)),
        receiver: Account::from_address(Address::repeat_byte(2)),
        token: Account::from_address(Address::repeat_byte(3)),
        decimals: 0,
        amount: TokenAmount::parse("100").unwrap(),
        hold: units(100),
        expires_at: ChainTime(9_000),
        consent: Bytes::new(),
        schedule: None,
    };
    let key = preauths::insert(tx, &new, NOW).await?;
    operations::insert(tx, key, OperationKind::Authorize, None, new.expires_at, NOW).await?;
    Ok(key)
}

#[tokio::test]
async fn a_lock_is_seen_and_taken_back_and_seen_again() {
    let world = World::new().await;
    let batch = world.sign(1).await;
    for round in 0..3 {
        world.block(1, 1, vec![locked_event()], Some(batch)).await;
        let preauth = world.preauth().await;
        assert_eq!(preauth.status, PreauthStatus::Authorized, "round {round}");
        assert_eq!(preauth.lock_transaction, Some(B256::repeat_byte(1)));
        assert_eq!(world.open().await, None);

        world.back_to(0).await;
        let preauth = world.preauth().await;
        assert_eq!(preauth.status, PreauthStatus::Pending);
        assert_eq!(preauth.lock_transaction, None);
        assert_eq!(world.open().await, Some((OperationKind::Authorize, OperationState::Batched)));
    }
}

#[tokio::test]
async fn a_settlement_whose_lock_was_undone_waits_for_it() {
    let world = World::new().await;
    let lock = world.sign(1).await;
    world.block(1, 1, vec![locked_event()], Some(lock)).await;
    let settle = world.begin(OperationKind::Settle).await;
    let batch = world.sign(2).await;
    let settled = EscrowEvent::Settled { amount: units(60) };
    world.block(2, 2, vec![settled.clone()], Some(batch)).await;
    let preauth = world.preauth().await;
    assert_eq!(preauth.status, PreauthStatus::Settled);
    assert_eq!(preauth.settlement.unwrap().written.to_string(), "60");

    world.back_to(0).await;
    assert_eq!(world.preauth().await.status, PreauthStatus::Pending);
    assert!(world.preauth().await.settlement.is_none());
    assert_eq!(world.open().await, Some((OperationKind::Authorize, OperationState::Batched)));
    assert_eq!(world.operation(settle).await.state, OperationState::Parked);

    world.block(1, 1, vec![locked_event()], Some(lock)).await;
    assert_eq!(world.open().await, Some((OperationKind::Settle, OperationState::Batched)));
    world.block(2, 2, vec![settled], Some(batch)).await;
    assert_eq!(world.preauth().await.status, PreauthStatus::Settled);
    assert_eq!(world.operation(settle).await.state, OperationState::Done);
}

#[tokio::test]
async fn an_unsigned_settlement_is_due_again_once_its_lock_is_back() {
    let world = World::new().await;
    let lock = world.sign(1).await;
    world.block(1, 1, vec![locked_event()], Some(lock)).await;
    let settle = world.begin(OperationKind::Settle).await;
    world.back_to(0).await;
    assert_eq!(world.operation(settle).await.state, OperationState::Parked);
    world.block(1, 1, vec![locked_event()], Some(lock)).await;
    assert_eq!(world.operation(settle).await.state, OperationState::Due);
}

#[tokio::test]
async fn a_failed_lock_counts_in_our_own_transaction_only() {
    let world = World::new().await;
    let batch = world.sign(1).await;
    let failed = EscrowEvent::CallFailed {
        kind: OperationKind::Authorize,
        failure: CallFailure::InsufficientAllowance,
    };
    world.block(1, 9, vec![failed.clone()], None).await;
    assert_eq!(world.preauth().await.status, PreauthStatus::Pending);

    world.block(2, 1, vec![failed], Some(batch)).await;
    let preauth = world.preauth().await;
    assert_eq!(preauth.status, PreauthStatus::Rejected);
    assert_eq!(preauth.failure, Some(CallFailure::InsufficientAllowance));

    world.back_to(1).await;
    assert_eq!(world.preauth().await.status, PreauthStatus::Pending);
    assert_eq!(world.open().await, Some((OperationKind::Authorize, OperationState::Batched)));
}

#[tokio::test]
async fn an_expiry_by_somebody_else_beats_our_settlement() {
    let world = World::new().await;
    world.locked().await;
    let settle = world.begin(OperationKind::Settle).await;
    let batch = world.sign(2).await;
    world.block(2, 9, vec![EscrowEvent::Expired], None).await;
    assert_eq!(world.preauth().await.status, PreauthStatus::Expired);
    assert_eq!(world.operation(settle).await.state, OperationState::Superseded);

    let late = EscrowEvent::CallFailed { kind: OperationKind::Settle, failure: CallFailure::NotOpen };
    world.block(3, 2, vec![late], Some(batch)).await;
    assert_eq!(world.operation(settle).await.state, OperationState::Superseded);
}

#[tokio::test]
async fn a_cancel_that_came_before_the_lock_follows_it() {
    let world = World::new().await;
    let batch = world.sign(1).await;
    let mut preauth = world.preauth().await;
    preauth.cancel_requested = true;
    world
        .store
        .write::<_, StoreError, _>(move |tx| async move { preauths::save(tx, &preauth, NOW).await }.boxed())
        .await
        .unwrap();
    world.block(1, 1, vec![locked_event()], Some(batch)).await;
    assert_eq!(world.open().await, Some((OperationKind::Cancel, OperationState::Due)));
}

#[tokio::test]
async fn a_transaction_that_failed_as_a_whole_fails_no_operation() {
    let world = World::new().await;
    world.locked().await;
    let settle = world.begin(OperationKind::Settle).await;
    let batch = world.sign(2).await;
    world.block_with(2, 2, vec![], Some(batch), false, None).await;
    assert_eq!(world.operation(settle).await.state, OperationState::Due);
    assert_eq!(world.preauth().await.status, PreauthStatus::Authorized);
}

#[tokio::test]
async fn a_single_call_that_was_mined_and_failed_fails_with_its_reason() {
    let world = World::new().await;
    world.locked().await;
    let settle = world.begin(OperationKind::Settle).await;
    let batch = world.sign(2).await;
    let reason = CallFailure::Other("the token says: blocked".into());
    world.block_with(2, 2, vec![], Some(batch), false, Some(reason.clone())).await;
    let operation = world.operation(settle).await;
    assert_eq!((operation.state, operation.failure), (OperationState::Failed, Some(reason)));
    assert_eq!(world.preauth().await.status, PreauthStatus::Authorized);
}

#[tokio::test]
async fn an_expiry_is_never_given_up() {
    let world = World::new().await;
    world.locked().await;
    let expire = world.begin(OperationKind::Expire).await;
    let batch = world.sign(2).await;
    let failed =
        EscrowEvent::CallFailed { kind: OperationKind::Expire, failure: CallFailure::Other("odd".into()) };
    world.block(2, 2, vec![failed], Some(batch)).await;
    assert_eq!(world.operation(expire).await.state, OperationState::Due);
}

#[tokio::test]
async fn the_operations_of_a_lost_batch_are_due_again_and_a_reorg_opens_it() {
    let world = World::new().await;
    let batch = world.sign(1).await;
    world.block(1, 9, vec![], None).await;
    world
        .store
        .write::<_, StoreError, _>(move |tx| {
            async move {
                let tip = blocks::tip(tx).await?.unwrap();
                lose_batch(tx, batch, &tip, NOW, &mut Steps::together()).await
            }
            .boxed()
        })
        .await
        .unwrap();
    assert_eq!(world.open().await, Some((OperationKind::Authorize, OperationState::Due)));
    world.back_to(0).await;
    assert_eq!(world.open().await, Some((OperationKind::Authorize, OperationState::Batched)));
}

#[tokio::test]
async fn a_deferred_refund_is_remembered_until_a_reorg_takes_it_back() {
    let world = World::new().await;
    world.locked().await;
    world.begin(OperationKind::Cancel).await;
    let batch = world.sign(2).await;
    let events = vec![EscrowEvent::Cancelled, EscrowEvent::RefundDeferred { amount: units(100) }];
    world.block(2, 2, events, Some(batch)).await;
    let preauth = world.preauth().await;
    assert_eq!((preauth.status, preauth.deferred_refund), (PreauthStatus::Cancelled, Some(units(100))));
    world.back_to(1).await;
    let preauth = world.preauth().await;
    assert_eq!((preauth.status, preauth.deferred_refund), (PreauthStatus::Authorized, None));
}

#[tokio::test]
async fn a_settlement_retried_before_a_reorg_strands_nothing() {
    let world = World::new().await;
    world.locked().await;
    let first = world.begin(OperationKind::Settle).await;
    let batch = world.sign(2).await;
    let failed = EscrowEvent::CallFailed {
        kind: OperationKind::Settle,
        failure: CallFailure::Other("blocked".into()),
    };
    world.block(2, 2, vec![failed.clone()], Some(batch)).await;
    let retried = world.begin(OperationKind::Settle).await;

    world.back_to(1).await;
    world.block(2, 2, vec![failed], Some(batch)).await;
    assert_eq!(world.operation(first).await.state, OperationState::Failed);
    assert_eq!(world.operation(retried).await.state, OperationState::Due);
}

#[tokio::test]
async fn a_lock_that_lands_after_it_was_given_up_is_cancelled() {
    let world = World::new().await;
    let batch = world.sign(1).await;
    let failed = EscrowEvent::CallFailed {
        kind: OperationKind::Authorize,
        failure: CallFailure::InsufficientAllowance,
    };
    world.block(1, 1, vec![failed], Some(batch)).await;
    assert_eq!(world.preauth().await.status, PreauthStatus::Rejected);
    // No reorg was seen, and yet the chain says that it is locked: the chain decides.
    world.block(2, 1, vec![locked_event()], None).await;
    assert_eq!(world.preauth().await.status, PreauthStatus::Authorized);
    assert_eq!(world.open().await, Some((OperationKind::Cancel, OperationState::Due)));
}

#[tokio::test]
async fn a_hold_under_other_terms_is_not_ours() {
    let world = World::new().await;
    world.sign(1).await;
    let EscrowEvent::Locked { terms } = locked_event() else { unreachable!() };
    let other = EscrowEvent::Locked { terms: Terms { hold: units(99), ..terms } };
    world.block(1, 9, vec![other], None).await;
    let preauth = world.preauth().await;
    assert_eq!(
        (preauth.status, preauth.failure),
        (PreauthStatus::Rejected, Some(CallFailure::TermsMismatch))
    );
}

#[tokio::test]
async fn a_cancel_asked_for_during_a_reorg_overtakes_an_unsigned_settlement() {
    let world = World::new().await;
    let lock = world.sign(1).await;
    world.block(1, 1, vec![locked_event()], Some(lock)).await;
    let settle = world.begin(OperationKind::Settle).await;
    world.back_to(0).await;
    let mut preauth = world.preauth().await;
    preauth.cancel_requested = true;
    world
        .store
        .write::<_, StoreError, _>(move |tx| async move { preauths::save(tx, &preauth, NOW).await }.boxed())
        .await
        .unwrap();
    world.block(1, 1, vec![locked_event()], Some(lock)).await;
    assert_eq!(world.operation(settle).await.state, OperationState::Superseded);
    assert_eq!(world.open().await, Some((OperationKind::Cancel, OperationState::Due)));
}

#[tokio::test]
async fn an_expiry_done_by_somebody_else_leaves_no_zombie_after_a_reorg() {
    let world = World::new().await;
    world.locked().await;
    let expire = world.begin(OperationKind::Expire).await;
    let batch = world.sign(2).await;
    world.block(2, 9, vec![EscrowEvent::Expired], None).await;
    let late = EscrowEvent::CallFailed { kind: OperationKind::Expire, failure: CallFailure::NotOpen };
    world.block(3, 2, vec![late], Some(batch)).await;
    assert_eq!(world.operation(expire).await.state, OperationState::Done);

    world.back_to(2).await;
    assert_eq!(world.preauth().await.status, PreauthStatus::Expired);
    assert_eq!(world.open().await, None);

    world.back_to(1).await;
    assert_eq!(world.open().await, Some((OperationKind::Expire, OperationState::Batched)));
}
