//! Schemas of strings that are one of a few words, where there is no type of its own to say so.

use utoipa::openapi::schema::Type;
use utoipa::openapi::{Object, ObjectBuilder};

pub(super) fn one_of<const N: usize>(description: &str, words: [&'static str; N]) -> Object {
    ObjectBuilder::new()
        .schema_type(Type::String)
        .description(Some(description))
        .enum_values(Some(words))
        .build()
}
