//! The policy alone, for tests in other languages:
//!
//!   stele-policy certificates COUNT FILE    certificates under every preset, and altered ones, as JSON lines
//!   stele-policy judge DIR...               every file below into every parser of requests and certificates
//!
//! Exit status: 0 done; 1 a fault of ours, or an input that takes 5 ms; 2 wrong usage.

use std::io::{BufWriter, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use stele_hsm_tests::policy::{judge_files, write_certificates};

/// Alterations of each input.
const ALTERATIONS: usize = 30;
const SEED: u64 = 20_261_122;
const MOST: Duration = Duration::from_millis(5);

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["certificates", count, file] => certificates(count.parse().unwrap_or(0), file),
        ["judge", directories @ ..] if !directories.is_empty() => {
            judge(&directories.iter().map(PathBuf::from).collect::<Vec<_>>())
        }
        _ => {
            eprintln!("usage: stele-policy certificates COUNT FILE | stele-policy judge DIR...");
            ExitCode::from(2)
        }
    }
}

fn certificates(count: usize, file: &str) -> ExitCode {
    let written = std::fs::File::create_new(file).and_then(|file| {
        let mut out = BufWriter::new(file);
        let written = write_certificates(count, SEED, &mut out)?;
        out.flush()?;
        Ok(written)
    });
    match written {
        Ok(w) => {
            println!(
                "{} certificates ({} requests refused), {} altered ones that our lints let pass ({} refused)",
                w.accepted, w.refused, w.altered, w.altered_refused
            );
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("stele-policy: {file}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn judge(directories: &[PathBuf]) -> ExitCode {
    let judged = judge_files(directories, ALTERATIONS, SEED);
    for (field, count) in &judged.fields {
        println!("{count:>8}  refused, {field}");
    }
    let (slowest, what) = &judged.slowest;
    println!(
        "{} inputs: {} times taken, {} times refused",
        judged.inputs, judged.taken, judged.refused
    );
    println!("slowest: {} µs, {what}", slowest.as_micros());
    for fault in judged.faults.iter().take(20) {
        eprintln!("stele-policy: {fault}");
    }
    if judged.faults.is_empty() && *slowest < MOST && judged.taken > 0 {
        ExitCode::SUCCESS
    } else {
        eprintln!(
            "stele-policy: {} faults; the slowest input may take {} ms",
            judged.faults.len(),
            MOST.as_millis()
        );
        ExitCode::FAILURE
    }
}
