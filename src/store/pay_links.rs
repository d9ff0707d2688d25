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
    let sql = sqlx::AssertSqlSafe(format!(
        "SELECT {COLUMNS} FROM pay_links WHERE id > $1 ORDER BY id LIMIT $2 + 0"
    ));
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

#[cfg(test)]
mod tests {
    use alloy::primitives::Address;
    use futures::FutureExt;
    use uuid::Uuid;

    use super::*;
    use crate::model::{PayToken, Tenant, TokenAmount};
    use crate::store::{Store, tenants};

    fn tenant() -> Tenant {
        Tenant {
            id: TenantId(Uuid::from_u128(1)),
            name: "shop".into(),
            disabled: false,
            allowed_tip_bps: 0,
            default_ttl_seconds: 60,
            require_signed_consent: false,
            require_verified_party: false,
            rules: Default::default(),
        }
    }

    fn link(token: u8) -> PayLink {
        let account = |byte| Account::from_address(Address::repeat_byte(byte));
        PayLink {
            tenant: tenant().id,
            invoice: InvoiceId::parse("INV-1").unwrap(),
            token_hash: PayToken::from_random([token; 32]).hash(),
            sender: Some(account(1)),
            receiver: account(2),
            token: account(3),
            amount: TokenAmount::parse("150.750").unwrap(),
            expires_at: Some(ChainTime(9_000)),
            settle_at: None,
            description: Some("Two nights".into()),
            return_url: None,
            lapses: ChainTime(500),
            withdrawn_at: None,
            created_at: Millis(1),
        }
    }

    async fn shop() -> (tempfile::TempDir, Store) {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).await.unwrap();
        let insert = store.write::<_, StoreError, _>(|tx| {
            async move { tenants::insert(tx, &tenant(), Millis(1)).await }.boxed()
        });
        insert.await.unwrap();
        (folder, store)
    }

    async fn put(store: &Store, link: PayLink, now: u64) -> bool {
        let put = store.write::<_, StoreError, _>(move |tx| {
            async move { insert(tx, &link, ChainTime(now)).await }.boxed()
        });
        put.await.unwrap()
    }

    #[tokio::test]
    async fn a_link_comes_back_as_it_was_stored() {
        let (_folder, store) = shop().await;
        assert!(put(&store, link(7), 100).await);
        let mut reader = store.read().await.unwrap();
        assert_eq!(by_token(&mut reader, link(7).token_hash).await.unwrap(), Some(link(7)));
        assert_eq!(by_invoice(&mut reader, tenant().id, &link(7).invoice).await.unwrap(), Some(link(7)));
        assert_eq!(by_token(&mut reader, link(8).token_hash).await.unwrap(), None);
    }

    #[tokio::test]
    async fn only_a_link_that_nobody_can_pay_makes_room() {
        let (_folder, store) = shop().await;
        assert!(put(&store, link(7), 100).await);
        assert!(!put(&store, link(8), 499).await);
        assert!(put(&store, link(8), 500).await);
        let withdraw = store
            .write::<_, StoreError, _>(|tx| async move { withdraw(tx, link(8), Millis(5)).await }.boxed());
        assert_eq!(withdraw.await.unwrap().withdrawn_at, Some(Millis(5)));
        assert!(put(&store, link(9), 100).await);
        let mut reader = store.read().await.unwrap();
        for gone in [7, 8] {
            assert_eq!(by_token(&mut reader, link(gone).token_hash).await.unwrap(), None);
        }
        assert_eq!(by_token(&mut reader, link(9).token_hash).await.unwrap(), Some(link(9)));
    }

    #[tokio::test]
    async fn nobody_signs_what_was_damaged() {
        let (_folder, store) = shop().await;
        assert!(put(&store, link(7), 100).await);
        for damage in [
            "amount_written = '1507.50'",
            "receiver_written = sender_written",
            "sender_written = NULL",
            "expires_at = 1",
            "settle_at = 1",
            "lapses = 50000",
            "withdrawn_at = 4",
            "description = 'Three nights'",
            "seal = x'00'",
        ] {
            let damaged = store.write::<(), StoreError, _>(move |tx| {
                async move {
                    sqlx::query(sqlx::AssertSqlSafe(format!("UPDATE pay_links SET {damage}")))
                        .execute(&mut *tx)
                        .await?;
                    // Handed out of the change as its error, which undoes it.
                    by_token(tx, link(7).token_hash).await.map(drop)?;
                    panic!("{damage} was believed")
                }
                .boxed()
            });
            let StoreError::Unreadable(row) = damaged.await.unwrap_err() else { panic!("{damage}") };
            assert_eq!((row.table, row.invoice), (Table::PayLinks, Some(link(7).invoice)), "{damage}");
        }
        let mut reader = store.read().await.unwrap();
        assert_eq!(unreadable_after(&mut reader, 0, 10).await.unwrap(), (Vec::new(), Some(1)));
        assert_eq!(unreadable_after(&mut reader, 1, 10).await.unwrap(), (Vec::new(), None));
    }
}
