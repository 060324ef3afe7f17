//! One suite for every token: each case runs in a process of its own, against a fresh token of each backend.
//!
//! A PKCS#11 module is process-wide, and so is the environment that configures it. The runner therefore starts itself
//! again for each case (`--case NAME MODULE DIR`) with the backend's environment, and prints what the standard test
//! harness prints. Arguments that do not begin with `-` select the cases whose name contains one of them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod keys;
mod loss;
mod opening;
mod signing;
mod softhsm;
mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use crate::support::Bench;

/// A kind of token: how to make a place for a fresh one.
struct Backend {
    name: &'static str,
    prepare: fn(&Path) -> Result<Place, String>,
}

/// Where a fresh token can be made, and the environment that its module needs.
struct Place {
    module: PathBuf,
    environment: Vec<(&'static str, PathBuf)>,
}

const BACKENDS: [Backend; 1] = [Backend {
    name: "softhsm",
    prepare: softhsm::prepare,
}];

type Case = (&'static str, fn(&Bench));

fn all_cases() -> impl Iterator<Item = Case> {
    [opening::CASES, keys::CASES, signing::CASES, loss::CASES]
        .into_iter()
        .flatten()
        .copied()
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, name, module, dir] = arguments.as_slice()
        && flag == "--case"
    {
        return run_inner(name, module, dir);
    }
    let filters: Vec<_> = arguments.iter().filter(|a| !a.starts_with('-')).collect();
    let selected: Vec<_> = BACKENDS
        .iter()
        .flat_map(|b| all_cases().map(move |(name, _)| (b, name, format!("{}::{name}", b.name))))
        .filter(|(.., full)| filters.is_empty() || filters.iter().any(|f| full.contains(f.as_str())))
        .collect();
    if arguments.iter().any(|a| a == "--list") {
        for (.., full) in &selected {
            println!("{full}: test");
        }
        return ExitCode::SUCCESS;
    }
    run_all(&selected)
}

fn run_inner(name: &str, module: &str, dir: &str) -> ExitCode {
    let Some((_, case)) = all_cases().find(|(n, _)| *n == name) else {
        eprintln!("no case {name}");
        return ExitCode::from(2);
    };
    case(&Bench {
        module: PathBuf::from(module),
        dir: PathBuf::from(dir),
    });
    ExitCode::SUCCESS
}

fn run_all(selected: &[(&Backend, &str, String)]) -> ExitCode {
    let began = Instant::now();
    let out = BACKENDS.len() * all_cases().count() - selected.len();
    println!("\nrunning {} tests", selected.len());
    let mut failed = Vec::new();
    for (backend, case, full) in selected {
        match run_case(backend, case) {
            Ok(()) => println!("test {full} ... ok"),
            Err(why) => {
                println!("test {full} ... FAILED\n{why}");
                failed.push(full);
            }
        }
    }
    let verdict = if failed.is_empty() { "ok" } else { "FAILED" };
    println!(
        "\ntest result: {verdict}. {} passed; {} failed; 0 ignored; 0 measured; {out} filtered out; finished in {:.2}s\n",
        selected.len() - failed.len(),
        failed.len(),
        began.elapsed().as_secs_f64()
    );
    if failed.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Runs one case in a process of its own; what it printed is shown when it fails.
fn run_case(backend: &Backend, case: &str) -> Result<(), String> {
    let dir = tempfile::tempdir().map_err(|e| e.to_string())?;
    let place = (backend.prepare)(dir.path())?;
    let myself = std::env::current_exe().map_err(|e| e.to_string())?;
    let ran = Command::new(myself)
        .arg("--case")
        .arg(case)
        .arg(&place.module)
        .arg(dir.path())
        .envs(place.environment)
        .output()
        .map_err(|e| e.to_string())?;
    if ran.status.success() {
        return Ok(());
    }
    Err(format!(
        "{}\n{}{}",
        ran.status,
        String::from_utf8_lossy(&ran.stdout),
        String::from_utf8_lossy(&ran.stderr)
    ))
}
