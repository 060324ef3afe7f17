//! The keeper's life: a refused PIN, a copy of the log and its return, keys that the quorum has made and destroyed.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a surprise ends the test"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

use stele_core::record::Body;
use stele_hsm_tests::keeper::KeeperFiles;
use stele_hsm_tests::scratch::{Scratch, binary_path};
use stele_hsm_tests::service::{ORIGIN, Service, both, fail, succeed};
use stele_hsm_tests::service_client::{leaf, records, runtime, sign_persistently};

#[test]
fn a_refused_pin_is_not_tried_again_before_somebody_acted() {
    let scratch = Scratch::new();
    let files = KeeperFiles::init(&scratch, "signer", "stele.example/pin", &[("issuing-ca", "ec-p256")]);
    let keeper = |command: &str| {
        let mut keeper = scratch.command("stele-keeper");
        keeper.arg(command).arg("--config").arg(scratch.path("keeper.toml"));
        keeper
    };
    scratch.secret("pin", "another-user-pin");
    fail(&mut keeper("run"), "PIN");
    // The supervisor starts it again: no second attempt, neither with the wrong PIN nor with the right one.
    fail(&mut keeper("run"), "an earlier log-in failed");
    scratch.secret("pin", "keeper-user-pin");
    fail(&mut keeper("run"), "--retry-pin");
    let out = keeper("check").arg("--retry-pin").output().unwrap();
    assert!(
        out.status.success() && both(&out).contains("forgotten"),
        "{}",
        both(&out)
    );
    let running = files.start(&scratch);
    assert!(running.client.status().is_ok());
}

struct Copies {
    service: Service,
}

impl Copies {
    fn keeper(&self, command: &str) -> Command {
        let mut keeper = Command::new(binary_path("stele-keeper"));
        keeper
            .env("SOFTHSM2_CONF", self.service.path("signer/softhsm2.conf"))
            .arg(command)
            .arg("--config")
            .arg(self.service.path("signer/keeper.toml"));
        keeper
    }

    fn backup(&self, name: &str) -> PathBuf {
        let copy = self.service.path(name);
        succeed(self.keeper("backup").arg(&copy));
        copy
    }

    /// Puts a copy in the log's place, as an administrator does after a loss.
    fn restore(&self, copy: &Path) {
        let place = self.service.path("signer/ledger.db");
        for left in ["ledger.db", "ledger.db-wal", "ledger.db-shm"] {
            let _ = std::fs::remove_file(self.service.path("signer").join(left));
        }
        std::fs::copy(copy, place).unwrap();
    }

    fn issue(&self, id: &str) {
        runtime().block_on(async {
            sign_persistently(&self.service.channel("caller"), &leaf(id)).await;
        });
    }
}

#[test]
fn a_backup_returns_and_a_rolled_back_log_does_not() {
    let mut copies = Copies {
        service: Service::started(),
    };
    copies.issue("before");
    let older = copies.backup("older.db");
    fail(copies.keeper("backup").arg(&older), "already");
    copies.issue("after");
    let newer = copies.backup("newer.db");
    let export = copies.service.path("exported");
    succeed(
        copies
            .service
            .stele_as("auditor")
            .args(["audit", "export"])
            .arg(&export),
    );
    copies.service.stop();
    copies.restore(&older);
    fail(&mut copies.service.signer_command("stele-signer", "run"), "restore");
    // Without the index, the export still knows.
    let config = copies.service.path("signer/signer.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, format!("exports = [\"../exported\"]\n{text}")).unwrap();
    for left in ["index.db", "index.db-wal", "index.db-shm"] {
        let _ = std::fs::remove_file(copies.service.path("signer").join(left));
    }
    fail(
        &mut copies.service.signer_command("stele-signer", "run"),
        "nothing is signed in this log",
    );
    copies.restore(&newer);
    for left in ["index.db", "index.db-wal", "index.db-shm"] {
        let _ = std::fs::remove_file(copies.service.path("signer").join(left));
    }
    copies.service.start();
    copies.issue("again");
    copies.service.verify_ledger();
}

/// Signs a text as operators do, and answers with the signed file.
fn signed(service: &Service, text: &Path, who: &str) -> PathBuf {
    let out = service.fresh("signed");
    succeed(
        Command::new(binary_path("stele"))
            .args(["authority", "sign"])
            .arg(text)
            .arg("--ssh-key")
            .arg(service.path(&format!("people/ssh-{who}")))
            .arg("--out")
            .arg(&out),
    );
    out
}

fn key_text(service: &Service, origin: &str, args: &[&str]) -> PathBuf {
    let out = service.fresh("key.txt");
    succeed(
        Command::new(binary_path("stele"))
            .args(["authority", "text", "key"])
            .args(args)
            .args(["--origin", origin, "--out"])
            .arg(&out),
    );
    out
}

fn generate(name: &str) -> Vec<&str> {
    vec!["generate", name, "--algorithm", "ec-p256", "--words", "etcd CA 2"]
}

#[test]
fn keys_are_made_and_destroyed_under_the_quorum_alone() {
    let service = Service::started();
    let apply = |file: &Path| {
        let mut apply = service.stele_as("operator");
        apply.arg("apply").arg(file);
        apply
    };
    succeed(
        Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "eve", "-f"])
            .arg(service.path("people/ssh-eve")),
    );
    let text = key_text(&service, ORIGIN, &generate("etcd-ca-2"));
    fail(&mut apply(&signed(&service, &text, "eve")), "operators");
    let elsewhere = key_text(&service, "stele.example/elsewhere", &generate("etcd-ca-2"));
    fail(&mut apply(&signed(&service, &elsewhere, "olga")), "origin");
    let order = signed(&service, &text, "olga");
    let said = succeed(&mut apply(&order));
    let csr = service.path("etcd-ca-2.csr");
    let pem: String = said.lines().map(|line| format!("{}\n", line.trim())).collect();
    std::fs::write(&csr, &pem[pem.find("-----BEGIN").expect("a CSR")..]).unwrap();
    let subject = succeed(
        Command::new("openssl")
            .args(["req", "-verify", "-noout", "-subject", "-in"])
            .arg(&csr),
    );
    assert!(subject.contains("etcd CA 2"), "{subject}");
    fail(&mut apply(&order), "names are not used again");
    // The text is used up, whatever key it is read as.
    let found = runtime().block_on(records(&service));
    let made = found.iter().find_map(|r| match &r.body {
        Body::KeyGenerated(key) if key.key.as_str() == "etcd-ca-2" => Some(key.spki_sha256),
        _ => None,
    });
    let made = made.expect("the key's record").to_string();
    let issuing = found.iter().find_map(|r| match &r.body {
        Body::KeyGenerated(key) if key.key.as_str() == "issuing-ca" => Some(key.spki_sha256),
        _ => None,
    });
    let issuing = issuing.expect("the key's record").to_string();

    runtime().block_on(async {
        sign_persistently(&service.channel("caller"), &leaf("unexpired")).await;
    });
    let destroy = |name, spki: &str| {
        let args = [
            "destroy",
            name,
            "--algorithm",
            "ec-p256",
            "--spki-sha256",
            spki,
            "--words",
            "replaced",
        ];
        signed(&service, &key_text(&service, ORIGIN, &args), "olga")
    };
    fail(&mut apply(&destroy("issuing-ca", &issuing)), "must still sign CRLs");
    fail(&mut apply(&destroy("etcd-ca-2", &issuing)), "not about the destruction");
    let gone = destroy("etcd-ca-2", &made);
    succeed(&mut apply(&gone));
    fail(&mut apply(&gone), "not in the token");
    service.verify_ledger();
}
