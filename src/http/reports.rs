//! `GET /reports/settlements`.

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures::TryStreamExt;
use futures::stream::{self, Stream};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::HttpState;
use super::caller::Reader;
use super::cursor::{self, List};
use super::error::ApiError;
use super::json::Parameters;
use super::list::NO_CURSOR;
use super::report_view::{AccountsLine, accounts_headings, accounts_rows};
use super::shape::{self, Shape};
use crate::model::{Account, Day, TenantId};
use crate::preauth::{Fault, ReportError, ReportScope};

/// Days of one report at most.
const MOST_DAYS: u64 = 366;
/// A page in JSON ends after the day with which it has so many lines.
const LINES: usize = 1_000;
/// Days of a page in JSON at most.
const PAGE_DAYS: usize = 31;

/// What to report.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct ReportParameters {
    /// The first day, in UTC.
    #[param(format = "date", example = "2026-03-01", required = true)]
    pub from: Option<String>,
    /// The last day, in UTC, itself included; at most 366 days.
    #[param(format = "date", example = "2026-03-31", required = true)]
    pub to: Option<String>,
    /// Only this token.
    #[param(format = "address", pattern = "^0x(?!0{40}$)[0-9a-fA-F]{40}$")]
    pub token: Option<String>,
    /// Only this receiver.
    #[param(format = "address", pattern = "^0x(?!0{40}$)[0-9a-fA-F]{40}$")]
    pub receiver: Option<String>,
    /// `invoice`: a line for each preauthorization. Else one for each token and receiver.
    #[param(inline, value_type = Option<Grouping>)]
    pub by: Option<String>,
    /// Before the header `Accept`.
    #[param(inline, value_type = Option<Format>)]
    pub format: Option<String>,
    /// The `nextCursor` of the page before, with the same other parameters. Only in JSON.
    pub cursor: Option<String>,
}

#[derive(Debug, ToSchema)]
#[schema(rename_all = "camelCase")]
#[allow(dead_code)]
enum Grouping {
    Invoice,
}

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ToSchema)]
#[schema(rename_all = "camelCase")]
enum Format {
    Json,
    Csv,
}

/// A page of whole days, oldest first. Days without anything are left out.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ReportPage {
    pub data: Vec<AccountsLine>,
    /// The newest block that was taken in. What happened in the newest 64 blocks (`reorg_depth`) can still be undone.
    pub block: u64,
    /// Whether there is a next page.
    pub has_more: bool,
    /// For the next page; null on the last.
    #[schema(required)]
    pub next_cursor: Option<String>,
}

/// What was asked for, its shape checked.
struct Asked {
    scope: ReportScope,
    from: Day,
    last: Day,
}

fn day(text: Option<&str>) -> Result<Day, &'static str> {
    let time = text.and_then(|text| shape::rfc3339(&format!("{text}T00:00:00Z")));
    time.map(Day::of).ok_or("must be a day, such as 2026-03-25")
}

fn read(tenant: TenantId, parameters: &ReportParameters) -> Result<(Asked, Option<Format>), ApiError> {
    let mut shape = Shape::of_query();
    let from = shape.read("from", day(parameters.from.as_deref()));
    let last =
        day(parameters.to.as_deref()).and_then(|last| match from.map_or(1, |from| from.days_to(last)) {
            1..=MOST_DAYS => Ok(last),
            0 => Err("must not be before from"),
            _ => Err("must be within 366 days, from included"),
        });
    let last = shape.read("to", last);
    let token = shape.read_optional("token", parameters.token.as_deref().map(Account::parse));
    let receiver = shape.read_optional("receiver", parameters.receiver.as_deref().map(Account::parse));
    let by = parameters.by.as_deref().map(|by| if by == "invoice" { Ok(()) } else { Err("must be invoice") });
    let by = shape.read_optional("by", by);
    let format = parameters.format.as_deref().map(|format| match format {
        "json" => Ok(Format::Json),
        "csv" => Ok(Format::Csv),
        _ => Err("must be json or csv"),
    });
    let format = shape.read_optional("format", format);
    let cursor = parameters.cursor.as_deref();
    let goes_on = cursor.map(|cursor| {
        let decoded = cursor::decode(List::Report, tenant, cursor);
        decoded.as_deref().and_then(|text| day(Some(text)).ok()).ok_or(NO_CURSOR)
    });
    let goes_on = shape.read_optional("cursor", goes_on);
    let (Some(from), Some(last), Some(token), Some(receiver), Some(by), Some(format), Some(goes_on)) =
        (from, last, token, receiver, by, format, goes_on)
    else {
        return Err(shape.refused());
    };
    let scope = ReportScope {
        tenant: Some(tenant),
        token: token.map(|token| token.address()),
        receiver: receiver.map(|receiver| receiver.address()),
        by_invoice: by.is_some(),
    };
    Ok((Asked { scope, from: goes_on.unwrap_or(from), last }, format))
}

impl From<ReportError> for ApiError {
    fn from(error: ReportError) -> Self {
        match error {
            ReportError::Store(error) => Fault::Store(error).into(),
            ReportError::Undated => Self::not_ready(&error.to_string()),
        }
    }
}

/// Report settlements
///
/// The accounts, by day (of the block, in UTC), token and receiver: what was authorized, settled, tipped and released, and
/// what carrying it out has cost. Exact, from what was seen on chain. CSV with `format=csv` or `Accept: text/csv`: all of it
/// in one answer, a row for each line.
#[utoipa::path(
    get, path = "/reports/settlements", operation_id = "reportSettlements", tag = "Reports",
    params(ReportParameters),
    responses((status = 200, description = "The accounts", content(
        (ReportPage = "application/json"), (String = "text/csv"),
    ))),
)]
pub async fn settlements(
    Reader(caller): Reader,
    State(state): State<HttpState>,
    headers: HeaderMap,
    Parameters(parameters): Parameters<ReportParameters>,
) -> Result<Response, ApiError> {
    let tenant = caller.tenant.id;
    let (asked, format) = read(tenant, &parameters)?;
    let accepted = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    let prefers_csv = accepted.split(',').next().is_some_and(|first| first.trim().starts_with("text/csv"));
    match format.unwrap_or(if prefers_csv { Format::Csv } else { Format::Json }) {
        Format::Json => Ok(Json(page(&state, tenant, asked).await?).into_response()),
        Format::Csv => csv(state, asked).await,
    }
}

async fn page(state: &HttpState, tenant: TenantId, asked: Asked) -> Result<ReportPage, ApiError> {
    let (mut data, mut from, mut days, mut block) = (Vec::new(), asked.from, 0, 0);
    loop {
        let (report, tip) = state.preauths.report(&asked.scope, from, asked.last).await?;
        block = block.max(tip);
        let Some(report) = report else {
            return Ok(ReportPage { data, block, has_more: false, next_cursor: None });
        };
        if days == PAGE_DAYS || data.len() >= LINES {
            let next_cursor = Some(cursor::encode(List::Report, tenant, &report.day.to_string()));
            return Ok(ReportPage { data, block, has_more: true, next_cursor });
        }
        data.extend(report.lines.iter().map(AccountsLine::from));
        (from, days) = (report.day.next(), days + 1);
    }
}

/// The first day is read before the answer begins, so that what is wrong can still be said.
async fn csv(state: HttpState, asked: Asked) -> Result<Response, ApiError> {
    let (first, _) = state.preauths.report(&asked.scope, asked.from, asked.last).await?;
    let mut begin = accounts_headings();
    let next = first.map(|report| {
        begin.push_str(&accounts_rows(&report.lines));
        report.day.next()
    });
    let rest = rows(state, asked, next).inspect_err(|error| tracing::error!(%error, "a report broke off"));
    let body = Body::from_stream(futures::StreamExt::chain(stream::iter([Ok(begin)]), rest));
    let name = (header::CONTENT_DISPOSITION, "attachment; filename=\"settlements.csv\"");
    Ok((StatusCode::OK, [(header::CONTENT_TYPE, "text/csv; charset=utf-8; header=present"), name], body)
        .into_response())
}

/// Day by day, as fast as they are taken: whatever the range, one day is in memory.
fn rows(
    state: HttpState,
    asked: Asked,
    from: Option<Day>,
) -> impl Stream<Item = Result<String, ReportError>> {
    stream::try_unfold((state, asked, from), |(state, asked, from)| async move {
        let Some(from) = from else { return Ok(None) };
        let (report, _) = state.preauths.report(&asked.scope, from, asked.last).await?;
        Ok(report.map(|report| (accounts_rows(&report.lines), (state, asked, Some(report.day.next())))))
    })
}
