//! One module for each subcommand.

pub(crate) mod check;
pub(crate) mod init;
pub(crate) mod plan;
pub(crate) mod run;
pub(crate) mod verify;
