//! The real signer among witnesses that share no code with it: `stele-witness-trial WITNESS`, the Go program of
//! `hsm-tests/e2e/witness`. Each scenario has a hierarchy and witnesses of its own and prints a line when it passed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a surprise ends the trial"
)]

use std::path::{Path, PathBuf};
use std::time::Instant;

use stele_hsm_tests::witness_trial::{authority, faults, halts};

/// What is tried, with the witness's program.
type Scenario = fn(&Path);

fn main() {
    let mut args = std::env::args_os().skip(1);
    let program = PathBuf::from(args.next().expect("usage: stele-witness-trial WITNESS [SCENARIO]"));
    let only = args.next().map(|only| only.into_string().expect("a scenario's name"));
    let scenarios: [(&str, Scenario); 7] = [
        ("cosignatures are published and verify elsewhere", faults::published),
        ("one witness's faults are alarms, and leaves go on", faults::one_faulty),
        (
            "leaves stop when the lag is passed, and go on by themselves",
            faults::lag,
        ),
        ("a CA certificate waits for the witnesses", authority::ca_intents),
        (
            "a quorum that claims a larger log halts, one witness does not",
            halts::claims,
        ),
        ("a log that was set back is refused at the start", halts::set_back),
        ("another history under our own key halts", halts::other_history),
    ];
    for (name, scenario) in scenarios {
        if only.as_ref().is_some_and(|only| !name.contains(only.as_str())) {
            continue;
        }
        let begun = Instant::now();
        scenario(&program);
        println!("ok  {name} ({:.1} s)", begun.elapsed().as_secs_f32());
    }
}
