//! `GET /tokens`.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::schema::{Array, ArrayBuilder};

use super::HttpState;
use super::caller::Reader;
use super::error::ApiError;
use super::words::one_of;
use crate::model::{ConsentKind, Token};

/// A token that was admitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Token)]
pub struct TokenBody {
    /// What a creation names as `contractAddress`.
    #[schema(examples("0x9f8f72aa9304c8b593d555f12ef6589cc3a579a2"))]
    pub contract_address: String,
    #[schema(examples("USDC"))]
    pub symbol: String,
    /// Decimals an amount may have at most.
    #[schema(examples(6))]
    pub decimals: u8,
    /// An inactive token stops new preauthorizations only.
    pub active: bool,
    /// The kinds of consent that a creation with this token can bring.
    #[schema(schema_with = consent_kinds)]
    pub consents: Vec<&'static str>,
}

fn consent_kinds() -> Array {
    let kind = one_of("A `type` of consent.", ConsentKind::ALL.map(ConsentKind::as_str));
    ArrayBuilder::new()
        .items(kind)
        .description(Some("The kinds of consent that a creation with this token can bring."))
        .build()
}

impl TokenBody {
    fn new(token: Token, consents: Vec<ConsentKind>) -> Self {
        Self {
            consents: consents.into_iter().map(ConsentKind::as_str).collect(),
            contract_address: token.contract.written().to_owned(),
            symbol: token.symbol,
            decimals: token.decimals,
            active: token.active,
        }
    }
}

/// All tokens.
#[derive(Debug, Serialize, ToSchema)]
pub struct TokenList {
    pub data: Vec<TokenBody>,
}

/// List tokens
///
/// Every token that the operator admitted, inactive ones included.
#[utoipa::path(
    get, path = "/tokens", operation_id = "listTokens", tag = "Tokens",
    responses((status = 200, description = "The tokens", body = TokenList)),
)]
pub async fn list(Reader(_): Reader, State(state): State<HttpState>) -> Result<Json<TokenList>, ApiError> {
    let tokens = state.preauths.tokens().await?;
    let shown = tokens.into_iter().map(|token| {
        let consents = state.preauths.consent_kinds(&token);
        TokenBody::new(token, consents)
    });
    Ok(Json(TokenList { data: shown.collect() }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::http::testing::{House, TOKEN};
    use crate::model::Scope;

    #[tokio::test]
    async fn admitted_tokens_are_listed() {
        let house = House::open().await;
        let key = house.key(&[Scope::Read]).await;
        let answer = house.get("/tokens").header("x-api-key", &key).send().await;
        assert_eq!(
            answer.body,
            json!({"data": [{
                "contractAddress": TOKEN, "symbol": "DEMO", "decimals": 6, "active": true, "consents": ["eip712"],
            }]})
        );
    }
}
