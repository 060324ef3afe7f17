//! Configuration is strict and says what is wrong; the PIN is nowhere but in its file.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a surprise ends the test"
)]

use std::path::Path;
use std::process::Command;

use stele_hsm_tests::scratch::binary_path;
use stele_hsm_tests::service::{Service, both};
use stele_hsm_tests::service_client::{leaf, runtime, sign_persistently};

/// Runs `check` over the configuration after `change`; answers with what it says when it refuses.
fn refusal(service: &Service, binary: &str, file: &str, change: impl Fn(&str) -> String) -> String {
    let path = service.path(&format!("signer/{file}"));
    let good = std::fs::read_to_string(&path).unwrap();
    let bad = change(&good);
    assert_ne!(good, bad, "the change changes something");
    let changed = service.path(&format!("signer/changed-{file}"));
    std::fs::write(&changed, bad).unwrap();
    let mut command = Command::new(binary_path(binary));
    command.arg("check").arg("--config").arg(&changed);
    let out = command.output().unwrap();
    assert!(!out.status.success(), "{binary} accepts it: {}", both(&out));
    both(&out)
}

/// A line of the file with its number, as errors name it.
fn line_of(text: &str, needle: &str) -> usize {
    text.lines().position(|l| l.contains(needle)).expect("the line") + 1
}

#[test]
fn every_fault_is_named_with_file_line_key_and_what_is_permitted() {
    let service = Service::new();
    for (binary, file, wrong_type) in [
        ("stele-keeper", "keeper.toml", ("ledger = \"ledger.db\"", "ledger = 5")),
        ("stele-signer", "signer.toml", ("index = \"index.db\"", "index = 5")),
    ] {
        let good = std::fs::read_to_string(service.path(&format!("signer/{file}"))).unwrap();
        let key = wrong_type.0.split(' ').next().unwrap();
        let name = format!("changed-{file}");

        let said = refusal(&service, binary, file, |t| {
            t.replacen(wrong_type.0, &format!("{}\nunheard = 1", wrong_type.0), 1)
        });
        let line = line_of(&good, wrong_type.0) + 1;
        for part in [&*name, &format!("line {line}"), "unheard", "expected"] {
            assert!(said.contains(part), "{part}: {said}");
        }

        let said = refusal(&service, binary, file, |t| t.replacen(wrong_type.0, wrong_type.1, 1));
        for part in [&*name, &format!("line {}", line - 1), wrong_type.1, "string"] {
            assert!(said.contains(part), "{part}: {said}");
        }

        let said = refusal(&service, binary, file, |t| t.replacen(wrong_type.0, "", 1));
        for part in [&*name, "missing field", key] {
            assert!(said.contains(part), "{part}: {said}");
        }

        let twice = format!("{0}\n{0}", wrong_type.0);
        let said = refusal(&service, binary, file, |t| t.replacen(wrong_type.0, &twice, 1));
        for part in [&*name, &format!("line {line}"), key, "duplicate"] {
            assert!(said.contains(part), "{part}: {said}");
        }
    }
    let said = refusal(&service, "stele-keeper", "keeper.toml", |t| {
        t.replacen("name = \"etcd-ca\"", "name = \"access-ca\"", 1)
    });
    assert!(said.contains("access-ca") && said.contains("twice"), "{said}");
}

#[test]
fn good_configurations_pass_their_check() {
    let service = Service::new();
    let checked = service.signer_command("stele-signer", "check").output().unwrap();
    assert!(checked.status.success(), "{}", both(&checked));
    let mut keeper = Command::new(binary_path("stele-keeper"));
    let checked = keeper
        .arg("check")
        .arg("--config")
        .arg(service.path("signer/keeper.toml"))
        .output()
        .unwrap();
    assert!(checked.status.success(), "{}", both(&checked));
}

#[test]
fn a_pin_file_that_others_can_read_is_refused() {
    let service = Service::new();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    std::fs::set_permissions(service.path("signer/pin"), mode).unwrap();
    let out = service.signer_command("stele-signer", "run").output().unwrap();
    assert!(!out.status.success());
    let said = both(&out);
    assert!(
        said.contains("644") && said.contains("600") && said.contains("pin"),
        "{said}"
    );
}

/// Whether `needle` stands in `bytes`.
fn holds(bytes: &[u8], needle: &str) -> bool {
    bytes.windows(needle.len()).any(|w| w == needle.as_bytes())
}

/// Every file under `dir` but the PINs' own, with its bytes.
fn search(dir: &Path, pin: &str, found: &mut Vec<String>) {
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            search(&path, pin, found);
        } else if !matches!(entry.file_name().to_str(), Some("pin" | "so-pin"))
            && std::fs::read(&path).is_ok_and(|bytes| holds(&bytes, pin))
        {
            found.push(path.display().to_string());
        }
    }
}

#[test]
fn the_pin_is_nowhere_but_in_its_file() {
    let mut service = Service::new();
    service.start();
    let runtime = runtime();
    let channel = runtime.block_on(async { service.channel("caller") });
    runtime.block_on(sign_persistently(&channel, &leaf("canary")));
    let pins: Vec<String> = ["signer/pin", "signer/so-pin", "root/pin", "root/so-pin"]
        .map(|f| std::fs::read_to_string(service.path(f)).unwrap().trim().to_owned())
        .into();
    let ours = [vec![service.pid()], service.keepers()].concat();
    assert_eq!(ours.len(), 2);
    for pid in ours {
        let proc = Path::new("/proc").join(pid.as_raw_nonzero().to_string());
        // The keeper is not dumpable, so that only root reads its environment; its command line anybody may read.
        let mut seen = std::fs::read(proc.join("cmdline")).unwrap();
        seen.extend(std::fs::read(proc.join("environ")).unwrap_or_default());
        assert!(!seen.is_empty());
        assert!(pins.iter().all(|pin| !holds(&seen, pin)), "a PIN in {}", proc.display());
    }
    let ledger = service.verify_ledger();
    assert!(ledger.exists());
    service.stop();
    assert!(service.log().contains("issued"));
    for pin in &pins {
        let mut found = Vec::new();
        search(&service.path(""), pin, &mut found);
        assert_eq!(found, Vec::<String>::new());
    }
    let planted = service.path("planted");
    std::fs::write(planted, format!("x{}x", pins[0])).unwrap();
    let mut found = Vec::new();
    search(&service.path(""), &pins[0], &mut found);
    assert_eq!(found.len(), 1, "the search finds what is there");
}
