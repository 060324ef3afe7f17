//! The commands that README and docs show, run as they stand and in order, on what the quickstart made. A block is
//! run when its fence says `sh test`; each document goes on where the one before ended.
#![allow(clippy::expect_used, reason = "a test fails by panicking, in its helpers too")]

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use stele_hsm_tests::scratch::{binary_path, repository};

/// The documents, in the order in which a new user meets them.
const DOCUMENTS: [&str; 4] = [
    "README.md",
    "signer/docs/operator.md",
    "signer/docs/engineer.md",
    "signer/docs/auditor.md",
];

/// The `sh test` blocks of a document, each with the number of its first line.
fn blocks(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (number, line) in (1..).zip(text.lines()) {
        match (&mut open, line) {
            (None, "```sh test") => open = Some((number + 1, String::new())),
            (None, _) => {}
            (Some(_), "```") => found.extend(open.take()),
            (Some((_, block)), _) => *block = format!("{block}{line}\n"),
        }
    }
    assert!(open.is_none(), "a block is not closed");
    found
}

/// The signer of the quickstart, served until the test ends.
struct Served(Child);

impl Served {
    fn start(stele: &Path) -> Self {
        let log = std::fs::File::create(stele.join("state/documents.log")).expect("a log file");
        let signer = Command::new(binary_path("stele-signer"))
            .args(["run", "--config"])
            .arg(stele.join("state/signer/signer.toml"))
            .env("SOFTHSM2_CONF", stele.join("state/signer/softhsm2.conf"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .expect("stele-signer starts");
        let begun = Instant::now();
        let mut served = Self(signer);
        let ports = std::fs::read_to_string(stele.join("state/ports")).expect("the quickstart's ports");
        let port = ports
            .lines()
            .find_map(|l| l.strip_prefix("grpc_port="))
            .expect("the port of gRPC");
        while std::net::TcpStream::connect(format!("127.0.0.1:{port}")).is_err() {
            let ended = served.0.try_wait().expect("the signer's state");
            assert!(ended.is_none(), "stele-signer ended: {ended:?}");
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "stele-signer does not listen"
            );
            std::thread::sleep(Duration::from_millis(100));
        }
        served
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        // In order, so that its keeper ends with it.
        let pid = rustix::process::Pid::from_child(&self.0);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.0.wait();
    }
}

/// A directory as a user's clone looks after the quickstart: `.stele`, and the parts of the repository that are shown.
fn scratch() -> tempfile::TempDir {
    let scratch = tempfile::tempdir().expect("a scratch directory");
    let link = |from: &Path, name: &str| std::os::unix::fs::symlink(from, scratch.path().join(name)).expect("a link");
    for part in ["softhsm", "signer", "proto"] {
        link(&repository().join(part), part);
    }
    // The README's PATH names target/release; cargo's directory may be elsewhere.
    let release = binary_path("stele");
    let target = release
        .parent()
        .and_then(Path::parent)
        .expect("binaries lie in target/release");
    link(target, "target");
    let made = Command::new(repository().join("softhsm/quickstart"))
        .current_dir(scratch.path())
        .output()
        .expect("softhsm/quickstart runs");
    assert!(
        made.status.success(),
        "softhsm/quickstart: {}{}",
        String::from_utf8_lossy(&made.stdout),
        String::from_utf8_lossy(&made.stderr)
    );
    scratch
}

#[test]
fn the_shown_commands_work() {
    let scratch = scratch();
    let _served = Served::start(&scratch.path().join(".stele"));
    for document in DOCUMENTS {
        let text = std::fs::read_to_string(repository().join(document)).expect(document);
        let blocks = blocks(&text);
        assert!(!blocks.is_empty(), "{document} shows no command that is run");
        // One shell for a document, as its reader has one: variables and PATH last.
        let mut script = "set -eo pipefail\nexport PATH=\"$PWD/target/release:$PATH\"\n".to_owned();
        for (line, block) in &blocks {
            script += &format!("echo '== {document}:{line}'\n{block}");
        }
        let ran = Command::new("bash")
            .args(["-c", &script])
            .current_dir(scratch.path())
            .stdin(Stdio::null())
            .output()
            .expect("bash runs");
        assert!(
            ran.status.success(),
            "{document}: the last block shown below failed\n{}\n{}",
            String::from_utf8_lossy(&ran.stdout),
            String::from_utf8_lossy(&ran.stderr)
        );
    }
}

#[test]
fn links_lead_somewhere() {
    for document in DOCUMENTS
        .iter()
        .chain(&["signer/ARCHITECTURE.md", "signer/CHANGELOG.md", "proto/README.md"])
    {
        let path = repository().join(document);
        let text = std::fs::read_to_string(&path).expect(document);
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = link.split('#').next().unwrap_or_default();
            if file.is_empty() || file.starts_with("http") {
                continue;
            }
            let target = path.parent().expect("a document lies in a directory").join(file);
            assert!(target.exists(), "{document} links to {link}, which is not there");
        }
    }
}
