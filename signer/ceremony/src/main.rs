//! The ceremony's program; everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    stele_ceremony::main(())
}
