//! The keeper's configuration: places, users and limits. It may only narrow what the authority bundle allows.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use stele_core::record::LogPurpose;
use stele_core::strict_toml;
use stele_core::types::{Digest, KeyAlgorithm, KeyName, Origin};

use crate::error::KeeperError;

/// One file for the process.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Config {
    /// The log's origin; it is fixed by `init`.
    pub(crate) origin: Origin,
    /// Whose log it is.
    pub(crate) purpose: LogPurpose,
    /// The Unix socket to listen on.
    pub(crate) socket: PathBuf,
    /// The log's file.
    pub(crate) ledger: PathBuf,
    /// Unix user ids that may connect, besides the keeper's own.
    #[serde(default)]
    pub(crate) allowed_users: Vec<u32>,
    /// Digest of the first authority bundle, from the ceremony's minutes. Without it no first bundle is accepted.
    pub(crate) first_bundle: Option<Digest>,
    /// The token.
    pub(crate) token: TokenConfig,
    /// The key that signs checkpoints.
    pub(crate) checkpoint_key: KeyConfig,
    /// The CA keys that `init` makes.
    #[serde(default, rename = "ca_key")]
    pub(crate) ca_keys: Vec<CaKeyConfig>,
    /// Limits.
    #[serde(default)]
    pub(crate) limits: Limits,
}

/// Where the token is.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenConfig {
    /// The PKCS#11 module.
    pub(crate) module: PathBuf,
    /// The token's label.
    pub(crate) label: String,
    /// The token's serial number; found by the label alone where it is left out.
    pub(crate) serial: Option<String>,
    /// A file of mode 0600 with the user PIN.
    pub(crate) pin_file: PathBuf,
    /// A file of mode 0600 with the security officer's PIN; `init` alone reads it.
    pub(crate) so_pin_file: Option<PathBuf>,
    /// The most sessions that sign at once.
    #[serde(default = "default_sessions")]
    pub(crate) sessions: usize,
}

const fn default_sessions() -> usize {
    8
}

/// A key.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyConfig {
    /// Its name.
    pub(crate) name: KeyName,
    /// Its algorithm.
    pub(crate) algorithm: KeyAlgorithm,
}

/// A CA key, and the common name that its CSR proposes.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CaKeyConfig {
    /// Its name.
    pub(crate) name: KeyName,
    /// Its algorithm.
    pub(crate) algorithm: KeyAlgorithm,
    /// The CN in its CSR; the ceremony's script decides what the certificate says.
    pub(crate) common_name: String,
}

/// Limits, all optional.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Limits {
    /// The largest step of the clock within one boot that is let pass, in seconds.
    pub(crate) clock_step_seconds: u64,
    /// The longest gap between the last record and a start that is let pass, in days.
    pub(crate) restart_gap_days: u64,
    /// The most connections at once.
    pub(crate) connections: usize,
    /// How long a call of the PKCS#11 module may take, in seconds, before the keeper ends so as to be started again.
    /// Above the longest wait for a session, which is 30.
    pub(crate) module_call_seconds: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            clock_step_seconds: 60,
            restart_gap_days: 30,
            connections: 256,
            module_call_seconds: 90,
        }
    }
}

impl Limits {
    /// See [`Limits::clock_step_seconds`].
    #[must_use]
    pub(crate) const fn clock_step(&self) -> Duration {
        Duration::from_secs(self.clock_step_seconds)
    }

    /// See [`Limits::module_call_seconds`].
    #[must_use]
    pub(crate) const fn module_call(&self) -> Duration {
        Duration::from_secs(self.module_call_seconds)
    }

    /// See [`Limits::restart_gap_days`].
    #[must_use]
    pub(crate) const fn restart_gap(&self) -> Duration {
        Duration::from_secs(self.restart_gap_days.saturating_mul(86_400))
    }
}

impl Config {
    /// Reads and checks a configuration file; relative paths in it are relative to its directory.
    ///
    /// # Errors
    /// When the file cannot be read or a key is unknown, missing or of another form.
    pub(crate) fn load(path: &Path) -> Result<(Self, Digest), KeeperError> {
        let text = std::fs::read_to_string(path).map_err(|cause| KeeperError::file(path, cause))?;
        let mut config: Self = strict_toml::parse(&path.display().to_string(), &text)?;
        let base = path.parent().unwrap_or(Path::new("."));
        for place in [
            &mut config.socket,
            &mut config.ledger,
            &mut config.token.module,
            &mut config.token.pin_file,
        ] {
            *place = base.join(&*place);
        }
        config.token.so_pin_file = config.token.so_pin_file.map(|p| base.join(p));
        if config.limits.module_call_seconds < 60 {
            return Err(KeeperError::Config(format!(
                "{}: limits.module_call_seconds: found {}; permitted: 60 or more, above the longest wait for a session",
                path.display(),
                config.limits.module_call_seconds
            )));
        }
        let mut names: Vec<_> = config
            .ca_keys
            .iter()
            .map(|k| &k.name)
            .chain([&config.checkpoint_key.name])
            .collect();
        names.sort();
        if let Some(twice) = names
            .windows(2)
            .find_map(|w| w.first().filter(|first| Some(*first) == w.get(1)))
        {
            return Err(KeeperError::Config(format!(
                "{}: ca_key.name: found `{twice}` twice; permitted: each name once",
                path.display()
            )));
        }
        Ok((config, Digest::of(text.as_bytes())))
    }
}
