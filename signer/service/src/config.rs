//! The service's configuration: places, ports and limits. It may only narrow what the authority bundle allows.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use stele_core::keycheck::Blocklist;
use stele_core::profile::Seconds;
use stele_core::strict_toml;
use stele_core::types::{Digest, WitnessName};

use crate::error::SignerError;
use crate::witness::Url;

/// One file for the process.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The index's file; it can be rebuilt from the log at any time.
    pub(crate) index: PathBuf,
    /// Directories of exports: a log that is behind one of them is refused at the start.
    #[serde(default)]
    pub(crate) exports: Vec<PathBuf>,
    /// The keeper.
    pub(crate) keeper: KeeperConfig,
    /// gRPC.
    pub(crate) grpc: GrpcConfig,
    /// Plain HTTP: CRLs, CA certificates, health, metrics.
    pub(crate) http: Option<ListenConfig>,
    /// The log's tiles over HTTP; not served where this is left out.
    pub(crate) tiles: Option<TilesConfig>,
    /// The socket for commands on this machine.
    pub(crate) local: LocalConfig,
    /// CRLs.
    #[serde(default)]
    pub(crate) crl: CrlConfig,
    /// Where the bundle's witnesses are, by their names there. One without a place here is never asked.
    #[serde(default)]
    pub(crate) witness: BTreeMap<WitnessName, WitnessPlace>,
    /// How witnesses are asked.
    #[serde(default)]
    pub(crate) witnessing: Witnessing,
    /// Limits.
    #[serde(default)]
    pub(crate) limits: Limits,
    /// Keys that nobody gets a certificate for.
    #[serde(default)]
    pub(crate) keys: KeysConfig,
}

/// Keys that nobody gets a certificate for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeysConfig {
    /// Files in the form of Debian's openssl-blacklist.
    pub(crate) blocklists: Vec<PathBuf>,
    /// What they list.
    #[serde(skip)]
    pub(crate) blocklist: Blocklist,
}

/// Where a witness is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct WitnessPlace {
    /// Its submission prefix (C2SP tlog-witness): `add-checkpoint` is below it.
    pub(crate) url: Url,
}

/// How witnesses are asked, all optional.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Witnessing {
    /// How long one may take to answer.
    pub(crate) timeout: Seconds,
    /// How often the newest checkpoint is taken to them.
    pub(crate) every: Seconds,
    /// Certificates of the CAs that their `https` is checked against, PEM; the machine's where it is left out.
    pub(crate) ca_file: Option<PathBuf>,
    /// Where others publish this log's checkpoint: mirrors, exports, witnesses. One that shows another history stops
    /// signing.
    pub(crate) checkpoints: Vec<Url>,
    /// How often those are looked at.
    pub(crate) look_every: Seconds,
}

impl Default for Witnessing {
    fn default() -> Self {
        Self {
            timeout: Seconds(5),
            every: Seconds(1),
            ca_file: None,
            checkpoints: Vec::new(),
            look_every: Seconds(60),
        }
    }
}

/// Where the keeper is.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeeperConfig {
    /// Its socket.
    pub(crate) socket: PathBuf,
    /// In development: how to start it as a child. In production it is a unit of its own, under its own user.
    pub(crate) spawn: Option<SpawnConfig>,
}

/// How to start the keeper as a child.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SpawnConfig {
    /// `stele-keeper`.
    pub(crate) binary: PathBuf,
    /// Its configuration file.
    pub(crate) config: PathBuf,
}

/// gRPC over TLS.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GrpcConfig {
    /// Where to listen.
    pub(crate) listen: SocketAddr,
    /// The server's own key in PEM; made by the service where it is absent.
    pub(crate) server_key: PathBuf,
    /// The server's own certificate and the CAs above it in PEM; issued by the access CA where it is absent or ends
    /// soon.
    pub(crate) server_cert: PathBuf,
    /// The largest message, in bytes.
    #[serde(default = "default_message")]
    pub(crate) max_message_bytes: usize,
    /// How long a connection may last: after it a client's certificate is looked at again.
    #[serde(default = "default_age")]
    pub(crate) connection_age: Seconds,
    /// How long a TLS handshake may last.
    #[serde(default = "default_handshake")]
    pub(crate) handshake_timeout: Seconds,
}

const fn default_message() -> usize {
    4 * 1024 * 1024
}

const fn default_age() -> Seconds {
    Seconds(3600)
}

const fn default_handshake() -> Seconds {
    Seconds(10)
}

/// Where to listen.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ListenConfig {
    /// Address and port.
    pub(crate) listen: SocketAddr,
}

/// The log's tiles.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TilesConfig {
    /// Address and port, its own.
    pub(crate) listen: SocketAddr,
    /// Whether everybody may read the ledger, over plain HTTP. Else it takes TLS and the client certificate of a caller
    /// who may.
    #[serde(default)]
    pub(crate) open: bool,
}

/// The socket for `enrol`, `import` and `apply` on this machine.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct LocalConfig {
    /// Its path; who may open it, may enrol.
    pub(crate) socket: PathBuf,
}

/// How CRLs are made.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct CrlConfig {
    /// From thisUpdate to nextUpdate; they are signed again at half of it.
    pub(crate) lifetime: Seconds,
}

impl Default for CrlConfig {
    fn default() -> Self {
        Self {
            lifetime: Seconds(7 * 86_400),
        }
    }
}

/// Limits, all optional.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    /// Calls at work at once, each on a thread of its own.
    pub(crate) doors: usize,
    /// Calls that wait for their turn.
    pub(crate) waiting: usize,
    /// How long a call may wait for its turn, and the token for a signature.
    pub(crate) deadline: Seconds,
    /// Proposals of one caller that may wait for operators at once.
    pub(crate) open_requests: u32,
    /// TLS connections at once.
    pub(crate) connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            doors: 32,
            waiting: 1024,
            deadline: Seconds(20),
            open_requests: 100,
            connections: 4096,
        }
    }
}

/// A number of seconds as a duration.
pub(crate) const fn duration(seconds: Seconds) -> Duration {
    Duration::from_secs(seconds.0)
}

impl Config {
    /// Reads and checks a configuration file; relative paths in it are relative to its directory. Also answers with
    /// the digest of its text, which the log names at each start.
    ///
    /// # Errors
    /// When the file cannot be read, or a key is unknown, missing, of another form or out of range.
    pub(crate) fn load(path: &Path) -> Result<(Self, Digest), SignerError> {
        let text = std::fs::read_to_string(path).map_err(|cause| SignerError::file(path, cause))?;
        let file = path.display().to_string();
        let mut config: Self = strict_toml::parse(&file, &text)?;
        config.check(&file)?;
        let base = path.parent().unwrap_or(Path::new("."));
        for place in [
            &mut config.index,
            &mut config.keeper.socket,
            &mut config.grpc.server_key,
            &mut config.grpc.server_cert,
            &mut config.local.socket,
        ] {
            *place = base.join(&*place);
        }
        config.exports.iter_mut().for_each(|place| *place = base.join(&*place));
        for list in &config.keys.blocklists {
            let path = base.join(list);
            let text = std::fs::read_to_string(&path).map_err(|cause| SignerError::file(&path, cause))?;
            let list = Blocklist::parse(&path.display().to_string(), &text)?;
            config.keys.blocklist = std::mem::take(&mut config.keys.blocklist).and(list);
        }
        config.witnessing.ca_file = config.witnessing.ca_file.map(|file| base.join(file));
        if let Some(spawn) = &mut config.keeper.spawn {
            spawn.binary = base.join(&spawn.binary);
            spawn.config = base.join(&spawn.config);
        }
        Ok((config, Digest::of(text.as_bytes())))
    }

    fn check(&self, file: &str) -> Result<(), SignerError> {
        let least = [
            ("limits.doors", self.limits.doors as u64),
            ("limits.waiting", self.limits.waiting as u64),
            ("limits.deadline", self.limits.deadline.0),
            ("limits.connections", self.limits.connections as u64),
            ("grpc.connection_age", self.grpc.connection_age.0),
            ("grpc.handshake_timeout", self.grpc.handshake_timeout.0),
            ("witnessing.timeout", self.witnessing.timeout.0),
            ("witnessing.every", self.witnessing.every.0),
            ("witnessing.look_every", self.witnessing.look_every.0),
        ];
        if let Some((key, _)) = least.iter().find(|(_, value)| *value == 0) {
            return Err(stele_core::Error::malformed(format!("{file}: {key}"), "0", "at least 1").into());
        }
        let taken = [Some(self.grpc.listen), self.http.map(|http| http.listen)];
        if let Some(tiles) = self
            .tiles
            .filter(|t| t.listen.port() != 0 && taken.contains(&Some(t.listen)))
        {
            let (field, found) = (format!("{file}: tiles.listen"), tiles.listen.to_string());
            return Err(stele_core::Error::malformed(field, found, "a port of its own").into());
        }
        if self.crl.lifetime.0 < 60 {
            let found = self.crl.lifetime.to_string();
            return Err(stele_core::Error::malformed(format!("{file}: crl.lifetime"), found, "at least 60s").into());
        }
        if self.grpc.max_message_bytes < 64 * 1024 {
            let found = self.grpc.max_message_bytes.to_string();
            let field = format!("{file}: grpc.max_message_bytes");
            return Err(stele_core::Error::malformed(field, found, "at least 65536").into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "index = 'index.db'\n[keeper]\nsocket = 'k.sock'\n[grpc]\nlisten = '127.0.0.1:0'\n\
        server_key = 'server.key'\nserver_cert = 'server.pem'\n[local]\nsocket = '/run/local.sock'\n";

    fn load(text: &str) -> Result<Config, SignerError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("signer.toml");
        std::fs::write(&path, text).unwrap();
        Config::load(&path).map(|(config, _)| {
            assert_eq!(config.index, dir.path().join("index.db"));
            config
        })
    }

    #[test]
    fn relative_paths_are_relative_to_the_file() {
        let config = load(GOOD).unwrap();
        assert_eq!(config.local.socket, Path::new("/run/local.sock"));
        assert_eq!(config.limits.doors, 32);
    }

    #[test]
    fn what_is_unknown_or_out_of_range_is_named() {
        for (add, named) in [
            ("[limits]\ndors = 1\n", "dors"),
            ("[limits]\ndoors = 0\n", "limits.doors"),
            ("[crl]\nlifetime = '1s'\n", "crl.lifetime"),
            ("[http]\nlisten = 'nowhere'\n", "line 11"),
            (
                "[http]\nlisten = '127.0.0.1:80'\n[tiles]\nlisten = '127.0.0.1:80'\n",
                "tiles.listen",
            ),
            ("[witness.one]\nurl = 'ftp://one.example'\n", "ftp://one.example"),
            ("[witness.one]\n", "url"),
            ("[witness.One]\nurl = 'https://one.example'\n", "One"),
            ("[witnessing]\nevery = '0s'\n", "witnessing.every"),
        ] {
            let error = load(&format!("{GOOD}{add}")).unwrap_err().to_string();
            assert!(error.contains(named), "{error}");
        }
    }
}
