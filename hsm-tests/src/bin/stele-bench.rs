//! Measures; see `hsm-tests/bench`, which prepares a token and starts this.

use std::path::Path;
use std::process::ExitCode;

use stele_hsm_tests::bench;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let measured = match words.as_slice() {
        ["issue", "--module", module] => bench::issue(Path::new(module)),
        ["ledger", "--certificates", count] if count.parse::<u64>().is_ok_and(|n| n > 0) => {
            bench::ledger(count.parse().unwrap_or(1))
        }
        _ => {
            eprintln!(
                "usage: stele-bench issue --module LIBRARY | stele-bench ledger --certificates N (run hsm-tests/bench, \
                 which prepares the token)"
            );
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
