//! Profiles checked, explained and tried offline.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic)] // this is all test code

mod support;

use support::{Place, stele_fails, stele_ok};

fn presets() -> String {
    concat!(env!("CARGO_MANIFEST_DIR"), "/../presets").to_owned()
}

#[test]
fn the_presets_have_no_fault() {
    let text = stele_ok(&["profile", "check", &presets()]);
    assert!(
        text.contains("no fault found") && text.contains("kubelet-serving"),
        "{text}"
    );
}

#[test]
fn a_fault_names_file_line_and_key() {
    let place = Place::new();
    let file = place.at("bad.toml");
    let good = std::fs::read_to_string(format!("{}/profiles/kubelet-serving.toml", presets())).unwrap();
    std::fs::write(&file, good.replace("max = \"365d\"", "max = \"1y\"")).unwrap();
    let error = stele_fails(1, &["profile", "check", &file]);
    assert!(
        error.contains("bad.toml, line 15: found `max = ") && error.contains("1y"),
        "{error}"
    );
}

#[test]
fn a_profile_is_explained_in_sentences() {
    let text = stele_ok(&[
        "profile",
        "explain",
        &format!("{}/profiles/cluster-intermediate.toml", presets()),
    ]);
    for sentence in [
        "issues certificates of CAs",
        "1 different operators with the role approver must approve",
        "Everything else is refused.",
    ] {
        assert!(text.contains(sentence), "no `{sentence}` in:\n{text}");
    }
}

fn workload_csr(place: &Place) -> String {
    let csr = place.at("csr.pem");
    stele_ok(&["csr", "new", "--key-out", &place.at("key.pem"), "--out", &csr]);
    csr
}

#[test]
fn a_trial_shows_the_certificate() {
    let place = Place::new();
    let csr = workload_csr(&place);
    let authority = presets();
    let text = stele_ok(&[
        "profile",
        "try",
        "--authority",
        &authority,
        "--profile",
        "spiffe-workload",
        "--csr",
        &csr,
        "--as",
        "cluster-signer",
        "--context",
        "namespace=web",
        "--context",
        "service_account=front",
    ]);
    assert!(text.contains("uri:spiffe://cluster.local/ns/web/sa/front"), "{text}");
    assert!(text.contains("it would be issued at once"), "{text}");
}

#[test]
fn a_trial_shows_every_violation() {
    let place = Place::new();
    let csr = workload_csr(&place);
    let authority = presets();
    let error = stele_fails(
        1,
        &[
            "profile",
            "try",
            "--authority",
            &authority,
            "--profile",
            "spiffe-workload",
            "--csr",
            &csr,
            "--as",
            "auditor",
            "--validity",
            "100d",
        ],
    );
    for part in ["caller", "validity", "namespace"] {
        assert!(error.contains(part), "no `{part}` in:\n{error}");
    }
}
