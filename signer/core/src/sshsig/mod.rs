//! SSH signatures over texts, as `ssh-keygen -Y sign` makes them (OpenSSH PROTOCOL.sshsig).
//!
//! Operators approve with the keys they already have; hardware keys (PROTOCOL.u2f) count only when touched.

mod key;
mod wire;

use base64ct::{Base64, Encoding};
use der::Encode;
use der::asn1::UintRef;
use sha2::{Digest as _, Sha256, Sha512};

pub use key::SshPublicKey;

use crate::error::Error;
use crate::types::SignatureAlgorithm;
use key::Kind;
use wire::{Reader, put_string};

const FIELD: &str = "ssh signature";
const MAGIC: &[u8; 6] = b"SSHSIG";
/// A signature by an RSA-4096 key takes about 1,600 characters.
const MAX_ARMOR: usize = 8192;
/// OpenSSH wraps at 70, the longest line that armors of other tools have is 76.
const MAX_ARMOR_LINE: usize = 76;
/// PROTOCOL.u2f: the flag that the person touched the token.
const USER_PRESENT: u8 = 0x01;

pub use crate::types::SignedText;

/// Verifies the signature and answers with the key that made it. Whose key that is, and what it may sign, is for the
/// caller to decide: a valid signature by a stranger verifies too.
///
/// # Errors
/// When the armor or anything in it is malformed, it was made for another namespace, it does not fit the text, or a
/// hardware key signed without a touch.
pub fn verify(signed: &SignedText, namespace: &str) -> Result<SshPublicKey, Error> {
    let blob = unarmor(&signed.signature)?;
    let envelope = Envelope::parse(&blob)?;
    if envelope.namespace != namespace.as_bytes() || namespace.is_empty() {
        let found: String = String::from_utf8_lossy(envelope.namespace).chars().take(80).collect();
        let why = format!(
            "it was made for namespace `{}`, not `{namespace}`",
            found.escape_debug()
        );
        return Err(Error::unverified(FIELD, why));
    }
    let key = SshPublicKey::from_blob(envelope.public_key)?;
    let message = signed_data(&envelope, namespace, signed.text.as_bytes())?;
    verify_signature(&key, envelope.signature, &message)?;
    Ok(key)
}

/// The parts of a signature blob.
struct Envelope<'a> {
    public_key: &'a [u8],
    namespace: &'a [u8],
    hash_algorithm: &'a str,
    signature: &'a [u8],
}

impl<'a> Envelope<'a> {
    fn parse(blob: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(FIELD, blob);
        if reader.bytes(MAGIC.len())? != MAGIC {
            return Err(Error::malformed(FIELD, "other leading bytes", "SSHSIG"));
        }
        match reader.uint32()? {
            1 => {}
            other => return Err(Error::malformed(FIELD, format!("version {other}"), "version 1")),
        }
        let public_key = reader.string()?;
        let namespace = reader.string()?;
        if !reader.string()?.is_empty() {
            return Err(Error::malformed(
                FIELD,
                "a reserved field in use",
                "an empty reserved field",
            ));
        }
        let envelope = Self {
            public_key,
            namespace,
            hash_algorithm: reader.text()?,
            signature: reader.string()?,
        };
        reader.end()?;
        Ok(envelope)
    }
}

/// Reads the armor: the two marker lines and base64 between them, nothing else.
fn unarmor(armor: &str) -> Result<Vec<u8>, Error> {
    let bad = |found: &str| {
        let permitted = "an armored signature: BEGIN and END SSH SIGNATURE lines with wrapped base64 between";
        Error::malformed(FIELD, found, permitted)
    };
    if armor.len() > MAX_ARMOR {
        return Err(bad(&format!("{} bytes", armor.len())));
    }
    let body = armor
        .strip_prefix("-----BEGIN SSH SIGNATURE-----\n")
        .ok_or_else(|| bad("no BEGIN line"))?;
    let body = body
        .strip_suffix('\n')
        .unwrap_or(body)
        .strip_suffix("\n-----END SSH SIGNATURE-----")
        .ok_or_else(|| bad("no END line, or text after it"))?;
    if body
        .split('\n')
        .any(|line| line.is_empty() || line.len() > MAX_ARMOR_LINE)
    {
        return Err(bad("an empty line, or one that is too long"));
    }
    Base64::decode_vec(&body.replace('\n', "")).map_err(|_| bad("something that is not padded base64"))
}

/// What the key signed: the namespace and the text's digest in an envelope of their own.
fn signed_data(envelope: &Envelope<'_>, namespace: &str, text: &[u8]) -> Result<Vec<u8>, Error> {
    let digest = match envelope.hash_algorithm {
        "sha256" => Sha256::digest(text).to_vec(),
        "sha512" => Sha512::digest(text).to_vec(),
        other => {
            let shown: String = other.chars().take(80).collect();
            return Err(Error::malformed(FIELD, format!("hash `{shown}`"), "sha256 or sha512"));
        }
    };
    let mut data = MAGIC.to_vec();
    put_string(&mut data, namespace.as_bytes());
    put_string(&mut data, &[]);
    put_string(&mut data, envelope.hash_algorithm.as_bytes());
    put_string(&mut data, &digest);
    Ok(data)
}

fn verify_signature(key: &SshPublicKey, signature: &[u8], message: &[u8]) -> Result<(), Error> {
    let mut reader = Reader::new(FIELD, signature);
    let format = reader.text()?;
    let algorithm = signature_algorithm(key.kind, format)?;
    let value = match key.kind {
        Kind::Ed25519 | Kind::SkEd25519 | Kind::Rsa => reader.string()?.to_vec(),
        Kind::EcdsaP256 | Kind::EcdsaP384 | Kind::EcdsaP521 | Kind::SkEcdsaP256 => ecdsa_to_der(reader.string()?)?,
    };
    let message = if key.is_hardware() {
        token_message(key, reader.byte()?, reader.uint32()?, message)?
    } else {
        message.to_vec()
    };
    reader.end()?;
    key.key
        .verify(algorithm, &message, &value)
        .map_err(|e| Error::unverified(FIELD, e.to_string()))
}

/// What a signature format means for each kind of key (RFC 8332 for RSA: never `ssh-rsa`, which is SHA-1).
fn signature_algorithm(kind: Kind, format: &str) -> Result<SignatureAlgorithm, Error> {
    let (permitted, algorithm) = match kind {
        Kind::Rsa if format == "rsa-sha2-256" => (format, SignatureAlgorithm::RsaPkcs1Sha256),
        Kind::Rsa => ("rsa-sha2-512", SignatureAlgorithm::RsaPkcs1Sha512),
        Kind::Ed25519 | Kind::SkEd25519 => (kind.name(), SignatureAlgorithm::Ed25519),
        Kind::EcdsaP256 | Kind::SkEcdsaP256 => (kind.name(), SignatureAlgorithm::EcdsaSha256),
        Kind::EcdsaP384 => (kind.name(), SignatureAlgorithm::EcdsaSha384),
        Kind::EcdsaP521 => (kind.name(), SignatureAlgorithm::EcdsaSha512),
    };
    if format == permitted {
        return Ok(algorithm);
    }
    let shown: String = format.chars().take(80).collect();
    Err(Error::malformed(
        FIELD,
        format!("signature format `{shown}`"),
        permitted,
    ))
}

/// PROTOCOL.u2f: a token signs SHA256(application), its flags and counter, and SHA256(message).
fn token_message(key: &SshPublicKey, flags: u8, counter: u32, message: &[u8]) -> Result<Vec<u8>, Error> {
    if flags & USER_PRESENT == 0 {
        let why = "the hardware key signed without a touch; sign again without `no-touch-required`";
        return Err(Error::unverified(FIELD, why));
    }
    let mut data = Sha256::digest(key.application.as_bytes()).to_vec();
    data.push(flags);
    data.extend_from_slice(&counter.to_be_bytes());
    data.extend_from_slice(&Sha256::digest(message));
    Ok(data)
}

/// Two mpints to `SEQUENCE { r INTEGER, s INTEGER }` (RFC 3279 section 2.2.3).
fn ecdsa_to_der(value: &[u8]) -> Result<Vec<u8>, Error> {
    let mut reader = Reader::new(FIELD, value);
    let (r, s) = (reader.positive_mpint()?, reader.positive_mpint()?);
    reader.end()?;
    let encode = || vec![UintRef::new(r)?, UintRef::new(s)?].to_der();
    encode().map_err(|e| Error::malformed(FIELD, e.to_string(), "two integers r and s"))
}
