//! From script, keys, time and entropy to the plan: every byte that the ceremony will sign.

use std::collections::BTreeMap;

use super::script::{IntermediateScript, REHEARSAL_MARK, ROOT_KEY, RootScript};
use super::{CheckedRequest, Plan, Script, Step, VERSION};
use crate::crl::{CrlSpec, Revocation};
use crate::error::Error;
use crate::keycheck::PublicKey;
use crate::names::{AttributeType, Subject, Usage};
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
    /// What the log says of the root key's work so far.
    pub standing: &'a Standing,
    /// The clock, as people confirmed it.
    pub now: Time,
}

/// What the ceremonies before left behind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The root's certificate; none until a ceremony made it.
    pub root: Option<RootCertificate>,
    /// The number of the root's next CRL.
    pub crl_number: u64,
    /// What it must list.
    pub revoked: BTreeMap<Serial, Revocation>,
}

impl Default for Standing {
    /// Nothing yet: the first CRL will be number 1.
    fn default() -> Self {
        Self {
            root: None,
            crl_number: 1,
            revoked: BTreeMap::new(),
        }
    }
}

/// The root's certificate, as far as what is signed below it depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootCertificate {
    /// Its subject.
    pub subject: Subject,
    /// The exact bytes of its subject.
    pub subject_der: Vec<u8>,
    /// The end of its validity.
    pub not_after: Time,
    /// How many CA levels may lie below it.
    pub path_length: Option<u8>,
}

impl Drawing<'_> {
    /// How many serials [`draw`] needs: one for each certificate.
    #[must_use]
    pub fn serials(&self) -> usize {
        usize::from(self.script.root.is_some()) + self.script.intermediates.len()
    }
}

/// Draws the plan: the root where there is none yet, intermediates in the script's order, then the root's next CRL.
/// `entropy` comes from the token.
///
/// # Errors
/// When the keys are not those that the script speaks of, or `entropy` is not [`Drawing::serials`] long.
pub fn draw(d: &Drawing<'_>, entropy: &[[u8; 20]]) -> Result<Plan, Error> {
    fits(d)?;
    let mut serials = entropy.iter().copied().map(Serial::from_entropy);
    let mut next = || serials.next().ok_or_else(|| wrong_entropy(d, entropy.len()));
    let root = Root::of(d)?;
    let mut steps = Vec::new();
    if let Some(script) = &d.script.root {
        steps.push(root.certificate(script, next()?)?);
    }
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

/// Whether keys and script belong together. A first ceremony certifies all of the signer's keys; a later one some.
fn fits(d: &Drawing<'_>) -> Result<(), Error> {
    let algorithm = d.script.root.as_ref().map(|root| root.algorithm);
    if let Some(wanted) = algorithm.filter(|wanted| *wanted != d.root.algorithm()) {
        let permitted = format!("{wanted}, as the script says");
        return Err(Error::malformed("root key", d.root.algorithm().to_string(), permitted));
    }
    let wanted: BTreeMap<&KeyName, ()> = d.script.intermediates.iter().map(|i| (&i.key, ())).collect();
    let extra = d.request.keys().keys().find(|key| !wanted.contains_key(key));
    if let Some(extra) = extra.filter(|_| !d.script.continues) {
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
    subject_der: Vec<u8>,
    not_after: Time,
    path_length: Option<u8>,
}

impl<'a> Root<'a> {
    /// The root as the log has its certificate, or as the script wants it where there is none yet.
    fn of(d: &'a Drawing<'a>) -> Result<Self, Error> {
        let certificate = match (&d.script.root, &d.standing.root) {
            (Some(script), None) => {
                let subject = script.subject.subject(d.script.rehearsal);
                RootCertificate {
                    subject_der: subject.to_der()?,
                    subject,
                    not_after: not_after(d, script.validity),
                    path_length: script.path_length,
                }
            }
            (None, Some(certificate)) => certificate.clone(),
            (Some(_), Some(_)) => {
                let permitted = "no [root]: the log holds the root's certificate, which stays as it is";
                return Err(Error::malformed("script, root", "a root", permitted));
            }
            (None, None) => {
                let permitted = "[root]: no ceremony of this log has made the root's certificate";
                return Err(Error::malformed("script, root", "none", permitted));
            }
        };
        let marked = certificate
            .subject
            .values(AttributeType::CommonName)
            .all(|cn| cn.starts_with(REHEARSAL_MARK));
        if marked != d.script.rehearsal {
            let permitted = format!("{marked}, as it was when the root's certificate was made");
            return Err(Error::malformed(
                "script, rehearsal",
                d.script.rehearsal.to_string(),
                permitted,
            ));
        }
        Ok(Self {
            d,
            key: ROOT_KEY.parse()?,
            subject: certificate.subject,
            subject_der: certificate.subject_der,
            not_after: certificate.not_after,
            path_length: certificate.path_length,
        })
    }
}

/// X.509 knows whole seconds.
const fn not_before(d: &Drawing<'_>) -> Time {
    Time::from_secs(d.now.minus_secs(d.script.backdate.seconds()).secs())
}

/// notAfter is the last second of validity (RFC 5280 section 4.1.2.5).
fn not_after(d: &Drawing<'_>, validity: super::Span) -> Time {
    validity.after(not_before(d)).minus_secs(1)
}

impl Root<'_> {
    const fn algorithm(&self) -> SignatureAlgorithm {
        self.d.root.algorithm().default_signature()
    }

    /// What an intermediate must keep to: the script's own check knows only a root that stands in the script.
    fn permits(&self, script: &IntermediateScript, not_after: Time) -> Result<(), Error> {
        let field = format!("script, intermediate `{}`", script.key);
        if not_after > self.not_after {
            let permitted = format!("an end by {}, the root's", self.not_after);
            return Err(Error::malformed(
                format!("{field}.validity"),
                not_after.to_string(),
                permitted,
            ));
        }
        if let Some(room) = self.path_length.filter(|room| *room <= script.path_length) {
            let found = script.path_length.to_string();
            return Err(Error::malformed(
                format!("{field}.path_length"),
                found,
                format!("less than the root's, {room}"),
            ));
        }
        if script.subject.subject(self.d.script.rehearsal) == self.subject {
            return Err(Error::malformed(
                format!("{field}.subject"),
                "the root's subject",
                "a subject of its own",
            ));
        }
        Ok(())
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

    fn certificate(&self, script: &RootScript, serial: Serial) -> Result<Step, Error> {
        let not_after = self.not_after;
        let spec = RootSpec {
            serial: serial.clone(),
            signature: self.algorithm(),
            subject: self.subject.clone(),
            spki_der: self.d.root.spki_der().to_vec(),
            subject_key_identifier: self.d.root.subject_key_identifier(),
            not_before: not_before(self.d),
            not_after,
            path_length: script.path_length,
        };
        let tbs = spec.into_certificate()?.to_tbs_der()?;
        Ok(self.step(Purpose::Root, &self.key, tbs, Some((serial, not_after))))
    }

    fn intermediate(&self, script: &IntermediateScript, serial: Serial) -> Result<Step, Error> {
        let missing = || Error::malformed("signer's request", format!("no key `{}`", script.key), "a CSR for it");
        let key = self.d.request.keys().get(&script.key).ok_or_else(missing)?;
        let not_after = not_after(self.d, script.validity);
        self.permits(script, not_after)?;
        let spec = CertificateSpec {
            serial: serial.clone(),
            signature: self.algorithm(),
            issuer_der: self.subject_der.clone(),
            not_before: not_before(self.d),
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
        let this_update = Time::from_secs(self.d.now.secs());
        let next_update = self.d.script.root_crl.validity.after(this_update);
        if next_update > self.not_after.plus_secs(1) {
            let permitted = format!("at most until {}, the end of the root's certificate", self.not_after);
            return Err(Error::malformed(
                "script, root_crl.validity",
                next_update.to_string(),
                permitted,
            ));
        }
        let spec = CrlSpec {
            signature: self.algorithm(),
            issuer_der: self.subject_der.clone(),
            issuer_key_identifier: self.d.root.subject_key_identifier().to_vec(),
            number: self.d.standing.crl_number,
            this_update,
            next_update,
            revoked: self.d.standing.revoked.clone(),
        };
        Ok(self.step(Purpose::Crl, &self.key, spec.to_tbs_der()?, None))
    }
}
