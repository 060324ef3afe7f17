//! Keepers: made, run, asked, killed.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use stele_core::ceremony::{CeremonyFile as _, SignerRequest};
use stele_core::types::Digest;
use stele_keeper_client::Client;

use crate::scratch::Scratch;

/// The configuration of a keeper in a scratch directory.
pub struct KeeperFiles {
    config: PathBuf,
    socket: PathBuf,
    /// What `init` gave for the ceremony.
    pub request: SignerRequest,
}

/// CA keys of a keeper: name and algorithm.
pub type Keys<'a> = &'a [(&'a str, &'a str)];

impl KeeperFiles {
    /// Runs `stele-keeper init` for a log with this purpose, origin and keys.
    pub fn init(scratch: &Scratch, purpose: &str, origin: &str, keys: Keys<'_>) -> Self {
        scratch.secret("pin", "keeper-user-pin");
        scratch.secret("so-pin", "keeper-so-pin");
        let ca_keys: String = keys
            .iter()
            .map(|(name, algorithm)| {
                format!("[[ca_key]]\nname = \"{name}\"\nalgorithm = \"{algorithm}\"\ncommon_name = \"{name}\"\n")
            })
            .collect();
        let text = format!(
            "origin = \"{origin}\"\npurpose = \"{purpose}\"\nsocket = \"keeper.sock\"\nledger = \"ledger.db\"\n\
             [token]\nmodule = \"{}\"\nlabel = \"{purpose}\"\npin_file = \"pin\"\nso_pin_file = \"so-pin\"\n\
             [checkpoint_key]\nname = \"checkpoint\"\nalgorithm = \"ed25519\"\n{ca_keys}",
            scratch.module.display()
        );
        let config = scratch.write("keeper.toml", text);
        let request_path = scratch.path("request.json");
        let out = scratch
            .command("stele-keeper")
            .arg("init")
            .arg("--config")
            .arg(&config)
            .arg("--request-out")
            .arg(&request_path)
            .output();
        let out = out.expect("stele-keeper runs");
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let request = SignerRequest::decode(&std::fs::read(request_path).expect("the request")).expect("a request");
        Self {
            config,
            socket: scratch.path("keeper.sock"),
            request,
        }
    }

    /// Pins the first bundle, as an administrator does from the ceremony's minutes.
    pub fn pin_first_bundle(&self, digest: Digest) {
        let text = std::fs::read_to_string(&self.config).expect("the configuration");
        std::fs::write(&self.config, format!("first_bundle = \"{digest}\"\n{text}")).expect("the configuration");
    }

    /// Starts the keeper and waits until it answers.
    pub fn start(&self, scratch: &Scratch) -> Running {
        let mut command = scratch.command("stele-keeper");
        command
            .arg("run")
            .arg("--config")
            .arg(&self.config)
            .stderr(Stdio::null());
        Running::start(command, &self.socket)
    }
}

/// A running keeper; killed when dropped.
pub struct Running {
    child: Child,
    socket: PathBuf,
    /// A client of it.
    pub client: Client,
}

impl Running {
    fn start(mut command: Command, socket: &Path) -> Self {
        let _ = std::fs::remove_file(socket);
        let child = command.spawn().expect("stele-keeper starts");
        let client = Client::new(socket);
        let until = Instant::now() + Duration::from_secs(20);
        while client.status().is_err() {
            assert!(Instant::now() < until, "the keeper does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        Self {
            child,
            socket: socket.to_owned(),
            client,
        }
    }

    /// The socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().expect("a running child");
        self.child.wait().expect("the child ends");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
