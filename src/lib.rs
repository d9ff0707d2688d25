//! preauthd: card-style preauthorization on ERC-20 tokens.
//!
//! The rooms, and who may know whom: `cli → http → webhooks → preauth, onboarding → lane, approvers → store, chain, keys, outbound → model`. An
//! arrow never points up. `model` knows nobody; only [`store`] has SQL; only [`chain`] talks to a node, only [`outbound`] to systems
//! of merchants, only [`keys`] to a service that keeps keys. [`config`] is read by `cli` alone; [`trace`] is
//! beside the log, for everybody but `model`.

pub mod approvers;
pub mod chain;
pub mod cli;
pub mod config;
pub mod http;
pub mod keys;
pub mod lane;
pub mod model;
pub mod onboarding;
pub mod outbound;
pub mod preauth;
#[cfg(test)]
mod simulation;
pub mod store;
pub mod trace;
pub mod webhooks;
