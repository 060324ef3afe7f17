//! Witnesses in the bundle: each fault of `[[witness]]` and `[witness_policy]` is found, and changes are told in words.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test fails by panicking

mod log_support;
mod policy_support;

use log_support::Key;
use policy_support::preset_files;
use stele_core::authority::{Bundle, diff};
use stele_core::checkpoint::NoteKeyType;

fn vkey(seed: u8, kind: NoteKeyType) -> String {
    Key::new(seed)
        .verifier(&format!("witness.example/{seed}"), kind)
        .to_string()
}

fn listed(name: &str, vkey: &str) -> String {
    format!("[[witness]]\nname = \"{name}\"\nvkey = \"{vkey}\"\n")
}

fn two() -> String {
    listed("one", &vkey(1, NoteKeyType::CosignatureV1)) + &listed("two", &vkey(2, NoteKeyType::CosignatureV1))
}

fn with(more: &str) -> Result<Bundle, String> {
    let mut files = preset_files();
    *files.get_mut("authority.toml").unwrap() += more;
    let said = |errors: Vec<stele_core::Error>| errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    Bundle::build(0, None, files).map_err(said)
}

#[test]
fn each_fault_is_found_and_says_where() {
    let plain = vkey(1, NoteKeyType::Ed25519);
    let good = vkey(1, NoteKeyType::CosignatureV1);
    let same_key = Key::new(1)
        .verifier("other.example", NoteKeyType::CosignatureV1)
        .to_string();
    // The id is bound to the name.
    let wrong_id = good.replace("witness", "w1tness");
    for (more, wanted) in [
        (listed("one", &plain), "witness[0].vkey: found a key of type 01"),
        (listed("one", "garbage"), "witness[0].vkey"),
        (listed("one", &wrong_id), "witness[0].vkey"),
        (listed("One", &good), "witness name"),
        (listed("", &good), "witness name"),
        (
            two() + &listed("one", &vkey(3, NoteKeyType::CosignatureV1)),
            "witness[2].name: found `one` again",
        ),
        (
            two() + &listed("three", &same_key),
            "witness[2].vkey: found the key of another witness",
        ),
        (
            "[witness_policy]\nquorum = 1\n".to_owned(),
            "witness_policy.quorum: found 1; permitted: 1 to 0",
        ),
        (two() + "[witness_policy]\nquorum = 0\n", "witness_policy.quorum"),
        (
            two() + "[witness_policy]\nquorum = 3\n",
            "1 to 2, the number of witnesses",
        ),
        (two() + "[witness_policy]\nca_intents = true\n", "quorum"),
        (
            two() + "[witness_policy]\nquorum = 1\nmax_lag = \"4s\"\n",
            "witness_policy.max_lag",
        ),
        (two() + "[witness_policy]\nquorum = 1\nmax_lag = 60\n", "max_lag"),
        (two() + "[witness_policy]\nquorum = 1\nlag = \"60s\"\n", "lag"),
        (listed("one", &good) + "url = \"https://one.example\"\n", "url"),
    ] {
        let said = with(&more).expect_err(&more);
        assert!(said.contains(wanted), "wanted `{wanted}`:\n{said}");
    }
}

#[test]
fn what_is_not_written_is_not_demanded() {
    let none = with("").unwrap();
    assert!(none.authority().witnesses().is_empty() && none.authority().witness_policy().is_none());
    let unasked = with(&two()).unwrap();
    assert_eq!(unasked.authority().witness_keys().len(), 2);
    assert!(unasked.authority().witness_policy().is_none());
    let least = with(&(two() + "[witness_policy]\nquorum = 2\n")).unwrap();
    let policy = least.authority().witness_policy().unwrap();
    assert!(!policy.ca_intents && policy.max_lag.is_none());
    assert!(policy.is_met_by(2) && policy.is_met_by(3) && !policy.is_met_by(1) && !policy.is_met_by(0));
}

#[test]
fn the_diff_tells_it_in_words() {
    let before = with("").unwrap();
    let after = with(&(two() + "[witness_policy]\nquorum = 2\nca_intents = true\nmax_lag = \"10m\"\n")).unwrap();
    let said = diff(&before, &after).join("\n");
    for wanted in [
        "witness one (witness.example/1+",
        "is added",
        "what is demanded of witnesses changes from nothing to 2 of 2 cosign a checkpoint; before the signature of a CA \
         certificate; lag 10m",
    ] {
        assert!(said.contains(wanted), "wanted `{wanted}`:\n{said}");
    }
}
