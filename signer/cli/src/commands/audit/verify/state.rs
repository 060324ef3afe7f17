//! What an auditor remembers of a verification: which logs, how long, and their roots.
//!
//! Nothing but the auditor's own disk vouches for the file. It is small and readable, and holds no judgement: the root
//! proves that the entries are the very bytes that were verified, and whatever the new part depends on (serials, open
//! intents, the bundle) is read from them again.

use std::path::Path;

use serde::{Deserialize, Serialize};
use stele_core::checkpoint::{Checkpoint, NoteVerifier};
use stele_core::merkle::Hash;
use stele_core::types::{Origin, Time};

use super::chain::Chain;
use crate::error::CliError;
use crate::{clock, files};

/// The state file.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::commands::audit) struct State {
    /// Version of this form.
    stele_audit_state: u8,
    /// When the logs were verified, by this machine's clock.
    verified_at: Option<Time>,
    logs: Vec<Known>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Known {
    vkey: String,
    origin: Origin,
    size: u64,
    root: Hash,
}

const VERSION: u8 = 1;

impl State {
    /// Reads a state file.
    pub(super) fn read(path: &Path) -> Result<Self, CliError> {
        let state: Self = serde_json::from_slice(&files::read(path)?).map_err(|e| CliError::content(path, e))?;
        if state.stele_audit_state != VERSION {
            let found = state.stele_audit_state;
            return Err(CliError::content(
                path,
                format!("found version {found} of a state; permitted: {VERSION}"),
            ));
        }
        Ok(state)
    }

    /// Refuses to replace anything but a state.
    pub(super) fn require_replaceable(path: &Path) -> Result<(), CliError> {
        if path.symlink_metadata().is_ok() {
            Self::read(path)?;
        }
        Ok(())
    }

    /// What there is to remember of logs without a finding.
    pub(super) fn of(chain: &Chain) -> Self {
        let known = |log: &super::Verified| {
            let origin = log.report.origin.parse().ok()?;
            let (vkey, size, root) = (log.verifier.to_string(), log.report.size, log.report.root);
            Some(Known {
                vkey,
                origin,
                size,
                root,
            })
        };
        Self {
            stele_audit_state: VERSION,
            verified_at: Some(clock::now()),
            logs: chain.logs.iter().filter_map(known).collect(),
        }
    }

    /// Writes it, instead of an older one.
    pub(super) fn write(&self, path: &Path) -> Result<(), CliError> {
        let mut text = serde_json::to_string_pretty(self).map_err(|e| CliError::Defect(e.to_string()))?;
        text.push('\n');
        files::replace(path, text.as_bytes())
    }

    /// What is known of the log of this name.
    pub(super) fn log(&self, key: &NoteVerifier) -> Result<Option<Checkpoint>, CliError> {
        let Some(known) = self.logs.iter().find(|known| known.origin.as_str() == key.name()) else {
            return Ok(None);
        };
        if known.vkey != key.to_string() {
            let words = format!(
                "the state knows {} by the verifier key {}, not {key}",
                known.origin, known.vkey
            );
            return Err(CliError::Refused(words));
        }
        Ok(Some(Checkpoint {
            origin: known.origin.clone(),
            size: known.size,
            root: known.root,
        }))
    }
}
