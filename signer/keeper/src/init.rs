//! `stele-keeper init`: the token, the keys, record 0, and a CSR for each CA key, under the authority `bootstrap`.

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use stele_core::ceremony::{CeremonyFile as _, RequestedKey, SignerRequest, VERSION};
use stele_core::checkpoint::NoteVerifier;
use stele_core::record::{Authority, Body, Genesis, KeyRole, Record, TokenDescription, TokenLogin};
use stele_core::types::Time;
use stele_hsm::{Token, TokenInfo, TokenKey, TokenSpec, init_token};
use stele_ledger::Ledger;

use crate::clock::{Clock, Reading};
use crate::config::{CaKeyConfig, Config};
use crate::error::KeeperError;
use crate::examine::Asker;
use crate::keeper::Keeper;
use crate::key_order::{generated, request_csr};
use crate::state::{HeldKey, put, table};

/// How long a signature may wait for the token.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// Name and version of this software, as record 0 has it.
pub(crate) const SOFTWARE: &str = concat!("stele ", env!("CARGO_PKG_VERSION"));

/// What the log says of a token.
#[must_use]
pub(crate) fn describe(info: &TokenInfo) -> TokenDescription {
    TokenDescription {
        label: info.label.clone(),
        serial: info.serial.clone(),
        manufacturer: info.manufacturer.clone(),
        model: info.model.clone(),
        firmware: info.firmware.clone(),
    }
}

/// Makes token, keys and log; with `request_out`, writes what the ceremony needs.
///
/// # Errors
/// When anything of it exists already, or a step fails; what was made until then is named and left for inspection.
pub(crate) fn init(config: &Config, request_out: Option<&Path>) -> Result<(), KeeperError> {
    refuse_existing(config, request_out)?;
    let so_pin = crate::pin::read_so(config)?;
    let pin = crate::pin::read(&config.token.pin_file)?;
    let info = init_token(&config.token.module, &config.token.label, &so_pin, &pin)?;
    tracing::info!(label = %info.label, serial = %info.serial, "the token is initialised");
    let token = crate::pin::open_token(config, &spec(config, Some(info.serial.clone())), &pin)?;
    let checkpoint_key = token.generate(&config.checkpoint_key.name, config.checkpoint_key.algorithm)?;
    begin_log(config, &token, &checkpoint_key)?;
    let ledger = Ledger::open(&config.ledger)?;
    let ca_keys = config
        .ca_keys
        .iter()
        .map(|k| token.generate(&k.name, k.algorithm).map(|made| (k, made)))
        .collect::<Result<Vec<_>, _>>()?;
    let ledger = record_keys(ledger, &ca_keys)?;
    let (keeper, threads) = Keeper::open(config, token, ledger)?;
    let made = request_csrs(&keeper, &ca_keys).and_then(|keys| {
        let checkpoint = keeper.checkpoint()?;
        Ok(SignerRequest {
            v: VERSION,
            origin: keeper.genesis.origin.clone(),
            vkey: keeper.genesis.vkey.clone(),
            checkpoint,
            keys,
            later: None,
        })
    });
    keeper.close(threads);
    let request = made?.encode()?;
    match request_out {
        Some(path) => create_new(path, &request),
        None => Ok(()),
    }
}

/// Refuses to begin where something lies already.
///
/// # Errors
/// When there is a log, or a file in the way.
pub(crate) fn refuse_existing(config: &Config, out: Option<&Path>) -> Result<(), KeeperError> {
    if config.ledger.exists() {
        return Err(KeeperError::Config(format!(
            "ledger: {} exists already; init never touches a log",
            config.ledger.display()
        )));
    }
    match out.filter(|path| path.exists()) {
        Some(path) => Err(KeeperError::Config(format!(
            "{} exists already; nothing is overwritten",
            path.display()
        ))),
        None => Ok(()),
    }
}

/// Where the token is, with the serial that is known.
#[must_use]
pub(crate) fn spec(config: &Config, serial: Option<String>) -> TokenSpec {
    TokenSpec {
        module: config.token.module.clone(),
        label: config.token.label.clone(),
        serial: config.token.serial.clone().or(serial),
        sessions: config.token.sessions,
    }
}

/// The time.
///
/// # Errors
/// Never, for a clock that was just started.
pub(crate) fn now() -> Result<Time, KeeperError> {
    match Clock::start(Duration::MAX).read() {
        Reading::Good(now) => Ok(now),
        Reading::Stepped { .. } => Err(KeeperError::Stopped("the clock steps".to_owned())),
    }
}

/// Record 0, the log-in and the checkpoint key, in one transaction: without all three there is no log.
fn begin_log(config: &Config, token: &Token, key: &TokenKey) -> Result<(), KeeperError> {
    let vkey = NoteVerifier::for_key(&config.origin, &key.spki_der)?;
    let token = describe(token.info());
    let genesis = Genesis {
        origin: config.origin.clone(),
        vkey: vkey.to_string(),
        purpose: config.purpose,
        predecessor: None,
        token: token.clone(),
        software: SOFTWARE.to_owned(),
    };
    let bodies = [
        Body::Genesis(genesis),
        Body::TokenLogin(TokenLogin {
            token,
            outcome: "ok".to_owned(),
        }),
        Body::KeyGenerated(generated(key, KeyRole::Checkpoint, Authority::Bootstrap)),
    ];
    let mut ledger = Ledger::create(&config.ledger)?;
    append(&mut ledger, bodies.into(), &[(key, KeyRole::Checkpoint)])
}

fn record_keys(mut ledger: Ledger, keys: &[(&CaKeyConfig, TokenKey)]) -> Result<Ledger, KeeperError> {
    let bodies = keys
        .iter()
        .map(|(_, key)| Body::KeyGenerated(generated(key, KeyRole::Ca, Authority::Bootstrap)))
        .collect();
    let roles: Vec<_> = keys.iter().map(|(_, key)| (key, KeyRole::Ca)).collect();
    append(&mut ledger, bodies, &roles)?;
    Ok(ledger)
}

fn append(ledger: &mut Ledger, bodies: Vec<Body>, keys: &[(&TokenKey, KeyRole)]) -> Result<(), KeeperError> {
    let time = now()?;
    let records = (ledger.size()..)
        .zip(bodies)
        .map(|(index, body)| Ok(Record { index, time, body }.encode()?))
        .collect::<Result<Vec<_>, KeeperError>>()?;
    let mut changes = keys
        .iter()
        .map(|(key, role)| {
            let held = HeldKey::of(&generated(key, *role, Authority::Bootstrap));
            put(table::KEY, key.name.as_str().into(), &held)
        })
        .collect::<Result<Vec<_>, _>>()?;
    changes.push(put(table::META, b"last_time".to_vec(), &time)?);
    ledger.append(&records, &changes)?;
    Ok(())
}

/// A CSR for each CA key.
fn request_csrs(keeper: &Keeper, keys: &[(&CaKeyConfig, TokenKey)]) -> Result<Vec<RequestedKey>, KeeperError> {
    keys.iter()
        .map(|(config, key)| {
            let csr = request_csr(keeper, key, &config.common_name, Authority::Bootstrap, Asker::Init)?;
            Ok(RequestedKey {
                key: key.name.clone(),
                spki_sha256: key.spki_sha256(),
                csr: csr.into(),
            })
        })
        .collect()
}

/// Writes a new file, durably.
///
/// # Errors
/// When there is one, or it cannot be written.
pub(crate) fn create_new(path: &Path, bytes: &[u8]) -> Result<(), KeeperError> {
    let fail = |cause| KeeperError::file(path, cause);
    let mut file = std::fs::File::create_new(path).map_err(fail)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(fail)?;
    let parent = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    std::fs::File::open(parent)
        .and_then(|d| d.sync_all())
        .map_err(|cause| KeeperError::file(parent, cause))
}
