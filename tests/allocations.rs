//! What a look into the database allocates, counted: it must be as much with many rows as with few. A query that reads more
//! than its page, or gathers what it should count, shows here on any machine.
//!
//! A program of its own, because what is counted is what the whole process allocates.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::alloc::System;

use alloy::primitives::{Address, Bytes};
use futures::FutureExt;
use preauthd::model::{
    Account, BaseUnits, ChainTime, InvoiceId, Millis, OperationKind, Rules, Tenant, TenantId, TokenAmount,
    derive_preauth_id,
};
use preauthd::store::preauths::{Filter, NewPreauth};
use preauthd::store::{
    Connection, Store, StoreError, batches, deliveries, due, events, figures, instance, operations, preauths,
    tenants,
};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use uuid::Uuid;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ESCROW: Address = Address::repeat_byte(1);
const SENDER: Address = Address::repeat_byte(2);
const NOW: Millis = Millis(1_000);
const PAGE: u32 = 100;

/// The looks that requests, lanes, sweep and monitoring take all the time.
#[derive(Debug, Clone, Copy)]
enum Look {
    Invoice,
    List,
    Overdue,
    Due,
    OpenBatches,
    NextDeferred,
    Figures,
    Events,
    DueDeliveries,
}

const LOOKS: [Look; 9] = [
    Look::Invoice,
    Look::List,
    Look::Overdue,
    Look::Due,
    Look::OpenBatches,
    Look::NextDeferred,
    Look::Figures,
    Look::Events,
    Look::DueDeliveries,
];

#[tokio::test]
async fn a_look_allocates_as_much_with_many_rows_as_with_few() {
    let (few, many) = (allocated_with(200).await, allocated_with(4_000).await);
    for ((look, few), (_, many)) in few.into_iter().zip(many) {
        // Keys and counts have more digits in a larger database.
        assert!(many <= few + few / 10 + 2_000, "{look:?}: {few} bytes with few rows, {many} with many");
    }
}

/// Bytes that each look allocates in a database with so many rows of each kind.
async fn allocated_with(rows: u64) -> Vec<(Look, usize)> {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).await.unwrap();
    let tenant = Tenant {
        id: TenantId(Uuid::from_u128(7)),
        name: "shop".into(),
        disabled: false,
        allowed_tip_bps: 0,
        default_ttl_seconds: 60,
        require_signed_consent: false,
        require_verified_party: false,
        rules: Rules::default(),
    };
    let id = tenant.id;
    let filled = store.write::<_, StoreError, _>(move |tx| {
        async move {
            instance::add_escrow(tx, ESCROW, 0, NOW).await?;
            tenants::insert(tx, &tenant, NOW).await?;
            for number in 0..rows {
                fill(tx, id, number).await?;
            }
            Ok(())
        }
        .boxed()
    });
    filled.await.unwrap();
    let mut reader = store.read().await.unwrap();
    let mut allocated = Vec::new();
    for look in LOOKS {
        // The first look prepares its statement.
        for _ in 0..2 {
            assert!(take(look, &mut reader, id).await.unwrap(), "{look:?} finds something");
        }
        let region = Region::new(ALLOCATOR);
        take(look, &mut reader, id).await.unwrap();
        allocated.push((look, region.change().bytes_allocated));
    }
    drop(reader);
    store.close().await;
    allocated
}

/// A hold that is overdue, and one whose lock is due.
async fn fill(tx: &mut Connection, tenant: TenantId, number: u64) -> Result<(), StoreError> {
    let pending = pending(tenant, number * 2);
    let key = preauths::insert(tx, &pending, NOW).await?;
    operations::insert(tx, key, OperationKind::Authorize, None, pending.expires_at, NOW).await?;
    let key = preauths::insert(tx, &self::pending(tenant, number * 2 + 1), NOW).await?;
    let mut held = preauths::by_key(tx, key).await?;
    held.status = preauthd::model::PreauthStatus::Authorized;
    preauths::save(tx, &held, NOW).await?;
    events::insert(tx, &held, preauthd::model::EventKind::Authorized, NOW).await
}

fn pending(tenant: TenantId, number: u64) -> NewPreauth {
    let invoice = InvoiceId::parse(&format!("INV-{number:08}")).unwrap();
    NewPreauth {
        transaction_id: Uuid::from_u128(number.into()),
        tenant,
        preauth_id: derive_preauth_id(tenant, &invoice),
        invoice,
        escrow: ESCROW,
        sender: Account::from_address(SENDER),
        receiver: Account::from_address(Address::repeat_byte(3)),
        token: Account::from_address(Address::repeat_byte(4)),
        decimals: 6,
        amount: TokenAmount::parse("1").unwrap(),
        hold: BaseUnits::new(1_000_000).unwrap(),
        expires_at: ChainTime(100 + number),
        consent: Bytes::new(),
        schedule: None,
    }
}

/// Takes a look; says whether anything was found where something should be.
async fn take(look: Look, reader: &mut Connection, tenant: TenantId) -> Result<bool, StoreError> {
    Ok(match look {
        Look::Invoice => {
            let invoice = InvoiceId::parse("INV-00000007").unwrap();
            preauths::by_invoice(reader, tenant, &invoice).await?.is_some()
        }
        Look::List => {
            let filter = Filter { sender: Some(SENDER), ..Filter::default() };
            preauths::page(reader, tenant, &filter, PAGE).await?.len() == 100
        }
        Look::Overdue => due::overdue(reader, ChainTime(u32::MAX.into()), PAGE).await?.len() == 100,
        Look::Due => operations::due(reader, OperationKind::Authorize, ESCROW, NOW, PAGE).await?.len() == 100,
        Look::OpenBatches => batches::open(reader, None).await?.is_empty(),
        Look::NextDeferred => operations::next_deferred(reader, NOW).await?.is_none(),
        Look::Figures => {
            let release = figures::next_release(reader).await?;
            !figures::open_operations(reader).await?.is_empty() && release.is_some()
        }
        Look::Events => events::page(reader, tenant, None, 0, PAGE).await?.len() == 100,
        Look::DueDeliveries => deliveries::oldest_pending(reader).await?.is_none(),
    })
}
