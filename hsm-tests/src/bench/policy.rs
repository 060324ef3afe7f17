//! What the policy costs: CPU time of one thread, without token, ledger and network.

use std::collections::BTreeMap;
use std::time::Duration;

use stele_core::authority::Bundle;
use stele_core::csr::{Csr, Limits};
use stele_core::door::Entry;
use stele_core::profile::Profile;
use stele_core::request::{Context, KeyProof, SignRequest, Wanted};
use stele_core::types::Time;

use super::Fallible;
use crate::hierarchy::now;
use crate::policy::{World, cpu_nanos, judge_worst};
use crate::scratch::repository;
use crate::service_client::csr;

const ROUNDS: u32 = 20_000;
/// The goals: for a leaf, for a thousand profiles, for one input.
const LEAF: Duration = Duration::from_micros(60);
const LOAD: Duration = Duration::from_secs(1);
const INPUT: Duration = Duration::from_millis(5);

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = cpu_nanos();
    let done = work();
    (done, Duration::from_nanos(cpu_nanos() - start))
}

fn verdict(took: Duration, goal: Duration) -> &'static str {
    if took < goal { "met" } else { "MISSED" }
}

/// Prints what a leaf, a thousand profiles and the slowest input cost.
///
/// # Errors
/// When a goal is missed, or something of what is measured fails.
pub fn policy() -> Fallible<()> {
    let mut slow = Vec::new();
    let world = World::new();
    for (name, common_name, names) in [
        (
            "kube-apiserver-serving",
            Some("kube-apiserver"),
            &["api.example.org", "kubernetes"][..],
        ),
        ("pod", None, &[]),
        ("kubelet-client", Some("system:node:n1"), &[]),
    ] {
        let profile = world.profiles().find(|p| p.name().as_str() == name).ok_or("a preset")?;
        let (proof, leaf) = leaf(&world, profile, &csr(common_name, names))?;
        println!(
            "{name}: decide, build, lint, ceiling: {:.1} µs (goal 60: {}); its CSR's proof beside: {:.1} µs",
            micros(leaf),
            verdict(leaf, LEAF),
            micros(proof)
        );
        if leaf >= LEAF {
            slow.push(name);
        }
    }
    let files = thousand()?;
    let (bundle, read) = timed(|| Bundle::build(0, None, files));
    let bundle = bundle.map_err(|errors| format!("{errors:?}"))?;
    let (samples, linted) = timed(|| bundle.lint_samples());
    samples.map_err(|errors| format!("{errors:?}"))?;
    println!(
        "{} profiles: read and checked in {:.0} ms, samples linted in {:.0} ms (goal 1000: {})",
        bundle.authority().profiles().len(),
        micros(read) / 1000.0,
        micros(linted) / 1000.0,
        verdict(read + linted, LOAD)
    );
    if read + linted >= LOAD {
        slow.push("a thousand profiles");
    }
    let judged = judge_worst();
    let (slowest, what) = &judged.slowest;
    println!(
        "slowest of {} inputs: {:.2} ms, {what} (goal 5: {})",
        judged.inputs,
        micros(*slowest) / 1000.0,
        verdict(*slowest, INPUT)
    );
    if *slowest >= INPUT || !judged.faults.is_empty() {
        slow.push("hostile input");
    }
    if slow.is_empty() {
        Ok(())
    } else {
        Err(format!("missed: {}", slow.join(", ")).into())
    }
}

fn micros(took: Duration) -> f64 {
    took.as_secs_f64() * 1e6
}

/// CPU time of a CSR's proof, and of all that follows until the bytes to be signed are there.
fn leaf(world: &World, profile: &Profile, der: &[u8]) -> Fallible<(Duration, Duration)> {
    let proofs = ROUNDS / 20;
    let (proven, proof) = timed(|| {
        for _ in 1..proofs {
            Csr::prove(der, &Limits::default())?;
        }
        Csr::prove(der, &Limits::default())
    });
    let proven = proven.map_err(|e| e.to_string())?.into();
    let request = SignRequest {
        id: "bench".parse()?,
        profile: profile.name().clone(),
        issuer: None,
        proof: KeyProof::Pkcs10(der.to_vec()),
        wanted: Wanted::default(),
        // Only pods have so much said about them.
        context: if profile.context.len() > 4 {
            context()
        } else {
            Context::default()
        },
    };
    let issuer = world.issuer(profile.issuers.first().ok_or("an issuer")?);
    let at: Time = now();
    let (outcome, took) = timed(|| {
        for _ in 0..ROUNDS {
            let proposal = Entry {
                request: &request,
                proven: &proven,
            }
            .proposal(at)?;
            world.issue_by(profile, &proposal, &issuer)?;
        }
        Ok::<_, stele_core::Refusal>(())
    });
    outcome.map_err(|e| e.to_string())?;
    Ok((proof / proofs, took / ROUNDS))
}

fn context() -> Context {
    let text = |t: &str| Some(t.to_owned());
    Context {
        namespace: text("prod"),
        service_account: text("web"),
        pod: text("web-0"),
        pod_uid: text("3f0c"),
        node: text("node-1"),
        ..Context::default()
    }
}

/// The presets again and again under other names, a thousand profiles in all.
fn thousand() -> Fallible<BTreeMap<String, String>> {
    let base = repository().join("signer/presets");
    let mut files = BTreeMap::from([(
        "authority.toml".to_owned(),
        std::fs::read_to_string(base.join("authority.toml"))?,
    )]);
    let mut presets = Vec::new();
    for entry in std::fs::read_dir(base.join("profiles"))?.flatten() {
        let name = entry.file_name().to_string_lossy().trim_end_matches(".toml").to_owned();
        presets.push((name, std::fs::read_to_string(entry.path())?));
    }
    presets.sort();
    for (name, text) in &presets {
        files.insert(format!("profiles/{name}.toml"), text.clone());
    }
    for (n, (name, text)) in presets.iter().cycle().take(1000 - presets.len()).enumerate() {
        let other = format!("{name}-{n}");
        let renamed = text.replacen(&format!("name = \"{name}\""), &format!("name = \"{other}\""), 1);
        files.insert(format!("profiles/{other}.toml"), renamed);
    }
    Ok(files)
}
