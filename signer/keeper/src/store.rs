//! What is done with the log's file beside a running keeper: it is copied, exported, and asked for its CSRs.

use std::collections::BTreeMap;
use std::path::Path;

use stele_core::ceremony::{CeremonyFile as _, RequestedKey, SignerRequest, VERSION};
use stele_core::record::{Body, Genesis, Payload, Purpose, Record};
use stele_core::types::{B64, Digest, KeyName};
use stele_ledger::LedgerReader;

use crate::config::Config;
use crate::error::KeeperError;
use crate::init::create_new;

/// Entries that are read at once.
const PAGE: u64 = 1024;

/// Copies the log, whole and durable, into a new file.
///
/// # Errors
/// When there is no log, or a file in the way.
pub(crate) fn backup(config: &Config, file: &Path) -> Result<(), KeeperError> {
    let size = LedgerReader::open(&config.ledger)?.backup(file)?;
    println!("{}: {size} records", file.display());
    Ok(())
}

/// Exports the log up to its newest stored checkpoint.
///
/// # Errors
/// When there is no log or no checkpoint, or an older export there contradicts it.
pub(crate) fn export(config: &Config, directory: &Path) -> Result<(), KeeperError> {
    let reader = LedgerReader::open(&config.ledger)?;
    let (size, note) = newest(&reader)?;
    stele_ledger::export(&reader, size, &note, directory)?;
    println!("{}: {size} of {} records", directory.display(), reader.size()?);
    Ok(())
}

fn newest(reader: &LedgerReader) -> Result<(u64, String), KeeperError> {
    reader
        .checkpoint()?
        .ok_or_else(|| KeeperError::Stopped("the log has no stored checkpoint; start the keeper once".to_owned()))
}

/// Writes what a ceremony needs to certify the keys that the log has by now.
///
/// # Errors
/// When there is no log or no checkpoint, or a file in the way.
pub(crate) fn request(config: &Config, out: &Path) -> Result<(), KeeperError> {
    let reader = LedgerReader::open(&config.ledger)?;
    let (_, checkpoint) = newest(&reader)?;
    let Body::Genesis(Genesis { origin, vkey, .. }) = Record::decode(&reader.entry(0)?)?.body else {
        return Err(KeeperError::Stopped(
            "record 0 is no genesis: this is no log of a keeper".to_owned(),
        ));
    };
    let request = SignerRequest {
        v: VERSION,
        origin,
        vkey,
        checkpoint,
        keys: csrs(&reader)?.into_values().collect(),
        later: None,
    };
    create_new(out, &request.encode()?)
}

/// The newest CSR of each key that was not destroyed.
fn csrs(reader: &LedgerReader) -> Result<BTreeMap<KeyName, RequestedKey>, KeeperError> {
    let (mut found, mut spki) = (BTreeMap::new(), BTreeMap::new());
    let size = reader.size()?;
    for start in (0..size).step_by(usize::try_from(PAGE).unwrap_or(1)) {
        for entry in reader.entries(start..size.min(start + PAGE))? {
            // A log has millions of records and a few CSRs: the words are looked for before the record is read.
            let has = |words: &[u8]| entry.windows(words.len()).any(|w| w == words);
            if !(has(b"\"kind\":\"key_") || has(b"\"kind\":\"issued\"") && has(b"\"purpose\":\"csr\"")) {
                continue;
            }
            match Record::decode(&entry)?.body {
                Body::KeyGenerated(key) => {
                    spki.insert(key.key, key.spki_sha256);
                }
                Body::KeyDestroyed(key) => {
                    found.remove(&key.key);
                }
                Body::Issued(issued) if issued.purpose == Purpose::Csr => {
                    if let (Payload::Inline(B64(csr)), Some(spki_sha256)) = (&issued.signed, spki.get(&issued.key)) {
                        found.insert(issued.key.clone(), requested(&issued.key, *spki_sha256, csr));
                    }
                }
                _ => {}
            }
        }
    }
    Ok(found)
}

fn requested(key: &KeyName, spki_sha256: Digest, csr: &[u8]) -> RequestedKey {
    RequestedKey {
        key: key.clone(),
        spki_sha256,
        csr: csr.to_vec().into(),
    }
}
