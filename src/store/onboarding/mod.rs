//! Parties and what is known of them. Functions that take a [`PartyKey`](crate::model::PartyKey) act on a party that was found
//! under its tenant before.

pub mod acceptances;
pub mod challenges;
pub mod claims;
pub mod documents;
pub mod events;
pub mod participation;
pub mod parties;
pub mod profiles;
pub mod requirements;
pub mod reviews;
pub mod terms;
pub mod verifications;
pub mod wallets;
