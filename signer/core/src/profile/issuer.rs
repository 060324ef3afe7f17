//! The CA that would sign, as far as a decision depends on it.

use crate::error::Error;
use crate::tbs::{NameConstraints, parse_certificate};
use crate::types::{KeyAlgorithm, KeyName, Time};

/// A CA key with its certificate and what the certificates above it demand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// The name of its key in the bundle.
    pub name: KeyName,
    /// The exact bytes of its certificate's subject.
    pub subject_der: Vec<u8>,
    /// Its certificate's subject key identifier.
    pub ski: Vec<u8>,
    /// The algorithm of its key.
    pub key_algorithm: KeyAlgorithm,
    /// The latest beginning of validity along its chain.
    pub not_before: Time,
    /// The earliest end of validity along its chain.
    pub not_after: Time,
    /// How many CA certificates may follow below it, given every path length along its chain; `None`: any number.
    pub path_length: Option<u8>,
    /// The name constraints of its own certificate and of every one above it.
    pub name_constraints: Vec<NameConstraints>,
}

impl Issuer {
    /// From its chain: its own certificate first, the root last. Signatures are not checked here; the chain comes from
    /// the log, which has them verified.
    ///
    /// # Errors
    /// When the chain is empty, a certificate does not read or is no CA, two neighbours do not fit by name, or a path
    /// length along the chain is exceeded already.
    pub fn from_chain(name: KeyName, key_algorithm: KeyAlgorithm, chain: &[Vec<u8>]) -> Result<Self, Error> {
        let mut views = Vec::with_capacity(chain.len());
        for der in chain {
            views.push(parse_certificate(der)?.0);
        }
        let bad = |found: &str, permitted: &str| Error::malformed(format!("chain of {name}"), found, permitted);
        let own = views
            .first()
            .ok_or_else(|| bad("no certificate", "its certificate, then those above it"))?;
        let ski = own
            .subject_key_identifier
            .clone()
            .ok_or_else(|| bad("no subject key identifier", "one"))?;
        let mut issuer = Self {
            name: name.clone(),
            subject_der: own.subject_der.clone(),
            ski,
            key_algorithm,
            not_before: own.not_before,
            not_after: own.not_after,
            path_length: None,
            name_constraints: Vec::new(),
        };
        for (depth, view) in views.iter().enumerate() {
            let above = views.get(depth + 1);
            if !view.ca || above.is_some_and(|above| above.subject_der != view.issuer_der) {
                return Err(bad(
                    "a certificate that is no CA or not issued by the next",
                    "CA certificates, each issued by the next",
                ));
            }
            issuer.not_before = issuer.not_before.max(view.not_before);
            issuer.not_after = issuer.not_after.min(view.not_after);
            issuer.name_constraints.extend(view.name_constraints.clone());
            // `depth` CAs lie between this certificate and what its path length counts (RFC 5280 section 6.1.4).
            let left = view.path_length.map(|n| usize::from(n).checked_sub(depth));
            if let Some(left) = left {
                let left = left.ok_or_else(|| bad("more CAs than a path length allows", "at most that many"))?;
                let left = u8::try_from(left).unwrap_or(u8::MAX);
                issuer.path_length = Some(issuer.path_length.map_or(left, |now| now.min(left)));
            }
        }
        Ok(issuer)
    }
}
