//! `POST /wallets`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{ToSchema, openapi};

use super::{Role, WalletBody, role};
use crate::http::HttpState;
use crate::http::caller::Opener;
use crate::http::error::ApiError;
use crate::http::json::{JsonBody, Object};
use crate::http::shape::{self, Shape};
use crate::http::typed_data::TypedData;
use crate::http::words::one_of;
use crate::model::{Account, Millis, Scope};
use crate::preauth::{ProofChallenge, RegisterWallet, Registration, RegistrationRefusal, WalletProof};

/// A wish to register a wallet.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({ "address": "0x41c528683845350e9bfc937e0f6c72bc999b5cdc", "role": "sender" }))]
pub struct WalletRequest {
    #[schema(format = "address", pattern = "^0x(?!0{40}$)[0-9a-fA-F]{40}$")]
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
    /// ECDSA, what a contract wallet accepts by ERC-1271, or, while that is not deployed yet, the same wrapped by
    /// ERC-6492.
    #[schema(pattern = "^0x([0-9a-fA-F]{2}){1,4096}$")]
    pub signature: String,
}

/// The `status` of an answer that asks for a proof.
const PROOF_REQUIRED: &str = "PROOF_REQUIRED";

fn proof_required() -> openapi::Object {
    one_of("Always `PROOF_REQUIRED`.", [PROOF_REQUIRED])
}

/// The wallet is not registered yet: its owner has to sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ProofRequired {
    /// `PROOF_REQUIRED`.
    #[schema(schema_with = proof_required)]
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
    pub typed_data: TypedData,
}

impl From<ProofChallenge> for ProofRequired {
    fn from(challenge: ProofChallenge) -> Self {
        let proof = ProofOffer {
            nonce: challenge.nonce.to_string(),
            deadline: Millis(challenge.deadline.saturating_mul(1_000)).to_rfc3339(),
            typed_data: TypedData(challenge.typed_data),
        };
        Self { status: PROOF_REQUIRED, proof }
    }
}

impl WalletRequest {
    fn into_wish(self, by_admin: bool) -> Result<RegisterWallet, ApiError> {
        let mut shape = Shape::of_body();
        let account = shape.read("address", Account::parse(&self.address));
        let role = shape.read("role", role(&self.role));
        let proof = self.proof.map(|Object(proof)| {
            let nonce = shape.read("proof.nonce", shape::word(&proof.nonce));
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
    Opener(caller): Opener,
    State(state): State<HttpState>,
    JsonBody(request): JsonBody<WalletRequest>,
) -> Result<Response, ApiError> {
    let wish = request.into_wish(caller.may(Scope::Admin))?;
    match state.preauths.register_wallet(&caller.tenant, wish).await? {
        Registration::Registered(mut view) => {
            if let Some(dev) = &state.dev {
                dev.admit(state.escrow, &state.clock, &mut view).await?;
            }
            let body = WalletBody::new(&view, state.clock.now());
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

#[cfg(test)]
mod tests {
    use alloy::dyn_abi::TypedData;
    use alloy::signers::SignerSync;
    use alloy::signers::local::PrivateKeySigner;
    use serde_json::{Value, json};

    use super::*;
    use crate::http::testing::Answer;
    use crate::http::wallets::tests::Shop;

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
}
