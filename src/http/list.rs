//! `GET /onchain-preauth`.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::HttpState;
use super::caller::Reader;
use super::cursor::{self, List};
use super::error::ApiError;
use super::json::Parameters;
use super::shape::{self, Shape};
use super::view::Preauthorization;
use crate::model::{Account, InvoiceId, PreauthKey, PreauthStatus, Tenant};
use crate::store::preauths::Filter;

const DEFAULT_LIMIT: u32 = 20;
const MAX_LIMIT: u32 = 100;

/// Which preauthorizations to list.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ListParameters {
    /// Only those in this status.
    #[param(value_type = Option<super::view::Status>)]
    pub status: Option<String>,
    /// Only those of this sender.
    #[param(format = "address", pattern = "^0x(?!0{40}$)[0-9a-fA-F]{40}$")]
    pub sender: Option<String>,
    /// Only those for this receiver.
    #[param(format = "address", pattern = "^0x(?!0{40}$)[0-9a-fA-F]{40}$")]
    pub receiver: Option<String>,
    /// Only those that expire before this time. RFC 3339 with a zone.
    #[param(format = "date-time")]
    pub expiring_before: Option<String>,
    /// How many at most, 1 to 100.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 100, default = 20)]
    pub limit: Option<String>,
    /// The `nextCursor` of the page before; the filters should be the same.
    pub cursor: Option<String>,
}

/// A page of preauthorizations, newest first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct PreauthorizationPage {
    pub data: Vec<Preauthorization>,
    /// Whether there is a next page.
    pub has_more: bool,
    /// For the next page; null on the last.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

/// Reads a limit.
pub fn limit(text: Option<&str>) -> Result<u32, &'static str> {
    let limit = text.map_or(Some(DEFAULT_LIMIT), |text| text.parse().ok());
    limit.filter(|limit| (1..=MAX_LIMIT).contains(limit)).ok_or("must be a number from 1 to 100")
}

/// Says of a cursor that it is none.
pub const NO_CURSOR: &str = "must be the nextCursor of an earlier page";

/// The row a cursor stands for, which is the last of the page before.
///
/// A cursor holds that row's invoice: nothing internal shows, and it is found by an index.
async fn row_before(
    state: &HttpState,
    tenant: &Tenant,
    cursor: Option<&str>,
) -> Result<Result<Option<PreauthKey>, &'static str>, ApiError> {
    let Some(cursor) = cursor else { return Ok(Ok(None)) };
    let invoice = cursor::decode(List::Preauths, tenant.id, cursor);
    let Some(invoice) = invoice.and_then(|invoice| InvoiceId::parse(&invoice).ok()) else {
        return Ok(Err(NO_CURSOR));
    };
    let found = state.preauths.find(tenant, &invoice).await?;
    Ok(found.map(|snapshot| Some(snapshot.preauth.key)).ok_or(NO_CURSOR))
}

/// List preauthorizations
///
/// Newest first, in pages. What is created while you page appears on a new first page and moves nothing.
#[utoipa::path(
    get, path = "/onchain-preauth", operation_id = "listPreauthorizations", tag = "Preauthorizations",
    params(ListParameters),
    responses(
        (status = 200, description = "A page", body = PreauthorizationPage),
    ),
)]
pub async fn list(
    Reader(caller): Reader,
    State(state): State<HttpState>,
    Parameters(parameters): Parameters<ListParameters>,
) -> Result<Json<PreauthorizationPage>, ApiError> {
    let tenant = caller.tenant.id;
    let mut shape = Shape::of_query();
    let status = parameters.status.map(|text| {
        PreauthStatus::parse(&text)
            .ok_or("must be PENDING, AUTHORIZED, SETTLED, CANCELLED, EXPIRED or REJECTED")
    });
    let status = shape.read_optional("status", status);
    let sender = shape.read_optional("sender", parameters.sender.as_deref().map(Account::parse));
    let receiver = shape.read_optional("receiver", parameters.receiver.as_deref().map(Account::parse));
    let expiring = parameters.expiring_before.as_deref();
    let expiring = expiring.map(|text| shape::rfc3339(text).ok_or("must be an RFC 3339 time with a zone"));
    let expiring = shape.read_optional("expiringBefore", expiring);
    let limit = shape.read("limit", limit(parameters.limit.as_deref()));

    let before =
        shape.read("cursor", row_before(&state, &caller.tenant, parameters.cursor.as_deref()).await?);

    let (Some(status), Some(sender), Some(receiver), Some(expiring_before), Some(limit), Some(before)) =
        (status, sender, receiver, expiring, limit, before)
    else {
        return Err(shape.refused());
    };
    let filter = Filter {
        status,
        sender: sender.map(|account| account.address()),
        receiver: receiver.map(|account| account.address()),
        expiring_before,
        before,
    };

    // One more than asked for tells whether there is a next page.
    let mut page = state.preauths.list(&caller.tenant, &filter, limit + 1).await?;
    let shown = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = page.len() > shown;
    page.truncate(shown);
    let last = page.last().filter(|_| has_more);
    let next_cursor =
        last.map(|snapshot| cursor::encode(List::Preauths, tenant, snapshot.preauth.invoice.as_str()));
    Ok(Json(PreauthorizationPage { data: page.iter().map(Into::into).collect(), has_more, next_cursor }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::testing::House;
    use crate::model::Scope;

    #[tokio::test]
    async fn pages_follow_each_other_newest_first() {
        let house = House::open().await;
        let key = house.key(&[Scope::Read]).await;
        for number in 1..=5 {
            house.store_preauth(&format!("INV-{number}")).await;
        }
        let mut seen = Vec::new();
        let mut path = "/onchain-preauth?limit=2".to_owned();
        loop {
            let page = house.get(&path).header("x-api-key", &key).send().await.body;
            let invoices = page["data"].as_array().unwrap();
            seen.extend(invoices.iter().map(|shown| shown["invoiceId"].as_str().unwrap().to_owned()));
            assert_eq!(page["hasMore"], page["nextCursor"].is_string());
            let Some(cursor) = page["nextCursor"].as_str() else { break };
            path = format!("/onchain-preauth?limit=2&cursor={cursor}");
        }
        assert_eq!(seen, ["INV-5", "INV-4", "INV-3", "INV-2", "INV-1"]);
        let stranger = house.key_of_another_tenant(&[Scope::Read]).await;
        assert_eq!(
            house.get(&path).header("x-api-key", &stranger).send().await.body["errors"][0]["field"],
            "cursor"
        );
    }

    #[tokio::test]
    async fn filters_choose() {
        let house = House::open().await;
        let key = house.key(&[Scope::Read]).await;
        house.store_preauth("INV-1").await;
        let count = async |query: &str| {
            let answer =
                house.get(&format!("/onchain-preauth?{query}")).header("x-api-key", &key).send().await;
            answer.body["data"].as_array().unwrap().len()
        };
        for (fits, does_not) in [
            ("status=PENDING", "status=SETTLED"),
            (
                "sender=0x41C528683845350E9BFC937E0F6C72BC999B5CDC",
                "sender=0xaec528683845350e9bfc937e0f6c72bc999b5123",
            ),
            (
                "receiver=0xaec528683845350e9bfc937e0f6c72bc999b5123",
                "receiver=0x41c528683845350e9bfc937e0f6c72bc999b5cdc",
            ),
            ("expiringBefore=2026-03-30T12:00:01Z", "expiringBefore=2026-03-30T12:00:00Z"),
        ] {
            assert_eq!((count(fits).await, count(does_not).await), (1, 0), "{fits}");
        }
    }

    #[tokio::test]
    async fn every_bad_parameter_is_named() {
        let house = House::open().await;
        let key = house.key(&[Scope::Read]).await;
        for (query, field) in [
            ("status=authorized", "status"),
            ("sender=0x", "sender"),
            ("receiver=", "receiver"),
            ("expiringBefore=2026-03-30T12:00:00", "expiringBefore"),
            ("limit=0", "limit"),
            ("limit=101", "limit"),
            ("limit=x", "limit"),
            ("cursor=00", "cursor"),
            ("cursor=", "cursor"),
            ("page=2", "page"),
            ("limit=1&limit=2", "limit"),
        ] {
            let answer =
                house.get(&format!("/onchain-preauth?{query}")).header("x-api-key", &key).send().await;
            assert_eq!((answer.status, answer.code()), (400, "invalid_parameter"), "{query}");
            assert_eq!(answer.body["errors"][0]["field"], field, "{query}");
        }
        // A cursor with a true checksum over an invoice that is not there.
        let cursor = cursor::encode(List::Preauths, house.tenant(), "INV-0");
        let answer =
            house.get(&format!("/onchain-preauth?cursor={cursor}")).header("x-api-key", &key).send().await;
        assert_eq!((answer.status, answer.body["errors"][0]["field"].as_str()), (400, Some("cursor")));
    }
}
