//! `GET /health/live` and `GET /health/ready`.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::Object;

use super::HttpState;
use super::error::ApiError;
use super::words::one_of;

/// The process runs.
#[derive(Debug, Serialize, ToSchema)]
pub struct Live {
    #[schema(schema_with = live_word)]
    pub status: &'static str,
}

/// The daemon accepts work.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Ready {
    #[schema(schema_with = ready_word)]
    pub status: &'static str,
    pub chain_id: u64,
    /// The escrow that new preauthorizations use.
    pub escrow: String,
    /// The newest block that was taken in.
    pub block: u64,
    /// The chain's time, by which expiries are judged.
    #[schema(format = "date-time")]
    pub chain_time: String,
}

fn live_word() -> Object {
    one_of("Always `live`.", ["live"])
}

fn ready_word() -> Object {
    one_of("Always `ready`.", ["ready"])
}

/// Is it running?
#[utoipa::path(
    get, path = "/health/live", operation_id = "healthLive", tag = "Operation", security(()),
    responses((status = 200, description = "The process runs", body = Live)),
)]
pub async fn live() -> Json<Live> {
    Json(Live { status: "live" })
}

/// Does it accept work?
///
/// 503 with an error for each part that is not ready. What was accepted is not lost meanwhile.
#[utoipa::path(
    get, path = "/health/ready", operation_id = "healthReady", tag = "Operation", security(()),
    responses((status = 200, description = "The daemon accepts work", body = Ready)),
)]
pub async fn ready(State(state): State<HttpState>) -> Result<Json<Ready>, ApiError> {
    let troubles = state.standing.troubles();
    if !troubles.is_empty() {
        let troubles =
            troubles.iter().map(|(part, trouble)| ApiError::not_ready(&format!("{part}: {trouble}")));
        return Err(ApiError::several(StatusCode::SERVICE_UNAVAILABLE, troubles));
    }
    Ok(Json(Ready {
        status: "ready",
        chain_id: state.chain_id,
        escrow: state.escrow.to_checksum(None),
        block: state.clock.block(),
        chain_time: state.clock.now().to_rfc3339(),
    }))
}

#[cfg(test)]
mod tests {
    use crate::http::testing::House;

    #[tokio::test]
    async fn readiness_follows_the_standing() {
        let house = House::open().await;
        let answer = house.get("/health/ready").send().await;
        assert_eq!((answer.status, &answer.body["status"]), (200, &"ready".into()));
        house.state.standing.report("observer", Some("the node at https://node.example/key is away".into()));
        house.state.standing.report("lane", Some("no gas".into()));
        let answer = house.get("/health/ready").send().await;
        assert_eq!(answer.error(), (503, "onchain", "Service not ready", "not_ready"));
        let details: Vec<_> = answer.body["errors"]
            .as_array()
            .unwrap()
            .iter()
            .map(|error| error["detail"].as_str().unwrap())
            .collect();
        assert_eq!(details, ["lane: no gas", "observer: the node at (URL) is away"]);
        assert_eq!(answer.header("retry-after"), "5");
        assert_eq!(house.get("/health/live").send().await.status, 200);
        house.state.standing.report("observer", None);
        house.state.standing.report("lane", None);
        assert_eq!(house.get("/health/ready").send().await.status, 200);
    }
}
