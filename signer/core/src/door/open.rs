//! From a request to exact bytes that were judged and linted.

use crate::crl::CrlSpec;
use crate::csr::{Csr, Limits, ProvenRequest, prove_pod_key};
use crate::error::{Error, Refusal};
use crate::keycheck::PublicKey;
use crate::lint;
use crate::profile::{Approval, Decided, Profile, Proposal};
use crate::record::{self, ProfileRef, Purpose};
use crate::request::{KeyProof, SignRequest, Wanted};
use crate::tbs::parse_tbs;
use crate::types::{Digest, KeyName, Serial, SignatureAlgorithm, Time};

/// Proves possession of the key, by the CSR's self-signature or the pod's.
///
/// # Errors
/// When the proof does not verify, or the key is one that nobody should certify.
pub fn prove(request: &SignRequest, limits: &Limits) -> Result<ProvenRequest, Refusal> {
    match &request.proof {
        KeyProof::Pkcs10(der) => Ok(Csr::prove(der, limits)?.into()),
        KeyProof::PodKey { spki, proof, pod_uid } => Ok(prove_pod_key(spki, proof, pod_uid)?.into()),
    }
}

/// A proven request as a proposal to a profile: names in the request replace the CSR's.
pub struct Entry<'r> {
    /// The request.
    pub request: &'r SignRequest,
    /// Its proven key.
    pub proven: &'r ProvenRequest,
}

impl Entry<'_> {
    /// The proposal.
    ///
    /// # Errors
    /// When the times asked for contradict each other.
    pub fn proposal(&self, now: Time) -> Result<Proposal, Refusal> {
        let Entry { request, proven } = self;
        let wanted = &request.wanted;
        check_times(wanted, now)?;
        let stated = wanted.subject.is_some() || wanted.sans.is_some();
        let (subject, sans, unrepresentable) = if stated {
            (
                wanted.subject.clone().unwrap_or_default(),
                wanted.sans.clone().unwrap_or_default(),
                Vec::new(),
            )
        } else {
            (
                proven.subject().clone(),
                proven.sans().to_vec(),
                proven.unrepresentable().to_vec(),
            )
        };
        // An extended key usage that no profile can name is an extension that no profile permitted.
        let unknown = proven.unknown_usages().iter().map(|oid| (oid.clone(), false));
        let other_extensions = proven.other_extensions().iter().cloned().chain(unknown).collect();
        let key = proven.public_key();
        Ok(Proposal {
            subject,
            sans,
            names_from_csr: !stated,
            unrepresentable,
            usages: wanted.usages.clone().or_else(|| proven.usages()),
            basic_constraints: proven.basic_constraints(),
            other_extensions,
            key_algorithm: key.algorithm(),
            spki_der: key.spki_der().to_vec(),
            ski: key.subject_key_identifier(),
            validity_secs: wanted.validity_secs,
            not_after: wanted.not_after,
            context: request.context.clone(),
        })
    }
}

/// The wanted times, as far as they do not contradict each other.
fn check_times(wanted: &Wanted, now: Time) -> Result<(), Refusal> {
    if let Some(from) = wanted.not_before {
        let permitted = "no such field: validity begins now, less the profile's backdate";
        return Err(Error::malformed("wanted.not_before", from.to_string(), permitted).into());
    }
    match (wanted.validity_secs, wanted.not_after) {
        (Some(_), Some(_)) => {
            Err(Error::malformed("wanted", "validity_secs beside not_after", "a lifetime, or an end").into())
        }
        (None, Some(until)) if until <= now => {
            Err(Error::malformed("wanted.not_after", until.to_string(), format!("a time after {now}")).into())
        }
        _ => Ok(()),
    }
}

/// Exact bytes that were judged and linted, and what the record says of them.
#[derive(Debug)]
pub struct Linted {
    pub(super) purpose: Purpose,
    pub(super) key: KeyName,
    pub(super) signer: PublicKey,
    pub(super) algorithm: SignatureAlgorithm,
    pub(super) tbs: Vec<u8>,
    pub(super) serial: Option<Serial>,
    pub(super) not_after: Option<Time>,
    pub(super) profile: Option<ProfileRef>,
    pub(super) approval: Option<Approval>,
}

impl Linted {
    /// What a profile decided, for the issuer whose public key is `signer`.
    ///
    /// # Errors
    /// Every lint that it breaks and the profile does not waive.
    pub fn certificate(decided: &Decided, profile: &Profile, signer: PublicKey) -> Result<Self, Refusal> {
        let tbs = decided.build()?;
        lint::lint(&tbs, &profile.waivers)?;
        let spec = decided.spec();
        Ok(Self {
            purpose: if spec.ca.is_some() {
                Purpose::Intermediate
            } else {
                Purpose::Leaf
            },
            key: decided.issuer().clone(),
            signer,
            algorithm: spec.signature,
            tbs,
            serial: Some(spec.serial.clone()),
            not_after: Some(spec.not_after),
            profile: Some(ProfileRef {
                name: decided.profile().clone(),
                sha256: decided.profile_digest(),
            }),
            approval: Some(decided.approval().clone()),
        })
    }

    /// A proposal that was recorded, its TBS linted again under the profile as it is now.
    ///
    /// # Errors
    /// When the profile changed, the TBS breaks a lint, or the issuer's certificate no longer fits.
    pub fn proposal(proposal: &record::Proposal, profile: &Profile, signer: PublicKey) -> Result<Self, Refusal> {
        if profile.digest() != proposal.profile.sha256 {
            let found = format!("{} at the proposal, {} now", proposal.profile.sha256, profile.digest());
            return Err(Error::malformed("profile", found, "the profile that judged the proposal; ask again").into());
        }
        lint::lint(&proposal.tbs.0, &profile.waivers)?;
        let view = parse_tbs(&proposal.tbs.0)?;
        Ok(Self {
            purpose: proposal.purpose,
            key: proposal.key.clone(),
            signer,
            algorithm: proposal.algorithm,
            tbs: proposal.tbs.0.clone(),
            serial: Some(proposal.serial.clone()),
            not_after: Some(view.not_after),
            profile: Some(proposal.profile.clone()),
            approval: Some(profile.approval.clone()),
        })
    }

    /// A CRL of the key `key`.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub fn crl(key: KeyName, signer: PublicKey, spec: &CrlSpec) -> Result<Self, Refusal> {
        let tbs = spec.to_tbs_der()?;
        let algorithm = spec.signature;
        Ok(Self {
            purpose: Purpose::Crl,
            key,
            signer,
            algorithm,
            tbs,
            serial: None,
            not_after: None,
            profile: None,
            approval: None,
        })
    }

    /// A step of a ceremony's plan, its TBS linted again.
    ///
    /// # Errors
    /// When it breaks a lint, or the signer's key is not the step's.
    pub fn step(step: &crate::ceremony::Step, signer: PublicKey) -> Result<Self, Refusal> {
        if signer.digest() != step.spki_sha256 {
            return Err(Error::unverified(
                format!("step {}", step.step),
                "the key is not the one that the plan names",
            )
            .into());
        }
        if step.purpose == Purpose::Crl {
            crate::crl::parse_tbs_crl(&step.tbs.0)?;
        } else {
            lint::lint(&step.tbs.0, &[])?;
        }
        Ok(Self {
            purpose: step.purpose,
            key: step.key.clone(),
            signer,
            algorithm: step.algorithm,
            tbs: step.tbs.0.clone(),
            serial: step.serial.clone(),
            not_after: step.not_after,
            profile: None,
            approval: None,
        })
    }

    /// The exact bytes to be signed.
    #[must_use]
    pub fn tbs(&self) -> &[u8] {
        &self.tbs
    }

    /// Their digest.
    #[must_use]
    pub fn tbs_sha256(&self) -> Digest {
        Digest::of(&self.tbs)
    }

    /// What is to be signed.
    #[must_use]
    pub const fn purpose(&self) -> Purpose {
        self.purpose
    }

    /// The key that is to sign.
    #[must_use]
    pub const fn key(&self) -> &KeyName {
        &self.key
    }

    /// With which algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// The serial, for certificates.
    #[must_use]
    pub const fn serial(&self) -> Option<&Serial> {
        self.serial.as_ref()
    }

    /// The profile, for certificates on request.
    #[must_use]
    pub const fn profile(&self) -> Option<&ProfileRef> {
        self.profile.as_ref()
    }

    /// Who must agree, for certificates on request.
    #[must_use]
    pub const fn approval(&self) -> Option<&Approval> {
        self.approval.as_ref()
    }
}
