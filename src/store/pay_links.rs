//! Pay links: the terms behind each, by the hash of the token that opens it.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use super::column::{account, chain_time, corrupt, millis, tenant_id, token_amount};
use super::seal::{Sealed, Value, bind};
use super::unreadable::{Table, each};
use super::{Connection, StoreError, UnreadableRow};
use crate::model::{Account, ChainTime, InvoiceId, Millis, PayLink, PayTokenHash, TenantId};

const COLUMNS: &str = "id, tenant_id, invoice_id, token_hash, sender_written, receiver_written, token_written, \
    amount_written, expires_at, settle_at, description, return_url, lapses, withdrawn_at, seal, created_at";

/// Everything: a payer signs what stands here.
const SEALED: Sealed = Sealed {
    domain: "preauthd pay_links 1",
    columns: &[
        "tenant_id",
        "invoice_id",
        "token_hash",
        "sender_written",
        "receiver_written",
        "token_written",
        "amount_written",
        "expires_at",
        "settle_at",
        "description",
        "return_url",
        "lapses",
        "withdrawn_at",
        "created_at",
    ],
    column: "seal",
    what: "pay link",
};

/// Stores a link, in the place of one of the same invoice that nobody can pay any more at `now`. `false`: there is one
/// that is open.
pub async fn insert(connection: &mut Connection, link: &PayLink, now: ChainTime) -> Result<bool, StoreError> {
    let values = sealed_values(link);
    let seal = SEALED.seal(&values);
    let insert = sqlx::query(
        "INSERT INTO pay_links (tenant_id, invoice_id, token_hash, sender_written, receiver_written, token_written,
             amount_written, expires_at, settle_at, description, return_url, lapses, withdrawn_at, created_at, seal)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
         ON CONFLICT (tenant_id, invoice_id) DO UPDATE SET token_hash = $3, sender_written = $4, receiver_written = $5,
             token_written = $6, amount_written = $7, expires_at = $8, settle_at = $9, description = $10,
             return_url = $11, lapses = $12, withdrawn_at = $13, created_at = $14, seal = $15
         WHERE pay_links.withdrawn_at IS NOT NULL OR pay_links.lapses <= $16",
    );
    let insert = bind(insert, values).bind(seal.as_slice()).bind(now.as_i64());
    Ok(insert.execute(connection).await?.rows_affected() == 1)
}

/// Takes a link back. What was withdrawn before stays as it is.
pub async fn withdraw(
    connection: &mut Connection,
    mut link: PayLink,
    now: Millis,
) -> Result<PayLink, StoreError> {
    if link.withdrawn_at.is_some() {
        return Ok(link);
    }
    link.withdrawn_at = Some(now);
    let seal = SEALED.seal(&sealed_values(&link));
    let done = sqlx::query("UPDATE pay_links SET withdrawn_at = $2, seal = $3 WHERE token_hash = $1")
        .bind(link.token_hash.0.as_slice())
        .bind(now.0)
        .bind(seal.as_slice())
        .execute(connection)
        .await?;
    if done.rows_affected() == 1 { Ok(link) } else { Err(sqlx::Error::RowNotFound.into()) }
}

/// A tenant's link of an invoice, in whatever state.
pub async fn by_invoice(
    connection: &mut Connection,
    tenant: TenantId,
    invoice: &InvoiceId,
) -> Result<Option<PayLink>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM pay_links WHERE tenant_id = $1 AND invoice_id = $2"
    ));
    let row = sqlx::query(sql)
        .bind(tenant.0.as_bytes().as_slice())
        .bind(invoice.as_str())
        .fetch_optional(connection)
        .await?;
    row.as_ref().map(decode).transpose()
}

/// The link that a token opens, whoever made it: the token is the right to see it.
pub async fn by_token(
    connection: &mut Connection,
    token: PayTokenHash,
) -> Result<Option<PayLink>, StoreError> {
    let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM pay_links WHERE token_hash = $1"));
    let row = sqlx::query(sql).bind(token.0.as_slice()).fetch_optional(connection).await?;
    row.as_ref().map(decode).transpose()
}

/// Whether a row can be read; no such row is an error.
pub(super) async fn verify(connection: &mut Connection, id: i64) -> Result<(), StoreError> {
    let sql = sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM pay_links WHERE id = $1"));
    decode(&sqlx::query(sql).bind(id).fetch_one(connection).await?).map(drop)
}

/// Rows after `after` that cannot be read, among the next `limit`; and the last row that was looked at, `None` at the
/// end. For the inspection of a copy.
pub(super) async fn unreadable_after(
    connection: &mut Connection,
    after: i64,
    limit: u32,
) -> Result<(Vec<UnreadableRow>, Option<i64>), StoreError> {
    let sql =
        sqlx::AssertSqlSafe(format!("SELECT {COLUMNS} FROM pay_links WHERE id > $1 ORDER BY id LIMIT $2"));
    let rows = sqlx::query(sql).bind(after).bind(i64::from(limit)).fetch_all(connection).await?;
    let last = rows.last().map(|row| row.try_get("id")).transpose()?;
    Ok((each(&rows, decode)?.into_iter().filter_map(Result::err).collect(), last))
}

/// The values of [`SEALED`].
fn sealed_values(link: &PayLink) -> [Value; SEALED.columns.len()] {
    [
        link.tenant.0.as_bytes().as_slice().into(),
        link.invoice.as_str().into(),
        link.token_hash.0.as_slice().into(),
        link.sender.as_ref().map(Account::written).into(),
        link.receiver.written().into(),
        link.token.written().into(),
        link.amount.to_string().into(),
        link.expires_at.map(ChainTime::as_i64).into(),
        link.settle_at.map(ChainTime::as_i64).into(),
        link.description.as_deref().into(),
        link.return_url.as_deref().into(),
        link.lapses.as_i64().into(),
        link.withdrawn_at.map(|at| at.0).into(),
        link.created_at.0.into(),
    ]
}

/// Nothing of a row is believed before its seal was verified.
fn decode(row: &SqliteRow) -> Result<PayLink, StoreError> {
    SEALED
        .verify(row)
        .and_then(|()| decode_columns(row))
        .map_err(|error| StoreError::Unreadable(Box::new(Table::PayLinks.unreadable(row, &error))))
}

fn decode_columns(row: &SqliteRow) -> Result<PayLink, StoreError> {
    let token_hash: &[u8] = row.try_get("token_hash")?;
    let token_hash = token_hash.try_into().map_err(|error| corrupt("token_hash", error))?;
    let sender: Option<&str> = row.try_get("sender_written")?;
    let time = |column| Ok::<_, StoreError>(row.try_get::<Option<i64>, _>(column)?.map(ChainTime::from_i64));
    Ok(PayLink {
        tenant: tenant_id(row, "tenant_id")?,
        invoice: InvoiceId::parse(row.try_get("invoice_id")?)
            .map_err(|error| corrupt("invoice_id", error))?,
        token_hash: PayTokenHash(token_hash),
        sender: sender.map(|_| account(row, "sender_written")).transpose()?,
        receiver: account(row, "receiver_written")?,
        token: account(row, "token_written")?,
        amount: token_amount(row, "amount_written")?,
        expires_at: time("expires_at")?,
        settle_at: time("settle_at")?,
        description: row.try_get("description")?,
        return_url: row.try_get("return_url")?,
        lapses: chain_time(row, "lapses")?,
        withdrawn_at: row.try_get::<Option<i64>, _>("withdrawn_at")?.map(Millis),
        created_at: millis(row, "created_at")?,
    })
}
