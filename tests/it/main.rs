//! The real daemon against a real node: every story starts the binary, speaks to it over HTTP as a merchant would, and
//! then looks at the chain with eyes of its own. What the daemon says counts only when the chain agrees.

// A story that cannot go on has failed: that is what a panic is for here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod harness;

mod access;
mod accounts;
mod approvers;
mod at_once;
mod backlog;
mod backup;
mod bad_input;
mod bench;
mod chaos;
mod commands;
mod consent;
mod costs;
mod crash;
mod dialects;
mod doctor;
mod endpoints;
mod events;
mod expiry;
mod faults;
mod house;
mod idempotency;
mod identical;
mod kill_points;
#[cfg(any(feature = "aws-kms", feature = "gcp-kms"))]
mod kms;
mod lanes;
mod lifecycle;
mod listen;
mod listing;
mod onboarding;
mod operator;
mod others;
mod patrol;
mod pay;
mod pending;
mod races;
mod rebuild;
mod reconcile;
mod refusals;
mod reorg;
mod reorg_matrix;
mod repair;
mod rotation;
mod rules;
mod schedule;
mod settlement_refusals;
mod sick_node;
mod signatures;
mod slow_blocks;
mod storage;
mod stuck;
mod tips;
mod tokens;
mod traces;
mod trigger;
mod wallets;
mod watching;
mod webhooks;
