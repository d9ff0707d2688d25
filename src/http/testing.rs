//! A whole API for tests: a real database, and a node that knows its chain id and little else.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::{Address, B256, Bytes, U256};
use axum::body::Body;
use axum::http::{HeaderMap, Request};
use axum::response::Response;
use axum::routing::post;
use axum::{Json, Router};
use futures::FutureExt;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;
use uuid::Uuid;

use super::api_key;
use super::{
    AdminState, DevPowers, HttpParts, HttpState, MOST_STREAMS, PaySettings, RateLimits, RateSettings,
    Running, admin_router, router,
};
use crate::approvers::Approvers;
use crate::chain::{Chain, ChainClock, WallClock};
use crate::lane::{Signals, Standing};
use crate::model::{
    Account, ChainTime, InvoiceId, Millis, Preauth, PreauthKey, PreauthStatus, Rules, Scope, Tenant,
    TenantId, Token, TokenAmount, derive_preauth_id,
};
use crate::onboarding::{MasterKey, Messenger, Onboarding, OnboardingSettings, Verifier};
use crate::outbound::{Outbound, Post};
use crate::preauth::{PreauthSettings, Preauths, Snapshot, Sweeper};
use crate::store::admin_keys::{self, AdminKey};
use crate::store::{Store, StoreError, api_keys, instance, preauths, tenants, tokens};
use crate::webhooks::{WebhookSettings, Webhooks};

pub const TOKEN: &str = "0x9f8f72aa9304c8b593d555f12ef6589cc3a579a2";
const SENDER: &str = "0x41c528683845350e9bfc937e0f6c72bc999b5cdc";
const RECEIVER: &str = "0xaec528683845350e9bfc937e0f6c72bc999b5123";
const CHAIN_ID: u64 = 31_337;
const ESCROW: Address = Address::repeat_byte(0xe5);
const NOW: Millis = Millis(1_774_433_730_000);
const EXPIRY: ChainTime = ChainTime(1_774_872_000);

/// The routes that a document describes, each with its method.
pub fn routes_of(document: &Value) -> BTreeSet<String> {
    let paths = document["paths"].as_object().unwrap();
    let methods = |(path, item): (&String, &Value)| {
        let methods = item.as_object().unwrap().keys();
        methods.map(|method| format!("{method} {path}")).collect::<Vec<_>>()
    };
    paths.iter().flat_map(methods).collect()
}

/// The API and what stands behind it.
pub struct House {
    pub state: HttpState,
    chain: Chain,
    tenant: Tenant,
    _folder: TempDir,
}

impl House {
    pub async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        let chain = Chain::connect(&node().await.as_str().into()).await.unwrap();
        let (signals, standing) = (Signals::default(), Standing::default());
        let clock = ChainClock::starting_at(7, ChainTime(1_774_433_730), WallClock::system());
        let settings = PreauthSettings {
            escrow: ESCROW,
            permit2: None,
            operators: vec![Address::repeat_byte(0x0b)],
            request_timeout: Duration::from_secs(1),
        };
        let webhooks = Webhooks::new(store.clone(), signals.clone(), WebhookSettings::default());
        let outbound = Outbound::default();
        let post = Post::new(&outbound).unwrap();
        let approvers = Approvers::new(store.clone(), outbound, post);
        let preauths = Preauths::new(
            store.clone(),
            chain.clone(),
            clock.clone(),
            signals.clone(),
            standing.clone(),
            approvers.clone(),
            settings,
        );
        let state = HttpState::new(HttpParts {
            preauths,
            webhooks,
            approvers,
            onboarding: None,
            store: store.clone(),
            standing,
            signals,
            closing: CancellationToken::new(),
            streams: Arc::new(Semaphore::new(MOST_STREAMS)),
            clock,
            chain_id: CHAIN_ID,
            escrow: ESCROW,
            metrics: None,
            pay: PaySettings::new("https://pay.example", None),
            limits: RateLimits::new(RateSettings::default()),
            running: Running::default(),
            dev: None,
        });
        let tenant = new_tenant("shop");
        let token = Token {
            contract: Account::parse(TOKEN).unwrap(),
            symbol: "DEMO".into(),
            decimals: 6,
            active: true,
            signing: None,
        };
        let stored = tenant.clone();
        store
            .write::<_, StoreError, _>(move |connection| {
                async move {
                    instance::add_escrow(connection, ESCROW, 1, NOW).await?;
                    tenants::insert(connection, &stored, NOW).await?;
                    tokens::save(connection, &token, NOW).await
                }
                .boxed()
            })
            .await
            .unwrap();
        Self { state, chain, tenant, _folder: folder }
    }

    pub fn tenant(&self) -> TenantId {
        self.tenant.id
    }

    /// To be changed before the house is used.
    pub fn parts(&mut self) -> &mut HttpParts {
        Arc::get_mut(&mut self.state.parts).expect("nobody else has the state yet")
    }

    /// Onboards from now on, in the sandbox.
    pub fn give_onboarding(&mut self) {
        let settings = OnboardingSettings {
            master: MasterKey::parse(&"07".repeat(32)).unwrap(),
            messenger: Messenger::Sandbox,
            verifier: Verifier::Sandbox,
            public_url: "https://pay.example".into(),
        };
        let HttpParts { store, signals, .. } = &*self.state;
        let onboarding = Onboarding::new(store.clone(), signals.clone(), settings);
        self.parts().onboarding = Some(onboarding);
    }

    pub fn give_dev_powers(&mut self) {
        let powers = DevPowers::new(self.chain.clone(), Signals::default(), None);
        self.parts().dev = Some(powers);
    }

    /// A new API key of the tenant.
    pub async fn key(&self, scopes: &[Scope]) -> String {
        self.key_of(self.tenant.id, scopes).await
    }

    pub async fn key_of_another_tenant(&self, scopes: &[Scope]) -> String {
        let other = new_tenant("other");
        let stored = other.clone();
        let insert = self.state.store.write::<_, StoreError, _>(move |connection| {
            async move { tenants::insert(connection, &stored, NOW).await }.boxed()
        });
        insert.await.unwrap();
        self.key_of(other.id, scopes).await
    }

    async fn key_of(&self, tenant: TenantId, scopes: &[Scope]) -> String {
        let key = api_key::generate();
        let (prefix, hash, scopes) = (key.prefix, key.hash, scopes.to_vec());
        let insert = self.state.store.write::<_, StoreError, _>(move |connection| {
            async move { api_keys::insert(connection, tenant, &prefix, &hash, &scopes, NOW).await }.boxed()
        });
        insert.await.unwrap();
        key.secret.expose_secret().to_owned()
    }

    /// Forgets what is old when the wall clock shows `now`.
    pub async fn sweep_at(&self, now: Millis) {
        let wall = WallClock::played(move || now, |_| std::future::ready(()).boxed());
        let clock = ChainClock::starting_at(7, ChainTime(1_774_433_730), wall);
        let HttpParts { store, signals, standing, .. } = &*self.state;
        Sweeper::new(store.clone(), clock, signals.clone(), standing.clone(), 0).forget().await.unwrap();
    }

    pub async fn revoke(&self, prefix: &str) {
        let (tenant, prefix) = (self.tenant.id, prefix.to_owned());
        let revoke = self.state.store.write::<_, StoreError, _>(move |connection| {
            async move { api_keys::revoke(connection, tenant, &prefix, NOW).await }.boxed()
        });
        assert_eq!(revoke.await.unwrap(), 1);
    }

    pub async fn disable_tenant(&self) {
        let mut tenant = self.tenant.clone();
        tenant.disabled = true;
        let update = self.state.store.write::<_, StoreError, _>(move |connection| {
            async move { tenants::update(connection, &tenant).await }.boxed()
        });
        update.await.unwrap();
    }

    /// A PENDING preauthorization of the tenant.
    pub async fn store_preauth(&self, invoice: &str) {
        let preauth = snapshot().preauth;
        let invoice = InvoiceId::parse(invoice).unwrap();
        let new = preauths::NewPreauth {
            transaction_id: Uuid::now_v7(),
            tenant: self.tenant.id,
            preauth_id: derive_preauth_id(self.tenant.id, &invoice),
            invoice,
            escrow: ESCROW,
            sender: preauth.sender,
            receiver: preauth.receiver,
            token: preauth.token,
            decimals: preauth.decimals,
            amount: preauth.amount,
            hold: preauth.hold,
            expires_at: preauth.expires_at,
            consent: preauth.consent,
            schedule: None,
        };
        let insert = self.state.store.write::<_, StoreError, _>(move |connection| {
            async move { preauths::insert(connection, &new, NOW).await }.boxed()
        });
        insert.await.unwrap();
    }

    /// A new admin key.
    pub async fn admin_key(&self, scopes: &[Scope]) -> String {
        let new = api_key::generate_admin();
        let (secret, hash) = (new.secret, new.hash);
        let key = AdminKey {
            name: "night shift".into(),
            prefix: new.prefix,
            scopes: scopes.to_vec(),
            created_at: NOW,
            revoked_at: None,
        };
        let insert = self.state.store.write::<_, StoreError, _>(move |connection| {
            async move { admin_keys::insert(connection, &key, &hash).await }.boxed()
        });
        insert.await.unwrap();
        secret.expose_secret().to_owned()
    }

    /// A request to the admin listener.
    pub fn ask_admin(&self, method: &str, path: &str, body: &str) -> Ask {
        let state = AdminState::new(self.state.clone(), self.chain.clone(), Vec::new(), None);
        Ask { router: admin_router(state), ..self.request(method, path, body) }
    }

    pub fn get(&self, path: &str) -> Ask {
        self.request("GET", path, "")
    }

    pub fn post(&self, path: &str, body: &str) -> Ask {
        self.request("POST", path, body)
    }

    /// A request whose body is JSON unless its headers say otherwise.
    pub fn request(&self, method: &str, path: &str, body: &str) -> Ask {
        let request = Request::builder().method(method).uri(path);
        let mut request = request.body(Body::from(body.to_owned())).unwrap();
        request.headers_mut().insert("content-type", "application/json".parse().unwrap());
        request.headers_mut().insert("content-length", body.len().into());
        Ask { router: router(self.state.clone()), request }
    }
}

/// A request to be sent.
pub struct Ask {
    router: Router,
    request: Request<Body>,
}

impl Ask {
    pub fn header(mut self, name: &'static str, value: &str) -> Self {
        let value = axum::http::HeaderValue::from_bytes(value.as_bytes()).unwrap();
        self.request.headers_mut().insert(name, value);
        self
    }

    pub async fn send(self) -> Answer {
        read(self.router.oneshot(self.request).await.unwrap()).await
    }
}

/// An answer that was read.
pub struct Answer {
    pub status: u16,
    pub text: String,
    /// Null where the text is no JSON.
    pub body: Value,
    headers: HeaderMap,
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no header {name}")).to_str().unwrap()
    }

    pub fn has_header(&self, name: &str) -> bool {
        self.headers.contains_key(name)
    }

    pub fn code(&self) -> &str {
        self.error().3
    }

    /// Status, type, message and code of the first error, after a look at the envelope.
    pub fn error(&self) -> (u16, &str, &str, &str) {
        assert_eq!(self.header("content-type"), "application/json", "{}", self.text);
        assert_eq!(self.body.as_object().map(serde_json::Map::len), Some(1), "{}", self.text);
        let error = &self.body["errors"][0];
        assert_eq!(error["requestId"], self.header("x-request-id"));
        let text = |field: &str| error[field].as_str().unwrap_or_else(|| panic!("no {field}: {}", self.text));
        (self.status, text("type"), text("message"), text("code"))
    }
}

pub async fn read(response: Response) -> Answer {
    let (parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    let body = serde_json::from_str(&text).unwrap_or_default();
    Answer { status: parts.status.as_u16(), text, body, headers: parts.headers }
}

/// An AUTHORIZED preauthorization of 150.750 with a tip of 10 %.
pub fn snapshot() -> Snapshot {
    let amount = TokenAmount::parse("150.750").unwrap();
    let preauth = Preauth {
        key: PreauthKey(1),
        transaction_id: Uuid::from_u128(1),
        tenant: TenantId(Uuid::from_u128(2)),
        invoice: InvoiceId::parse("INV-1").unwrap(),
        preauth_id: B256::repeat_byte(3),
        escrow: ESCROW,
        sender: Account::parse(SENDER).unwrap(),
        receiver: Account::parse(RECEIVER).unwrap(),
        token: Account::parse(TOKEN).unwrap(),
        decimals: 6,
        amount,
        hold: TokenAmount::parse("165.825").unwrap().in_base_units(6).unwrap(),
        expires_at: EXPIRY,
        consent: Bytes::new(),
        status: PreauthStatus::Authorized,
        cancel_requested: false,
        schedule: None,
        settlement: None,
        lock_transaction: Some(B256::repeat_byte(4)),
        close_transaction: None,
        deferred_refund: None,
        failure: None,
        created_at: NOW,
        updated_at: NOW,
    };
    Snapshot { preauth, pending_operation: None }
}

fn new_tenant(name: &str) -> Tenant {
    Tenant {
        id: TenantId(Uuid::new_v4()),
        name: name.into(),
        disabled: false,
        allowed_tip_bps: 1_000,
        default_ttl_seconds: 86_400,
        require_signed_consent: false,
        require_verified_party: false,
        rules: Rules::default(),
    }
}

/// Starts a node and returns its URL. Every contract call answers zero; its newest block is number 42.
async fn node() -> String {
    async fn answer(Json(request): Json<Value>) -> Json<Value> {
        let result = match request["method"].as_str().unwrap() {
            "eth_chainId" => json!(format!("0x{CHAIN_ID:x}")),
            "eth_call" => json!(B256::ZERO),
            "eth_getBlockByNumber" => {
                let mut block = alloy::rpc::types::Block::<B256>::default();
                block.header.inner.number = 42;
                block.header.inner.timestamp = EXPIRY.0;
                block.header.total_difficulty = Some(U256::ZERO);
                serde_json::to_value(block).unwrap()
            }
            "evm_increaseTime" | "evm_mine" => json!("0x0"),
            method => panic!("the node does not know {method}"),
        };
        Json(json!({"jsonrpc": "2.0", "id": request["id"], "result": result}))
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/", post(answer))).await });
    format!("http://{address}")
}
