//! The real keeper and the real signer, over a small hierarchy with an issuer of each algorithm.

use std::fmt;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rcgen::SanType;
use stele_core::ceremony::to_pem;
use stele_core::keeping::Keeper as _;
use stele_core::record::{Body, CaCertificate};

use super::Fallible;
use super::clients::{Credentials, csr};
use super::process::{Memory, resident};
use crate::authority;
use crate::hierarchy::Root;
use crate::keeper::{KeeperFiles, Keys, Running};
use crate::operator::Operator;
use crate::scratch::{Scratch, repository};

const KEYS: Keys<'_> = &[
    ("issuing-ca", "ec-p256"),
    ("issuing-ca-p384", "ec-p384"),
    ("access-ca", "ec-p256"),
];
const CALLER: &str = "uri:spiffe://stele/caller/cluster-signer";
/// How long the signer may take to listen.
const PATIENCE: Duration = Duration::from_secs(30);

/// Keeper and signer, killed when dropped.
pub(super) struct Service {
    signer: Option<Signer>,
    keeper: Option<Running>,
    files: KeeperFiles,
    access_ca: CaCertificate,
    scratch: Scratch,
    /// Where the signer listens.
    pub(super) address: SocketAddr,
    /// How long the first start took.
    pub(super) first_start: StartUp,
}

/// How long a start took until each answered.
#[derive(Clone, Copy)]
pub(super) struct StartUp {
    keeper: Duration,
    signer: Duration,
}

impl fmt::Display for StartUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} + {} ms", self.keeper.as_millis(), self.signer.as_millis())
    }
}

struct Signer(Child);

impl Drop for Signer {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Service {
    /// Makes keys, authority and hierarchy, and starts both.
    pub(super) fn set_up() -> Fallible<Self> {
        let scratch = Scratch::new();
        let files = KeeperFiles::init(&scratch, "signer", "stele.example/bench", KEYS);
        let root = Root::new();
        let operator = Operator::new(&scratch, "alice");
        let bundle = authority::bundle(0, None, authority_files(&operator, &files, &root)?);
        files.pin_first_bundle(bundle.digest());
        let keeper = files.start(&scratch);
        let adopted = authority::adopted(&bundle, &"stele.example/ceremony".parse()?, &[&operator]);
        keeper.client.append(&Body::BundleAdopted(adopted))?;
        let mut access_ca = None;
        for requested in &files.request.keys {
            let ca = root.issue(requested, 0);
            keeper.client.append(&Body::CaCertificate(ca.clone()))?;
            access_ca = Some(ca).filter(|ca| ca.key.as_str() == "access-ca").or(access_ca);
        }
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        write_signer_config(&scratch, address);
        let mut service = Self {
            signer: None,
            keeper: Some(keeper),
            files,
            access_ca: access_ca.ok_or("the keeper asked for no access CA")?,
            scratch,
            address,
            first_start: StartUp {
                keeper: Duration::ZERO,
                signer: Duration::ZERO,
            },
        };
        // The very first start also issues the server's certificate and signs the first CRLs.
        service.restart()?;
        service.first_start = service.restart()?;
        Ok(service)
    }

    /// Kills both, starts both, and tells how long that took.
    pub(super) fn restart(&mut self) -> Fallible<StartUp> {
        self.signer = None;
        self.keeper = None;
        let began = Instant::now();
        self.keeper = Some(self.files.start(&self.scratch));
        let keeper = began.elapsed();
        let mut command = self.scratch.command("stele-signer");
        command
            .arg("run")
            .arg("--config")
            .arg(self.scratch.path("signer.toml"))
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(self.scratch.path("signer.log"))?);
        let signer = self.signer.insert(Signer(command.spawn()?));
        while TcpStream::connect(self.address).is_err() || !self.scratch.path("server.pem").exists() {
            if signer.0.try_wait()?.is_some() || began.elapsed() > PATIENCE {
                let log = std::fs::read_to_string(self.scratch.path("signer.log"))?;
                return Err(format!("stele-signer does not listen: {log}").into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(StartUp {
            keeper,
            signer: began.elapsed() - keeper,
        })
    }

    /// A client certificate, from `stele-signer enrol`.
    pub(super) fn credentials(&self) -> Fallible<Credentials> {
        let (key, der) = csr(vec![SanType::URI(CALLER.trim_start_matches("uri:").try_into()?)])?;
        let (request, out) = (self.scratch.write("caller.csr", der), self.scratch.path("caller.pem"));
        let run = self
            .scratch
            .command("stele-signer")
            .args(["enrol", "--profile", "caller", "--san", CALLER, "--config"])
            .arg(self.scratch.path("signer.toml"))
            .arg("--csr")
            .arg(request)
            .arg("--out")
            .arg(&out)
            .output()?;
        if !run.status.success() {
            return Err(format!("stele-signer enrol: {}", String::from_utf8_lossy(&run.stderr)).into());
        }
        Ok(Credentials {
            certificate: std::fs::read_to_string(out)?,
            key: key.serialize_pem(),
            access_ca: to_pem("CERTIFICATE", &self.access_ca()?)?,
        })
    }

    /// The access CA's certificate, DER.
    pub(super) fn access_ca(&self) -> Fallible<Vec<u8>> {
        Ok(self.access_ca.certificate.0.clone())
    }

    /// The server's own certificate and key.
    pub(super) fn server_files(&self) -> (PathBuf, PathBuf) {
        (self.scratch.path("server.pem"), self.scratch.path("server.key"))
    }

    fn keeper(&self) -> Fallible<&Running> {
        self.keeper.as_ref().ok_or_else(|| "the keeper does not run".into())
    }

    /// How many records the log has.
    pub(super) fn records(&self) -> Fallible<u64> {
        Ok(self.keeper()?.client.status()?.size)
    }

    /// Resident memory now.
    pub(super) fn memory(&self) -> Fallible<Memory> {
        let [signer, keeper] = self.pids()?;
        Ok(Memory {
            signer: resident(signer)?,
            keeper: resident(keeper)?,
        })
    }

    /// The processes of signer and keeper.
    pub(super) fn pids(&self) -> Fallible<[u32; 2]> {
        let signer = self.signer.as_ref().ok_or("the signer does not run")?;
        Ok([signer.0.id(), self.keeper()?.pid()])
    }
}

fn write_signer_config(scratch: &Scratch, address: SocketAddr) {
    let text = format!(
        "index = \"index.db\"\n[keeper]\nsocket = \"keeper.sock\"\n[grpc]\nlisten = \"{address}\"\n\
         server_key = \"server.key\"\nserver_cert = \"server.pem\"\n[local]\nsocket = \"signer.sock\"\n"
    );
    scratch.write("signer.toml", text);
}

/// The tests' authority, with one operator, both issuers, and callers that can be enrolled.
fn authority_files(
    operator: &Operator,
    keeper: &KeeperFiles,
    root: &Root,
) -> Fallible<std::collections::BTreeMap<String, String>> {
    let mut text = include_str!("authority.toml")
        .replace("@alice-ssh-key", &operator.public)
        .replace("@root", &root.spki_sha256().to_string());
    for requested in &keeper.request.keys {
        text = text.replace(
            &format!("@{}\"", requested.key),
            &format!("{}\"", requested.spki_sha256),
        );
    }
    let preset =
        |name: &str| std::fs::read_to_string(repository().join(Path::new("signer/presets/profiles")).join(name));
    let workload = include_str!("workload.toml");
    Ok([
        ("authority.toml", text),
        ("profiles/workload.toml", workload.to_owned()),
        (
            "profiles/workload-p384.toml",
            workload
                .replace("name = \"workload\"", "name = \"workload-p384\"")
                .replace("\"issuing-ca\"", "\"issuing-ca-p384\""),
        ),
        (
            "profiles/caller.toml",
            preset("caller.toml")?.replace(
                "callers = [\"cluster-signer\", \"auditor\"]",
                "callers = [\"cluster-signer\"]",
            ),
        ),
        (
            "profiles/server.toml",
            preset("server.toml")?.replace("\"stele.example.org\", ", ""),
        ),
    ]
    .into_iter()
    .map(|(name, text)| (name.to_owned(), text))
    .collect())
}
