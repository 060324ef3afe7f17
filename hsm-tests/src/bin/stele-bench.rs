//! Measures; see `hsm-tests/bench`, which prepares a token and starts this.

use std::path::Path;
use std::process::ExitCode;

use stele_hsm_tests::bench;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let measured = match words.as_slice() {
        ["issue", "--module", module, "--certificates", count] => {
            number(count).map(|count| bench::issue(Path::new(module), count))
        }
        ["ledger", "--certificates", count] => number(count).map(bench::ledger),
        ["policy"] => Some(bench::policy()),
        _ => None,
    };
    let Some(measured) = measured else {
        eprintln!(
            "usage: stele-bench issue --module LIBRARY --certificates N | stele-bench ledger --certificates N | \
             stele-bench policy (run hsm-tests/bench, which prepares the token)"
        );
        return ExitCode::from(2);
    };
    match measured {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("stele-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// A number of certificates, at least one.
fn number(word: &str) -> Option<u64> {
    word.parse().ok().filter(|n| *n > 0)
}
