//! Who takes part in a simulated life, and the daemon as it is put together for it.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::Duration;

use alloy::primitives::{Address, U256, keccak256};
use alloy::signers::local::PrivateKeySigner;
use futures::FutureExt;
use tokio::time::Instant;
use uuid::Uuid;

use super::contract::{Contracts, ESCROW, TokenState};
use super::gate::Gate;
use super::network::{GWEI, State};
use crate::approvers::Approvers;
use crate::chain::{Chain, ChainClock, WallClock};
use crate::keys::OperatorKey;
use crate::lane::{Caretaker, Desk, Lane, LaneSettings, Observer, Signals, Standing};
use crate::model::{Account, ChainTime, Millis, Rules, Tenant, TenantId, Token, WalletRole};
use crate::outbound::{Outbound, Post};
use crate::preauth::{Patrol, PreauthSettings, Preauths, Sweeper};
use crate::store::{Store, StoreError, instance, tenants, tokens, wallets};

pub const CHAIN_ID: u64 = 31_337;
/// When every life begins, Unix seconds.
pub const BEGINNING: u64 = 1_774_433_730;
pub const TOKENS: [Address; 2] = [Address::repeat_byte(0x71), Address::repeat_byte(0x72)];
pub const SENDERS: [Address; 3] =
    [Address::repeat_byte(0xa1), Address::repeat_byte(0xa2), Address::repeat_byte(0xa3)];
pub const RECEIVERS: [Address; 2] = [Address::repeat_byte(0xb1), Address::repeat_byte(0xb2)];
/// Seconds before its expiry at which a hold is announced to expire.
const WARN_BEFORE: u64 = 600;
/// What each sender has and allows, in base units.
const FUNDS: u128 = 1_000_000_000;

/// The keys of the lanes.
pub fn operators(count: usize) -> Vec<PrivateKeySigner> {
    let key = |number: usize| PrivateKeySigner::from_bytes(&keccak256(number.to_be_bytes()));
    (1..=count).map(|number| key(number).expect("a key")).collect()
}

pub fn tenant() -> Tenant {
    Tenant {
        id: TenantId(Uuid::from_u128(7)),
        name: "shop".into(),
        disabled: false,
        allowed_tip_bps: 1_000,
        default_ttl_seconds: 3_600,
        require_signed_consent: false,
        require_verified_party: false,
        rules: Rules::default(),
    }
}

/// The chain before its first block.
pub fn genesis(operators: &[PrivateKeySigner]) -> State {
    let addresses: Vec<Address> = operators.iter().map(PrivateKeySigner::address).collect();
    let token = TokenState {
        balances: SENDERS.iter().map(|sender| (*sender, FUNDS)).collect(),
        allowances: SENDERS.iter().map(|sender| (*sender, FUNDS)).collect(),
        ..Default::default()
    };
    State {
        nonces: Default::default(),
        money: addresses.iter().map(|operator| (*operator, U256::from(100_000_000_000 * GWEI))).collect(),
        contracts: Contracts {
            operators: addresses.into_iter().collect(),
            tokens: TOKENS.iter().map(|address| (*address, token.clone())).collect(),
            ..Default::default()
        },
    }
}

/// Nobody is asked in any life; and to make this again for each of them takes longer than much of what they are about.
static POST: LazyLock<Post> = LazyLock::new(|| Post::new(&Outbound::default()).unwrap());

/// A database with the tenant, the tokens and the wallets in it.
pub async fn furnish(folder: &Path) {
    let store = Store::open(folder).await.unwrap();
    let now = Millis(0);
    store
        .write::<_, StoreError, _>(move |tx| {
            async move {
                instance::bind_to_chain(tx, CHAIN_ID, now).await?;
                instance::add_escrow(tx, ESCROW, 0, now).await?;
                let tenant = tenant();
                tenants::insert(tx, &tenant, now).await?;
                for address in TOKENS {
                    let contract = Account::from_address(address);
                    let token =
                        Token { contract, symbol: "SIM".into(), decimals: 6, active: true, signing: None };
                    tokens::save(tx, &token, now).await?;
                }
                let senders = SENDERS.map(|sender| (sender, WalletRole::Sender));
                let receivers = RECEIVERS.map(|receiver| (receiver, WalletRole::Receiver));
                for (address, role) in senders.into_iter().chain(receivers) {
                    wallets::register(tx, tenant.id, &Account::from_address(address), role, now).await?;
                }
                Ok(())
            }
            .boxed()
        })
        .await
        .unwrap();
    store.close().await;
}

/// The wall clock of the life that runs: it goes with tokio's, which the driver moves.
pub fn wall(began: Instant, gate: Gate) -> WallClock {
    let beginning = i64::try_from(BEGINNING).unwrap() * 1_000;
    let read = move || Millis(beginning + i64::try_from(began.elapsed().as_millis()).unwrap());
    WallClock::played(read, move |time| gate.nap(time))
}

/// The daemon's parts, as `cli::daemon` puts them together.
pub struct Daemon {
    pub store: Store,
    pub clock: ChainClock,
    pub signals: Signals,
    pub standing: Standing,
    pub preauths: Preauths,
    pub sweeper: Sweeper,
    pub observer: Observer,
    pub lanes: Vec<Lane>,
    pub caretaker: Caretaker,
    pub patrol: Option<Patrol>,
}

/// What a daemon is configured with.
pub struct Configuration {
    pub folder: PathBuf,
    pub settings: LaneSettings,
    /// The keys it has, of all there are.
    pub operators: Vec<OperatorKey>,
    pub patrol_every: Option<Duration>,
}

/// Starts the daemon: it reads the chain up to its head first.
pub async fn start(
    store: Store,
    chain: Chain,
    wall: WallClock,
    configuration: Configuration,
) -> Result<Daemon, String> {
    let Configuration { folder, settings, operators, patrol_every } = configuration;
    let (signals, standing) = (Signals::default(), Standing::default());
    let mut observer = Observer::prepare(
        store.clone(),
        chain.clone(),
        signals.clone(),
        standing.clone(),
        settings.clone(),
        wall.clone(),
    )
    .await
    .map_err(|error| error.to_string())?;
    observer.catch_up().await.map_err(|error| error.to_string())?;
    let clock = observer.clock();
    clock.count_age();
    let desk = Desk::new(store.clone(), standing.clone());
    let lane = |key: &OperatorKey| {
        let (signals, standing) = (signals.clone(), standing.clone());
        Lane::new(
            key.clone(),
            store.clone(),
            chain.clone(),
            clock.clone(),
            signals,
            standing,
            desk.clone(),
            settings.clone(),
        )
    };
    let lanes = operators.iter().map(lane).collect();
    let keys: Vec<Address> = operators.iter().map(OperatorKey::address).collect();
    let caretaker = Caretaker::new(
        store.clone(),
        chain.clone(),
        clock.clone(),
        signals.clone(),
        standing.clone(),
        keys.iter().copied(),
    );
    let patrol = patrol_every
        .map(|every| Patrol::new(folder, chain.clone(), standing.clone(), every, settings.reorg_depth, wall));
    let preauth_settings = PreauthSettings {
        escrow: ESCROW,
        permit2: None,
        operators: keys,
        request_timeout: Duration::from_secs(30),
    };
    let approvers = Approvers::new(store.clone(), Outbound::default(), POST.clone());
    let preauths = Preauths::new(
        store.clone(),
        chain,
        clock.clone(),
        signals.clone(),
        standing.clone(),
        approvers,
        preauth_settings,
    );
    let sweeper = Sweeper::new(store.clone(), clock.clone(), signals.clone(), standing.clone(), WARN_BEFORE);
    Ok(Daemon { store, clock, signals, standing, preauths, sweeper, observer, lanes, caretaker, patrol })
}

/// The chain's time when a life begins.
pub fn first_block_time() -> ChainTime {
    ChainTime(BEGINNING)
}
