//! Measures; see `hsm-tests/bench`, which prepares a token and starts this.

use std::path::Path;
use std::process::ExitCode;

use stele_hsm_tests::bench;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let measured = match words.as_slice() {
        ["issue", "--module", module] => bench::issue(Path::new(module)),
        ["policy"] => bench::policy(),
        _ => {
            eprintln!("usage: stele-bench issue --module LIBRARY | stele-bench policy (run hsm-tests/bench)");
            return ExitCode::from(2);
        }
    };
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("stele-bench: {error}");
            ExitCode::FAILURE
        }
    }
}
