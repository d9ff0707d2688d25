//! Bodies and queries as typed values, with messages that name the field.

use std::fmt;
use std::marker::PhantomData;

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Query, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode, header};
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Error, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use super::error::ApiError;
use super::shape::quoted;

/// A JSON body.
pub struct JsonBody<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for JsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        if !is_json(request.headers()) {
            return Err(ApiError::of_status(StatusCode::UNSUPPORTED_MEDIA_TYPE));
        }
        let body = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| ApiError::of_status(rejection.status()))?;
        parse(&body).map(Self)
    }
}

/// A JSON body that may be absent altogether.
pub struct OptionalJsonBody<T>(pub Option<T>);

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for OptionalJsonBody<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let is_json = is_json(request.headers());
        let body = Bytes::from_request(request, state)
            .await
            .map_err(|rejection| ApiError::of_status(rejection.status()))?;
        match body.is_empty() {
            true => Ok(Self(None)),
            false if is_json => parse(&body).map(|body| Self(Some(body))),
            false => Err(ApiError::of_status(StatusCode::UNSUPPORTED_MEDIA_TYPE)),
        }
    }
}

/// The parameters of a query.
pub struct Parameters<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Parameters<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        match Query::try_from_uri(&parts.uri) {
            Ok(Query(parameters)) => Ok(Self(parameters)),
            Err(rejection) => {
                let said = rejection.body_text();
                // Every parameter is read as text, so it can only be unknown or repeated.
                let starts =
                    ["unknown field `", "duplicate field `"].iter().filter_map(|mark| said.find(mark));
                let said = starts.min().and_then(|start| said.get(start..)).unwrap_or_default();
                Err(misshapen("invalid_parameter", "", said))
            }
        }
    }
}

/// `T` from a JSON object only: serde would also read a struct from an array of its fields.
#[derive(Debug)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = T;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_map(ObjectVisitor(PhantomData)).map(Self)
    }
}

/// A whole number, `60.0` included: to JSON that is the same as `60`.
pub(super) fn whole_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    whole(&serde_json::Number::deserialize(deserializer)?)
}

/// The same where there may be none.
pub(super) fn optional_whole_number<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<u64>, D::Error> {
    Option::<serde_json::Number>::deserialize(deserializer)?.as_ref().map(whole).transpose()
}

fn whole<E: Error>(number: &serde_json::Number) -> Result<u64, E> {
    let written = number.to_string();
    let whole = written.strip_suffix(".0").unwrap_or(&written);
    whole.parse().map_err(|_| E::invalid_value(Unexpected::Other("another number"), &"a whole number"))
}

fn is_json(headers: &HeaderMap) -> bool {
    let media_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    media_type.and_then(|text| text.split(';').next()).is_some_and(|text| {
        let text = text.trim().to_ascii_lowercase();
        text == "application/json" || (text.starts_with("application/") && text.ends_with("+json"))
    })
}

fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, ApiError> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let read = serde_path_to_error::deserialize::<_, Object<T>>(&mut deserializer);
    let Object(value) = read.map_err(|error| {
        let path = error.path().to_string();
        let error = error.into_inner();
        if error.is_data() {
            let said = error.to_string();
            // The place in the text does not help where the field is named.
            let said = said.rsplit_once(" at line ").map_or(said.as_str(), |(said, _)| said);
            misshapen("invalid_field", &path, said)
        } else {
            malformed(&error)
        }
    })?;
    deserializer.end().map_err(|error| malformed(&error))?;
    Ok(value)
}

fn malformed(error: &serde_json::Error) -> ApiError {
    let message =
        format!("The body is not well-formed JSON (line {}, column {})", error.line(), error.column());
    ApiError::new(StatusCode::BAD_REQUEST, "malformed_json", message)
}

/// Says in a stable way what serde says in its own.
fn misshapen(code: &'static str, path: &str, said: &str) -> ApiError {
    let inside = if path == "." { "" } else { path };
    let named = |rest: &str| {
        let name = rest.split('`').next().unwrap_or_default();
        // An unknown or repeated field is the last part of its path, a missing one is not part of it.
        let parent = inside.strip_suffix(name).unwrap_or(inside).trim_end_matches('.');
        let name = quoted(name);
        if parent.is_empty() { name } else { format!("{parent}.{name}") }
    };
    let (field, message) = if let Some(rest) = said.strip_prefix("missing field `") {
        let name = named(rest);
        (name.clone(), format!("{name} is missing"))
    } else if let Some(rest) = said.strip_prefix("unknown field `") {
        let name = named(rest);
        (name.clone(), format!("{name} is not known here"))
    } else if let Some(rest) = said.strip_prefix("duplicate field `") {
        let name = named(rest);
        (name.clone(), format!("{name} is given twice"))
    } else {
        let field = if inside.is_empty() { "The body".to_owned() } else { quoted(inside) };
        let expected = said.rsplit_once(", expected ").map_or("of another form", |(_, expected)| expected);
        let expected = if expected == "u64" { "a whole number" } else { expected };
        (field.clone(), format!("{field} must be {expected}"))
    };
    let error = ApiError::new(StatusCode::BAD_REQUEST, code, message);
    if field == "The body" { error } else { error.field(field) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Inner {
        #[serde(rename = "signature")]
        _signature: String,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase", deny_unknown_fields)]
    struct Outer {
        #[serde(rename = "amount")]
        _amount: String,
        #[serde(rename = "expiresAt")]
        _expires_at: Option<String>,
        #[serde(rename = "consent")]
        _consent: Option<Object<Inner>>,
    }

    fn refusal(body: &str) -> (&'static str, Option<String>, String) {
        let error = parse::<Outer>(body.as_bytes()).err().unwrap_or_else(|| panic!("{body} was accepted"));
        assert_eq!(error.status(), 400);
        let item = error.items()[0].clone();
        (item.code, item.field, item.message)
    }

    #[test]
    fn a_good_body_is_read() {
        assert!(parse::<Outer>(br#"{"amount":"1","expiresAt":null,"consent":{"signature":"0x"}}"#).is_ok());
    }

    #[test]
    fn the_field_is_named() {
        let cases = [
            ("{}", "amount", "amount is missing"),
            (r#"{"amount":1}"#, "amount", "amount must be a string"),
            (r#"{"amount":null}"#, "amount", "amount must be a string"),
            (r#"{"amount":"1","amount":"2"}"#, "amount", "amount is given twice"),
            (r#"{"amount":"1","tip":"2"}"#, "tip", "tip is not known here"),
            (r#"{"amount":"1","expiresAt":7}"#, "expiresAt", "expiresAt must be a string"),
            (r#"{"amount":"1","consent":"0x"}"#, "consent", "consent must be an object"),
            (r#"{"amount":"1","consent":["0x"]}"#, "consent", "consent must be an object"),
            (r#"{"amount":"1","consent":{}}"#, "consent.signature", "consent.signature is missing"),
            (
                r#"{"amount":"1","consent":{"signature":7}}"#,
                "consent.signature",
                "consent.signature must be a string",
            ),
            (
                r#"{"amount":"1","consent":{"signature":"","x":7}}"#,
                "consent.x",
                "consent.x is not known here",
            ),
        ];
        for (body, field, message) in cases {
            assert_eq!(refusal(body), ("invalid_field", Some(field.into()), message.into()), "{body}");
        }
    }

    #[test]
    fn a_number_is_whole_however_it_is_written() {
        #[derive(Deserialize)]
        struct Jump {
            #[serde(deserialize_with = "whole_number")]
            seconds: u64,
        }
        for (written, seconds) in
            [("0", 0), ("60", 60), ("60.0", 60), ("6e1", 60), ("18446744073709551615", u64::MAX)]
        {
            let body = format!(r#"{{"seconds":{written}}}"#);
            assert_eq!(parse::<Jump>(body.as_bytes()).unwrap().seconds, seconds, "{written}");
        }
        for written in ["-1", "0.5", "1e300", r#""1""#, "null"] {
            let body = format!(r#"{{"seconds":{written}}}"#);
            assert!(parse::<Jump>(body.as_bytes()).is_err(), "{written}");
        }
    }

    #[test]
    fn what_is_no_object_is_refused() {
        for body in [r#"["1"]"#, "7", "null", r#""amount""#, &"[".repeat(10_000)] {
            assert_eq!(refusal(body), ("invalid_field", None, "The body must be an object".into()), "{body}");
        }
    }

    #[test]
    fn what_is_no_json_is_refused() {
        for body in ["", "{", "{\"amount\":\"1\"", "{\"amount\":\"1\"}x", "{'amount':1}", "\u{0}"] {
            let (code, field, message) = refusal(body);
            assert_eq!((code, field), ("malformed_json", None), "{message}");
        }
        assert!(parse::<Outer>(b"{\"amount\":\"\xff\"}").is_err());
    }

    #[test]
    fn long_names_are_quoted_short() {
        let (_, field, _) = refusal(&format!(r#"{{"{}":1}}"#, "x".repeat(60_000)));
        assert_eq!(field.unwrap().len(), 64);
    }

    #[test]
    fn only_json_is_json() {
        let with = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::CONTENT_TYPE, value.parse().unwrap());
            is_json(&headers)
        };
        assert!(
            with("application/json") && with("Application/JSON; charset=utf-8") && with("application/a+json")
        );
        assert!(!with("text/plain") && !with("application/x-www-form-urlencoded") && !with("text/json"));
        assert!(!is_json(&HeaderMap::new()));
    }
}
