//! Where the server is and who we are to it: from the command line, else from the configuration file.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use stele_core::checkpoint::NoteVerifier;

use crate::error::CliError;
use crate::files;

/// How to reach the server. What is not given here comes from the configuration file.
#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Connection")]
pub(crate) struct ConnectionArgs {
    /// The server, e.g. https://127.0.0.1:9443
    #[arg(long, global = true, value_name = "URL")]
    server: Option<String>,
    /// The name in the server's certificate, where it is not that of the URL
    #[arg(long, global = true, value_name = "NAME")]
    server_name: Option<String>,
    /// The access CA's certificate: the trust anchor for the server's, whatever is above it
    #[arg(long, global = true, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Your client certificate with its chain, PEM
    #[arg(long, global = true, value_name = "FILE")]
    cert: Option<PathBuf>,
    /// Its private key, PEM
    #[arg(long, global = true, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The ledger's verifier key (C2SP note `vkey`), to check proofs with
    #[arg(long, global = true, value_name = "FILE")]
    vkey: Option<PathBuf>,
    /// Seconds after which a call is given up [default: 60]
    #[arg(long, global = true, value_name = "SECONDS")]
    timeout: Option<u64>,
    /// Configuration file (TOML) with server, server_name, ca, cert, key, vkey, timeout; paths in it count from its
    /// directory [default: ~/.config/stele/config.toml, if it exists]
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConfigFile {
    server: Option<String>,
    server_name: Option<String>,
    ca: Option<PathBuf>,
    cert: Option<PathBuf>,
    key: Option<PathBuf>,
    vkey: Option<PathBuf>,
    timeout: Option<u64>,
}

/// Command line and file together.
pub(crate) struct Settings {
    server: Option<String>,
    pub(super) server_name: Option<String>,
    pub(super) ca: Option<PathBuf>,
    pub(super) cert: Option<PathBuf>,
    pub(super) key: Option<PathBuf>,
    vkey: Option<PathBuf>,
    pub(super) timeout_secs: u64,
}

/// The server's address, taken apart.
pub(super) struct Server {
    pub(super) authority: String,
    pub(super) host: String,
    pub(super) port: u16,
}

impl ConnectionArgs {
    /// What is in force: the command line, then the file.
    pub(crate) fn settings(&self) -> Result<Settings, CliError> {
        let (file, base) = self.read_config()?;
        let placed = |own: &Option<PathBuf>, configured: Option<PathBuf>| {
            own.clone().or_else(|| configured.map(|path| base.join(path)))
        };
        Ok(Settings {
            server: self.server.clone().or(file.server),
            server_name: self.server_name.clone().or(file.server_name),
            ca: placed(&self.ca, file.ca),
            cert: placed(&self.cert, file.cert),
            key: placed(&self.key, file.key),
            vkey: placed(&self.vkey, file.vkey),
            timeout_secs: self.timeout.or(file.timeout).unwrap_or(60),
        })
    }

    fn read_config(&self) -> Result<(ConfigFile, PathBuf), CliError> {
        let path = match &self.config {
            Some(path) => path.clone(),
            None => match std::env::home_dir().map(|home| home.join(".config/stele/config.toml")) {
                Some(path) if path.exists() => path,
                _ => return Ok((ConfigFile::default(), PathBuf::new())),
            },
        };
        let text = files::read_text(&path)?;
        let file = stele_core::strict_toml::parse(&path.display().to_string(), &text)
            .map_err(|e| CliError::Usage(e.to_string()))?;
        let base = path.parent().map(Path::to_owned).unwrap_or_default();
        Ok((file, base))
    }
}

impl Settings {
    pub(super) fn server(&self) -> Result<Server, CliError> {
        let url = required("server", self.server.as_ref())?;
        let bad = || CliError::Usage(format!("server: found `{url}`; permitted: https://HOST:PORT"));
        let rest = url.strip_prefix("https://").ok_or_else(bad)?;
        let authority: tonic::codegen::http::uri::Authority = rest.trim_end_matches('/').parse().map_err(|_| bad())?;
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        Ok(Server {
            port: authority.port_u16().unwrap_or(443),
            authority: authority.to_string(),
            host,
        })
    }

    /// Seconds after which a call is given up.
    pub(crate) const fn timeout_secs(&self) -> u64 {
        self.timeout_secs
    }

    /// The ledger's verifier key, where one is given.
    pub(crate) fn verifier(&self) -> Result<Option<NoteVerifier>, CliError> {
        self.vkey.as_deref().map(read_vkey).transpose()
    }

    /// The ledger's verifier key for a command that makes no sense without.
    pub(crate) fn required_verifier(&self) -> Result<NoteVerifier, CliError> {
        read_vkey(required("vkey", self.vkey.as_ref())?)
    }
}

fn read_vkey(path: &Path) -> Result<NoteVerifier, CliError> {
    files::read_text(path)?
        .trim()
        .parse()
        .map_err(|e: stele_core::Error| CliError::content(path, e))
}

/// A setting that a command needs.
pub(super) fn required<'a, T>(name: &str, value: Option<&'a T>) -> Result<&'a T, CliError> {
    value.ok_or_else(|| {
        let words = format!("{name} is not set: give --{name}, or `{name} = \"...\"` in the configuration file");
        CliError::Usage(words)
    })
}

impl Server {
    pub(super) fn bad(&self) -> CliError {
        CliError::Usage(format!(
            "server: found `{}`; permitted: https://HOST:PORT",
            self.authority
        ))
    }
}
