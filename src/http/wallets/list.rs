//! `GET /wallets`.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{Role, WalletBody, role};
use crate::http::HttpState;
use crate::http::caller::Reader;
use crate::http::cursor::{self, List};
use crate::http::error::ApiError;
use crate::http::json::Parameters;
use crate::http::list::{NO_CURSOR, limit};
use crate::http::shape::Shape;

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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::http::wallets::tests::Shop;
    use crate::model::Scope;

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
}
