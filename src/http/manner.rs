//! How errors are worded. All routes share one envelope, but those that speak a dialect of onboarding: whoever has learned one
//! knows its errors, too.

use axum::http::StatusCode;
use serde_json::{Value, json};
use utoipa::openapi::{RefOr, Schema};

use super::error::ApiError;
use super::onboarding::{business_users, customers, justifications, user_onboarding, users};

/// Whose words an error is told in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    House,
    Users,
    UserOnboarding,
    BusinessUsers,
    Customers,
    Justifications,
}

impl Manner {
    /// The manner of a route, which is named by its template.
    #[must_use]
    pub fn of(route: &str) -> Self {
        let begins = |start: &str| route.starts_with(start);
        match () {
            () if begins(user_onboarding::PREFIX) => Self::UserOnboarding,
            () if begins(users::PREFIX) => Self::Users,
            () if begins(business_users::PREFIX) => Self::BusinessUsers,
            () if begins(customers::PREFIX) => Self::Customers,
            () if begins(justifications::PREFIX) => Self::Justifications,
            () => Self::House,
        }
    }

    /// Status and body of an error.
    #[must_use]
    pub fn word(self, error: &ApiError, request_id: Option<&str>) -> (StatusCode, Value) {
        match self {
            Self::House => {
                let envelope = serde_json::to_value(error.clone().into_envelope(request_id));
                (error.status(), envelope.unwrap_or_else(|_| json!({ "errors": [] })))
            }
            Self::Users => users::error(error),
            Self::UserOnboarding => user_onboarding::error(error),
            Self::BusinessUsers => business_users::error(error),
            Self::Customers => customers::error(error),
            Self::Justifications => justifications::error(error),
        }
    }

    /// The schema of its errors, in the document.
    #[must_use]
    pub fn schema(self) -> RefOr<Schema> {
        match self {
            Self::House => utoipa::openapi::Ref::from_schema_name("ErrorEnvelope").into(),
            Self::Users => users::error_schema(),
            Self::UserOnboarding => user_onboarding::error_schema(),
            Self::BusinessUsers => business_users::error_schema(),
            Self::Customers => customers::error_schema(),
            Self::Justifications => justifications::error_schema(),
        }
    }
}
