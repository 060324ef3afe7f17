//! Kills signer and keeper under load; see `hsm-tests/kills`, which builds and starts this.

use std::process::ExitCode;

use stele_hsm_tests::kills;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let numbers = match arguments.as_slice() {
        [rounds, seed] => rounds.parse().ok().zip(seed.parse().ok()),
        _ => None,
    };
    let Some((rounds, seed)) = numbers else {
        eprintln!("usage: stele-kills ROUNDS SEED (run hsm-tests/kills, which builds what is killed)");
        return ExitCode::from(2);
    };
    let tally = kills::run(rounds, seed);
    println!("{tally}");
    if tally.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
