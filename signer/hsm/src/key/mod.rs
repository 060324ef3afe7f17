//! Keys on the token: how they are made, found again, and judged by their attributes.

mod generate;
mod origin;

use cryptoki::error::Result as CkResult;
use cryptoki::object::{Attribute, AttributeType, ObjectClass, ObjectHandle};
use stele_core::types::{Digest, KeyAlgorithm, KeyName, hex};

use crate::error::TokenError;
use crate::pool::Lease;
use crate::public_key;

pub(crate) use generate::{Purpose, generate};
pub use origin::KeyOrigin;

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
