//! From script, keys, time and entropy to the plan: every byte that the ceremony will sign.

use std::collections::BTreeMap;

use super::script::{IntermediateScript, ROOT_KEY};
use super::{CheckedRequest, Plan, Script, Step, VERSION};
use crate::crl::CrlSpec;
use crate::error::Error;
use crate::keycheck::PublicKey;
use crate::names::{Subject, Usage};
use crate::record::Purpose;
use crate::tbs::{CaConstraints, CertificateSpec, RootSpec};
use crate::types::{B64, Digest, KeyName, Serial, SignatureAlgorithm, Time};

/// What a plan is drawn from.
#[derive(Clone, Copy, Debug)]
pub struct Drawing<'a> {
    /// The script.
    pub script: &'a Script,
    /// SHA-256 of its bytes.
    pub script_sha256: Digest,
    /// SHA-256 of the authority bundle.
    pub bundle_sha256: Digest,
    /// The root key.
    pub root: &'a PublicKey,
    /// The signer's keys.
    pub request: &'a CheckedRequest,
    /// The clock, as people confirmed it.
    pub now: Time,
}

impl Drawing<'_> {
    /// How many serials [`draw`] needs: one for the root and one for each intermediate.
    #[must_use]
    pub const fn serials(&self) -> usize {
        1 + self.script.intermediates.len()
    }
}

/// Draws the plan: root, intermediates in the script's order, then the root's first CRL. `entropy` comes from the token.
///
/// # Errors
/// When the keys are not those that the script speaks of, or `entropy` is not [`Drawing::serials`] long.
pub fn draw(d: &Drawing<'_>, entropy: &[[u8; 20]]) -> Result<Plan, Error> {
    fits(d)?;
    let mut serials = entropy.iter().copied().map(Serial::from_entropy);
    let mut next = || serials.next().ok_or_else(|| wrong_entropy(d, entropy.len()));
    let root = Root {
        d,
        key: ROOT_KEY.parse()?,
        subject: d.script.root.subject.subject(d.script.rehearsal),
    };
    let mut steps = vec![root.certificate(next()?)?];
    for intermediate in &d.script.intermediates {
        steps.push(root.intermediate(intermediate, next()?)?);
    }
    if serials.next().is_some() {
        return Err(wrong_entropy(d, entropy.len()));
    }
    steps.push(root.crl()?);
    for (number, step) in (1..).zip(&mut steps) {
        step.step = number;
    }
    let plan = Plan {
        v: VERSION,
        origin: d.script.origin.clone(),
        script_sha256: d.script_sha256,
        bundle_sha256: d.bundle_sha256,
        drawn_at: d.now,
        steps,
    };
    plan.check()?;
    Ok(plan)
}

fn wrong_entropy(d: &Drawing<'_>, found: usize) -> Error {
    Error::malformed("entropy", format!("{found} serials"), d.serials().to_string())
}

/// Whether the keys are exactly those of the script.
fn fits(d: &Drawing<'_>) -> Result<(), Error> {
    if d.root.algorithm() != d.script.root.algorithm {
        let permitted = format!("{}, as the script says", d.script.root.algorithm);
        return Err(Error::malformed("root key", d.root.algorithm().to_string(), permitted));
    }
    let wanted: BTreeMap<&KeyName, ()> = d.script.intermediates.iter().map(|i| (&i.key, ())).collect();
    if let Some(extra) = d.request.keys().keys().find(|key| !wanted.contains_key(key)) {
        let permitted = "a key for which the script has an [[intermediate]]";
        return Err(Error::malformed(
            "signer's request",
            format!("key `{extra}`"),
            permitted,
        ));
    }
    if let Some(missing) = wanted.keys().find(|key| !d.request.keys().contains_key(**key)) {
        let permitted = format!("a CSR for `{missing}`, which the script's [[intermediate]] names");
        return Err(Error::malformed(
            "signer's request",
            format!("no key `{missing}`"),
            permitted,
        ));
    }
    if d.request.keys().values().any(|key| key == d.root) {
        return Err(Error::malformed(
            "signer's request",
            "the root key itself",
            "keys of the signer's own token",
        ));
    }
    Ok(())
}

/// The root, as the signer of every step.
struct Root<'a> {
    d: &'a Drawing<'a>,
    key: KeyName,
    subject: Subject,
}

impl Root<'_> {
    const fn algorithm(&self) -> SignatureAlgorithm {
        self.d.root.algorithm().default_signature()
    }

    /// X.509 knows whole seconds.
    const fn not_before(&self) -> Time {
        Time::from_secs(self.d.now.minus_secs(self.d.script.backdate.seconds()).secs())
    }

    /// notAfter is the last second of validity (RFC 5280 section 4.1.2.5).
    fn not_after(&self, validity: super::Span) -> Time {
        validity.after(self.not_before()).minus_secs(1)
    }

    fn step(&self, purpose: Purpose, subject_key: &KeyName, tbs: Vec<u8>, drawn: Option<(Serial, Time)>) -> Step {
        let (serial, not_after) = drawn.unzip();
        Step {
            step: 0,
            key: self.key.clone(),
            spki_sha256: self.d.root.digest(),
            purpose,
            subject_key: subject_key.clone(),
            algorithm: self.algorithm(),
            serial,
            not_after,
            tbs_sha256: Digest::of(&tbs),
            tbs: B64(tbs),
        }
    }

    fn certificate(&self, serial: Serial) -> Result<Step, Error> {
        let not_after = self.not_after(self.d.script.root.validity);
        let spec = RootSpec {
            serial: serial.clone(),
            signature: self.algorithm(),
            subject: self.subject.clone(),
            spki_der: self.d.root.spki_der().to_vec(),
            subject_key_identifier: self.d.root.subject_key_identifier(),
            not_before: self.not_before(),
            not_after,
            path_length: self.d.script.root.path_length,
        };
        let tbs = spec.into_certificate()?.to_tbs_der()?;
        Ok(self.step(Purpose::Root, &self.key, tbs, Some((serial, not_after))))
    }

    fn intermediate(&self, script: &IntermediateScript, serial: Serial) -> Result<Step, Error> {
        let missing = || Error::malformed("signer's request", format!("no key `{}`", script.key), "a CSR for it");
        let key = self.d.request.keys().get(&script.key).ok_or_else(missing)?;
        let not_after = self.not_after(script.validity);
        let spec = CertificateSpec {
            serial: serial.clone(),
            signature: self.algorithm(),
            issuer_der: self.subject.to_der()?,
            not_before: self.not_before(),
            not_after,
            subject: script.subject.subject(self.d.script.rehearsal),
            spki_der: key.spki_der().to_vec(),
            subject_key_identifier: key.subject_key_identifier(),
            authority_key_identifier: self.d.root.subject_key_identifier().to_vec(),
            sans: Vec::new(),
            usages: vec![Usage::CertSign, Usage::CrlSign],
            ca: Some(CaConstraints {
                path_length: Some(script.path_length),
                name_constraints: script.name_constraints(),
            }),
            crl_urls: script.crl_urls.clone(),
            ca_issuers_urls: script.ca_issuers_urls.clone(),
            ocsp_urls: Vec::new(),
            policies: Vec::new(),
            no_rev_avail: false,
        };
        Ok(self.step(
            Purpose::Intermediate,
            &script.key,
            spec.to_tbs_der()?,
            Some((serial, not_after)),
        ))
    }

    fn crl(&self) -> Result<Step, Error> {
        let spec = CrlSpec {
            signature: self.algorithm(),
            issuer_der: self.subject.to_der()?,
            issuer_key_identifier: self.d.root.subject_key_identifier().to_vec(),
            number: 1,
            this_update: Time::from_secs(self.d.now.secs()),
            next_update: self
                .d
                .script
                .root_crl
                .validity
                .after(Time::from_secs(self.d.now.secs())),
            revoked: BTreeMap::new(),
        };
        Ok(self.step(Purpose::Crl, &self.key, spec.to_tbs_der()?, None))
    }
}
