//! Keys that the quorum has made or destroyed while the keeper runs.

use stele_core::authority::texts::{KeyAction, KeyText};
use stele_core::checkpoint::NoteVerifier;
use stele_core::names::{Attribute, AttributeType, Subject};
use stele_core::record::{
    Authority, Body, Intent, Issued, KeyDestroyed, KeyGenerated, KeyRole, LogPurpose, Payload, Purpose, RequestRef,
};
use stele_core::tbs::{assemble_csr, csr_info};
use stele_core::types::{CallerSan, Digest, SignedText, hex};
use stele_hsm::TokenKey;

use crate::error::KeeperError;
use crate::examine::Asker;
use crate::init::DEADLINE;
use crate::keeper::Keeper;

/// What was done.
pub(crate) struct Done {
    /// Index of the record about the key.
    pub(crate) index: u64,
    /// The CSR of a new key.
    pub(crate) csr: Option<Vec<u8>>,
}

/// Does what operators' texts of kind `stele-key-v1` say.
///
/// # Errors
/// When the texts do not suffice, the state forbids it, or the token fails.
pub(crate) fn carry_out(keeper: &Keeper, texts: Vec<SignedText>) -> Result<Done, KeeperError> {
    if keeper.genesis.purpose != LogPurpose::Signer {
        return Err(KeeperError::refused("a ceremony's keys are made by its script"));
    }
    if let Some(stop) = keeper.stopped() {
        return Err(stop.into());
    }
    // Judged before the token is called; the record is judged again, in its turn.
    let text = keeper.examine_key(&texts)?;
    match text.action {
        KeyAction::Generate => generate(keeper, &text, texts),
        KeyAction::Destroy => destroy(keeper, &text, texts),
    }
}

fn generate(keeper: &Keeper, text: &KeyText, texts: Vec<SignedText>) -> Result<Done, KeeperError> {
    if keeper.knows_key(&text.key) {
        return Err(KeeperError::refused(format!(
            "key: the log had a key `{}` already; names are not used again",
            text.key
        )));
    }
    let watched = keeper.watch.begin("generate a key pair");
    let key = keeper.token().generate(&text.key, text.algorithm)?;
    drop(watched);
    let body = generated(&key, KeyRole::Ca, Authority::Approvals(texts));
    let at = match keeper.append(Body::KeyGenerated(body), Asker::Itself) {
        Ok(at) => at,
        Err(error) => {
            // No record names it, so it never was.
            if let Err(left) = keeper.token().destroy(&key) {
                tracing::error!(key = %key.name, %left, "a key that could not be recorded could not be destroyed either");
            }
            return Err(error);
        }
    };
    keeper.set_key(&text.key, Some(key.clone()));
    tracing::warn!(index = at.index, key = %key.name, "a key was generated under the quorum's texts");
    let csr = request_csr(keeper, &key, &text.words, Authority::Policy, Asker::Itself)?;
    Ok(Done {
        index: at.index,
        csr: Some(csr),
    })
}

fn destroy(keeper: &Keeper, text: &KeyText, texts: Vec<SignedText>) -> Result<Done, KeeperError> {
    let key = keeper.key(&text.key)?;
    let body = KeyDestroyed {
        key: text.key.clone(),
        spki_sha256: key.spki_sha256(),
        texts,
    };
    let at = keeper.append(Body::KeyDestroyed(body), Asker::Itself)?;
    keeper.set_key(&text.key, None);
    let _watched = keeper.watch.begin("destroy a key pair");
    keeper.token().destroy(&key).map_err(|error| {
        KeeperError::Stopped(format!(
            "the destruction of `{}` is recorded at {}, and it signs nothing more, but the token still holds it: {error}; \
             remove it with the token's own tool",
            text.key, at.index
        ))
    })?;
    tracing::warn!(index = at.index, key = %text.key, "a key was destroyed under the quorum's texts");
    Ok(Done {
        index: at.index,
        csr: None,
    })
}

/// A CSR for a CA key: recorded, signed and recorded, like every other signature.
///
/// # Errors
/// When the log or the token fails.
pub(crate) fn request_csr(
    keeper: &Keeper,
    key: &TokenKey,
    common_name: &str,
    authority: Authority,
    asker: Asker,
) -> Result<Vec<u8>, KeeperError> {
    let subject = Subject(vec![Attribute {
        kind: AttributeType::CommonName,
        value: common_name.to_owned(),
    }]);
    let info = csr_info(&subject, &key.spki_der)?;
    let digest = Digest::of(&info);
    let request = RequestRef {
        caller: CallerSan::Unix("init".to_owned()),
        id: format!("init:{}", key.name).parse()?,
        attempt: 1,
        digest,
    };
    let algorithm = key.algorithm.default_signature();
    let intent = Intent {
        purpose: Purpose::Csr,
        request: request.clone(),
        profile: None,
        bundle: keeper.standing().bundle_digest(),
        key: key.name.clone(),
        spki_sha256: key.spki_sha256(),
        algorithm,
        tbs: Payload::of(&info, Vec::new()),
        tbs_sha256: digest,
        serial: None,
        not_after: None,
        asked: None,
        proposal: None,
        previous: None,
        authority,
    };
    let at = keeper.append(Body::Intent(Box::new(intent)), asker)?;
    let signature = keeper.sign(at.index, DEADLINE)?;
    let csr = assemble_csr(&info, algorithm, &signature)?;
    let issued = Issued {
        intent: at.index,
        request,
        purpose: Purpose::Csr,
        key: key.name.clone(),
        serial: None,
        sha256: Digest::of(&csr),
        signed: Payload::of(&csr, Vec::new()),
    };
    keeper.commit(Body::Issued(Box::new(issued)), asker)?;
    Ok(csr)
}

/// The verifier key of a log with this checkpoint key.
///
/// # Errors
/// When notes have no form for such keys.
pub(crate) fn vkey_of(origin: &stele_core::types::Origin, key: &TokenKey) -> Result<String, KeeperError> {
    Ok(NoteVerifier::for_key(origin, &key.spki_der)?.to_string())
}

/// What the log says of a key pair that was generated in the token.
pub(crate) fn generated(key: &TokenKey, role: KeyRole, authority: Authority) -> KeyGenerated {
    KeyGenerated {
        key: key.name.clone(),
        role,
        algorithm: key.algorithm,
        spki: key.spki_der.clone().into(),
        spki_sha256: key.spki_sha256(),
        cka_id: hex(&key.cka_id),
        provenance: "generated".to_owned(),
        authority,
    }
}
