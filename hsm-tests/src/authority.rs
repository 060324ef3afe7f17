//! A small authority for tests: two CAs, a leaf profile, an intermediate profile that two operators approve.

use std::collections::BTreeMap;

use stele_core::authority::Bundle;
use stele_core::authority::texts::BundleText;
use stele_core::record::{BundleAdopted, Payload};
use stele_core::types::{Digest, Origin};

use crate::hierarchy::{Root, now};
use crate::keeper::KeeperFiles;
use crate::operator::Operator;

/// The caller that may ask for leaves and intermediates.
pub const CALLER: &str = "uri:spiffe://stele/caller/cluster-signer";
/// The caller that acts for the first operator, and may ask for intermediates too.
pub const OPERATORS_CALLER: &str = "uri:spiffe://stele/operator/alice";

const LEAF: &str = r#"
name = "workload"
kind = "leaf"
issuers = ["issuing-ca"]
callers = ["cluster-signer"]
key_algorithms = ["ec-p256", "ed25519"]
approval = "automatic"
[validity]
default = "1h"
min = "10m"
max = "24h"
backdate = "1m"
[sans]
min = 1
max = 4
[sans.dns]
patterns = ["**.svc.cluster.local"]
[usages]
fixed = ["digital signature", "server auth", "client auth"]
"#;

const INTERMEDIATE: &str = r#"
name = "in-cluster-ca"
kind = "intermediate"
issuers = ["cluster-ca"]
callers = ["cluster-signer", "alice-caller"]
key_algorithms = ["ec-p256", "ec-p384"]
approval = { m = 2, role = "approver", expires = "72h" }
[validity]
default = "30d"
min = "1d"
max = "90d"
backdate = "1m"
[subject.CN]
request = ["*"]
required = true
[basic_constraints]
path_length = 0
[name_constraints.permitted]
dns = ["cluster.local"]
[usages]
fixed = ["cert sign", "crl sign", "digital signature"]
"#;

/// The texts of the authority's files, for these operators and CAs.
pub fn files(operators: &[&Operator], keeper: &KeeperFiles, root: &Root) -> BTreeMap<String, String> {
    let mut text = String::from("name = \"test\"\n[quorum]\n");
    for action in ["bundle", "plan", "recovery", "unfreeze", "ca_revocation", "key"] {
        text += &format!("{action} = {{ m = 2, role = \"approver\" }}\n");
    }
    for operator in operators {
        text += &format!(
            "[[operator]]\nname = \"{0}\"\nkeys = [\"{1}\"]\nroles = [\"approver\"]\nacts_as = [\"uri:spiffe://stele/operator/{0}\"]\n",
            operator.name, operator.public
        );
    }
    text += &format!("[[caller]]\nname = \"cluster-signer\"\nsan = \"{CALLER}\"\nroles = [\"request\"]\n");
    for Operator { name, .. } in operators.iter().filter(|o| o.name != "alice") {
        text += &format!(
            "[[caller]]\nname = \"{name}-caller\"\nsan = \"uri:spiffe://stele/operator/{name}\"\nroles = [\"operate\"]\n"
        );
    }
    text += &format!(
        "[[caller]]\nname = \"alice-caller\"\nsan = \"{OPERATORS_CALLER}\"\nroles = [\"request\", \"operate\"]\n"
    );
    text += "[client_ca]\nkey = \"access-ca\"\n[enrolment]\nprofiles = []\n";
    for requested in &keeper.request.keys {
        let ceiling = match requested.key.as_str() {
            "cluster-ca" => "kinds = [\"intermediate\", \"crl\"]\nmax_validity = \"90d\"\npath_length = 0\n",
            _ => {
                "kinds = [\"leaf\", \"crl\"]\nmax_validity = \"2d\"\ndns = [\"cluster.local\"]\neku = [\"server auth\", \"client auth\"]\n"
            }
        };
        let algorithm = if requested.key.as_str() == "cluster-ca" {
            "ec-p384"
        } else {
            "ec-p256"
        };
        text += &format!(
            "[[key]]\nname = \"{}\"\nspki_sha256 = \"{}\"\nalgorithm = \"{algorithm}\"\n[key.ceiling]\n{ceiling}",
            requested.key, requested.spki_sha256
        );
    }
    text += &format!(
        "[[key]]\nname = \"root\"\nspki_sha256 = \"{}\"\nalgorithm = \"ec-p384\"\n[key.ceiling]\nkinds = [\"root\", \"intermediate\", \"crl\"]\nmax_validity = \"9000d\"\npath_length = 2\n",
        root.spki_sha256()
    );
    BTreeMap::from([
        ("authority.toml".to_owned(), text),
        ("profiles/workload.toml".to_owned(), LEAF.to_owned()),
        ("profiles/in-cluster-ca.toml".to_owned(), INTERMEDIATE.to_owned()),
    ])
}

/// A bundle of these files.
pub fn bundle(number: u64, predecessor: Option<Digest>, files: BTreeMap<String, String>) -> Bundle {
    Bundle::build(number, predecessor, files).unwrap_or_else(|errors| {
        panic!(
            "{}",
            errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        );
    })
}

/// The text that accepts a bundle.
pub fn bundle_text(bundle: &Bundle, origin: &Origin) -> BundleText {
    BundleText {
        origin: origin.clone(),
        number: bundle.number(),
        predecessor: bundle.predecessor(),
        bundle_sha256: bundle.digest(),
        expires: now().plus_secs(3600),
    }
}

/// The record that adopts a bundle with these operators' signatures.
pub fn adopted(bundle: &Bundle, origin: &Origin, signers: &[&Operator]) -> BundleAdopted {
    let text = bundle_text(bundle, origin);
    BundleAdopted {
        number: bundle.number(),
        sha256: bundle.digest(),
        predecessor: bundle.predecessor(),
        bundle: Payload::of(bundle.bytes(), Vec::new()),
        texts: signers.iter().map(|o| o.sign(&text)).collect(),
    }
}
