//! What the stories stand on: processes, a client that speaks in verbs, eyes on the chain, patience with a bound.

pub mod api;
pub mod approver;
pub mod chain;
pub mod cli;
pub mod client;
pub mod disk;
pub mod healing;
pub mod house;
#[cfg(any(feature = "aws-kms", feature = "gcp-kms"))]
pub mod kms;
pub mod node;
pub mod patience;
pub mod powers;
pub mod process;
pub mod proxy;
pub mod receiver;
pub mod world;

pub use api::{Answer, Api};
pub use approver::Approver;
pub use chain::{Eyes, Wallet, units};
pub use client::Client;
pub use disk::BadDisk;
pub use healing::Healing;
pub use house::Plan;
pub use node::Node;
pub use patience::until;
pub use proxy::{Fault, Proxy};
pub use receiver::{Message, Receiver, Reply};
pub use world::{Sale, World};
