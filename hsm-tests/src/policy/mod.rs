//! The policy alone, without processes or tokens: random requests under every preset, hostile input, and how long it
//! all takes.

mod hostile;
mod mutate;
mod random;
mod world;

pub use hostile::{Judged, judge_files, judge_worst};
pub use world::World;

use std::io::Write;

use base64ct::{Base64, Encoding as _};
use serde_json::json;
use stele_core::lint::lint;

use mutate::mutated;
use random::Random;

/// CPU time of this thread, in nanoseconds: what others do on the machine does not count.
pub(crate) fn cpu_nanos() -> u64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    u64::try_from(time.tv_sec).unwrap_or(0) * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0)
}

/// What [`write_certificates`] wrote.
#[derive(Debug, Default)]
pub struct Written {
    /// Certificates that the presets permit.
    pub accepted: usize,
    /// Requests that they refuse.
    pub refused: usize,
    /// Altered certificates that no lint of ours refuses.
    pub altered: usize,
    /// Altered certificates that one does.
    pub altered_refused: usize,
}

/// Writes `count` certificates that the presets permit, and altered ones that our lints let pass, as JSON lines for a
/// linter to compare.
///
/// # Errors
/// When the output cannot be written.
pub fn write_certificates(count: usize, seed: u64, out: &mut impl Write) -> std::io::Result<Written> {
    let world = World::new();
    let mut random = Random::new(seed);
    let mut written = Written::default();
    let profiles: Vec<_> = world.profiles().collect();
    let mut turn = profiles.iter().cycle();
    while written.accepted < count {
        let profile = turn.next().expect("presets");
        let Ok(tbs) = world.issue(profile, &world.random_request(profile, &mut random)) else {
            written.refused += 1;
            assert!(written.refused < 100 * count.max(100), "nearly nothing is permitted");
            continue;
        };
        written.accepted += 1;
        let name = profile.name().as_str();
        let waived: Vec<&str> = profile.waivers.iter().map(|w| w.lint.as_str()).collect();
        let line = |kind: &str, tbs: &[u8]| json!({"kind": kind, "profile": name, "waived": waived, "der": Base64::encode_string(&world.certify(tbs))});
        writeln!(out, "{}", line("issued", &tbs))?;
        for _ in 0..4 {
            let altered = mutated(&tbs, &mut random);
            if lint(&altered, &profile.waivers).is_err() {
                written.altered_refused += 1;
            } else if altered != tbs {
                written.altered += 1;
                writeln!(out, "{}", line("altered", &altered))?;
            }
        }
    }
    Ok(written)
}
