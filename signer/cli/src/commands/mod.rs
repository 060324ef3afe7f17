//! The subcommands, one module each.

pub(crate) mod audit;
pub(crate) mod authority;
pub(crate) mod csr;
pub(crate) mod ledger;
pub(crate) mod profile;
pub(crate) mod request;
pub(crate) mod sign;
pub(crate) mod stop;
pub(crate) mod trust;
