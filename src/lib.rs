//! preauthd: card-style preauthorization on ERC-20 tokens.
//!
//! The rooms, and who may know whom: `cli → http → webhooks → preauth → lane → store, chain, keys → model`. An arrow never points
//! up. `model` knows nobody; only [`store`] has SQL; only [`chain`] talks to a node; only [`keys`] to a service that keeps keys. [`config`] is read by `cli` alone; [`trace`] is
//! beside the log, for everybody but `model`.

pub mod chain;
pub mod cli;
pub mod config;
pub mod http;
pub mod keys;
pub mod lane;
pub mod model;
pub mod preauth;
#[cfg(test)]
mod simulation;
pub mod store;
pub mod trace;
pub mod webhooks;
