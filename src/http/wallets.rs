//! `POST /wallets`, `GET /wallets`, `DELETE /wallets/{address}`.

use alloy::primitives::B256;
use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::HttpState;
use super::caller::{Reader, Writer};
use super::cursor::{self, List};
use super::error::ApiError;
use super::json::{JsonBody, Object, Parameters};
use super::list::{NO_CURSOR, limit};
use super::shape::{self, Shape};
use crate::model::{Account, ChainTime, Millis, Scope, WalletRole};
use crate::preauth::{
    ProofChallenge, RegisterWallet, Registration, RegistrationRefusal, WalletProof, WalletView,
};

const NO_ROLE: &str = "must be \"sender\" or \"receiver\"";

/// The side of a preauthorization that a wallet stands on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Sender,
    Receiver,
}

/// How a receiver's wallet stands on chain.
///
/// - `ACTIVE`: an allowance alone is enough to lock tokens for it.
/// - `WAITING`: allowed, from `activeFrom` on.
/// - `NOT_REGISTERED`: the operator has not allowed it on chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OnChain {
    Active,
    Waiting,
    NotRegistered,
}

/// A registered wallet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Wallet, example = json!({
    "address": "0xaec528683845350e9bfc937e0f6c72bc999b5123",
    "role": "receiver",
    "registeredAt": "2026-03-25T10:15:30.000Z",
    "onChain": "ACTIVE",
    "activeFrom": "2026-03-25T10:15:31.000Z"
}))]
pub struct WalletBody {
    /// As it was written when it was registered.
    pub address: String,
    pub role: Role,
    #[schema(format = "date-time")]
    pub registered_at: String,
    /// Null for senders.
    #[schema(required)]
    pub on_chain: Option<OnChain>,
    /// From when on the contract allows it as a receiver, by the chain's clock; null where it does not, and for senders.
    #[schema(required, format = "date-time")]
    pub active_from: Option<String>,
}

impl WalletBody {
    fn new(view: &WalletView, now: ChainTime) -> Self {
        let (role, on_chain) = match (view.wallet.role, view.active_from) {
            (WalletRole::Sender, _) => (Role::Sender, None),
            (WalletRole::Receiver, None) => (Role::Receiver, Some(OnChain::NotRegistered)),
            (WalletRole::Receiver, Some(from)) if from <= now => (Role::Receiver, Some(OnChain::Active)),
            (WalletRole::Receiver, Some(_)) => (Role::Receiver, Some(OnChain::Waiting)),
        };
        Self {
            address: view.wallet.account.written().to_owned(),
            role,
            registered_at: view.wallet.registered_at.to_rfc3339(),
            on_chain,
            active_from: view.active_from.map(ChainTime::to_rfc3339),
        }
    }
}

/// A wish to register a wallet.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({ "address": "0x41c528683845350e9bfc937e0f6c72bc999b5cdc", "role": "sender" }))]
pub struct WalletRequest {
    #[schema(pattern = "^0x[0-9a-fA-F]{40}$")]
    pub address: String,
    /// `sender` or `receiver`.
    #[schema(value_type = Role)]
    pub role: String,
    /// For a sender: the signature over the `typedData` that the request without it was answered with.
    #[schema(value_type = Option<ProofRequest>)]
    pub proof: Option<Object<ProofRequest>>,
}

/// A sender's proof that the wallet is his.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ProofRequest {
    #[schema(pattern = "^0x[0-9a-fA-F]{64}$")]
    pub nonce: String,
    /// ECDSA, or what a contract wallet accepts by ERC-1271.
    #[schema(pattern = "^0x([0-9a-fA-F]{2})+$")]
    pub signature: String,
}

/// The wallet is not registered yet: its owner has to sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProofRequired {
    /// `PROOF_REQUIRED`.
    #[schema(value_type = String, examples("PROOF_REQUIRED"))]
    pub status: &'static str,
    pub proof: ProofOffer,
}

/// What the owner has to sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ProofOffer {
    /// Good for one registration.
    pub nonce: String,
    /// Until when the signature has to arrive.
    #[schema(format = "date-time")]
    pub deadline: String,
    /// For `eth_signTypedData_v4`.
    #[schema(value_type = Object)]
    pub typed_data: serde_json::Value,
}

impl From<ProofChallenge> for ProofRequired {
    fn from(challenge: ProofChallenge) -> Self {
        let proof = ProofOffer {
            nonce: challenge.nonce.to_string(),
            deadline: Millis(challenge.deadline.saturating_mul(1_000)).to_rfc3339(),
            typed_data: challenge.typed_data,
        };
        Self { status: "PROOF_REQUIRED", proof }
    }
}

impl WalletRequest {
    fn into_wish(self, by_admin: bool) -> Result<RegisterWallet, ApiError> {
        let mut shape = Shape::of_body();
        let account = shape.read("address", Account::parse(&self.address));
        let role = shape.read("role", WalletRole::parse(&self.role).ok_or(NO_ROLE));
        let proof = self.proof.map(|Object(proof)| {
            let nonce = proof.nonce.parse::<B256>().ok().filter(|_| proof.nonce.starts_with("0x"));
            let nonce =
                shape.read("proof.nonce", nonce.ok_or("must be 0x followed by 64 hexadecimal digits"));
            let signature = shape.read("proof.signature", shape::signature(&proof.signature));
            Some(WalletProof { nonce: nonce?, signature: signature? })
        });
        match (account, role, proof) {
            (Some(account), Some(role), None) => Ok(RegisterWallet { account, role, proof: None, by_admin }),
            (Some(account), Some(role), Some(Some(proof))) => {
                Ok(RegisterWallet { account, role, proof: Some(proof), by_admin })
            }
            _ => Err(shape.refused()),
        }
    }
}

/// Register a wallet
///
/// A preauthorization names registered wallets only.
///
/// A receiver is registered at once (201); in addition the operator allows it on chain, which `onChain` shows. A sender
/// proves that the wallet is his: the request without `proof` is answered with 202 and typed data; its owner signs
/// that with `eth_signTypedData_v4`, and the same request with `proof` registers it (201). The typed data names you, so
/// a proof cannot be used by anybody else. A key with the scope `admin` registers senders without proof.
///
/// Registering a wallet again changes nothing and needs no proof.
#[utoipa::path(
    post, path = "/wallets", operation_id = "registerWallet", tag = "Wallets",
    request_body = WalletRequest,
    responses(
        (status = 201, description = "Registered", body = WalletBody),
        (status = 202, description = "The wallet's owner has to sign first", body = ProofRequired),
    ),
)]
pub async fn register(
    Writer(caller): Writer,
    State(state): State<HttpState>,
    JsonBody(request): JsonBody<WalletRequest>,
) -> Result<Response, ApiError> {
    let wish = request.into_wish(caller.may(Scope::Admin))?;
    match state.preauths.register_wallet(&caller.tenant, wish).await? {
        Registration::Registered(mut view) => {
            if let Some(dev) = &state.dev {
                dev.admit(state.escrow, &mut view).await?;
            }
            let body =
                WalletBody::new(&view, state.clock.now().max(view.active_from.unwrap_or(ChainTime(0))));
            Ok((StatusCode::CREATED, Json(body)).into_response())
        }
        Registration::ProofRequired(challenge) => {
            Ok((StatusCode::ACCEPTED, Json(ProofRequired::from(challenge))).into_response())
        }
        Registration::Refused(refusal) => Err(not_proven(refusal)),
    }
}

/// The answer to a proof that proves nothing.
pub fn not_proven(refusal: RegistrationRefusal) -> ApiError {
    let (code, field, message) = match refusal {
        RegistrationRefusal::UnknownProof => (
            "unknown_proof",
            "proof.nonce",
            "proof.nonce was not offered for this wallet, was used, or is too old",
        ),
        RegistrationRefusal::WrongSignature => (
            "wrong_signature",
            "proof.signature",
            "proof.signature is not the wallet's over the offered typed data",
        ),
    };
    ApiError::new(StatusCode::BAD_REQUEST, code, message).field(field)
}

/// Which wallets to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct WalletParameters {
    /// Only those in this role.
    #[param(value_type = Option<Role>)]
    pub role: Option<String>,
    /// How many at most, 1 to 100.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 20)]
    pub limit: Option<String>,
    /// The `nextCursor` of the page before.
    pub cursor: Option<String>,
}

/// A page of wallets, in the order of their registration.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct WalletPage {
    pub data: Vec<WalletBody>,
    /// Whether there is a next page.
    pub has_more: bool,
    /// For the next page; null on the last.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

/// List wallets
///
/// Your registered wallets, in the order of their registration.
#[utoipa::path(
    get, path = "/wallets", operation_id = "listWallets", tag = "Wallets",
    params(WalletParameters),
    responses((status = 200, description = "A page", body = WalletPage)),
)]
pub async fn list(
    Reader(caller): Reader,
    State(state): State<HttpState>,
    Parameters(parameters): Parameters<WalletParameters>,
) -> Result<Json<WalletPage>, ApiError> {
    let tenant = caller.tenant.id;
    let mut shape = Shape::of_query();
    let role = shape.read_optional("role", parameters.role.as_deref().map(role));
    let limit = shape.read("limit", limit(parameters.limit.as_deref()));
    let after = parameters.cursor.as_deref().map_or(Ok(0), |cursor| {
        let last = cursor::decode(List::Wallets, tenant, cursor);
        last.and_then(|last| last.parse::<i64>().ok()).ok_or(NO_CURSOR)
    });
    let after = shape.read("cursor", after);
    let (Some(role), Some(limit), Some(after)) = (role, limit, after) else { return Err(shape.refused()) };

    let mut page = state.preauths.wallets(&caller.tenant, role, after, limit + 1).await?;
    let shown = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = page.len() > shown;
    page.truncate(shown);
    let last = page.last().filter(|_| has_more);
    let next_cursor = last.map(|view| cursor::encode(List::Wallets, tenant, &view.wallet.id.to_string()));
    let now = state.clock.now();
    let data = page.iter().map(|view| WalletBody::new(view, now)).collect();
    Ok(Json(WalletPage { data, has_more, next_cursor }))
}

/// Which registration to remove.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RemovalParameters {
    /// Only in this role. Default: in both.
    #[param(value_type = Option<Role>)]
    pub role: Option<String>,
}

/// Remove a wallet
///
/// Stops new preauthorizations with it. Open ones go on: they are settled, cancelled or expire as if nothing happened.
#[utoipa::path(
    delete, path = "/wallets/{address}", operation_id = "removeWallet", tag = "Wallets",
    params(("address" = String, Path, description = "The wallet, in any spelling"), RemovalParameters),
    responses((status = 204, description = "Removed")),
)]
pub async fn remove(
    Writer(caller): Writer,
    State(state): State<HttpState>,
    Path(address): Path<String>,
    Parameters(parameters): Parameters<RemovalParameters>,
) -> Result<StatusCode, ApiError> {
    let mut shape = Shape::of_query();
    let account = shape.read("address", Account::parse(&address));
    let role = shape.read_optional("role", parameters.role.as_deref().map(role));
    let (Some(account), Some(role)) = (account, role) else { return Err(shape.refused()) };
    if state.preauths.remove_wallet(&caller.tenant, account.address(), role).await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        Err(not_registered())
    }
}

/// There is no such registration.
pub fn not_registered() -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, "wallet_not_registered", "Wallet not registered").field("address")
}

fn role(text: &str) -> Result<WalletRole, &'static str> {
    WalletRole::parse(text).ok_or(NO_ROLE)
}

#[cfg(test)]
mod tests {
    use alloy::dyn_abi::TypedData;
    use alloy::signers::SignerSync;
    use alloy::signers::local::PrivateKeySigner;
    use serde_json::{Value, json};

    use super::*;
    use crate::http::testing::{Answer, House};

    struct Shop {
        house: House,
        key: String,
    }

    impl Shop {
        async fn open(scopes: &[Scope]) -> Self {
            let house = House::open().await;
            let key = house.key(scopes).await;
            Self { house, key }
        }

        async fn register(&self, body: Value) -> Answer {
            self.house.post("/wallets", &body.to_string()).header("x-api-key", &self.key).send().await
        }

        async fn get(&self, path: &str) -> Answer {
            self.house.get(path).header("x-api-key", &self.key).send().await
        }

        async fn remove(&self, path: &str) -> Answer {
            self.house.request("DELETE", path, "").header("x-api-key", &self.key).send().await
        }
    }

    fn sign(wallet: &PrivateKeySigner, offer: &Answer) -> Value {
        let typed: TypedData = serde_json::from_value(offer.body["proof"]["typedData"].clone()).unwrap();
        let signature = wallet.sign_hash_sync(&typed.eip712_signing_hash().unwrap()).unwrap();
        json!({"nonce": offer.body["proof"]["nonce"], "signature": signature.to_string()})
    }

    #[tokio::test]
    async fn a_sender_proves_that_the_wallet_is_his() {
        let shop = Shop::open(&[Scope::Read, Scope::Write]).await;
        let (wallet, stranger) = (PrivateKeySigner::random(), PrivateKeySigner::random());
        let address = wallet.address().to_checksum(None);
        let wish = json!({"address": address, "role": "sender"});
        let offer = shop.register(wish.clone()).await;
        assert_eq!((offer.status, &offer.body["status"]), (202, &"PROOF_REQUIRED".into()));
        assert_eq!(shop.get("/wallets").await.body["data"], json!([]));

        let mut proven = wish.clone();
        proven["proof"] = sign(&stranger, &offer);
        let answer = shop.register(proven.clone()).await;
        assert_eq!((answer.status, answer.code()), (400, "wrong_signature"));
        assert_eq!(answer.body["errors"][0]["field"], "proof.signature");

        // A wrong signature does not use the nonce up.
        proven["proof"] = sign(&wallet, &offer);
        let answer = shop.register(proven.clone()).await;
        assert_eq!(answer.status, 201, "{}", answer.text);
        assert_eq!((&answer.body["address"], &answer.body["role"]), (&json!(address), &json!("sender")));
        assert_eq!(shop.register(wish.clone()).await.status, 201);

        assert_eq!(shop.remove(&format!("/wallets/{address}?role=sender")).await.status, 204);
        let answer = shop.register(proven).await;
        assert_eq!((answer.status, answer.code()), (400, "unknown_proof"));
    }

    #[tokio::test]
    async fn a_proof_is_good_for_its_wallet_and_tenant_only() {
        let shop = Shop::open(&[Scope::Read, Scope::Write]).await;
        let (one, two) = (PrivateKeySigner::random(), PrivateKeySigner::random());
        let offer = shop.register(json!({"address": one.address(), "role": "sender"})).await;
        let proof = sign(&two, &offer);
        let answer = shop.register(json!({"address": two.address(), "role": "sender", "proof": proof})).await;
        assert_eq!((answer.status, answer.code()), (400, "unknown_proof"));

        let stranger = shop.house.key_of_another_tenant(&[Scope::Write]).await;
        let body =
            json!({"address": one.address(), "role": "sender", "proof": sign(&one, &offer)}).to_string();
        let answer = shop.house.post("/wallets", &body).header("x-api-key", &stranger).send().await;
        assert_eq!((answer.status, answer.code()), (400, "unknown_proof"));
    }

    #[tokio::test]
    async fn receivers_and_admins_need_no_proof() {
        let shop = Shop::open(&[Scope::Read, Scope::Write]).await;
        let receiver = "0xaec528683845350e9bfc937e0f6c72bc999b5123";
        let answer = shop.register(json!({"address": receiver, "role": "receiver"})).await;
        assert_eq!((answer.status, &answer.body["onChain"]), (201, &"NOT_REGISTERED".into()));
        assert!(answer.body["activeFrom"].is_null());
        let admin = shop.house.key(&[Scope::Write, Scope::Admin]).await;
        let body = json!({"address": receiver, "role": "sender"}).to_string();
        let answer = shop.house.post("/wallets", &body).header("x-api-key", &admin).send().await;
        assert_eq!((answer.status, &answer.body["onChain"]), (201, &Value::Null));

        assert_eq!(shop.get("/wallets").await.body["data"].as_array().unwrap().len(), 2);
        assert_eq!(shop.get("/wallets?role=sender").await.body["data"].as_array().unwrap().len(), 1);
        // Any spelling, both roles.
        let upper = format!("/wallets/0x{}", receiver[2..].to_uppercase());
        assert_eq!(shop.remove(&upper).await.status, 204);
        let again = shop.remove(&upper).await;
        assert_eq!(again.error(), (404, "onchain", "Wallet not registered", "wallet_not_registered"));
        assert_eq!(shop.get("/wallets").await.body["data"], json!([]));
    }

    #[tokio::test]
    async fn wallets_come_in_pages() {
        let shop = Shop::open(&[Scope::Read, Scope::Write]).await;
        let addresses: Vec<String> = (1..=3).map(|number| format!("0x{number:040x}")).collect();
        for address in &addresses {
            assert_eq!(shop.register(json!({"address": address, "role": "receiver"})).await.status, 201);
        }
        let first = shop.get("/wallets?limit=2").await.body;
        let cursor = first["nextCursor"].as_str().unwrap();
        let second = shop.get(&format!("/wallets?limit=2&cursor={cursor}")).await.body;
        let shown = |page: &Value| -> Vec<String> {
            page["data"]
                .as_array()
                .unwrap()
                .iter()
                .map(|one| one["address"].as_str().unwrap().to_owned())
                .collect()
        };
        assert_eq!([shown(&first), shown(&second)].concat(), addresses);
        assert_eq!((&first["hasMore"], &second["hasMore"]), (&json!(true), &json!(false)));
        assert!(second["nextCursor"].is_null());
    }

    #[tokio::test]
    async fn every_malformed_field_is_named() {
        let shop = Shop::open(&[Scope::Read, Scope::Write]).await;
        let address = "0xaec528683845350e9bfc937e0f6c72bc999b5123";
        let nonce = format!("0x{}", "0".repeat(64));
        for (body, field) in [
            (json!({"role": "sender"}), "address"),
            (json!({"address": "0x", "role": "sender"}), "address"),
            (json!({"address": address}), "role"),
            (json!({"address": address, "role": "payer"}), "role"),
            (json!({"address": address, "role": "sender", "name": 1}), "name"),
            (json!({"address": address, "role": "sender", "proof": "0x"}), "proof"),
            (json!({"address": address, "role": "sender", "proof": {"nonce": nonce}}), "proof.signature"),
            (
                json!({"address": address, "role": "sender", "proof": {"nonce": "0x1", "signature": "0x00"}}),
                "proof.nonce",
            ),
            (
                json!({"address": address, "role": "sender", "proof": {"nonce": nonce, "signature": "0x"}}),
                "proof.signature",
            ),
        ] {
            let answer = shop.register(body.clone()).await;
            assert_eq!((answer.status, answer.code()), (400, "invalid_field"), "{body}");
            assert_eq!(answer.body["errors"][0]["field"], field, "{body}");
        }
        for (path, field) in [
            ("/wallets?role=payer", "role"),
            ("/wallets?limit=1000", "limit"),
            ("/wallets?cursor=x", "cursor"),
            ("/wallets?sort=asc", "sort"),
        ] {
            let answer = shop.get(path).await;
            assert_eq!((answer.status, answer.code()), (400, "invalid_parameter"), "{path}");
            assert_eq!(answer.body["errors"][0]["field"], field, "{path}");
        }
        assert_eq!(shop.remove("/wallets/0x12").await.body["errors"][0]["field"], "address");
        assert_eq!(
            shop.remove(&format!("/wallets/{address}?role=x")).await.body["errors"][0]["field"],
            "role"
        );
    }

    #[test]
    fn a_receivers_standing_follows_the_chains_clock() {
        let view = |active_from| WalletView {
            wallet: crate::store::wallets::Wallet {
                id: 1,
                account: Account::parse("0xaec528683845350e9bfc937e0f6c72bc999b5123").unwrap(),
                role: WalletRole::Receiver,
                registered_at: Millis(0),
            },
            active_from,
        };
        let standing = |active_from| WalletBody::new(&view(active_from), ChainTime(100)).on_chain;
        assert_eq!(standing(None), Some(OnChain::NotRegistered));
        assert_eq!(standing(Some(ChainTime(100))), Some(OnChain::Active));
        assert_eq!(standing(Some(ChainTime(101))), Some(OnChain::Waiting));
    }
}
