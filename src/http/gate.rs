//! What stands before every route that takes an API key: who calls is found out once, and how often is counted.
//!
//! It turns nobody away for having no key: the route does that, after it knows that it exists and has such a method.

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::HttpState;
use super::caller::{Admitted, Caller};

/// The layer.
pub async fn gate(State(state): State<HttpState>, mut request: Request, next: Next) -> Response {
    let caller = Caller::authenticate(request.headers(), &state).await;
    let counted = match &caller {
        Ok(caller) => state.limits.count(caller.key, request.method()),
        Err(_) => None,
    };
    request.extensions_mut().insert(Admitted(caller));
    let Some(counted) = counted else { return next.run(request).await };
    let mut response = match counted.refusal() {
        Some(error) => error.into_response(),
        None => next.run(request).await,
    };
    response.headers_mut().extend(counted.headers());
    response
}
