//! What the tests of real tokens and real processes share: scratch directories with tokens of their own, keepers that
//! run and are killed, operators with real SSH keys, and a small hierarchy whose root stands in for a ceremony. Also
//! the benchmarks.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "this library is a part of tests: a surprise ends the test, and says what it was"
)]

pub mod authority;
pub mod bench;
pub mod crash;
pub mod faults;
pub mod hierarchy;
pub mod keeper;
pub mod kills;
pub mod later;
pub mod operator;
pub mod policy;
pub mod scratch;
pub mod service;
pub mod service_client;
pub mod service_world;
pub mod witness_trial;
