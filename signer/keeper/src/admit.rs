//! The part of the judgement that looks at the state, under the append lock, and what the record changes in it.

use std::collections::HashSet;
use std::sync::Arc;

use stele_core::authority::texts::{KeyText, Remaining};
use stele_core::crl::CrlView;
use stele_core::record::{
    Authority, Body, BundleAdopted, Failed, FreezeTarget, Halted, Intent, Issued, KeyDestroyed, KeyRole, Purpose,
    Revocation, Successor, Unknown,
};
use stele_core::tbs::assemble;
use stele_core::types::{Digest, KeyName, Time};
use stele_ledger::{Change, Ledger};

use crate::error::KeeperError;
use crate::examine::{Asker, Examined, Facts, IntentFacts, require};
use crate::live::{Live, LiveIntents, Phase};
use crate::state::{Adopted, Gone, HeldKey, OpenIntent, SerialUse, State, closed_epoch, get, pair, put, table};

/// RFC 5280 has no reason for "may exist, nobody knows"; `unspecified` says the least.
const UNKNOWN_REASON: u8 = 0;

/// Judges `examined` against the state and returns what it changes there. The mirror is changed already; when the
/// append then fails, the mirror is read again from the store.
///
/// # Errors
/// When it may not be appended now.
pub(crate) fn admit(
    state: &mut State,
    ledger: &Ledger,
    lives: &LiveIntents,
    examined: &Examined,
    index: u64,
    time: Time,
) -> Result<Vec<Change>, KeeperError> {
    if let Some(successor) = &state.closed {
        return Err(closed_epoch(successor).into());
    }
    let mut changes = match (&examined.body, &examined.facts) {
        (Body::Intent(intent), Facts::Intent(facts)) => {
            intent_changes(state, ledger, intent, facts, examined.asker, index, time)?
        }
        (Body::Issued(issued), Facts::Issued(whole)) => issued_changes(state, lives, issued, whole)?,
        (Body::Failed(failed), _) => failed_changes(state, lives, failed)?,
        (Body::Unknown(unknown), _) => unknown_changes(state, unknown, time)?,
        (Body::BundleAdopted(adopted), Facts::Bundle(bundle, texts)) => {
            bundle_changes(state, adopted, bundle, texts.origin.clone(), index)?
        }
        (Body::Plan(_), Facts::Plan) => vec![put(table::PLAN, index.to_be_bytes().to_vec(), &())?],
        (Body::CaCertificate(ca), Facts::Ca(facts)) => {
            state.cas.insert(ca.key.clone(), facts.clone());
            vec![put(table::CA, ca.key.as_str().into(), facts)?]
        }
        (Body::Revocation(revocation), facts) => revocation_changes(state, ledger, revocation, facts, index, time)?,
        (Body::Freeze(freeze), _) => {
            state.frozen.insert(freeze.target.clone());
            vec![put(table::FROZEN, frozen_key(&freeze.target)?, &index)?]
        }
        (Body::Unfreeze(unfreeze), Facts::Texts(texts)) => {
            require(state.frozen.remove(&unfreeze.target), "unfreeze.target is not frozen")?;
            let mut changes = use_texts(state, ledger, texts, index)?;
            changes.push(Change::Delete {
                table: table::FROZEN,
                key: frozen_key(&unfreeze.target)?,
            });
            changes
        }
        (Body::Recovery(recovery), Facts::Texts(texts)) => {
            let mut changes = use_texts(state, ledger, texts, index)?;
            changes.extend(recovered(state, &recovery.action));
            changes
        }
        (Body::Halted(halted), _) => halted_changes(state, halted, index)?,
        (Body::EpochClosed(closed), Facts::Texts(texts)) => {
            close_changes(state, ledger, &closed.successor, texts, index)?
        }
        (Body::KeyDestroyed(destroyed), Facts::Key(text, texts)) => {
            destroy_changes(state, ledger, destroyed, text, texts, index, time)?
        }
        (Body::KeyGenerated(key), Facts::Key(_, texts)) => {
            require(!state.keys.contains_key(&key.key), "key_generated.key exists already")?;
            let mut changes = use_texts(state, ledger, texts, index)?;
            let held = HeldKey::of(key);
            changes.push(put(table::KEY, key.key.as_str().into(), &held)?);
            state.keys.insert(key.key.clone(), held);
            changes
        }
        _ => Vec::new(),
    };
    state.note_fresh(&changes);
    state.last_time = time;
    changes.push(put(table::META, b"last_time".to_vec(), &time)?);
    Ok(changes)
}

/// The key of a freeze in its table.
///
/// # Errors
/// When it cannot be encoded.
pub(crate) fn frozen_key(target: &FreezeTarget) -> Result<Vec<u8>, KeeperError> {
    serde_json::to_vec(target).map_err(|e| KeeperError::Refused(e.to_string()))
}

/// Uses signed texts up: each serves once, for ever.
fn use_texts(state: &State, ledger: &Ledger, texts: &[Digest], index: u64) -> Result<Vec<Change>, KeeperError> {
    texts
        .iter()
        .map(|digest| {
            require(
                !state.is_taken(ledger, table::USED, &digest.0)?,
                "a signed text was used before; each serves once",
            )?;
            put(table::USED, digest.0.to_vec(), &index)
        })
        .collect()
}

/// What must hold both when the intent is appended and when it is signed.
///
/// # Errors
/// When it does not hold now.
pub(crate) fn still_permitted(
    intent: &Intent,
    bundle: Option<Digest>,
    frozen: &HashSet<FreezeTarget>,
) -> Result<(), KeeperError> {
    require(
        intent.bundle == bundle,
        "intent.bundle is not the newest authority bundle; the request is judged anew as a new attempt",
    )?;
    // A frozen key signs CRLs still.
    if intent.purpose == Purpose::Crl {
        return Ok(());
    }
    let targets = [
        Some(FreezeTarget::Issuer(intent.key.clone())),
        intent.profile.as_ref().map(|p| FreezeTarget::Profile(p.name.clone())),
        Some(FreezeTarget::Caller(intent.request.caller.clone())),
    ];
    match targets.iter().flatten().find(|t| frozen.contains(t)) {
        Some(target) => Err(KeeperError::refused(format!(
            "{target:?} is frozen; the quorum can lift it with `stele-signer apply`"
        ))),
        None => Ok(()),
    }
}

/// What a CRL must list both when its intent is appended and when it is signed.
///
/// # Errors
/// When it leaves a serial out, or changes its date or reason.
pub(crate) fn still_complete(state: &State, key: &KeyName, crl: &CrlView, now: Time) -> Result<(), KeeperError> {
    for (serial, gone) in state.must_list(key, now) {
        let listed = crl.revoked.get(serial);
        require(
            listed.is_some_and(|r| r.date.secs() == gone.time.secs() && r.reason as u8 == gone.reason),
            format!("the CRL leaves out serial {serial} of {key}, or changes its date or reason"),
        )?;
    }
    Ok(())
}

fn intent_changes(
    state: &mut State,
    ledger: &Ledger,
    intent: &Intent,
    facts: &IntentFacts,
    asker: Asker,
    index: u64,
    now: Time,
) -> Result<Vec<Change>, KeeperError> {
    let held = state
        .keys
        .get(&intent.key)
        .filter(|held| !held.gone)
        .ok_or_else(|| KeeperError::refused(format!("intent.key: this keeper holds no key `{}`", intent.key)))?;
    require(
        held.role == KeyRole::Ca,
        "intent.key signs checkpoints and nothing else",
    )?;
    require(
        Digest::of(&held.spki.0) == intent.spki_sha256,
        "intent.spki_sha256 is not that of the key",
    )?;
    require(
        intent.algorithm.fits(held.algorithm),
        format!("intent.algorithm does not fit a key of {}", held.algorithm),
    )?;
    if asker != Asker::Init {
        still_permitted(intent, state.bundle_digest(), &state.frozen)?;
        if let Some(crl) = &facts.crl {
            still_complete(state, &intent.key, crl, now)?;
        }
    }
    let mut changes = use_texts(state, ledger, &facts.texts, index)?;
    if let Authority::Plan { plan, step } = intent.authority {
        let key = step_key(plan, step);
        require(
            !state.is_taken(ledger, table::STEP, &key)?,
            format!("step {step} of the plan at {plan} was used already"),
        )?;
        require(
            get::<()>(ledger, table::PLAN, &plan.to_be_bytes())?.is_some(),
            format!("there is no plan at {plan}"),
        )?;
        crate::policy::require_step(ledger, plan, step, intent)?;
        changes.push(put(table::STEP, key, &index)?);
    } else if let Some(view) = &facts.certificate {
        let issuer = state
            .cas
            .get(&intent.key)
            .ok_or_else(|| KeeperError::refused(format!("no certificate of `{}` is recorded", intent.key)))?;
        require(
            issuer.subject_der.0 == view.issuer_der,
            "the TBS's issuer is not the subject of the key's certificate",
        )?;
        require(
            view.not_after <= issuer.not_after,
            "the TBS outlives its issuer's certificate",
        )?;
    }
    if let (Some(serial), Some(not_after)) = (&intent.serial, intent.not_after) {
        let key = pair(intent.key.as_str(), serial.as_bytes());
        require(
            !state.is_taken(ledger, table::SERIAL, &key)?,
            format!("intent.serial: {serial} was used before with this key"),
        )?;
        changes.push(put(
            table::SERIAL,
            key,
            &SerialUse {
                intent: index,
                purpose: intent.purpose,
                not_after,
            },
        )?);
    }
    if let Some(crl) = &facts.crl {
        let next = state.crl_numbers.get(&intent.key).map_or(1, |n| n + 1);
        require(
            crl.number == next,
            format!("the CRL's number is {}; the next one is {next}", crl.number),
        )?;
        if let Some(ca) = state.cas.get(&intent.key) {
            require(
                ca.subject_der.0 == crl.issuer_der,
                "the CRL's issuer is not the subject of the key's certificate",
            )?;
        }
        state.crl_numbers.insert(intent.key.clone(), next);
        changes.push(put(table::CRL, intent.key.as_str().into(), &next)?);
    }
    let open = OpenIntent {
        key: intent.key.clone(),
        serial: intent.serial.clone(),
        not_after: intent.not_after,
    };
    changes.push(put(table::OPEN, index.to_be_bytes().to_vec(), &open)?);
    state.open.insert(index, open);
    Ok(changes)
}

/// The outcome must be on exactly what the key did.
fn issued_changes(
    state: &mut State,
    lives: &LiveIntents,
    issued: &Issued,
    whole: &[u8],
) -> Result<Vec<Change>, KeeperError> {
    let live = open_live(state, lives, issued.intent)?;
    let Phase::Signed(signature) = &live.phase else {
        return Err(KeeperError::refused(format!(
            "issued.intent: the key gave no signature for the intent at {}",
            issued.intent
        )));
    };
    let expected = assemble(&live.tbs, live.intent.algorithm, signature)?;
    require(
        expected == whole,
        "issued.signed is not the intent's TBS with the signature that the key gave",
    )?;
    let same = issued.request == live.intent.request
        && issued.purpose == live.intent.purpose
        && issued.key == live.intent.key
        && issued.serial == live.intent.serial;
    require(
        same,
        "issued.request, purpose, key and serial must be those of the intent",
    )?;
    let mut changes = Vec::new();
    if issued.purpose == Purpose::Root {
        let (view, ..) = stele_core::tbs::parse_certificate(whole)?;
        let facts = crate::state::CaFacts {
            subject_der: view.subject_der.into(),
            not_after: view.not_after,
        };
        changes.push(put(table::CA, issued.key.as_str().into(), &facts)?);
        state.cas.insert(issued.key.clone(), facts);
    }
    changes.push(close(state, issued.intent));
    Ok(changes)
}

fn failed_changes(state: &mut State, lives: &LiveIntents, failed: &Failed) -> Result<Vec<Change>, KeeperError> {
    let live = open_live(state, lives, failed.intent)?;
    require(
        matches!(live.phase, Phase::Fresh | Phase::NotSigned),
        format!(
            "failed.intent: the key was called for the intent at {}, so it did not simply fail",
            failed.intent
        ),
    )?;
    let mut changes = vec![close(state, failed.intent)];
    // The key was not called, so a ceremony may try its step again, with the serial that was drawn for it.
    if let Authority::Plan { plan, step } = live.intent.authority {
        let key = step_key(plan, step);
        changes.push(Change::Delete {
            table: table::STEP,
            key,
        });
        if let Some(serial) = &live.intent.serial {
            let key = pair(live.intent.key.as_str(), serial.as_bytes());
            changes.push(Change::Delete {
                table: table::SERIAL,
                key,
            });
        }
    }
    Ok(changes)
}

fn step_key(plan: u64, step: u32) -> Vec<u8> {
    [plan.to_be_bytes().as_slice(), &step.to_be_bytes()].concat()
}

/// The end of the epoch: no intent may be open, for its outcome could not be recorded any more.
fn close_changes(
    state: &mut State,
    ledger: &Ledger,
    successor: &Successor,
    texts: &[Digest],
    index: u64,
) -> Result<Vec<Change>, KeeperError> {
    if !state.open.is_empty() {
        return Err(KeeperError::Busy(format!(
            "{} intents have no outcome yet; apply the file again when they have",
            state.open.len()
        )));
    }
    require(
        successor.origin != state.genesis.origin,
        "epoch_closed.successor has this log's own origin; each epoch has its own",
    )?;
    let mut changes = use_texts(state, ledger, texts, index)?;
    changes.push(put(table::META, b"closed".to_vec(), successor)?);
    state.closed = Some(successor.clone());
    Ok(changes)
}

/// A key that must still sign CRLs stays, unless the operators say that its certificates are abandoned.
fn destroy_changes(
    state: &mut State,
    ledger: &Ledger,
    destroyed: &KeyDestroyed,
    text: &KeyText,
    texts: &[Digest],
    index: u64,
    now: Time,
) -> Result<Vec<Change>, KeeperError> {
    let held = state
        .keys
        .get(&destroyed.key)
        .filter(|held| !held.gone && held.role == KeyRole::Ca)
        .ok_or_else(|| KeeperError::refused(format!("this keeper holds no CA key `{}`", destroyed.key)))?;
    require(
        Digest::of(&held.spki.0) == destroyed.spki_sha256,
        "key_destroyed.spki_sha256 is not that of the key",
    )?;
    require(
        state.open.values().all(|open| open.key != destroyed.key),
        "an intent with this key has no outcome yet",
    )?;
    if text.certificates == Remaining::Expired {
        let used = ledger.scan_state(table::SERIAL, &pair(destroyed.key.as_str(), b""))?;
        let uses = used
            .iter()
            .map(|(_, value)| crate::state::decode::<SerialUse>(table::SERIAL, value));
        let unexpired = uses
            .filter(|used| used.as_ref().is_ok_and(|used| used.not_after >= now))
            .count();
        require(
            unexpired == 0,
            format!(
                "`{}` must still sign CRLs: {unexpired} of its certificates have not expired; wait, or sign a text that \
                 says `certificates: abandoned`",
                destroyed.key
            ),
        )?;
    }
    let held = HeldKey {
        gone: true,
        ..held.clone()
    };
    let mut changes = use_texts(state, ledger, texts, index)?;
    changes.push(put(table::KEY, destroyed.key.as_str().into(), &held)?);
    state.keys.insert(destroyed.key.clone(), held);
    Ok(changes)
}

fn unknown_changes(state: &mut State, unknown: &Unknown, time: Time) -> Result<Vec<Change>, KeeperError> {
    require(
        state.open.contains_key(&unknown.intent),
        format!("the intent at {} has an outcome already", unknown.intent),
    )?;
    let mut changes = vec![close(state, unknown.intent)];
    if let (Some(serial), Some(not_after)) = (&unknown.serial, unknown.not_after) {
        let gone = Gone {
            time,
            reason: UNKNOWN_REASON,
            not_after,
        };
        changes.push(put(table::GONE, pair(unknown.key.as_str(), serial.as_bytes()), &gone)?);
        state.gone.insert((unknown.key.clone(), serial.clone()), gone);
    }
    Ok(changes)
}

fn open_live(state: &State, lives: &LiveIntents, intent: u64) -> Result<Live, KeeperError> {
    let live = lives.get(intent).filter(|_| state.open.contains_key(&intent));
    live.ok_or_else(|| KeeperError::refused(format!("record {intent} is no open intent of this life of the keeper")))
}

fn close(state: &mut State, intent: u64) -> Change {
    state.open.remove(&intent);
    Change::Delete {
        table: table::OPEN,
        key: intent.to_be_bytes().to_vec(),
    }
}

fn bundle_changes(
    state: &mut State,
    adopted: &BundleAdopted,
    bundle: &stele_core::authority::Bundle,
    origin: stele_core::types::Origin,
    index: u64,
) -> Result<Vec<Change>, KeeperError> {
    require(
        bundle.predecessor() == state.bundle_digest(),
        "bundle_adopted.predecessor is not the newest bundle",
    )?;
    let number = state.bundle.as_ref().map_or(0, |a| a.bundle.number() + 1);
    require(
        adopted.number == number,
        format!("bundle_adopted.number is {}; the next one is {number}", adopted.number),
    )?;
    let mut changes = vec![put(table::META, b"bundle".to_vec(), &index)?];
    if state.authority_origin.is_none() {
        changes.push(put(table::META, b"authority_origin".to_vec(), &origin)?);
        state.authority_origin = Some(origin);
    }
    state.bundle = Some(Arc::new(Adopted {
        index,
        bundle: bundle.clone(),
    }));
    Ok(changes)
}

/// The key of the halt in the state.
const HALTED: &[u8] = b"halted";

fn halted_changes(state: &mut State, halted: &Halted, index: u64) -> Result<Vec<Change>, KeeperError> {
    let why = format!(
        "witnesses: {} (record {index}); find out which history is true; where it is this one, operators confirm it with \
         a `history` recovery",
        halted.found
    );
    let change = put(table::META, HALTED.to_vec(), &why)?;
    state.halted = Some(why);
    Ok(vec![change])
}

/// What a recovery ends.
fn recovered(state: &mut State, action: &str) -> Option<Change> {
    (action == "history" && state.halted.take().is_some()).then(|| Change::Delete {
        table: table::META,
        key: HALTED.to_vec(),
    })
}

fn revocation_changes(
    state: &mut State,
    ledger: &Ledger,
    revocation: &Revocation,
    facts: &Facts,
    index: u64,
    time: Time,
) -> Result<Vec<Change>, KeeperError> {
    let key = pair(revocation.key.as_str(), revocation.serial.as_bytes());
    let used: SerialUse = get(ledger, table::SERIAL, &key)?.ok_or_else(|| {
        KeeperError::refused(format!(
            "revocation.serial: `{}` issued no {}",
            revocation.key, revocation.serial
        ))
    })?;
    require(
        used.not_after == revocation.not_after,
        "revocation.not_after is not that of the certificate",
    )?;
    let place = (revocation.key.clone(), revocation.serial.clone());
    require(
        !state.gone.contains_key(&place),
        "revocation.serial is revoked already, or listed as unknown",
    )?;
    let mut changes = match (used.purpose, facts) {
        (Purpose::Leaf, _) => Vec::new(),
        (_, Facts::Texts(texts)) => use_texts(state, ledger, texts, index)?,
        _ => {
            return Err(KeeperError::refused(
                "a CA certificate is revoked by the quorum's signed texts only",
            ));
        }
    };
    let gone = Gone {
        time,
        reason: revocation.reason as u8,
        not_after: revocation.not_after,
    };
    changes.push(put(table::GONE, key, &gone)?);
    state.gone.insert(place, gone);
    Ok(changes)
}
