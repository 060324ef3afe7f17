//! Epochs through the real binaries: a planned change, a discontinuity, and what an attacker tries in between.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a surprise ends the test"
)]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use stele_core::authority::signed_file::SignedFile;
use stele_core::ceremony::CeremonyFile as _;
use stele_core::epoch::CarryOver;
use stele_core::keeping::{Keeper as _, KeeperFault};
use stele_core::record::{Authority, Body, Freeze, FreezeTarget, Record};
use stele_core::types::Digest;
use stele_hsm_tests::scratch::binary_path;
use stele_hsm_tests::service::{ORIGIN, Service, both, fail, succeed};
use stele_hsm_tests::service_client::{leaf, runtime, sign, sign_persistently};
use stele_keeper_client::Client;

const NEXT: &str = "signer.stele.example/2";

/// A service whose log is to be continued, and the configuration of the keeper that continues it.
struct Change {
    service: Service,
    vkey: PathBuf,
}

fn stele() -> Command {
    Command::new(binary_path("stele"))
}

impl Change {
    /// A service with a revoked leaf, a freeze and a second leaf, and the prepared successor in the same token.
    fn new() -> Self {
        let service = Service::started();
        runtime().block_on(async {
            sign_persistently(&service.channel("caller"), &leaf("epoch-1")).await;
            sign_persistently(&service.channel("caller"), &leaf("epoch-2")).await;
        });
        let vkey = service.path("out/ledger.vkey");
        let change = Self { service, vkey };
        change.revoke(&change.serial_of("epoch-1"));
        succeed(
            change
                .service
                .stele_as("operator")
                .args(["freeze", "profile", "etcd-peer", "--reason", "drill"]),
        );
        change.configure("");
        change.prepare();
        change
    }

    fn path(&self, name: &str) -> PathBuf {
        self.service.path(name)
    }

    fn revoke(&self, serial: &str) {
        succeed(self.service.stele_as("operator").args([
            "revoke",
            "--serial",
            serial,
            "--issuer",
            "issuing-ca",
            "--reason",
            "key-compromise",
        ]));
    }

    /// The serial of the certificate that answered a request.
    fn serial_of(&self, request: &str) -> String {
        let client = self.client();
        let size = client.status().unwrap().size;
        let serial = (0..size).find_map(|index| match client.record(index).unwrap().body {
            Body::Issued(issued) if issued.request.id.as_str() == request => issued.serial,
            _ => None,
        });
        serial.expect("an issued certificate").to_string()
    }

    fn client(&self) -> Client {
        Client::new(&self.path("signer/keeper.sock"))
    }

    /// The new keeper's configuration: the same token, another log.
    fn configure(&self, more: &str) {
        let old = std::fs::read_to_string(self.path("signer/keeper.toml")).unwrap();
        let (head, _) = old.split_once("[[ca_key]]").unwrap();
        let pinned = head.lines().filter(|line| !line.starts_with("first_bundle"));
        let text = pinned
            .collect::<Vec<_>>()
            .join("\n")
            .replace(ORIGIN, NEXT)
            .replace("\"ledger.db\"", "\"ledger-2.db\"")
            .replace("\"checkpoint\"", "\"checkpoint-2\"");
        let first = self.service.first_bundle();
        let text = format!("first_bundle = \"{first}\"\n{text}\n{more}");
        std::fs::write(self.path("signer/keeper-2.toml"), text).unwrap();
    }

    fn keeper(&self, command: &str) -> Command {
        let mut keeper = Command::new(binary_path("stele-keeper"));
        keeper
            .env("SOFTHSM2_CONF", self.path("signer/softhsm2.conf"))
            .arg(command)
            .arg("--config")
            .arg(self.path("signer/keeper-2.toml"));
        keeper
    }

    fn prepare(&self) {
        succeed(self.keeper("prepare").arg("--out").arg(self.path("successor.json")));
    }

    fn export(&self, name: &str) -> PathBuf {
        let dir = self.path(name);
        succeed(self.service.stele_as("auditor").args(["audit", "export"]).arg(&dir));
        dir
    }

    /// The carry-over that the old log's export gives, and the text over it, both named after `name`.
    fn succession(&self, log: &Path, name: &str, more: &[&str]) -> Command {
        let mut command = stele();
        command
            .arg("--vkey")
            .arg(&self.vkey)
            .args(["authority", "succession"])
            .arg(log)
            .arg("--successor")
            .arg(self.path("successor.json"))
            .arg("--out")
            .arg(self.path(&format!("{name}.json")))
            .arg("--text-out")
            .arg(self.path(&format!("{name}.txt")))
            .args(more);
        command
    }

    /// Operators sign a text one after the other.
    fn sign(&self, text: &str, detail: Option<&str>, operators: &[&str]) -> PathBuf {
        let mut file = self.path(text);
        for operator in operators {
            let out = self.service.fresh("signed");
            let mut sign = stele();
            sign.args(["authority", "sign"])
                .arg(&file)
                .arg("--ssh-key")
                .arg(self.path(&format!("people/ssh-{operator}")))
                .arg("--out")
                .arg(&out);
            if let Some(detail) = detail.filter(|_| file == self.path(text)) {
                sign.arg("--detail").arg(self.path(detail));
            }
            succeed(&mut sign);
            file = out;
        }
        file
    }

    fn close_text(&self) {
        succeed(
            stele()
                .args(["authority", "text", "close", "--origin", ORIGIN, "--successor"])
                .arg(self.path("successor.json"))
                .arg("--out")
                .arg(self.path("close.txt")),
        );
    }

    fn init(&self, signed: &Path) -> Command {
        let mut init = self.keeper("init");
        init.arg("--successor-of").arg(signed);
        init
    }

    /// Goes over to the new log: the signer's configuration names the new keeper and an index of its own.
    fn go_over(&mut self) {
        let config = self.path("signer/signer.toml");
        let text = std::fs::read_to_string(&config).unwrap();
        let text = text
            .replace("keeper.toml", "keeper-2.toml")
            .replace("index.db", "index-2.db");
        std::fs::write(config, text).unwrap();
        let client = CarryOver::decode(&std::fs::read(self.path("carry.json")).unwrap()).unwrap();
        std::fs::write(self.path("out/ledger.vkey"), client.successor.vkey).unwrap();
        self.service.start();
    }

    /// Verifies logs from the first key on.
    fn verify(&self, logs: &[&Path]) -> Output {
        let mut verify = stele();
        verify
            .arg("--vkey")
            .arg(self.path("first.vkey"))
            .args(["audit", "verify"]);
        logs.iter().for_each(|log| {
            verify.arg(log);
        });
        verify.output().unwrap()
    }
}

fn records(client: &Client) -> Vec<Record> {
    let size = client.status().unwrap().size;
    (0..size).map(|index| client.record(index).unwrap()).collect()
}

#[test]
fn a_planned_change_closes_one_log_and_begins_the_next() {
    let mut change = Change::new();
    std::fs::copy(&change.vkey, change.path("first.vkey")).unwrap();
    // Before the close nothing can be planned.
    let open = change.export("open");
    fail(&mut change.succession(&open, "early", &[]), "not closed");
    change.close_text();
    let close = change.sign("close.txt", None, &["olga"]);
    succeed(change.service.stele_as("operator").arg("apply").arg(&close));
    // The same file again finds it done.
    succeed(change.service.stele_as("operator").arg("apply").arg(&close));
    let old = change.client();
    let size = old.status().unwrap().size;
    assert!(old.status().unwrap().stopped.unwrap().contains("closed"));
    let late = Body::Freeze(Freeze {
        target: FreezeTarget::Issuer("issuing-ca".parse().unwrap()),
        reason: "late".into(),
        by: "unix:eve".parse().unwrap(),
    });
    assert!(matches!(old.append(&late), Err(KeeperFault::Stopped(why)) if why.contains("closed")));
    assert!(old.sign(0, std::time::Duration::from_secs(1)).is_err());
    let asked = runtime().block_on(async { sign(&change.service.channel("caller"), leaf("too-late")).await });
    assert!(asked.is_err());
    let first = change.export("epoch-1");
    change.service.stop();
    // The keeper of a closed log starts, is read, and adds nothing.
    let log = std::fs::read_to_string(first.join("checkpoint")).unwrap();
    assert!(log.contains(&format!("\n{size}\n")), "{log}");

    succeed(&mut change.succession(&first, "carry", &[]));
    let signed = change.sign("carry.txt", Some("carry.json"), &["olga"]);
    succeed(&mut change.init(&signed));
    fail(&mut change.init(&signed), "exists already");
    change.go_over();
    // Work goes on: a leaf of the old epoch is revoked, what is frozen stays so, the CRL counts on.
    let second_leaf = serial_in(&change, "epoch-2");
    change.revoke(&second_leaf);
    runtime().block_on(async {
        sign_persistently(&change.service.channel("caller"), &leaf("epoch-3")).await;
    });
    let crl = change.service.get("/crl/issuing-ca.crl").map(|page| page.status);
    assert_eq!(crl, Some(200));
    hostile_successor(&change);
    let second = change.export("epoch-2");
    let both_logs = change.verify(&[&second, &first]);
    assert!(both_logs.status.success(), "{}", both(&both_logs));
    assert!(both(&both_logs).contains(NEXT), "{}", both(&both_logs));
    // The new log alone, with its own key, verifies too.
    succeed(
        change
            .service
            .stele_as("auditor")
            .args(["audit", "verify"])
            .arg(&second),
    );
}

/// The serial of a leaf of the first epoch, from the carry-over: the one that is not revoked.
fn serial_in(change: &Change, _request: &str) -> String {
    let carry = CarryOver::decode(&std::fs::read(change.path("carry.json")).unwrap()).unwrap();
    let gone: Vec<_> = carry.gone.iter().map(|g| g.serial.clone()).collect();
    assert_eq!(gone.len(), 1, "one leaf was revoked");
    assert_eq!(carry.frozen.len(), 1);
    let alive = carry
        .serials
        .iter()
        .find(|s| s.key.as_str() == "issuing-ca" && !s.ca && !gone.contains(&s.serial));
    alive.expect("a leaf that lives").serial.to_string()
}

/// What a hostile signer tries with the keeper of a log that continues another.
fn hostile_successor(change: &Change) {
    let client = change.client();
    let found = records(&client);
    let Body::Genesis(genesis) = &found[0].body else {
        panic!("no genesis")
    };
    assert_eq!(genesis.predecessor.as_ref().unwrap().origin.as_str(), ORIGIN);
    assert!(
        found
            .iter()
            .all(|r| !matches!(&r.body, Body::Intent(i) if i.authority == Authority::Bootstrap))
    );
    let carried = found.iter().find(|r| matches!(r.body, Body::CarriedOver(_))).unwrap();
    let mut bootstrap = found
        .iter()
        .find_map(|r| match &r.body {
            Body::Intent(intent) => Some((**intent).clone()),
            _ => None,
        })
        .unwrap();
    bootstrap.authority = Authority::Bootstrap;
    for body in [
        carried.body.clone(),
        found[0].body.clone(),
        Body::Intent(Box::new(bootstrap)),
    ] {
        assert!(
            matches!(client.append(&body), Err(KeeperFault::Refused(_))),
            "{}",
            body.kind()
        );
    }
}

#[test]
fn a_successor_needs_the_quorum_and_the_whole_carry_over() {
    let mut change = Change::new();
    std::fs::copy(&change.vkey, change.path("first.vkey")).unwrap();
    let known = change.export("known");
    change.service.stop();
    // After a loss the quorum says what is missing.
    let missing = ["--missing", "everything after the fire"];
    fail(&mut change.succession(&known, "silent", &[]), "not closed");
    succeed(&mut change.succession(&known, "carry", &missing));
    let signed = change.sign("carry.txt", Some("carry.json"), &["olga"]);

    // Somebody who is no operator.
    succeed(
        Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "eve", "-f"])
            .arg(change.path("people/ssh-eve")),
    );
    let eve = change.sign("carry.txt", Some("carry.json"), &["eve"]);
    fail(&mut change.init(&eve), "0 of 1 operators");

    // The revoked serial left out: the text names another digest, so the file does not even read.
    let carry = CarryOver::decode(&std::fs::read(change.path("carry.json")).unwrap()).unwrap();
    let mut altered = carry.clone();
    altered.gone.clear();
    let text = String::from_utf8(altered.encode().unwrap()).unwrap();
    let whole = SignedFile::decode(&std::fs::read(&signed).unwrap()).unwrap();
    let forged = SignedFile {
        subject: stele_core::authority::signed_file::Subject::Succession(text.clone()),
        ..whole
    };
    std::fs::write(change.path("forged"), forged.encode().unwrap()).unwrap();
    fail(&mut change.init(&change.path("forged")), "carry-over-sha256");

    // Another bundle than the one that the administrator pinned.
    let good = std::fs::read_to_string(change.path("signer/keeper-2.toml")).unwrap();
    let other = good.replace(&change.service.first_bundle().to_string(), &Digest([7; 32]).to_string());
    std::fs::write(change.path("signer/keeper-2.toml"), other).unwrap();
    fail(&mut change.init(&signed), "first_bundle");
    // CA keys of its own making would be a bootstrap.
    let keys = format!("{good}\n[[ca_key]]\nname = \"evil-ca\"\nalgorithm = \"ec-p256\"\ncommon_name = \"evil\"\n");
    std::fs::write(change.path("signer/keeper-2.toml"), keys).unwrap();
    fail(&mut change.init(&signed), "ca_key");
    std::fs::write(change.path("signer/keeper-2.toml"), good).unwrap();

    // Even with the quorum's signatures: whoever has the old log's export sees what was left out.
    std::fs::write(change.path("altered.json"), &text).unwrap();
    let words = altered
        .text(
            Digest::of(text.as_bytes()),
            stele_hsm_tests::hierarchy::now().plus_secs(3600),
        )
        .unwrap();
    std::fs::write(change.path("altered.txt"), words.to_string()).unwrap();
    let colluding = change.sign("altered.txt", Some("altered.json"), &["olga"]);
    succeed(&mut change.init(&colluding));
    let exported = change.path("colluding");
    succeed(change.keeper("export").arg(&exported));
    let out = change.verify(&[&known, &exported]);
    assert!(
        !out.status.success() && both(&out).contains("carry-over: gone"),
        "{}",
        both(&out)
    );
    for name in ["ledger-2.db", "ledger-2.db-wal", "ledger-2.db-shm", "ledger-2.db.lock"] {
        let _ = std::fs::remove_file(change.path("signer").join(name));
    }

    // The honest one: CRL numbers jump, and the two logs verify together.
    succeed(&mut change.init(&signed));
    change.go_over();
    runtime().block_on(async {
        sign_persistently(&change.service.channel("caller"), &leaf("after-the-fire")).await;
    });
    let second = change.export("epoch-2");
    let out = change.verify(&[&known, &second]);
    assert!(out.status.success(), "{}", both(&out));
    let genesis = change.client().record(0).unwrap();
    let Body::Genesis(genesis) = genesis.body else {
        panic!("no genesis")
    };
    let text = &genesis.predecessor.unwrap().texts[0].text;
    assert!(
        text.contains("kind: discontinuity") && text.contains("missing: everything after the fire"),
        "{text}"
    );
    assert!(
        carry.crl_numbers.values().all(|number| *number > 1000),
        "{:?}",
        carry.crl_numbers
    );
}

#[test]
fn closing_takes_the_quorum_of_this_log() {
    let change = Change::new();
    change.close_text();
    succeed(
        Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-C", "eve", "-f"])
            .arg(change.path("people/ssh-eve")),
    );
    let eve = change.sign("close.txt", None, &["eve"]);
    fail(change.service.stele_as("operator").arg("apply").arg(&eve), "operators");
    // A text about another log.
    let text = std::fs::read_to_string(change.path("close.txt")).unwrap();
    std::fs::write(
        change.path("other.txt"),
        text.replace(&format!("origin: {ORIGIN}"), "origin: elsewhere"),
    )
    .unwrap();
    let other = change.sign("other.txt", None, &["olga"]);
    fail(change.service.stele_as("operator").arg("apply").arg(&other), "origin");
    assert!(change.client().status().unwrap().stopped.is_none());
}
