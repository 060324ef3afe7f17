//! `stele audit verify` as auditors run it, beside the bare cost of the hashes and signature checks that it has to do.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use stele_core::keycheck::PublicKey;
use stele_core::merkle::{leaf_hash, node_hash};
use stele_core::types::{Digest, SignatureAlgorithm};

use super::Fallible;
use super::support::{keys::Key, signer};
use super::synthetic::{Bare, Made};
use crate::scratch::binary_path;

/// The goal of design and issue: verification within so many times its floor.
const GOAL: f64 = 1.3;
/// Megabytes that a million certificates may take.
const MEMORY_GOAL: f64 = 256.0;

pub(super) fn measure(export: &Path, certificates: u64, made: &Made) -> Fallible<()> {
    println!("verification of {certificates} certificates on {} cores", cores());
    let before = floor(&made.bare)?;
    let small = run(export, certificates)?;
    let after = floor(&made.bare)?;
    // The machine may do other things meanwhile: the floor is measured before and after.
    let floor = (before + after) / 2.0;
    let ratio = small.micros / floor;
    println!(
        "  floor {floor:.1} µs a certificate: {} hashes and 2 signatures each",
        HASHES
    );
    println!(
        "  stele audit verify {:.1} µs a certificate: {ratio:.2} of the floor (goal {GOAL})",
        small.micros
    );
    let mib = small.peak_kib as f64 / 1024.0;
    println!("  peak memory {mib:.0} MiB (goal {MEMORY_GOAL} MiB for a million)");
    Ok(())
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// SHA-256 over both entries, the tree above them, the request, TBS (as intended and as signed) and the certificate.
const HASHES: u32 = 8;

/// Microseconds a certificate for the hashes and signatures alone, on all cores.
fn floor(bare: &[Bare]) -> Fallible<f64> {
    let (issuer, leaf) = (signer::issuing().public(), Key::p256(77).public());
    let next = AtomicUsize::new(0);
    let began = Instant::now();
    std::thread::scope(|scope| {
        let work = || -> Fallible<()> {
            while let Some(one) = bare.get(next.fetch_add(1, Ordering::Relaxed)) {
                check(one, &issuer, &leaf)?;
            }
            Ok(())
        };
        let threads: Vec<_> = (0..cores()).map(|_| scope.spawn(work)).collect();
        threads
            .into_iter()
            .try_for_each(|thread| thread.join().unwrap_or_else(|_| Err("a thread ended early".into())))
    })?;
    Ok(began.elapsed().as_secs_f64() * 1e6 / bare.len() as f64)
}

fn check(one: &Bare, issuer: &PublicKey, leaf: &PublicKey) -> Fallible<()> {
    let [intent, outcome] = &one.entries;
    let (left, right) = (leaf_hash(intent), leaf_hash(outcome));
    let above = node_hash(&left, &right);
    let digests = [
        node_hash(&above, &above),
        Digest::of(&one.csr),
        Digest::of(&one.tbs),
        Digest::of(&one.tbs),
        Digest::of(&one.tbs),
    ];
    std::hint::black_box(digests);
    issuer.verify(SignatureAlgorithm::EcdsaSha256, &one.tbs, &one.signature)?;
    leaf.verify(SignatureAlgorithm::EcdsaSha256, &one.csr, &one.csr_signature)?;
    Ok(())
}

struct Run {
    micros: f64,
    peak_kib: u64,
}

fn run(export: &Path, certificates: u64) -> Fallible<Run> {
    let began = Instant::now();
    let mut child = Command::new(binary_path("stele"))
        .args(["audit", "verify"])
        .arg(export)
        .arg("--vkey")
        .arg(export.with_extension("vkey"))
        .stdout(Stdio::null())
        .spawn()?;
    let mut peak_kib = 0;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        peak_kib = peak_kib.max(peak(child.id()).unwrap_or(0));
        std::thread::sleep(Duration::from_millis(20));
    };
    if !status.success() {
        return Err(format!("stele audit verify: {status}").into());
    }
    Ok(Run {
        micros: began.elapsed().as_secs_f64() * 1e6 / certificates as f64,
        peak_kib,
    })
}

/// VmHWM of a process (proc(5)), in KiB.
fn peak(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok()
}
