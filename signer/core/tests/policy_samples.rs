//! Samples of what a new profile would issue are linted when it is loaded.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)] // a test fails by panicking

mod policy_support;

use policy_support::{changed, presets};
use stele_core::authority::Bundle;
use stele_core::profile::samples;

#[test]
fn every_preset_has_samples_and_they_pass() {
    let bundle = presets();
    bundle.lint_samples().unwrap_or_else(|errors| panic!("{errors:#?}"));
    for profile in bundle.authority().profiles().values() {
        let made = samples(profile);
        assert!(!made.is_empty());
        for (algorithm, sample) in made {
            assert!(
                sample.is_ok(),
                "{}, {algorithm}: {}",
                profile.name(),
                sample.unwrap_err()
            );
        }
    }
}

/// The faults that samples find in the presets with one text changed.
fn faults(file: &str, from: &str, to: &str) -> String {
    let bundle = Bundle::build(0, None, changed(file, from, to)).unwrap();
    let errors = bundle.lint_samples().unwrap_err();
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_profile_that_issues_what_a_lint_refuses_is_refused_itself() {
    let serving = "profiles/kube-apiserver-serving.toml";
    for (file, from, to, lint) in [
        // kubeadm's common name is none of the names, which a waiver must say.
        (
            serving,
            "lint = \"common-name-in-san\"",
            "lint = \"usage-pairs\"",
            "common-name-in-san",
        ),
        // The usages without a word of the request fit RSA keys, and not the EC keys that the profile permits too.
        (
            serving,
            "default = [\"digital signature\", \"server auth\"]",
            "default = [\"digital signature\", \"key encipherment\", \"server auth\"]",
            "key-usage-fits-key",
        ),
        (
            "profiles/istio-workload.toml",
            "/sa/{service_account}",
            "/sa//{service_account}",
            "spiffe-id",
        ),
        (
            "profiles/operator.toml",
            "lint = \"spiffe-usages\"",
            "lint = \"usage-pairs\"",
            "spiffe-usages",
        ),
        (
            "profiles/pod.toml",
            "always = [\"{pod}.",
            "always = [\"{pod}_x.",
            "dns-syntax",
        ),
        (
            "profiles/istio-intermediate.toml",
            "\"digital signature\", ",
            "\"key encipherment\", ",
            "ca-key-usage",
        ),
    ] {
        let said = faults(file, from, to);
        assert!(
            said.contains(lint) && said.contains(file) && said.contains("sample"),
            "{lint}: {said}"
        );
    }
}
