//! The auditor's work on a running signer: tiles over HTTP, exports that go on, searching, matching, the report.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a surprise ends the test"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use stele_hsm_tests::service::{Service, both, succeed};
use stele_hsm_tests::service_client::{leaf, runtime, sign_persistently};

/// Issues certificates until the log has a few full tiles' worth of records more.
fn issue(service: &Service, name: &str, count: usize) {
    runtime().block_on(async {
        let channel = service.channel("caller");
        for n in 0..count {
            sign_persistently(&channel, &leaf(&format!("{name}-{n}"))).await;
        }
    });
}

/// Runs `stele` as somebody; its exit code and everything it said.
fn stele(service: &Service, who: &str, args: &[&str]) -> (Option<i32>, String) {
    let out = service.stele_as(who).args(args).output().unwrap();
    (out.status.code(), both(&out))
}

fn ok(service: &Service, args: &[&str]) -> String {
    let (code, text) = stele(service, "auditor", args);
    assert_eq!(code, Some(0), "{args:?}: {text}");
    text
}

fn all_files(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(root).unwrap().flatten() {
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(all_files(&entry.path())),
            false => found.push(entry.path()),
        }
    }
    found
}

fn times(root: &Path) -> BTreeMap<PathBuf, SystemTime> {
    let modified = |path: &Path| path.metadata().unwrap().modified().unwrap();
    all_files(root)
        .into_iter()
        .map(|path| (path.clone(), modified(&path)))
        .collect()
}

#[test]
fn tiles_are_for_those_who_may_read_the_ledger() {
    let service = Service::started();
    issue(&service, "tiles", 3);
    let base = format!("https://localhost:{}", service.tiles);
    let text = ok(&service, &["audit", "verify", &base]);
    assert!(text.contains("RESULT: no promise is broken"), "{text}");
    let (code, text) = stele(&service, "guest", &["audit", "verify", &base]);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("403") && text.contains("roles"), "{text}");
    let curl = |path: &str, people: Option<&str>| {
        let mut curl = Command::new("curl");
        curl.args(["-s", "-i", "--cacert"])
            .arg(service.path("out/access-ca.pem"));
        if let Some(who) = people {
            curl.arg("--cert").arg(service.path(&format!("people/{who}.pem")));
            curl.arg("--key").arg(service.path(&format!("people/{who}.key")));
        }
        String::from_utf8_lossy(&curl.arg(format!("{base}{path}")).output().unwrap().stdout).to_lowercase()
    };
    assert_eq!(curl("/checkpoint", None), "", "nobody without a certificate");
    assert!(curl("/checkpoint", Some("auditor")).contains("cache-control: no-store"));
    let size: u64 = ok(&service, &["ledger", "checkpoint"])
        .lines()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap();
    let width = if size < 256 {
        format!(".p/{size}")
    } else {
        String::new()
    };
    for kind in ["0", "entries"] {
        let head = curl(&format!("/tile/{kind}/000{width}"), Some("auditor"));
        assert!(head.starts_with("http/1.1 200"), "{head}");
        assert!(
            head.contains("cache-control: public, max-age=31536000, immutable"),
            "{head}"
        );
    }
    for absent in [
        "/tile/0/999",
        "/tile/8/0/000",
        "/tile/0/000.p/0",
        "/nothing",
        "/crl/issuing-ca.crl",
    ] {
        assert!(curl(absent, Some("auditor")).starts_with("http/1.1 404"), "{absent}");
    }
}

#[test]
fn tiles_are_open_where_the_configuration_says_so() {
    let mut service = Service::new();
    let path = service.path("signer/signer.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("[tiles]\n", "[tiles]\nopen = true\n")).unwrap();
    service.start();
    let base = format!("http://localhost:{}", service.tiles);
    let vkey = service.path("out/ledger.vkey");
    // Anybody: no certificate, no configuration.
    let mut stele = Command::new(stele_hsm_tests::scratch::binary_path("stele"));
    let text = succeed(stele.args(["audit", "verify", &base, "--vkey"]).arg(&vkey));
    assert!(text.contains("RESULT: no promise is broken"), "{text}");
}

#[test]
fn an_export_goes_on_and_touches_only_what_is_new() {
    let service = Service::started();
    issue(&service, "first", 150);
    let (once, usual) = (service.path("once"), service.path("usual"));
    let export = |dir: &Path, more: &[&str]| {
        succeed(
            service
                .stele_as("auditor")
                .args(["audit", "export"])
                .arg(dir)
                .args(more),
        )
    };
    export(&usual, &[]);
    export(&once, &["--write-once"]);
    let (usual_before, once_before) = (times(&usual), times(&once));
    let full = |path: &Path| !path.to_str().unwrap().contains(".p/") && path.to_str().unwrap().contains("tile");
    assert!(usual_before.keys().any(|path| full(path)), "a full tile");
    issue(&service, "second", 2);
    // Whatever is not at the right edge is not even read: a hole there does not disturb.
    let first_bundle = usual.join("tile/entries/000");
    let aside = service.path("aside");
    std::fs::rename(&first_bundle, &aside).unwrap();
    export(&usual, &[]);
    std::fs::rename(&aside, &first_bundle).unwrap();
    export(&once, &["--write-once"]);
    let (usual_after, once_after) = (times(&usual), times(&once));
    for (path, time) in usual_before.iter().filter(|(path, _)| full(path)) {
        assert_eq!(usual_after.get(path), Some(time), "{} was touched", path.display());
    }
    for (path, time) in &once_before {
        assert_eq!(once_after.get(path), Some(time), "{} was touched", path.display());
    }
    let checkpoints: Vec<_> = once_after
        .keys()
        .filter(|p| p.to_str().unwrap().contains("checkpoint."))
        .collect();
    assert_eq!(checkpoints.len(), 2, "{checkpoints:?}");
    for dir in [&usual, &once] {
        succeed(service.stele_as("auditor").args(["audit", "verify"]).arg(dir));
    }
    // A right edge that is not the old checkpoint's is refused.
    let edge = usual_after
        .keys()
        .find(|p| p.to_str().unwrap().contains("tile/0/001.p/"))
        .unwrap();
    let mut bytes = std::fs::read(edge).unwrap();
    bytes[3] ^= 1;
    std::fs::write(edge, bytes).unwrap();
    issue(&service, "third", 1);
    let (code, text) = stele(&service, "auditor", &["audit", "export", usual.to_str().unwrap()]);
    assert_eq!(code, Some(1), "{text}");
}

/// Online by the index and offline by the tiles the same records are found.
#[test]
fn both_ways_of_searching_agree() {
    let service = Service::started();
    issue(&service, "search", 5);
    let dir = service.verify_ledger();
    let dir = dir.to_str().unwrap();
    let all = ok(
        &service,
        &["audit", "find", "--kind", "issued", "--log", dir, "--output", "json"],
    );
    let all: Vec<serde_json::Value> = serde_json::from_str(&all).unwrap();
    let leaf = all
        .iter()
        .find(|r| r["body"]["purpose"] == "leaf" && r["body"]["request"]["id"] == "search-1")
        .unwrap();
    let (index, serial) = (leaf["index"].to_string(), leaf["body"]["serial"].as_str().unwrap());
    let caller = leaf["body"]["request"]["caller"].as_str().unwrap();
    let time = leaf["time"].as_str().unwrap();
    for conditions in [
        &["--serial", serial, "--kind", "issued"][..],
        &["--caller", caller, "--kind", "issued"],
        &["--caller", "cluster-signer", "--kind", "intent"],
        &["--request-id", "search-1", "--kind", "issued", "--kind", "intent"],
        &["--from", time, "--kind", "issued", "--until", "9999-01-01T00:00:00Z"],
        &["--until", time, "--kind", "issued", "--issuer", "issuing-ca"],
        &["--kind", "ca_certificate", "--subject", "CN=nobody"],
    ] {
        let json = |more: &[&str]| {
            let text = ok(
                &service,
                &[&["audit", "find", "--output", "json"], conditions, more].concat(),
            );
            serde_json::from_str::<Vec<serde_json::Value>>(&text).unwrap()
        };
        assert_eq!(json(&[]), json(&["--log", dir]), "{conditions:?}");
    }
    let show = |more: &[&str]| ok(&service, &[&["audit", "show", &index], more].concat());
    assert_eq!(show(&[]), show(&["--log", dir]));
    let (online, offline) = (
        ok(&service, &["audit", "stats"]),
        ok(&service, &["audit", "stats", "--log", dir]),
    );
    assert!(offline.contains("certificates by profile"), "{offline}");
    assert!(online.contains("certificates by profile"), "{online}");
    let tail = |more: &[&str]| ok(&service, &[&["audit", "tail", "--no-follow", "-n", "3"], more].concat());
    assert_eq!(tail(&["--log", dir]).lines().count(), 3);
    assert_eq!(tail(&["--output", "json"]).lines().count(), 3);
}

#[test]
fn what_the_ledger_does_not_know_is_named() {
    let service = Service::started();
    let dir = service.verify_ledger();
    let dir = dir.to_str().unwrap();
    let (ours, foreign) = (service.path("people/caller.pem"), service.path("foreign.pem"));
    let key = service.path("foreign.key");
    succeed(
        Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-subj",
                "/CN=stranger",
            ])
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&foreign),
    );
    let (ours, foreign) = (ours.to_str().unwrap(), foreign.to_str().unwrap());
    for log in [&[][..], &["--log", dir]] {
        let text = ok(&service, &[&["audit", "match", ours], log].concat());
        assert!(
            text.contains("issued by record") && text.contains("imported by record"),
            "{text}"
        );
        let (code, text) = stele(&service, "auditor", &[&["audit", "match", ours, foreign], log].concat());
        assert_eq!(code, Some(1), "{text}");
        assert!(
            text.contains("foreign ") && text.contains("1 of them not in the ledger"),
            "{text}"
        );
    }
    // The server's own certificate, as a scanner would find it.
    let address = format!("localhost:{}", service.grpc);
    let text = ok(&service, &["audit", "match", "--tls", &address]);
    assert!(text.contains("issued by record"), "{text}");
    let (code, _) = stele(&service, "auditor", &["audit", "match", "--tls", "localhost:1"]);
    assert_eq!(code, Some(3));
    let (code, _) = stele(&service, "auditor", &["audit", "match"]);
    assert_eq!(code, Some(2));
}

#[test]
fn a_later_verification_goes_on_from_the_state_of_the_last() {
    let service = Service::started();
    issue(&service, "state", 3);
    let (dir, state) = (service.path("export"), service.path("state.json"));
    let (dir, state) = (dir.to_str().unwrap(), state.to_str().unwrap());
    ok(&service, &["audit", "export", dir]);
    ok(&service, &["audit", "verify", dir, "--state", state]);
    issue(&service, "later", 3);
    ok(&service, &["audit", "export", dir]);
    let known: serde_json::Value = serde_json::from_slice(&std::fs::read(state).unwrap()).unwrap();
    let json = ok(
        &service,
        &["audit", "verify", dir, "--since", state, "--output", "json"],
    );
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["logs"][0]["checks"]["known checkpoints"], 1, "{json}");
    assert!(json["logs"][0]["size"].as_u64() > known["logs"][0]["size"].as_u64());
    ok(&service, &["audit", "verify", dir, "--since", state, "--state", state]);
    // A history that is not the one of the state is found, however well it hangs together.
    let text = std::fs::read_to_string(state).unwrap();
    let root = serde_json::from_str::<serde_json::Value>(&text).unwrap()["logs"][0]["root"]
        .as_str()
        .unwrap()
        .to_owned();
    std::fs::write(state, text.replace(&root, &"A".repeat(root.len()))).unwrap();
    let (code, text) = stele(&service, "auditor", &["audit", "verify", dir, "--since", state]);
    assert_ne!(code, Some(0), "{text}");
}

#[test]
fn the_report_is_one_page_that_needs_nothing_else() {
    let service = Service::started();
    issue(&service, "report", 4);
    let dir = service.verify_ledger();
    let page = service.path("report.html");
    let (dir, out) = (dir.to_str().unwrap(), page.to_str().unwrap());
    ok(&service, &["audit", "report", dir, "--out", out]);
    let html = std::fs::read_to_string(&page).unwrap();
    for there in [
        "Verified.",
        "By profile",
        "By caller",
        "class=\"tree\"",
        "cluster-signer",
        "What no log can tell",
    ] {
        assert!(html.contains(there), "{there}");
    }
    for absent in ["<script", "src=", "@import", "url(", "href=\"http"] {
        assert!(!html.contains(absent), "{absent}");
    }
    let (code, text) = stele(&service, "auditor", &["audit", "report", dir, "--out", out]);
    assert_eq!(code, Some(4), "nothing is overwritten: {text}");
}
