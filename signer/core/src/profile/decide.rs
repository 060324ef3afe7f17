//! The decision: a proposal and a profile in, a certificate's content or every violation out. Pure, and replayable by
//! an auditor from the record.

mod limits;
mod names;

use std::collections::BTreeSet;

use super::{Approval, Context, CsrNames, Issuer, Profile};
use crate::error::{Error, Refusal, Violation};
use crate::names::{San, Subject, Usage};
use crate::tbs::CertificateSpec;
use crate::types::{CallerName, CallerSan, Digest, KeyAlgorithm, KeyName, ProfileName, Serial, Time};

/// What a request proposes, whatever form it came in.
#[derive(Clone, Debug)]
pub struct Proposal {
    /// The subject.
    pub subject: Subject,
    /// Subject alternative names.
    pub sans: Vec<San>,
    /// Whether subject and names came from the CSR rather than from the request itself.
    pub names_from_csr: bool,
    /// Names of the CSR that the fields above cannot hold, e.g. of other forms.
    pub unrepresentable: Vec<Violation>,
    /// Usages, if any were asked for.
    pub usages: Option<Vec<Usage>>,
    /// Basic constraints, if any were asked for: CA or not, and the path length.
    pub basic_constraints: Option<(bool, Option<u8>)>,
    /// Other extensions that the CSR asks for: object identifier and criticality.
    pub other_extensions: Vec<(String, bool)>,
    /// The algorithm of the subject's key.
    pub key_algorithm: KeyAlgorithm,
    /// The exact SubjectPublicKeyInfo.
    pub spki_der: Vec<u8>,
    /// Its key identifier.
    pub ski: [u8; 20],
    /// The lifetime in seconds, if one was asked for.
    pub validity_secs: Option<u64>,
    /// The end asked for, which is then the certificate's last second; never beside a lifetime.
    pub not_after: Option<Time>,
    /// What the caller vouches for.
    pub context: Context,
}

/// Who asks.
#[derive(Clone, Copy, Debug)]
pub enum Requester<'a> {
    /// A caller whom the bundle lists.
    Caller {
        /// Its name there.
        name: &'a CallerName,
        /// The identity in its certificate.
        san: &'a CallerSan,
    },
    /// A local user of the signer's machine, who may use the bundle's enrolment profiles.
    Enrolment {
        /// Those profiles.
        profiles: &'a BTreeSet<ProfileName>,
    },
}

/// What a decision depends on besides proposal and profile.
#[derive(Clone, Copy, Debug)]
pub struct Inputs<'a> {
    /// The time.
    pub now: Time,
    /// A fresh serial.
    pub serial: &'a Serial,
    /// The CA that would sign.
    pub issuer: &'a Issuer,
    /// Who asks.
    pub requester: Requester<'a>,
    /// The identities of all callers whom the bundle lists: nobody else gets a caller's certificate.
    pub known_callers: &'a BTreeSet<CallerSan>,
}

/// A certificate that the profile allows. Only [`decide`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    spec: CertificateSpec,
    profile: ProfileName,
    profile_digest: Digest,
    issuer: KeyName,
    approval: Approval,
}

impl Decided {
    /// What the certificate will say.
    #[must_use]
    pub const fn spec(&self) -> &CertificateSpec {
        &self.spec
    }
    /// The profile that allowed it.
    #[must_use]
    pub const fn profile(&self) -> &ProfileName {
        &self.profile
    }
    /// The digest of that profile's text.
    #[must_use]
    pub const fn profile_digest(&self) -> Digest {
        self.profile_digest
    }
    /// The CA key that is to sign.
    #[must_use]
    pub const fn issuer(&self) -> &KeyName {
        &self.issuer
    }
    /// Who must agree.
    #[must_use]
    pub const fn approval(&self) -> &Approval {
        &self.approval
    }
    /// The DER of the TBSCertificate.
    ///
    /// # Errors
    /// When a value cannot be encoded, e.g. a name that is not ASCII.
    pub fn build(&self) -> Result<Vec<u8>, Error> {
        self.spec.to_tbs_der()
    }
}

/// Judges a proposal.
///
/// # Errors
/// Every violation of the profile, of the issuer's limits and of the caller's rights.
pub fn decide(proposal: &Proposal, profile: &Profile, inputs: &Inputs<'_>) -> Result<Decided, Refusal> {
    let mut violations = Vec::new();
    let v = &mut violations;
    check_access(proposal, profile, inputs, v);
    limits::extensions(proposal, profile, v);
    let signature = limits::signature(profile, inputs.issuer, v);
    let (not_before, not_after) = limits::validity(proposal, profile, inputs, v);
    let ignored = proposal.names_from_csr && profile.csr_names == CsrNames::Ignore;
    let (subject, sans) = if ignored {
        (Subject::default(), Vec::new())
    } else {
        if proposal.names_from_csr {
            v.extend(proposal.unrepresentable.iter().cloned());
        }
        (proposal.subject.clone(), proposal.sans.clone())
    };
    let subject = names::subject(&subject, profile, &proposal.context, v);
    let sans = names::sans(&sans, profile, &proposal.context, v);
    names::within_constraints(&sans, inputs.issuer, v);
    names::callers_only(&sans, profile, inputs, v);
    let usages = limits::usages(proposal, &profile.usages, v);
    let ca = limits::ca(proposal, profile, inputs.issuer, v);
    if !violations.is_empty() {
        return Err(Refusal { violations });
    }
    let spec = CertificateSpec {
        serial: inputs.serial.clone(),
        signature,
        issuer_der: inputs.issuer.subject_der.clone(),
        not_before,
        not_after,
        subject,
        spki_der: proposal.spki_der.clone(),
        subject_key_identifier: proposal.ski,
        authority_key_identifier: inputs.issuer.ski.clone(),
        sans,
        usages,
        ca,
        crl_urls: profile.crl_urls.clone(),
        ca_issuers_urls: profile.ca_issuers_urls.clone(),
        ocsp_urls: profile.ocsp_urls.clone(),
        policies: profile.policies.clone(),
        no_rev_avail: profile.no_rev_avail,
    };
    Ok(Decided {
        spec,
        profile: profile.name.clone(),
        profile_digest: profile.digest,
        issuer: inputs.issuer.name.clone(),
        approval: profile.approval.clone(),
    })
}

fn check_access(proposal: &Proposal, profile: &Profile, inputs: &Inputs<'_>, v: &mut Vec<Violation>) {
    match inputs.requester {
        Requester::Caller { name, .. } if !profile.callers.contains(name) => {
            v.push(Violation::new(
                "profile",
                "caller-not-permitted",
                format!("caller {name}"),
                format!("one of the callers of {}: {}", profile.name, join(&profile.callers)),
            ));
        }
        Requester::Enrolment { profiles } if !profiles.contains(&profile.name) => {
            v.push(Violation::new(
                "profile",
                "not-an-enrolment-profile",
                profile.name.as_str(),
                join(profiles),
            ));
        }
        _ => {}
    }
    if !profile.issuers.contains(&inputs.issuer.name) {
        v.push(Violation::new(
            "issuer",
            "issuer-not-permitted",
            inputs.issuer.name.as_str(),
            join(&profile.issuers),
        ));
    }
    for field in proposal.context.present().filter(|f| !profile.context.contains(f)) {
        v.push(Violation::new(
            format!("context.{}", field.name()),
            "context-not-trusted",
            "a value",
            format!(
                "context that profile {} lists: {}",
                profile.name,
                join(profile.context.iter().map(|f| f.name()))
            ),
        ));
    }
    if !profile.key_algorithms.contains(&proposal.key_algorithm) {
        v.push(Violation::new(
            "key",
            "key-algorithm-not-permitted",
            proposal.key_algorithm.name(),
            join(&profile.key_algorithms),
        ));
    }
}

/// A list for a message; `nothing` when it is empty.
fn join<T: ToString>(items: impl IntoIterator<Item = T>) -> String {
    let all: Vec<String> = items.into_iter().map(|i| i.to_string()).collect();
    if all.is_empty() {
        "nothing".to_owned()
    } else {
        all.join(", ")
    }
}
