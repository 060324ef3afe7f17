//! Witnesses in Go, and what a signer does among them.

pub mod authority;
pub mod faults;
pub mod halts;

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use stele_api::convert::SignAnswer;
use stele_api::status::Reason;
use tonic::transport::Channel;

use crate::scratch::binary_path;
use crate::service::{Service, both, succeed};
use crate::service_client::{get, leaf, reason, runtime, sign};

/// The names of the witnesses.
pub const NAMES: [&str; 3] = ["one", "two", "three"];
/// How long anything may take that should happen.
const PATIENCE: Duration = Duration::from_secs(60);

/// A process with three witnesses; killed when dropped.
pub struct Witnesses {
    program: PathBuf,
    child: Child,
    /// Port of http.
    pub port: u16,
    /// Port of https.
    secure: u16,
    state: tempfile::TempDir,
}

impl Witnesses {
    /// Witnesses for the log of `service`.
    pub fn start(program: &Path, service: &Service) -> Self {
        let state = tempfile::tempdir().expect("a directory");
        let mut child = Command::new(program)
            .args(["serve", "-names", &NAMES.join(","), "-state"])
            .arg(state.path())
            .arg("-log-vkey")
            .arg(service.path("out/ledger.vkey"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("the witness runs");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("its output");
        BufReader::new(stdout).read_line(&mut line).expect("its addresses");
        let port = |address: &str| address.rsplit(':').next().and_then(|p| p.parse().ok());
        let ports: Vec<u16> = line.split_whitespace().filter_map(port).collect();
        let [port, secure] = ports[..] else {
            panic!("the witness said {line:?}");
        };
        Self {
            program: program.to_owned(),
            child,
            port,
            secure,
            state,
        }
    }

    /// The verifier key of one.
    pub fn vkey(&self, name: &str) -> String {
        let page = get(self.port, &format!("/{name}/vkey")).expect("the witness answers");
        String::from_utf8(page.body).expect("text")
    }

    /// What one cosigned last.
    pub fn size(&self, name: &str) -> u64 {
        let page = get(self.port, &format!("/{name}/size")).expect("the witness answers");
        let text = String::from_utf8(page.body).expect("text");
        text.trim().parse().expect("a number")
    }

    /// How one behaves from now on.
    pub fn mode(&self, name: &str, mode: &str) {
        post(self.port, &format!("/{name}/control?mode={mode}"), b"");
    }

    /// How all behave from now on.
    pub fn all(&self, mode: &str) {
        NAMES.iter().for_each(|name| self.mode(name, mode));
    }

    /// `signer.toml`'s lines about them, with `more` in `[witnessing]`; the third over https.
    pub fn places(&self, more: &str) -> String {
        let (port, secure) = (self.port, self.secure);
        let ca = self.state.path().join("witness.pem");
        format!(
            "[witnessing]\ntimeout = \"2s\"\nca_file = \"{}\"\n{more}\n\
             [witness.one]\nurl = \"http://127.0.0.1:{port}/one\"\n\
             [witness.two]\nurl = \"http://127.0.0.1:{port}/two/\"\n\
             [witness.three]\nurl = \"https://127.0.0.1:{secure}/three\"\n",
            ca.display()
        )
    }

    /// Verifies a checkpoint with Go's `note.Open`; answers with the names of those who signed.
    pub fn open(&self, service: &Service, checkpoint: &[u8]) -> Vec<String> {
        let vkeys = self.state.path().join("vkeys");
        let log = std::fs::read_to_string(service.path("out/ledger.vkey")).expect("the log's key");
        let mut lines = vec![log.trim().to_owned()];
        lines.extend(NAMES.iter().map(|name| self.vkey(name)));
        std::fs::write(&vkeys, lines.join("\n")).expect("a file");
        let mut child = Command::new(&self.program)
            .args(["verify", "-vkeys"])
            .arg(&vkeys)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the witness runs");
        child
            .stdin
            .take()
            .expect("its input")
            .write_all(checkpoint)
            .expect("it reads");
        let out = child.wait_with_output().expect("it ends");
        assert!(out.status.success(), "{}", both(&out));
        String::from_utf8_lossy(&out.stdout)
            .lines()
            .map(str::to_owned)
            .collect()
    }
}

impl Drop for Witnesses {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Posts to a local port.
fn post(port: u16, path: &str, body: &[u8]) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("somebody listens");
    let length = body.len();
    write!(
        stream,
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
    )
    .and_then(|()| stream.write_all(body))
    .expect("a request");
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).expect("an answer");
    assert!(line.contains(" 200 "), "{path}: {line}");
}

/// A signer whose bundle lists the witnesses and demands `policy` of them; running and witnessed.
pub fn witnessed(program: &Path, policy: &str, more: &str) -> (Service, Witnesses) {
    let mut service = Service::new();
    let witnesses = Witnesses::start(program, &service);
    service.write_config(&witnesses.places(more));
    let file = service.path("authority/authority.toml");
    let mut text = std::fs::read_to_string(&file).expect("the authority");
    for name in NAMES {
        let vkey = witnesses.vkey(name);
        text += &format!("\n[[witness]]\nname = \"{name}\"\nvkey = \"{vkey}\"\n");
    }
    text += &format!("\n[witness_policy]\n{policy}");
    std::fs::write(&file, text).expect("the authority");
    service.start();
    service.adopt_next_bundle("olga");
    until("all witnesses cosign", || {
        NAMES
            .iter()
            .all(|name| metric(&service, "stele_witness_cosigning", name) == Some(1))
    });
    (service, witnesses)
}

/// Waits until something holds.
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "never: {what}");
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// A number about a witness in the signer's metrics.
pub fn metric(service: &Service, metric: &str, witness: &str) -> Option<u64> {
    let page = service.get("/metrics")?;
    let text = String::from_utf8(page.body).ok()?;
    let prefix = format!("{metric}{{witness=\"{witness}\"}} ");
    text.lines().find_map(|line| line.strip_prefix(&prefix)?.parse().ok())
}

/// Asks for a leaf; `Err` with the reason when there is none.
pub fn issue(service: &Service, id: &str) -> Result<(), Option<Reason>> {
    runtime().block_on(async {
        let channel: Channel = service.channel("caller");
        match sign(&channel, leaf(id)).await {
            Ok(SignAnswer::Issued(_)) => Ok(()),
            Ok(SignAnswer::Pending(_)) => panic!("{id} waits for operators"),
            Err(status) => Err(reason(&status)),
        }
    })
}

/// The published checkpoint, as the auditor gets it.
pub fn checkpoint(service: &Service) -> Vec<u8> {
    use stele_api::v1::{GetCheckpointRequest, ledger_service_client::LedgerServiceClient};
    runtime().block_on(async {
        let mut client = LedgerServiceClient::new(service.channel("auditor"));
        let answer = client.get_checkpoint(GetCheckpointRequest::default()).await;
        answer.expect("the signer answers").into_inner().checkpoint.into_bytes()
    })
}

/// How many entries a checkpoint covers.
pub fn size(note: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(note).into_owned();
    text.lines().nth(1).and_then(|line| line.parse().ok()).unwrap_or(0)
}

/// The kinds of witness results in the log.
pub fn results(service: &Service, witness: &str) -> Vec<String> {
    let records = runtime().block_on(crate::service_client::records(service));
    let result = |record: stele_core::record::Record| match record.body {
        stele_core::record::Body::WitnessResult(result) if result.witness.as_str() == witness => Some(result.result),
        _ => None,
    };
    records.into_iter().filter_map(result).collect()
}

/// Operators confirm the log's history.
pub fn confirm_history(service: &Service) {
    use stele_core::authority::texts::RecoveryText;
    use stele_core::types::Digest;
    let detail = "the witnesses were wrong\n";
    let text = RecoveryText {
        origin: crate::service::ORIGIN.parse().expect("an origin"),
        action: "history".to_owned(),
        detail_sha256: Digest::of(detail.as_bytes()),
        expires: crate::hierarchy::now().plus_secs(3600),
    };
    let (text_file, detail_file, signed) = (
        service.fresh("recovery.txt"),
        service.fresh("detail.txt"),
        service.fresh("recovery.signed"),
    );
    std::fs::write(&text_file, text.to_string()).expect("a file");
    std::fs::write(&detail_file, detail).expect("a file");
    succeed(
        Command::new(binary_path("stele"))
            .args(["authority", "sign"])
            .arg(&text_file)
            .arg("--detail")
            .arg(&detail_file)
            .arg("--ssh-key")
            .arg(service.path("people/ssh-olga"))
            .arg("--out")
            .arg(&signed),
    );
    succeed(service.signer_command("stele-signer", "apply").arg(&signed));
}
