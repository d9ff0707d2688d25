//! What is known of a party as a person or a business. It is kept encrypted, and shown to nobody by accident.

use std::fmt;

use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{Email, Phone, PostalAddress};

/// Personal data, one version of it.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Profile {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phone: Option<Phone>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// As it is on a document, or in a register.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub legal_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub date_of_birth: Option<Date>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub main_address: Option<PostalAddress>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub postal_address: Option<PostalAddress>,
    /// By which a state knows it: a tax number, or that of a register.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub legal_identifier: Option<String>,
    /// What the dialect asks for and nobody else understands, under the dialect's own names.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub particulars: Map<String, Value>,
}

impl fmt::Debug for Profile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Profile(…)")
    }
}
