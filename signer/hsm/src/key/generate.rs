//! Making key pairs.

use std::thread;
use std::time::Duration;

use cryptoki::error::{Error as Cause, Result as CkResult, RvError};
use cryptoki::mechanism::MechanismType;
use cryptoki::object::{Attribute, KeyType};
use cryptoki::session::Session;
use stele_core::types::{KeyAlgorithm, KeyName};

use super::Pair;
use crate::error::TokenError;
use crate::mechanism::{Size, bits, generator};
use crate::pool::Lease;
use crate::public_key;

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
