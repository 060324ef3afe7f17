//! Measures; see `hsm-tests/bench`, which prepares a token and starts this.

use std::path::Path;
use std::process::ExitCode;

use stele_hsm_tests::bench;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let ["issue", "--module", module] = words.as_slice() else {
        eprintln!("usage: stele-bench issue --module LIBRARY (run hsm-tests/bench, which prepares the token)");
        return ExitCode::from(2);
    };
    match bench::issue(Path::new(module)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("stele-bench: {error}");
            ExitCode::FAILURE
        }
    }
}
