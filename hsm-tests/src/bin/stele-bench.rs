//! Measures; see `hsm-tests/bench`, which prepares a token and starts this.

use std::path::Path;
use std::process::ExitCode;

use stele_hsm_tests::bench;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let parsed = match words.as_slice() {
        ["issue", "--module", module, "--certificates", count] => count.parse().ok().map(|count| (module, count)),
        _ => None,
    };
    let Some((module, certificates)) = parsed else {
        eprintln!(
            "usage: stele-bench issue --module LIBRARY --certificates N (run hsm-tests/bench, which prepares the token)"
        );
        return ExitCode::from(2);
    };
    match bench::issue(Path::new(module), certificates) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("stele-bench: {error}");
            ExitCode::FAILURE
        }
    }
}
