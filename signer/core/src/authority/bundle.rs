//! The bundle's one canonical form: numbered, naming its predecessor, holding every file whole.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Authority;
use super::validate::validate;
use crate::error::Error;
use crate::types::Digest;

/// The largest bundle that is read, in bytes.
const MAX_BYTES: usize = 4 << 20;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    v: u32,
    number: u64,
    predecessor: Option<Digest>,
    files: Vec<WireFile>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireFile {
    name: String,
    content: String,
}

/// A bundle whose content was checked. Who signed it is the keeper's question, not answered here.
#[derive(Clone, Debug)]
pub struct Bundle {
    number: u64,
    predecessor: Option<Digest>,
    files: BTreeMap<String, String>,
    bytes: Vec<u8>,
    digest: Digest,
    authority: Authority,
}

impl Bundle {
    /// Builds the bundle of a directory: file names with `/`, relative to it, to their exact texts.
    ///
    /// # Errors
    /// Every fault in every file and between them.
    pub fn build(
        number: u64,
        predecessor: Option<Digest>,
        files: BTreeMap<String, String>,
    ) -> Result<Self, Vec<Error>> {
        if (number == 0) != predecessor.is_none() {
            return Err(vec![Error::malformed(
                "bundle",
                format!(
                    "number {number} {} a predecessor",
                    if predecessor.is_some() { "with" } else { "without" }
                ),
                "number 0 without a predecessor, or a later number with one",
            )]);
        }
        let authority = validate(&files)?;
        let wire = Wire {
            v: 1,
            number,
            predecessor,
            files: files
                .iter()
                .map(|(name, content)| WireFile {
                    name: name.clone(),
                    content: content.clone(),
                })
                .collect(),
        };
        let bytes = serde_json::to_vec(&wire)
            .map_err(|e| vec![Error::malformed("bundle", e.to_string(), "texts that JSON can carry")])?;
        if bytes.len() > MAX_BYTES {
            return Err(vec![Error::malformed(
                "bundle",
                format!("{} bytes", bytes.len()),
                format!("at most {MAX_BYTES}"),
            )]);
        }
        let digest = Digest::of(&bytes);
        Ok(Self {
            number,
            predecessor,
            files,
            bytes,
            digest,
            authority,
        })
    }

    /// Reads a bundle's bytes.
    ///
    /// # Errors
    /// When they are not exactly what [`Bundle::build`] makes of their content, or the content has faults.
    pub fn parse(bytes: &[u8]) -> Result<Self, Vec<Error>> {
        let bad = |found: String| {
            vec![Error::malformed(
                "bundle",
                found,
                "the canonical JSON of a bundle, version 1",
            )]
        };
        if bytes.len() > MAX_BYTES {
            return Err(bad(format!("{} bytes", bytes.len())));
        }
        let wire: Wire = serde_json::from_slice(bytes).map_err(|e| bad(e.to_string()))?;
        if wire.v != 1 {
            return Err(bad(format!("version {}", wire.v)));
        }
        let files = wire.files.into_iter().map(|f| (f.name, f.content)).collect();
        let bundle = Self::build(wire.number, wire.predecessor, files)?;
        if bundle.bytes != bytes {
            return Err(bad("another encoding of the same content".to_owned()));
        }
        Ok(bundle)
    }

    /// Lints samples of what each profile would issue, for a bundle that is new. An older one is not asked: its profiles
    /// were in force, whatever has become a lint since.
    ///
    /// # Errors
    /// Every lint that a sample breaks, with its profile.
    pub fn lint_samples(&self) -> Result<(), Vec<Error>> {
        let errors: Vec<Error> = self
            .authority
            .profiles()
            .values()
            .filter_map(|profile| Some((profile, crate::profile::lint_samples(profile).err()?)))
            .flat_map(|(profile, refusal)| {
                let file = format!("profiles/{}.toml", profile.name());
                let one = move |v: &crate::error::Violation| {
                    let place = format!("{file}: {} [{}]", v.field, v.rule);
                    Error::malformed(place, v.found.clone(), v.permitted.clone())
                };
                refusal.violations.iter().map(one).collect::<Vec<_>>()
            })
            .collect();
        if errors.is_empty() { Ok(()) } else { Err(errors) }
    }

    /// Its number: 0 for the first.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }
    /// The digest of the bundle before it.
    #[must_use]
    pub const fn predecessor(&self) -> Option<Digest> {
        self.predecessor
    }
    /// Its files.
    #[must_use]
    pub const fn files(&self) -> &BTreeMap<String, String> {
        &self.files
    }
    /// The canonical bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
    /// SHA-256 of the canonical bytes.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }
    /// What it says.
    #[must_use]
    pub const fn authority(&self) -> &Authority {
        &self.authority
    }
}
