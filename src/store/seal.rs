//! Checksums of the rows that are money.
//!
//! A disk that returns other bytes than were written, a stray write, or a hand that changes a value is noticed by SQLite in
//! few cases only: most of a page is data that may be anything. So a row carries a checksum over its sealed columns,
//! as they are stored, and whoever reads money from it verifies that first. It is no signature: who can write
//! to the database can also seal. It tells what is damaged, not who did it.

use sha2::{Digest, Sha256};
use sqlx::query::Query;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Row, Sqlite, TypeInfo, ValueRef};

use super::StoreError;
use super::column::corrupt;

/// Bytes of a seal: SHA-256, cut. Against accidents 16 are plenty.
const BYTES: usize = 16;

/// A checksum as it is stored.
pub(super) type Seal = [u8; BYTES];

/// A column's value as the database keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value {
    Null,
    Integer(i64),
    Text(String),
    Blob(Vec<u8>),
}

/// What one seal covers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sealed {
    /// What the values are, and the version of this list: equal values of different kinds have different seals.
    pub domain: &'static str,
    /// The columns, in the order in which they are sealed.
    pub columns: &'static [&'static str],
    /// The column that holds the seal.
    pub column: &'static str,
    /// What the values are called where they do not match.
    pub what: &'static str,
}

impl Sealed {
    /// The seal of the values of [`Self::columns`].
    pub(super) fn seal(&self, values: &[Value]) -> Seal {
        let mut hash = Sha256::new();
        absorb(&mut hash, b'd', self.domain.as_bytes());
        for value in values {
            match value {
                Value::Null => absorb(&mut hash, b'n', &[]),
                Value::Integer(number) => absorb(&mut hash, b'i', &number.to_be_bytes()),
                Value::Text(text) => absorb(&mut hash, b't', text.as_bytes()),
                Value::Blob(bytes) => absorb(&mut hash, b'b', bytes),
            }
        }
        let mut seal = Seal::default();
        seal.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
        seal
    }

    /// The seal that a row should have.
    pub(super) fn seal_of(&self, row: &SqliteRow) -> Result<Seal, StoreError> {
        let values: Vec<Value> =
            self.columns.iter().map(|column| value(row, column)).collect::<Result<_, _>>()?;
        Ok(self.seal(&values))
    }

    /// Compares a row with the seal it carries.
    pub(super) fn verify(&self, row: &SqliteRow) -> Result<(), StoreError> {
        let stored: Option<&[u8]> = row.try_get(self.column)?;
        match stored {
            None => Err(corrupt(self.what, "there is no checksum")),
            Some(stored) if stored == self.seal_of(row)?.as_slice() => Ok(()),
            Some(_) => Err(corrupt(self.what, "they do not match their checksum")),
        }
    }
}

/// Length-prefixed, so that no two lists of values are the same bytes.
fn absorb(hash: &mut Sha256, tag: u8, bytes: &[u8]) {
    hash.update([tag]);
    hash.update((bytes.len() as u64).to_be_bytes());
    hash.update(bytes);
}

fn value(row: &SqliteRow, column: &str) -> Result<Value, StoreError> {
    let raw = row.try_get_raw(column)?;
    if raw.is_null() {
        return Ok(Value::Null);
    }
    let kind = raw.type_info().name().to_owned();
    Ok(match kind.as_str() {
        "INTEGER" => Value::Integer(row.try_get_unchecked(column)?),
        "TEXT" => Value::Text(row.try_get_unchecked(column)?),
        "BLOB" => Value::Blob(row.try_get_unchecked(column)?),
        other => return Err(corrupt(column, format_args!("{other} is no type of a sealed column"))),
    })
}

/// Binds values in order.
pub(super) fn bind<'q>(
    query: Query<'q, Sqlite, SqliteArguments>,
    values: impl IntoIterator<Item = Value>,
) -> Query<'q, Sqlite, SqliteArguments> {
    values.into_iter().fold(query, |query, value| match value {
        Value::Null => query.bind(None::<i64>),
        Value::Integer(number) => query.bind(number),
        Value::Text(text) => query.bind(text),
        Value::Blob(bytes) => query.bind(bytes),
    })
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Integer(number)
    }
}

impl From<&[u8]> for Value {
    fn from(bytes: &[u8]) -> Self {
        Self::Blob(bytes.to_vec())
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SEALED: Sealed =
        Sealed { domain: "test/1", columns: &["a", "b", "c", "d"], column: "seal", what: "values" };

    fn any_value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<i64>().prop_map(Value::Integer),
            ".{0,12}".prop_map(Value::Text),
            proptest::collection::vec(any::<u8>(), 0..12).prop_map(Value::Blob),
        ]
    }

    proptest! {
        #[test]
        fn any_changed_value_changes_the_seal(
            values in proptest::collection::vec(any_value(), 1..8), at in any::<prop::sample::Index>(), other in any_value(),
        ) {
            let mut changed = values.clone();
            let at = at.index(values.len());
            changed[at] = other.clone();
            prop_assert_eq!(SEALED.seal(&values) == SEALED.seal(&changed), values[at] == other);
        }

        #[test]
        fn values_that_change_places_change_the_seal(
            values in proptest::collection::vec(any_value(), 2..8), one in any::<prop::sample::Index>(), two in any::<prop::sample::Index>(),
        ) {
            let mut changed = values.clone();
            changed.swap(one.index(values.len()), two.index(values.len()));
            prop_assert_eq!(SEALED.seal(&values) == SEALED.seal(&changed), values == changed);
        }
    }

    #[test]
    fn equal_bytes_in_other_fields_or_of_another_kind_are_not_the_same() {
        let seal = |values: &[Value]| SEALED.seal(values);
        assert_ne!(seal(&["ab".into(), "c".into()]), seal(&["a".into(), "bc".into()]));
        assert_ne!(seal(&["a".into()]), seal(&[b"a".as_slice().into()]));
        assert_ne!(seal(&["a".into()]), seal(&["a".into(), Value::Null]));
        let other = Sealed { domain: "test/2", ..SEALED };
        assert_ne!(seal(&["a".into()]), other.seal(&["a".into()]));
    }

    #[test]
    fn the_encoding_does_not_change_unnoticed() {
        // What is in somebody's database was sealed so.
        let values = ["INV-1".into(), 7.into(), Value::Null, [1u8, 2].as_slice().into()];
        assert_eq!(alloy::hex::encode(SEALED.seal(&values)), "f0ff1e88503601d642211a1e2eb7f7f0");
    }
}
