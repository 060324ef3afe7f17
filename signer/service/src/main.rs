//! The signer's daemon; everything is in the library, so that tests can run the same daemon and end it at any step.

use std::process::ExitCode;

fn main() -> ExitCode {
    stele_service::main(())
}
