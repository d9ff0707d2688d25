//! What a request asked for, and where two of them differ.

use std::collections::{BTreeMap, BTreeSet};

use alloy::hex;
use axum::extract::RawPathParams;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::http::edge::MAX_BODY_BYTES;
use crate::http::shape::quoted;

/// Stands for a body that differs as a whole.
pub const WHOLE: &str = "the body";

/// The parameters of the path and the body of a request. Spaces and the order of fields are no part of a JSON body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Asked {
    path: BTreeMap<String, String>,
    body: Value,
}

impl Asked {
    #[must_use]
    pub fn new(path: &RawPathParams, body: &[u8]) -> Self {
        let path = path.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        // Some routes have no use for a body and look at none; whatever it is, it is compared.
        let text = || String::from_utf8_lossy(body).into_owned();
        let body = match body {
            [] => Value::Null,
            // Documents are not kept here a second time.
            _ if body.len() > MAX_BODY_BYTES => Value::String(hex::encode(Sha256::digest(body))),
            _ => serde_json::from_slice(body).unwrap_or_else(|_| Value::String(text())),
        };
        Self { path, body }
    }

    /// The first parameter or field in which two requests differ; `None`: they are the same.
    #[must_use]
    pub fn first_difference(&self, other: &Self) -> Option<String> {
        let names: BTreeSet<_> = self.path.keys().chain(other.path.keys()).collect();
        if let Some(name) = names.into_iter().find(|name| self.path.get(*name) != other.path.get(*name)) {
            return Some(quoted(name));
        }
        let place = difference(&self.body, &other.body)?;
        Some(if place.is_empty() { WHOLE.to_owned() } else { quoted(&place) })
    }
}

/// The path of the first difference, in the form in which malformed fields are named: `consent.signature`, `events[1]`.
fn difference(one: &Value, other: &Value) -> Option<String> {
    match (one, other) {
        (Value::Object(one), Value::Object(other)) => {
            let names: BTreeSet<_> = one.keys().chain(other.keys()).collect();
            names.into_iter().find_map(|name| match (one.get(name), other.get(name)) {
                (Some(one), Some(other)) => difference(one, other).map(|rest| joined(name, &rest)),
                _ => Some(name.clone()),
            })
        }
        (Value::Array(one), Value::Array(other)) => {
            let mut pairs = one.iter().zip(other).enumerate();
            let inside = pairs.find_map(|(index, (one, other))| {
                difference(one, other).map(|rest| joined(&format!("[{index}]"), &rest))
            });
            let shorter = one.len().min(other.len());
            inside.or_else(|| (one.len() != other.len()).then(|| format!("[{shorter}]")))
        }
        _ => (one != other).then(String::new),
    }
}

fn joined(head: &str, rest: &str) -> String {
    let dot = if rest.is_empty() || rest.starts_with('[') { "" } else { "." };
    format!("{head}{dot}{rest}")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn asked(invoice: &str, body: Value) -> Asked {
        Asked { path: BTreeMap::from([("invoiceId".to_owned(), invoice.to_owned())]), body }
    }

    #[test]
    fn the_first_difference_is_named() {
        let one = asked("INV-1", json!({"amount": "1", "consent": {"type": "a", "list": ["x", {"y": 1}]}}));
        assert_eq!(one.first_difference(&one), None);
        for (other, place) in [
            (asked("INV-2", json!({})), "invoiceId"),
            (asked("INV-1", json!({"amount": "2"})), "amount"),
            (asked("INV-1", json!({"amount": "1"})), "consent"),
            (asked("INV-1", json!({"amount": "1", "consent": {"type": "b"}})), "consent.list"),
            (
                asked("INV-1", json!({"amount": "1", "consent": {"type": "a", "list": ["x"]}})),
                "consent.list[1]",
            ),
            (
                asked("INV-1", json!({"amount": "1", "consent": {"type": "a", "list": ["x", {"y": 2}]}})),
                "consent.list[1].y",
            ),
            (asked("INV-1", json!([])), WHOLE),
        ] {
            assert_eq!(one.first_difference(&other).as_deref(), Some(place));
            assert_eq!(other.first_difference(&one).as_deref(), Some(place));
        }
    }

    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-z]{0,4}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-z]{1,3}", inner, 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    /// Each leaf: how it is named, and its JSON pointer.
    fn leaves(value: &Value) -> Vec<(String, String)> {
        let parts: Vec<(String, String, &Value)> = match value {
            Value::Object(fields) => {
                fields.iter().map(|(name, inner)| (name.clone(), format!("/{name}"), inner)).collect()
            }
            Value::Array(items) => {
                let items = items.iter().enumerate();
                items.map(|(index, inner)| (format!("[{index}]"), format!("/{index}"), inner)).collect()
            }
            _ => Vec::new(),
        };
        if parts.is_empty() {
            return vec![(String::new(), String::new())];
        }
        let inside = parts.into_iter().flat_map(|(head, pointer, inner)| {
            leaves(inner)
                .into_iter()
                .map(move |(place, rest)| (joined(&head, &place), format!("{pointer}{rest}")))
        });
        inside.collect()
    }

    proptest! {
        #[test]
        fn a_changed_leaf_is_found_and_named(value in json_value(), chosen: prop::sample::Index) {
            let leaves = leaves(&value);
            let (place, pointer) = chosen.get(&leaves).clone();
            let mut changed = value.clone();
            *changed.pointer_mut(&pointer).unwrap() = json!("something else");
            prop_assert_eq!(difference(&value, &changed), Some(place.clone()));
            prop_assert_eq!(difference(&changed, &value), Some(place));
        }

        #[test]
        fn nothing_differs_from_itself_however_it_is_written(value in json_value()) {
            let spaced = serde_json::to_string_pretty(&value).unwrap();
            let again: Value = serde_json::from_str(&spaced).unwrap();
            prop_assert_eq!(difference(&value, &again), None);
        }

        #[test]
        fn two_bodies_differ_exactly_where_they_are_not_equal(one in json_value(), other in json_value()) {
            prop_assert_eq!(difference(&one, &other).is_none(), one == other);
        }
    }
}
