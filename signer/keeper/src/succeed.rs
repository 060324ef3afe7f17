//! A log that continues another: `stele-keeper prepare` makes its checkpoint key, `stele-keeper init --successor-of`
//! its first records. It opens no bootstrap: the quorum of the log before signed everything that it begins with.

use std::path::Path;

use stele_core::authority::signed_file::{SignedFile, Subject};
use stele_core::ceremony::CeremonyFile as _;
use stele_core::epoch::{CarriedCa, CarryOver, CheckedCarryOver, Prepared, VERSION};
use stele_core::record::{
    Authority, Body, CaCertificate, CarriedOver, Genesis, KeyRole, LogPurpose, Payload, Purpose, Record, TokenLogin,
};
use stele_core::tbs::parse_certificate;
use stele_core::types::{B64, Digest, SignedText, Time, hex, unhex};
use stele_hsm::{Token, TokenKey, init_token};
use stele_ledger::{Change, Ledger};

use crate::config::Config;
use crate::error::KeeperError;
use crate::examine::{ca_facts, require};
use crate::init::{SOFTWARE, create_new, describe, now, refuse_existing, spec};
use crate::keeper::Keeper;
use crate::key_order::generated;
use crate::key_order::vkey_of;
use crate::policy;
use crate::starting::origin_of;
use crate::state::{Gone, HeldKey, SerialUse, pair, put, table};

/// Makes the checkpoint key of a log that is to continue another, in a new token or in the one that stays.
///
/// # Errors
/// When anything of it exists already, the configuration names CA keys, or the token fails.
pub(crate) fn prepare(config: &Config, new_token: bool, out: &Path) -> Result<(), KeeperError> {
    refuse_existing(config, Some(out))?;
    refuse_ca_keys(config)?;
    let pin = crate::pin::read(&config.token.pin_file)?;
    if new_token {
        let so_pin = crate::pin::read_so(config)?;
        let info = init_token(&config.token.module, &config.token.label, &so_pin, &pin)?;
        tracing::info!(label = %info.label, serial = %info.serial, "the token is initialised");
    }
    let token = crate::pin::open_token(config, &spec(config, None), &pin)?;
    let key = token.generate(&config.checkpoint_key.name, config.checkpoint_key.algorithm)?;
    let prepared = Prepared {
        v: VERSION,
        origin: config.origin.clone(),
        vkey: vkey_of(&config.origin, &key)?,
        key: key.name.clone(),
        algorithm: key.algorithm,
        spki: key.spki_der.clone().into(),
        cka_id: hex(&key.cka_id),
    };
    create_new(out, &prepared.encode()?)
}

/// A successor's CA keys are those that it takes over; others are made later, under the quorum's texts.
fn refuse_ca_keys(config: &Config) -> Result<(), KeeperError> {
    match config.ca_keys.first() {
        None => Ok(()),
        Some(key) => Err(KeeperError::Config(format!(
            "ca_key: found `{}`; permitted: none, in a log that continues another; it takes over the CA keys, and new \
             ones are generated under the quorum's texts of kind stele-key-v1",
            key.name
        ))),
    }
}

/// Begins the log that a signed carry-over names.
///
/// # Errors
/// When the file, its signatures, the configuration's `first_bundle` or the token do not fit.
pub(crate) fn init(config: &Config, file: &Path) -> Result<(), KeeperError> {
    refuse_existing(config, None)?;
    refuse_ca_keys(config)?;
    require(
        config.purpose == LogPurpose::Signer,
        "purpose: found ceremony; permitted: signer, for a log that continues another",
    )?;
    let bytes = std::fs::read(file).map_err(|cause| KeeperError::file(file, cause))?;
    let (carried, texts) = read(&bytes)?;
    let carry = CarryOver::decode(carried.as_bytes())?;
    let checked = carry.check()?;
    let time = judge(config, &carry, &checked, Digest::of(carried.as_bytes()), &texts)?;
    let pin = crate::pin::read(&config.token.pin_file)?;
    let token = crate::pin::open_token(config, &spec(config, None), &pin)?;
    let checkpoint_key = find(&token, &carry)?;
    let draft = draft(
        &carry,
        &checked,
        carried.as_bytes(),
        &texts,
        (&token, &checkpoint_key),
        time,
    )?;
    Ledger::create(&config.ledger)?.append(&draft.records, &draft.changes)?;
    let (keeper, threads) = Keeper::open(config, token, Ledger::open(&config.ledger)?)?;
    let note = keeper.checkpoint();
    keeper.close(threads);
    note.map(drop)
}

fn read(bytes: &[u8]) -> Result<(String, Vec<SignedText>), KeeperError> {
    let file = SignedFile::decode(bytes)?;
    file.check()?;
    match file.subject {
        Subject::Succession(carried) => Ok((carried, file.texts)),
        other => Err(KeeperError::refused(format!(
            "the file is a signed {}; permitted: a signed succession",
            other.name()
        ))),
    }
}

/// The carry-over is for this configuration, under the bundle that the administrator names, signed by its quorum.
fn judge(
    config: &Config,
    carry: &CarryOver,
    checked: &CheckedCarryOver,
    sha256: Digest,
    texts: &[SignedText],
) -> Result<Time, KeeperError> {
    require(
        carry.successor.origin == config.origin && carry.successor.key == config.checkpoint_key.name,
        format!(
            "origin and checkpoint_key: the carry-over is for `{}` and `{}`, not `{}` and `{}`",
            carry.successor.origin, carry.successor.key, config.origin, config.checkpoint_key.name
        ),
    )?;
    let expected = config.first_bundle.ok_or_else(|| {
        KeeperError::refused(
            "first_bundle: not set in the keeper's configuration; it is the digest of the newest bundle of the log before",
        )
    })?;
    require(
        expected == checked.bundle.digest(),
        format!(
            "the carry-over brings the bundle {}, not {expected} as the configuration's first_bundle says",
            checked.bundle.digest()
        ),
    )?;
    let time = now()?;
    if time < carry.time {
        return Err(KeeperError::ClockStopped(format!(
            "the clock says {time}, before the last record of the log before ({}); set it right",
            carry.time
        )));
    }
    policy::examine_succession(carry, sha256, &checked.bundle, texts, time)?;
    Ok(time)
}

/// The checkpoint key that was prepared; and every CA key that goes on is really here.
fn find(token: &Token, carry: &CarryOver) -> Result<TokenKey, KeeperError> {
    let prepared = &carry.successor;
    let id = unhex("cka_id", &prepared.cka_id)?;
    let key = token.find(&prepared.key, &id, Digest::of(&prepared.spki.0))?;
    for carried in carry.keys.iter().filter(|key| key.held) {
        let id = unhex("cka_id", &carried.cka_id)?;
        token.find_of_origin(
            &carried.key,
            &id,
            Digest::of(&carried.spki.0),
            origin_of(&carried.provenance)?,
        )?;
    }
    Ok(key)
}

/// The first records, with the state that they make: all of it is one transaction.
struct Draft {
    time: Time,
    records: Vec<Vec<u8>>,
    changes: Vec<Change>,
}

impl Draft {
    fn push(&mut self, body: Body) -> Result<u64, KeeperError> {
        let index = self.records.len() as u64;
        let time = self.time;
        self.records.push(Record { index, time, body }.encode()?);
        Ok(index)
    }

    fn payload(&mut self, whole: &[u8]) -> Result<Payload, KeeperError> {
        let at = Payload::split(whole)
            .into_iter()
            .map(|chunk| self.push(Body::Chunk(chunk)))
            .collect::<Result<_, _>>()?;
        Ok(Payload::of(whole, at))
    }

    fn put<T: serde::Serialize>(&mut self, table: &'static str, key: Vec<u8>, value: &T) -> Result<(), KeeperError> {
        self.changes.push(put(table, key, value)?);
        Ok(())
    }
}

fn draft(
    carry: &CarryOver,
    checked: &CheckedCarryOver,
    carried: &[u8],
    texts: &[SignedText],
    (token, checkpoint_key): (&Token, &TokenKey),
    time: Time,
) -> Result<Draft, KeeperError> {
    let mut draft = Draft {
        time,
        records: Vec::new(),
        changes: Vec::new(),
    };
    let description = describe(token.info());
    draft.push(Body::Genesis(Genesis {
        origin: carry.successor.origin.clone(),
        vkey: carry.successor.vkey.clone(),
        purpose: LogPurpose::Signer,
        predecessor: Some(carry.predecessor(Digest::of(carried), texts.to_vec())),
        token: description.clone(),
        software: SOFTWARE.to_owned(),
    }))?;
    draft.push(Body::TokenLogin(TokenLogin {
        token: description,
        outcome: "ok".to_owned(),
    }))?;
    let payload = draft.payload(carried)?;
    let index = draft.push(Body::CarriedOver(CarriedOver { carry_over: payload }))?;
    take_over(&mut draft, carry, index)?;
    let generated = generated(checkpoint_key, KeyRole::Checkpoint, Authority::Succession);
    let held = HeldKey::of(&generated);
    draft.put(table::KEY, generated.key.as_str().into(), &held)?;
    draft.push(Body::KeyGenerated(generated))?;
    for ca in &carry.cas {
        certificate(&mut draft, ca, checked)?;
    }
    draft.put(table::META, b"last_time".to_vec(), &time)?;
    Ok(draft)
}

/// What the keeper judges by, as the carry-over has it.
fn take_over(draft: &mut Draft, carry: &CarryOver, index: u64) -> Result<(), KeeperError> {
    draft.put(table::META, b"bundle".to_vec(), &index)?;
    draft.put(table::META, b"authority_origin".to_vec(), &carry.authority_origin)?;
    for key in &carry.keys {
        let held = HeldKey {
            role: KeyRole::Ca,
            algorithm: key.algorithm,
            cka_id: key.cka_id.clone(),
            spki: key.spki.clone(),
            provenance: key.provenance.clone(),
            gone: !key.held,
        };
        draft.put(table::KEY, key.key.as_str().into(), &held)?;
    }
    for (key, number) in &carry.crl_numbers {
        draft.put(table::CRL, key.as_str().into(), number)?;
    }
    for target in &carry.frozen {
        draft.put(table::FROZEN, crate::admit::frozen_key(target)?, &index)?;
    }
    for gone in &carry.gone {
        let value = Gone {
            time: gone.time,
            reason: gone.reason,
            not_after: gone.not_after,
        };
        draft.put(table::GONE, pair(gone.key.as_str(), gone.serial.as_bytes()), &value)?;
    }
    for used in &carry.serials {
        let value = SerialUse {
            intent: index,
            purpose: if used.ca { Purpose::Intermediate } else { Purpose::Leaf },
            not_after: used.not_after,
        };
        draft.put(table::SERIAL, pair(used.key.as_str(), used.serial.as_bytes()), &value)?;
    }
    Ok(())
}

/// A CA certificate, as the import of a hand-over would record it.
fn certificate(draft: &mut Draft, ca: &CarriedCa, checked: &CheckedCarryOver) -> Result<(), KeeperError> {
    let crl = ca.crl.as_ref().map(|B64(der)| draft.payload(der)).transpose()?;
    let (view, ..) = parse_certificate(&ca.certificate.0)?;
    let body = CaCertificate {
        key: ca.key.clone(),
        spki_sha256: Digest::of(&view.spki_der),
        certificate: ca.certificate.clone(),
        chain: ca.chain.clone(),
        crl,
    };
    let facts = ca_facts(&body, &checked.bundle)?;
    draft.put(table::CA, ca.key.as_str().into(), &facts)?;
    draft.push(Body::CaCertificate(body)).map(drop)
}
