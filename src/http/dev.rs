//! `POST /dev/advance`, and what else `dev` may do. None of it exists in a daemon that serves.

use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::Address;
use alloy::signers::local::PrivateKeySigner;
use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use utoipa::ToSchema;

use super::HttpState;
use super::caller::Caller;
use super::error::ApiError;
use super::json::{JsonBody, whole_number};
use super::shape::Shape;
use crate::chain::{Chain, ChainClock};
use crate::lane::Signals;
use crate::model::WalletRole;
use crate::preauth::{Fault, WalletView};

/// The farthest jump of the clock at once, in seconds: a year.
const MAX_ADVANCE_SECONDS: u64 = 365 * 24 * 60 * 60;
/// How long the observer may take for the block.
const OBSERVER_PATIENCE: Duration = Duration::from_secs(30);

/// The powers of `dev`: over the node's clock, and over the escrow's registry. Clones share them.
#[derive(Clone)]
pub struct DevPowers {
    chain: Chain,
    signals: Signals,
    /// The escrow's admin, one transaction at a time.
    admin: Option<Arc<Mutex<PrivateKeySigner>>>,
}

impl DevPowers {
    /// With `admin`, receivers are allowed on chain as soon as they are registered.
    #[must_use]
    pub fn new(chain: Chain, signals: Signals, admin: Option<PrivateKeySigner>) -> Self {
        Self { chain, signals, admin: admin.map(|admin| Arc::new(Mutex::new(admin))) }
    }

    /// Allows a receiver on chain that is not yet allowed, and returns when the daemon has taken that in.
    pub(super) async fn admit(
        &self,
        escrow: Address,
        clock: &ChainClock,
        view: &mut WalletView,
    ) -> Result<(), Fault> {
        let Some(admin) = &self.admin else { return Ok(()) };
        if view.wallet.role != WalletRole::Receiver || view.active_from.is_some() {
            return Ok(());
        }
        let receiver = view.wallet.account.address();
        let admin = admin.lock().await;
        // Another request may have registered it while this one waited for its turn.
        view.active_from = self.chain.receiver_active_from(escrow, receiver).await?;
        if view.active_from.is_none() {
            self.chain.register_receiver(&admin, escrow, receiver).await?;
            view.active_from = self.chain.receiver_active_from(escrow, receiver).await?;
        }
        drop(admin);
        let head = self.chain.head().await?;
        // The registration stands, whether the observer is late or not.
        let _ = self.taken_in(clock, head.number).await;
        Ok(())
    }

    /// Waits until the observer has taken in a block. `false`: it did not in time.
    async fn taken_in(&self, clock: &ChainClock, block: u64) -> bool {
        self.signals.look_for_block();
        tokio::time::timeout(OBSERVER_PATIENCE, clock.reached(block)).await.is_ok()
    }
}

/// How far to move the clock.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[schema(example = json!({ "seconds": 86400 }))]
pub struct AdvanceRequest {
    /// 0 to 31,536,000 (a year). 0 mines a block only.
    #[schema(maximum = 31_536_000)]
    #[serde(deserialize_with = "whole_number")]
    pub seconds: u64,
}

/// Where the chain stands after the jump.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Advanced {
    /// The block that shows the new time; the daemon has taken it in.
    pub block: u64,
    #[schema(format = "date-time")]
    pub timestamp: String,
}

/// Move the chain's clock (dev only)
///
/// Moves the clock of the development node ahead, mines a block, and answers when the daemon has taken it in: what is
/// due by then is under way. Any key will do.
#[utoipa::path(
    post, path = "/dev/advance", operation_id = "advanceClock", tag = "Development",
    request_body = AdvanceRequest,
    responses((status = 200, description = "The clock was moved", body = Advanced)),
)]
pub async fn advance(
    _: Caller,
    State(state): State<HttpState>,
    JsonBody(request): JsonBody<AdvanceRequest>,
) -> Result<Json<Advanced>, ApiError> {
    // The route is only there where the powers are.
    let Some(dev) = &state.dev else { return Err(ApiError::internal()) };
    let mut shape = Shape::of_body();
    let seconds = Some(request.seconds).filter(|seconds| *seconds <= MAX_ADVANCE_SECONDS);
    let Some(seconds) = shape.read("seconds", seconds.ok_or("must be a number from 0 to 31536000")) else {
        return Err(shape.refused());
    };
    let block = dev.chain.advance_clock(seconds).await.map_err(Fault::from)?;
    if !dev.taken_in(&state.clock, block.number).await {
        return Err(ApiError::not_ready("the clock was moved, but the observer has not taken the block in"));
    }
    Ok(Json(Advanced { block: block.number, timestamp: block.timestamp.to_rfc3339() }))
}

#[cfg(test)]
mod tests {
    use crate::chain::BlockHeader;
    use serde_json::json;

    use crate::http::testing::House;
    use crate::model::{ChainTime, Scope};

    #[tokio::test]
    async fn the_clock_can_be_moved_in_dev_only() {
        let mut house = House::open().await;
        let key = house.key(&[Scope::Read]).await;
        let body = r#"{"seconds":3600}"#;
        let answer = house.post("/dev/advance", body).header("x-api-key", &key).send().await;
        assert_eq!(answer.error().3, "unknown_route");

        house.give_dev_powers();
        assert_eq!(house.post("/dev/advance", body).send().await.status, 401);
        for bad in [r#"{"seconds":-1}"#, r#"{"seconds":"1"}"#, r#"{"seconds":31536001}"#, "{}"] {
            let answer = house.post("/dev/advance", bad).header("x-api-key", &key).send().await;
            assert_eq!(answer.status, 400, "{bad}");
            assert_eq!(answer.body["errors"][0]["field"], "seconds", "{bad}");
        }

        let asked = tokio::spawn(house.post("/dev/advance", body).header("x-api-key", &key).send());
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        assert!(!asked.is_finished(), "it was answered before the block was taken in");
        let block = BlockHeader {
            number: 42,
            hash: Default::default(),
            parent: Default::default(),
            timestamp: ChainTime(1_774_872_000),
            gas_limit: 30_000_000,
        };
        house.state.clock.advance(&block);
        let answer = asked.await.unwrap();
        assert_eq!(answer.body, json!({"block": 42, "timestamp": "2026-03-30T12:00:00.000Z"}));
    }
}
