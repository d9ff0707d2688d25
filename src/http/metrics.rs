//! `GET /metrics`.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;

use super::HttpState;
use super::error::ApiError;

/// Numbers
///
/// In the text format of Prometheus. Without access control: give it no public route.
#[utoipa::path(
    get, path = "/metrics", operation_id = "metrics", tag = "Operation", security(()),
    responses((status = 200, description = "The numbers", body = String, content_type = "text/plain")),
)]
pub async fn metrics(State(state): State<HttpState>) -> Result<impl IntoResponse, ApiError> {
    let Some(handle) = &state.metrics else { return Err(ApiError::of_status(StatusCode::NOT_FOUND)) };
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], handle.render()))
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use crate::http::testing::House;

    #[tokio::test]
    async fn numbers_are_shown_where_they_are_kept() {
        let mut house = House::open().await;
        assert_eq!(house.get("/metrics").send().await.error().3, "unknown_route");
        let recorder = PrometheusBuilder::new().build_recorder();
        house.parts().metrics = Some(recorder.handle());
        ::metrics::with_local_recorder(&recorder, || ::metrics::counter!("kept").increment(3));
        let answer = house.get("/metrics").send().await;
        assert_eq!(answer.status, 200);
        assert!(answer.text.contains("kept 3"), "{}", answer.text);
    }
}
