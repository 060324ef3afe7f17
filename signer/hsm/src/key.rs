//! Keys on the token: how they are made, found again, and judged by their attributes.

use std::thread;
use std::time::Duration;

use cryptoki::error::{Error as Cause, Result as CkResult, RvError};
use cryptoki::mechanism::MechanismType;
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::Session;
use stele_core::types::{Digest, KeyAlgorithm, KeyName, hex};

use crate::error::TokenError;
use crate::mechanism::{Size, bits, generator};
use crate::pool::Lease;
use crate::public_key;

/// How a CA key came to be where it is; decides which attributes it must show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOrigin {
    /// Generated on this token: it was never anywhere else.
    Generated,
    /// Copied token to token by the vendor's cloning tool.
    Cloned,
    /// Unwrapped from a blob that only a trusted wrapping key could make (CKA_WRAP_WITH_TRUSTED).
    TrustedWrap,
}

impl KeyOrigin {
    const fn name(self) -> &'static str {
        match self {
            Self::Generated => "generated on this token",
            Self::Cloned => "cloned by the vendor's tool",
            Self::TrustedWrap => "trusted wrap",
        }
    }

    /// The attributes that do not fit. One that the token does not give does not fit either.
    ///
    /// C_UnwrapKey clears CKA_LOCAL, CKA_ALWAYS_SENSITIVE and CKA_NEVER_EXTRACTABLE (PKCS#11 v3.0 section 5.18.4), and
    /// cloning tools vary: only a key generated here can be asked for all of them.
    fn misfits(self, attributes: &[Attribute]) -> Vec<String> {
        let given = |kind: AttributeType| attributes.iter().find(|a| a.attribute_type() == kind).and_then(flag);
        let trusted_only = self == Self::TrustedWrap && given(AttributeType::WrapWithTrusted) == Some(true);
        let wanted = [
            (AttributeType::Sensitive, true, true),
            (AttributeType::Extractable, false, !trusted_only),
            (AttributeType::AlwaysSensitive, true, self == Self::Generated),
            (AttributeType::NeverExtractable, true, self == Self::Generated),
            (AttributeType::Local, true, self == Self::Generated),
        ];
        wanted
            .into_iter()
            .filter(|(kind, value, applies)| *applies && given(*kind) != Some(*value))
            .map(|(kind, ..)| match given(kind) {
                Some(value) => format!("{kind} is {value}"),
                None => format!("{kind} is not given"),
            })
            .collect()
    }
}

const fn flag(attribute: &Attribute) -> Option<bool> {
    match attribute {
        Attribute::Sensitive(b)
        | Attribute::Extractable(b)
        | Attribute::AlwaysSensitive(b)
        | Attribute::NeverExtractable(b)
        | Attribute::Local(b)
        | Attribute::WrapWithTrusted(b) => Some(*b),
        _ => None,
    }
}

/// A private key on the token that was found, compared with its record and judged by its attributes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TokenKey {
    /// Its name, which is its CKA_LABEL.
    pub name: KeyName,
    /// The algorithm of its public key.
    pub algorithm: KeyAlgorithm,
    /// Its CKA_ID, the same on both halves.
    pub cka_id: Vec<u8>,
    /// Its public key as SubjectPublicKeyInfo in DER.
    pub spki_der: Vec<u8>,
    pub(crate) origin: KeyOrigin,
}

impl TokenKey {
    /// SHA-256 over the SubjectPublicKeyInfo, by which records name the key.
    #[must_use]
    pub fn spki_sha256(&self) -> Digest {
        Digest::of(&self.spki_der)
    }
}

/// Where a key pair is in the present log-in.
#[derive(Clone, Copy)]
pub(crate) struct Pair {
    pub(crate) private: ObjectHandle,
    pub(crate) public: ObjectHandle,
}

/// What a new key pair is for.
pub(crate) enum Purpose<'a> {
    /// A key that stays on the token.
    Kept { name: &'a KeyName, id: &'a [u8] },
    /// A key that goes with its session.
    Probe,
}

/// Generation fails now and then with CKR_GENERAL_ERROR while other threads use a SoftHSM, and leaves nothing behind.
const GENERATION_ATTEMPTS: u32 = 8;

/// Generates a pair, with CKA_ALLOWED_MECHANISMS where the token knows that attribute.
pub(crate) fn generate(
    lease: &mut Lease<'_>,
    algorithm: KeyAlgorithm,
    purpose: &Purpose<'_>,
    allowed: &[MechanismType],
) -> Result<Pair, TokenError> {
    let restricted = |session: &Session| match generate_with(session, algorithm, purpose, allowed) {
        Err(Cause::Pkcs11(
            RvError::AttributeTypeInvalid | RvError::AttributeValueInvalid | RvError::TemplateInconsistent,
            _,
        )) => generate_with(session, algorithm, purpose, &[]),
        done => done,
    };
    lease.run("generate a key pair", |session| {
        let mut attempt = 1;
        loop {
            match restricted(session) {
                Err(Cause::Pkcs11(RvError::GeneralError, _)) if attempt < GENERATION_ATTEMPTS => {
                    tracing::warn!(attempt, "the token failed to generate a key pair; trying again");
                    thread::sleep(Duration::from_millis(5) * attempt);
                    attempt += 1;
                }
                done => return done,
            }
        }
    })
}

fn generate_with(
    session: &Session,
    algorithm: KeyAlgorithm,
    purpose: &Purpose<'_>,
    allowed: &[MechanismType],
) -> CkResult<Pair> {
    let (mut public, mut private) = (vec![Attribute::Verify(true)], private_template(allowed));
    match bits(algorithm) {
        Size::Rsa(n) => {
            public.push(Attribute::ModulusBits(n.try_into()?));
            public.push(Attribute::PublicExponent(vec![1, 0, 1]));
        }
        Size::Ec(_) | Size::Edwards => {
            public.extend(public_key::ec_params(algorithm).map(Attribute::EcParams));
        }
    }
    for half in [&mut public, &mut private] {
        half.push(Attribute::KeyType(key_type(algorithm)));
        match purpose {
            Purpose::Kept { name, id } => half.extend([
                Attribute::Token(true),
                Attribute::Label(name.as_str().as_bytes().to_vec()),
                Attribute::Id(id.to_vec()),
            ]),
            Purpose::Probe => half.push(Attribute::Token(false)),
        }
    }
    let (public, private) = session.generate_key_pair(&generator(algorithm), &public, &private)?;
    Ok(Pair { private, public })
}

fn private_template(allowed: &[MechanismType]) -> Vec<Attribute> {
    let mut template = vec![
        Attribute::Private(true),
        Attribute::Sensitive(true),
        Attribute::Extractable(false),
        Attribute::Sign(true),
        Attribute::Decrypt(false),
        Attribute::Unwrap(false),
        Attribute::Derive(false),
    ];
    if !allowed.is_empty() {
        template.push(Attribute::AllowedMechanisms(allowed.to_vec()));
    }
    template
}

const fn key_type(algorithm: KeyAlgorithm) -> KeyType {
    match bits(algorithm) {
        Size::Ec(_) => KeyType::EC,
        Size::Rsa(_) => KeyType::RSA,
        Size::Edwards => KeyType::EC_EDWARDS,
    }
}

/// Refuses a label that a key of either half bears already.
pub(crate) fn refuse_taken(lease: &mut Lease<'_>, name: &KeyName) -> Result<(), TokenError> {
    let template = [
        Attribute::Token(true),
        Attribute::Label(name.as_str().as_bytes().to_vec()),
    ];
    let taken = lease.run("look for keys of that label", |s| s.find_objects(&template))?;
    if taken.is_empty() {
        return lease.still_logged_in();
    }
    Err(TokenError::KeyExists { name: name.clone() })
}

/// Finds the pair by CKA_ID, which must be unique on the token, and label.
pub(crate) fn locate(lease: &mut Lease<'_>, name: &KeyName, id: &[u8]) -> Result<Pair, TokenError> {
    let mut only = |class, class_name| {
        let template = [
            Attribute::Class(class),
            Attribute::Token(true),
            Attribute::Id(id.to_vec()),
        ];
        let found = lease.run("find a key by its CKA_ID", |s| s.find_objects(&template))?;
        match found.as_slice() {
            [] => Err(not_found(lease, name, id)?),
            [one] => Ok(*one),
            several => Err(TokenError::SeveralKeys {
                name: name.clone(),
                class: class_name,
                id: hex(id),
                count: several.len(),
            }),
        }
    };
    let private = only(ObjectClass::PRIVATE_KEY, "private")?;
    let public = only(ObjectClass::PUBLIC_KEY, "public")?;
    let labelled = lease.run("read a key's label", |s| {
        s.get_attributes(private, &[AttributeType::Label])
    })?;
    if labelled != [Attribute::Label(name.as_str().as_bytes().to_vec())] {
        return Err(not_found(lease, name, id)?);
    }
    Ok(Pair { private, public })
}

/// The refusal of a key that is not there, once it is certain that it would be seen.
fn not_found(lease: &mut Lease<'_>, name: &KeyName, id: &[u8]) -> Result<TokenError, TokenError> {
    lease.still_logged_in()?;
    Ok(TokenError::KeyNotFound {
        name: name.clone(),
        id: hex(id),
        present: present(lease)?,
    })
}

/// The private keys on the token, for people.
fn present(lease: &mut Lease<'_>) -> Result<String, TokenError> {
    let template = [Attribute::Class(ObjectClass::PRIVATE_KEY), Attribute::Token(true)];
    let all = lease.run("list the private keys", |s| {
        s.find_objects(&template)?
            .into_iter()
            .map(|key| s.get_attributes(key, &[AttributeType::Label, AttributeType::Id]))
            .collect::<CkResult<Vec<_>>>()
    })?;
    let shown: Vec<_> = all
        .iter()
        .map(|key| key.iter().map(show).collect::<Vec<_>>().join(" "))
        .collect();
    Ok(if shown.is_empty() {
        "none".to_owned()
    } else {
        shown.join(", ")
    })
}

fn show(attribute: &Attribute) -> String {
    match attribute {
        Attribute::Label(label) => format!("`{}`", String::from_utf8_lossy(label).escape_debug()),
        Attribute::Id(id) => format!("({})", hex(id)),
        _ => String::new(),
    }
}

/// Reads a pair back and judges it.
pub(crate) fn read(
    lease: &mut Lease<'_>,
    pair: Pair,
    name: &KeyName,
    id: &[u8],
    origin: KeyOrigin,
) -> Result<TokenKey, TokenError> {
    let wanted = [
        AttributeType::Sensitive,
        AttributeType::Extractable,
        AttributeType::AlwaysSensitive,
        AttributeType::NeverExtractable,
        AttributeType::Local,
        AttributeType::WrapWithTrusted,
    ];
    let protection = lease.run("read a private key's attributes", |s| {
        s.get_attributes(pair.private, &wanted)
    })?;
    let misfits = origin.misfits(&protection);
    if !misfits.is_empty() {
        return Err(TokenError::KeyUnprotected {
            name: name.clone(),
            origin: origin.name(),
            found: misfits.join(", "),
        });
    }
    let public = lease.run("read a public key", |s| {
        s.get_attributes(pair.public, &public_key::ATTRIBUTES)
    })?;
    let (algorithm, spki_der) = public_key::read(&public).map_err(|what| TokenError::KeyMalformed {
        name: name.clone(),
        what,
        permitted: "EC on P-256, P-384 or P-521, RSA of 2048, 3072 or 4096 bits, Ed25519",
    })?;
    Ok(TokenKey {
        name: name.clone(),
        algorithm,
        cka_id: id.to_vec(),
        spki_der,
        origin,
    })
}

/// Refuses a key other than the recorded one.
pub(crate) fn compare(key: &TokenKey, expected: Digest) -> Result<(), TokenError> {
    let found = key.spki_sha256();
    if found == expected {
        return Ok(());
    }
    Err(TokenError::KeyDiffers {
        name: key.name.clone(),
        found,
        expected,
    })
}

/// Destroys both halves, the private one first.
pub(crate) fn destroy(lease: &mut Lease<'_>, pair: Pair) -> Result<(), TokenError> {
    lease.run("destroy a key pair", |s| {
        s.destroy_object(pair.private)?;
        s.destroy_object(pair.public)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(sensitive: bool, extractable: bool, born_here: bool) -> Vec<Attribute> {
        vec![
            Attribute::Sensitive(sensitive),
            Attribute::Extractable(extractable),
            Attribute::AlwaysSensitive(born_here),
            Attribute::NeverExtractable(born_here),
            Attribute::Local(born_here),
        ]
    }

    #[test]
    fn a_generated_key_shows_all_five_attributes() {
        assert!(KeyOrigin::Generated.misfits(&attributes(true, false, true)).is_empty());
        assert_eq!(KeyOrigin::Generated.misfits(&attributes(true, false, false)).len(), 3);
        assert_eq!(KeyOrigin::Generated.misfits(&[]).len(), 5);
        for at in 0..5 {
            let mut missing = attributes(true, false, true);
            missing.remove(at);
            assert_eq!(KeyOrigin::Generated.misfits(&missing).len(), 1, "attribute {at}");
        }
    }

    #[test]
    fn other_origins_excuse_the_history_but_not_the_present() {
        for origin in [KeyOrigin::Cloned, KeyOrigin::TrustedWrap] {
            assert!(origin.misfits(&attributes(true, false, false)).is_empty());
            assert_eq!(origin.misfits(&attributes(false, false, true)).len(), 1);
            assert_eq!(origin.misfits(&attributes(true, true, true)).len(), 1);
        }
        let mut trusted_only = attributes(true, true, false);
        trusted_only.push(Attribute::WrapWithTrusted(true));
        assert!(KeyOrigin::TrustedWrap.misfits(&trusted_only).is_empty());
        assert_eq!(KeyOrigin::Cloned.misfits(&trusted_only).len(), 1);
    }
}
