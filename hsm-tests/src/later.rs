//! Later ceremonies with the real program, on the hierarchy of a [`Service`].

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use stele_core::ceremony::{CeremonyFile as _, SignerRequest};
use stele_core::types::Digest;

use crate::scratch::{binary_path, repository};
use crate::service::{Service, succeed};

/// The demonstration's script of a later ceremony.
pub fn demo_script() -> String {
    std::fs::read_to_string(repository().join("softhsm/demo/later-ceremony.toml")).expect("the script")
}

/// Same, without a certificate: only the root's next CRL.
pub fn crl_script() -> String {
    without(&demo_script(), "issuing-ca")
}

/// A script without the `[[intermediate]]` of a key.
pub fn without(script: &str, key: &str) -> String {
    let parts = script.split_inclusive("\n\n");
    let is_it = |part: &&str| part.contains("[[intermediate]]") && part.contains(&format!("key = \"{key}\""));
    parts.filter(|part| !is_it(part)).collect()
}

impl Service {
    /// `stele-ceremony` or a stand-in, with the root token.
    pub fn ceremony(&self, binary: &str, command: &str) -> Command {
        let mut ceremony = Command::new(binary_path(binary));
        ceremony
            .env("SOFTHSM2_CONF", self.path("root/softhsm2.conf"))
            .arg(command);
        ceremony
    }

    /// Begins the ceremony `name` that continues the one in the directory `before`.
    pub fn continue_ceremony(&self, name: &str, before: &str, script: &str) -> Output {
        let file = self.fresh("script.toml");
        std::fs::write(&file, script).expect("the script");
        let mut init = self.ceremony("stele-ceremony", "init");
        init.arg("--script").arg(file).arg("--dir").arg(self.path(name));
        init.arg("--continue").arg(self.path(before));
        let module = std::fs::read_to_string(self.path("module")).expect("the module's place");
        init.args(["--module", &module, "--pin-file"])
            .arg(self.path("root/pin"));
        init.output().expect("stele-ceremony runs")
    }

    /// The signer's request to a later ceremony, after the one in `since`.
    pub fn later_request(&self, since: &Path) -> PathBuf {
        let out = self.fresh("request.json");
        let mut request = self.signer_command("stele-signer", "request");
        succeed(request.arg("--since").arg(since).arg("--out").arg(&out));
        out
    }

    /// Changes a request behind the signer's back.
    pub fn altered_request(&self, request: &Path, change: impl FnOnce(&mut SignerRequest)) -> PathBuf {
        let mut file = SignerRequest::decode(&std::fs::read(request).expect("a request")).expect("a request");
        change(&mut file);
        let out = self.fresh("altered.json");
        std::fs::write(&out, file.encode().expect("a request")).expect("a file");
        out
    }

    /// `plan` of the ceremony `name`.
    pub fn plan_ceremony(&self, name: &str, request: &Path, more: &[&Path]) -> Output {
        let mut plan = self.ceremony("stele-ceremony", "plan");
        plan.arg("--dir")
            .arg(self.path(name))
            .arg("--request")
            .arg(request)
            .arg("--clock-confirmed");
        for signature in more {
            plan.arg("--revoke-sig").arg(signature);
        }
        plan.output().expect("stele-ceremony runs")
    }

    /// `run` of the ceremony `name` with a program, its plan signed by Olga.
    pub fn run_ceremony(&self, binary: &str, name: &str) -> Command {
        let text = self.path(name).join("to-sign/plan.txt");
        let signature = self.ssh_sign("olga", "stele-plan", &text);
        let plan = std::fs::read(self.path(name).join("transcript/plan.json")).expect("the plan");
        let mut run = self.ceremony(binary, "run");
        run.arg("--dir").arg(self.path(name)).arg("--plan-sig").arg(signature);
        run.arg("--confirm").arg(Digest::of(&plan).to_string());
        run
    }

    /// Holds a whole later ceremony; answers with its hand-over.
    pub fn hold_later(&self, name: &str, before: &str, script: &str, request: &Path) -> PathBuf {
        let good = |out: Output| assert!(out.status.success(), "{}", crate::service::both(&out));
        good(self.continue_ceremony(name, before, script));
        good(self.plan_ceremony(name, request, &[]));
        succeed(&mut self.run_ceremony("stele-ceremony", name));
        self.verify_transcript(name);
        self.path(name).join("handover.json")
    }

    /// Verifies a transcript with the root as its anchor.
    pub fn verify_transcript(&self, name: &str) {
        let transcript = self.path(name).join("transcript");
        let mut verify = self.ceremony("stele-ceremony", "verify");
        succeed(verify.arg(&transcript).arg("--root").arg(transcript.join("root.pem")));
    }

    /// The signer's request of the ceremony `name`, as its transcript has it.
    pub fn request_of(&self, name: &str) -> PathBuf {
        self.path(name).join("transcript/signer-request.json")
    }

    /// `stele-signer import`.
    pub fn import(&self, handover: &Path) -> Output {
        let mut import = self.signer_command("stele-signer", "import");
        import.arg(handover).output().expect("stele-signer runs")
    }
}
