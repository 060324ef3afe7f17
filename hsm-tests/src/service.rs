//! The whole service: a hierarchy from the real ceremony, the real signer with its keeper, people with certificates.

use std::net::TcpListener;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use stele_core::types::Digest;

use crate::scratch::{binary_path, repository};
use crate::service_world;

/// The signer's log.
pub const ORIGIN: &str = "signer.stele.example/1";
/// The log of the ceremony; it is what the texts of bundles name, whichever log adopts them.
pub const CEREMONY_ORIGIN: &str = "ceremony.stele.example/2026";
/// How long a start or an end may take before the test fails.
pub const PATIENCE: Duration = Duration::from_secs(40);

/// The hierarchy that the tests of one binary copy, as long as one of them runs.
static TEMPLATE: Mutex<Weak<tempfile::TempDir>> = Mutex::new(Weak::new());

/// A signer with its keeper, in a directory of its own; both are killed when it is dropped.
pub struct Service {
    dir: Arc<tempfile::TempDir>,
    _template: Arc<tempfile::TempDir>,
    /// The port of gRPC.
    pub grpc: u16,
    /// The port of plain HTTP.
    pub http: u16,
    /// Its port for tiles.
    pub tiles: u16,
    child: Option<Child>,
}

/// Runs a command to its end, which must be a good one.
pub fn succeed(command: &mut Command) -> String {
    let out = command.output().expect("the program runs");
    assert!(out.status.success(), "{command:?}:\n{}", both(&out));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// Runs a command that must fail, and say why.
pub fn fail(command: &mut Command, because: &str) {
    let out = command.output().expect("the program runs");
    assert!(!out.status.success(), "{command:?} succeeded:\n{}", both(&out));
    assert!(
        both(&out).contains(because),
        "not because of `{because}`:\n{}",
        both(&out)
    );
}

/// What a command said on both streams.
pub fn both(out: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&out.stdout),
        String::from_utf8_lossy(&out.stderr)
    )
}

/// A port that nobody uses now, and that no client gets by chance before the service takes it: the system hands out
/// those from 32768 on. Tests of one process get different ones.
fn free_port() -> u16 {
    const FIRST: u32 = 20_000;
    const COUNT: u32 = 12_000;
    static GIVEN: AtomicU32 = AtomicU32::new(0);
    let start = std::process::id().wrapping_mul(131);
    (0..COUNT)
        .map(|_| FIRST + start.wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed)) % COUNT)
        .filter_map(|port| u16::try_from(port).ok())
        .find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok())
        .expect("a free port")
}

fn template() -> Arc<tempfile::TempDir> {
    let mut slot = TEMPLATE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(made) = slot.upgrade() {
        return made;
    }
    let made = Arc::new(tempfile::tempdir().expect("a directory"));
    service_world::hold_ceremony(made.path());
    let mut first = Service::within(made.clone(), made.clone());
    let handover = first.path("ceremony/handover.json");
    succeed(first.signer_command("stele-signer", "import").arg(handover));
    first.start();
    service_world::enrol_people(&first);
    first.stop();
    drop(first);
    *slot = Arc::downgrade(&made);
    made
}

impl Service {
    /// A copy of the hierarchy with ports of its own; not started.
    pub fn new() -> Self {
        let template = template();
        let dir = Arc::new(tempfile::tempdir().expect("a directory"));
        succeed(
            Command::new("cp")
                .arg("-a")
                .arg(template.path().join("."))
                .arg(dir.path()),
        );
        // The tokens' place stands in the configuration, so the copy needs one of its own.
        for side in ["root", "signer"] {
            std::fs::remove_file(dir.path().join(side).join("softhsm2.conf")).expect("the token's configuration");
            succeed(Command::new(repository().join("softhsm/token-env")).arg(dir.path().join(side)));
        }
        Self::within(dir, template)
    }

    /// A signer that waits for its first ceremony: its keys and its request are made, nothing is imported.
    pub fn before_ceremony() -> Self {
        let dir = Arc::new(tempfile::tempdir().expect("a directory"));
        service_world::prepare(dir.path());
        Self::within(dir.clone(), dir)
    }

    /// Makes public what a transcript holds, as after a ceremony, and pins the first bundle.
    pub fn publish(&self, transcript: &Path) {
        service_world::publish(self.dir.path(), transcript);
    }

    /// A copy that runs.
    pub fn started() -> Self {
        let mut service = Self::new();
        service.start();
        service
    }

    fn within(dir: Arc<tempfile::TempDir>, template: Arc<tempfile::TempDir>) -> Self {
        let service = Self {
            dir,
            _template: template,
            grpc: free_port(),
            http: free_port(),
            tiles: free_port(),
            child: None,
        };
        service.write_config("");
        service
    }

    /// Writes the signer's configuration with further lines.
    pub fn write_config(&self, more: &str) {
        let (grpc, http, tiles) = (self.grpc, self.http, self.tiles);
        let keeper = binary_path("stele-keeper");
        let text = format!(
            "index = \"index.db\"\n[keeper]\nsocket = \"keeper.sock\"\nspawn = {{ binary = \"{}\", config = \"keeper.toml\" }}\n\
             [grpc]\nlisten = \"127.0.0.1:{grpc}\"\nserver_key = \"server.key\"\nserver_cert = \"server.pem\"\n\
             [http]\nlisten = \"127.0.0.1:{http}\"\n[tiles]\nlisten = \"127.0.0.1:{tiles}\"\n[local]\nsocket = \"signer.sock\"\n{more}",
            keeper.display()
        );
        std::fs::write(self.path("signer/signer.toml"), text).expect("the configuration");
    }

    /// A path in its directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// `stele-signer` or a stand-in, with the token and the configuration.
    pub fn signer_command(&self, binary: &str, command: &str) -> Command {
        let mut signer = Command::new(binary_path(binary));
        signer
            .env("SOFTHSM2_CONF", self.path("signer/softhsm2.conf"))
            .arg(command)
            .arg("--config")
            .arg(self.path("signer/signer.toml"));
        signer
    }

    /// Starts the signer and waits until it answers callers.
    pub fn start(&mut self) {
        let command = self.signer_command("stele-signer", "run");
        self.start_as(command);
    }

    /// Starts the signer and does not wait for it.
    pub fn launch(&mut self) {
        self.launch_with(&[]);
    }

    /// As [`Self::launch`], with variables in the environment of signer and keeper.
    pub fn launch_with(&mut self, environment: &[(&str, &Path)]) {
        let mut command = self.signer_command("stele-signer", "run");
        command.envs(environment.iter().copied());
        self.spawn(command);
    }

    /// As [`Self::start`], with variables in the environment of signer and keeper.
    pub fn start_with(&mut self, environment: &[(&str, &Path)]) {
        self.launch_with(environment);
        self.wait_ready();
    }

    /// Starts a stand-in for the signer that ends itself at a step, from when [`Self::arm`] is called.
    pub fn start_aborting(&mut self, step: &str) {
        let _ = std::fs::remove_file(self.path("armed"));
        let mut command = self.signer_command("stele-signer-aborting", "run");
        command.env("ABORT_AT", step).env("ABORT_WHEN", self.path("armed"));
        self.start_as(command);
    }

    /// From now on the step ends the process.
    pub fn arm(&self) {
        std::fs::write(self.path("armed"), "").expect("a file");
    }

    /// Starts the signer where it will not be ready, and waits until it listens.
    pub fn start_halted(&mut self) {
        let command = self.signer_command("stele-signer", "run");
        self.spawn(command);
        let until = Instant::now() + PATIENCE;
        while self.get("/healthz").is_none_or(|page| page.status != 200)
            || std::net::TcpStream::connect(("127.0.0.1", self.grpc)).is_err()
        {
            assert!(Instant::now() < until, "the signer does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn start_as(&mut self, command: Command) {
        self.spawn(command);
        self.wait_ready();
    }

    fn spawn(&mut self, mut command: Command) {
        assert!(self.child.is_none(), "it runs already");
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(self.path("signer.log"));
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.expect("a log file"))
            .process_group(0)
            .spawn();
        self.child = Some(child.expect("the signer starts"));
    }

    /// Waits until it says that it could issue, and listens to callers.
    pub fn wait_ready(&mut self) {
        let until = Instant::now() + PATIENCE;
        while !(self.get("/readyz").is_some_and(|r| r.status == 200) && self.path("signer/server.pem").exists()) {
            let ended = self.child.as_mut().and_then(|c| c.try_wait().expect("a child"));
            assert!(ended.is_none(), "the signer ended: {ended:?}\n{}", self.log());
            assert!(Instant::now() < until, "the signer is not ready");
            std::thread::sleep(Duration::from_millis(50));
        }
        crate::service_client::wait_serving(self, until);
    }

    /// What it logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.path("signer.log")).unwrap_or_default()
    }

    /// The signer's process id.
    pub fn pid(&self) -> Pid {
        pid_of(self.child.as_ref().expect("a running signer"))
    }

    /// Sends the signer a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("a running signer");
    }

    /// SIGTERM, then waits for its end, which must be a good one.
    pub fn stop(&mut self) {
        self.signal(Signal::TERM);
        let status = self.wait_end();
        assert!(status.success(), "{status}\n{}", self.log());
    }

    /// `kill -9` of the signer alone; its keeper is left to notice.
    pub fn kill_signer(&mut self) {
        self.signal(Signal::KILL);
        assert_eq!(self.wait_end().signal(), Some(9));
    }

    /// Waits until the signer's process has ended.
    pub fn wait_end(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("a running signer");
        let until = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = child.try_wait().expect("a child") {
                return status;
            }
            if Instant::now() > until {
                let _ = child.kill();
                panic!("the signer does not end\n{}", self.log());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The process ids of its keepers; one, unless something is wrong or about to start.
    pub fn keepers(&self) -> Vec<Pid> {
        let config = self.path("signer/keeper.toml");
        let is_ours = |cmdline: &[u8]| {
            let mut parts = cmdline.split(|b| *b == 0);
            parts.next().is_some_and(|p| p.ends_with(b"stele-keeper")) && parts.any(|p| p == path_bytes(&config))
        };
        let mut found = Vec::new();
        for entry in std::fs::read_dir("/proc").expect("/proc").flatten() {
            let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse().ok()) else {
                continue;
            };
            if std::fs::read(entry.path().join("cmdline")).is_ok_and(|c| is_ours(&c)) {
                found.extend(Pid::from_raw(pid));
            }
        }
        found
    }

    /// Waits until so many keepers run.
    pub fn wait_keepers(&self, count: usize) {
        let until = Instant::now() + PATIENCE;
        while self.keepers().len() != count {
            assert!(Instant::now() < until, "{:?} keepers", self.keepers());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// `kill -9` of signer and keeper, one right after the other.
    pub fn kill_both(&mut self) {
        self.kill_keeper();
        self.kill_signer();
        self.kill_keeper();
    }

    /// `kill -9` of the keeper.
    pub fn kill_keeper(&self) {
        for pid in self.keepers() {
            let _ = kill_process(pid, Signal::KILL);
        }
    }

    /// `stele` as somebody, towards this server.
    pub fn stele_as(&self, who: &str) -> Command {
        let mut stele = Command::new(binary_path("stele"));
        stele
            .arg("--server")
            .arg(format!("https://localhost:{}", self.grpc))
            .arg("--ca")
            .arg(self.path("out/access-ca.pem"))
            .arg("--cert")
            .arg(self.path(&format!("people/{who}.pem")))
            .arg("--key")
            .arg(self.path(&format!("people/{who}.key")))
            .arg("--vkey")
            .arg(self.path("out/ledger.vkey"))
            .env("HOME", self.dir.path());
        stele
    }

    /// An answer of the plain port; `None` when it does not listen.
    pub fn get(&self, path: &str) -> Option<crate::service_client::Page> {
        crate::service_client::get(self.http, path)
    }

    /// A path that did not exist before.
    pub fn fresh(&self, name: &str) -> PathBuf {
        (0..)
            .map(|n: u32| self.path(&format!("{n}-{name}")))
            .find(|p| !p.exists())
            .expect("a free name")
    }

    /// Exports the log as the auditor and verifies it as the auditor does; answers with the directory.
    pub fn verify_ledger(&self) -> PathBuf {
        let dir = self.fresh("ledger");
        self.verify_export(&dir);
        dir
    }

    /// Exports the log into a directory, which may hold an older export, and verifies it as the auditor does.
    pub fn verify_export(&self, dir: &Path) {
        succeed(self.stele_as("auditor").args(["audit", "export"]).arg(dir));
        succeed(self.stele_as("auditor").args(["audit", "verify"]).arg(dir));
    }

    /// Signs a file with an operator's SSH key in a namespace; the signature lies beside it.
    pub fn ssh_sign(&self, operator: &str, namespace: &str, file: &Path) -> PathBuf {
        service_world::ssh_sign(&self.path("people").join(format!("ssh-{operator}")), namespace, file)
    }

    /// Builds the next bundle from `authority/`, signs it as an operator and applies it. It must be the second one.
    pub fn adopt_next_bundle(&self, operator: &str) {
        self.adopt_bundle(operator, 1, self.first_bundle());
    }

    /// Builds the bundle with this number from `authority/`, signs it as an operator and applies it; answers with its
    /// digest.
    pub fn adopt_bundle(&self, operator: &str, number: u64, predecessor: Digest) -> Digest {
        let path = |kind: &str| self.path(&format!("next-{number}.{kind}"));
        let (bundle, text, signed) = (path("json"), path("txt"), path("signed"));
        let stele = || Command::new(binary_path("stele"));
        succeed(
            stele()
                .args(["authority", "build"])
                .arg(self.path("authority"))
                .args([
                    "--number",
                    &number.to_string(),
                    "--predecessor",
                    &predecessor.to_string(),
                    "--origin",
                    CEREMONY_ORIGIN,
                    "--out",
                ])
                .arg(&bundle)
                .arg("--text-out")
                .arg(&text),
        );
        succeed(
            stele()
                .args(["authority", "sign"])
                .arg(&bundle)
                .arg("--text")
                .arg(&text)
                .arg("--ssh-key")
                .arg(self.path(&format!("people/ssh-{operator}")))
                .arg("--out")
                .arg(&signed),
        );
        succeed(self.stele_as("operator").arg("apply").arg(&signed));
        Digest::of(&std::fs::read(bundle).expect("the bundle"))
    }

    /// The digest of the bundle in force at the start.
    pub fn first_bundle(&self) -> Digest {
        Digest::of(&std::fs::read(self.path("out/bundle.json")).expect("the bundle"))
    }
}

impl Default for Service {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = kill_process_group(pid_of(&child), Signal::KILL);
            let _ = child.wait();
        }
        self.kill_keeper();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!(
                "the end of the signer's log:\n{}",
                lines.get(lines.len().saturating_sub(60)..).unwrap_or(&lines).join("\n")
            );
        }
    }
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).expect("a process id")).expect("a process id")
}

fn path_bytes(path: &Path) -> &[u8] {
    std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str())
}
