//! `stele-signer`: callers, policy and an index of the ledger. It holds no key of a CA and no PIN: whatever it asks of
//! the keeper, the keeper judges again.
//!
//! Blocking work (the keeper, the index, the door) runs on plain threads, one a call, counted by [`doors`]; only what
//! waits for networks is async.

mod apply;
mod approvals;
mod authorise;
mod clock;
mod commands;
mod config;
mod connection;
mod crls;
mod doors;
mod enrol;
mod error;
mod exports;
mod find;
mod floods;
mod follower;
mod handlers;
mod heard;
mod http;
mod identity;
mod import;
mod issue;
mod keeper_child;
mod local;
mod logging;
mod metrics;
mod page_token;
mod proposals;
mod rates;
mod refusals;
mod replay;
mod reservations;
mod run;
mod server_cert;
mod signer;
mod snapshot;
mod stop;
mod tiles;
mod tls;
mod tree;
mod views;
mod witness;
mod workers;

use std::process::ExitCode;

use stele_core::door::Steps;

/// Runs the command line. `steps` is told at every step of the door.
pub fn main(steps: impl Steps + Send + Sync + 'static) -> ExitCode {
    logging::start();
    commands::main(Box::new(steps))
}
