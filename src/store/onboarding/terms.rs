//! The terms that tenants publish for their parties.

use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::model::{Language, Millis, TenantId, TermsName, TermsText, TermsVersion};
use crate::store::column::{corrupt, millis};
use crate::store::{Connection, StoreError};

/// Adds a version, which is the newest from now on.
pub async fn insert_version(
    connection: &mut Connection,
    tenant: TenantId,
    name: &TermsName,
    now: Millis,
) -> Result<i64, StoreError> {
    let row = sqlx::query(
        "INSERT INTO terms_versions (tenant_id, name, published_at) VALUES ($1, $2, $3) RETURNING id",
    )
    .bind(tenant.0.as_bytes().as_slice())
    .bind(name.as_str())
    .bind(now.0)
    .fetch_one(connection)
    .await?;
    Ok(row.try_get("id")?)
}

/// Adds a language to a version. A unique violation is one that it has.
pub async fn insert_text(
    connection: &mut Connection,
    version: i64,
    language: &Language,
    text: &str,
) -> Result<(), StoreError> {
    sqlx::query("INSERT INTO terms_texts (version, language, text) VALUES ($1, $2, $3)")
        .bind(version)
        .bind(language.as_str())
        .bind(text)
        .execute(connection)
        .await?;
    Ok(())
}

/// A version by its name.
pub async fn by_name(
    connection: &mut Connection,
    tenant: TenantId,
    name: &TermsName,
) -> Result<Option<TermsVersion>, StoreError> {
    let row =
        sqlx::query("SELECT id, name, published_at FROM terms_versions WHERE tenant_id = $1 AND name = $2")
            .bind(tenant.0.as_bytes().as_slice())
            .bind(name.as_str())
            .fetch_optional(connection)
            .await?;
    row.as_ref().map(decode).transpose()
}

/// The newest version.
pub async fn newest(
    connection: &mut Connection,
    tenant: TenantId,
) -> Result<Option<TermsVersion>, StoreError> {
    let row = sqlx::query(
        "SELECT id, name, published_at FROM terms_versions WHERE tenant_id = $1 ORDER BY id DESC LIMIT 1",
    )
    .bind(tenant.0.as_bytes().as_slice())
    .fetch_optional(connection)
    .await?;
    row.as_ref().map(decode).transpose()
}

/// A version, by default the newest, in a language.
pub async fn text(
    connection: &mut Connection,
    tenant: TenantId,
    name: Option<&TermsName>,
    language: &Language,
) -> Result<Option<TermsText>, StoreError> {
    let newest = newest(connection, tenant).await?;
    let version = match name {
        Some(name) => by_name(connection, tenant, name).await?,
        None => newest.clone(),
    };
    let Some(version) = version else { return Ok(None) };
    let row = sqlx::query("SELECT text FROM terms_texts WHERE version = $1 AND language = $2")
        .bind(version.key)
        .bind(language.as_str())
        .fetch_optional(connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let newest = newest.is_some_and(|newest| newest.key == version.key);
    Ok(Some(TermsText { version, language: language.clone(), text: row.try_get("text")?, newest }))
}

pub(super) fn decode(row: &SqliteRow) -> Result<TermsVersion, StoreError> {
    Ok(TermsVersion {
        key: row.try_get("id")?,
        name: TermsName::parse(row.try_get("name")?).map_err(|why| corrupt("name", why))?,
        published_at: millis(row, "published_at")?,
    })
}
