//! Profiles: what may be issued, by which CA, for whom, and who must agree. Absent means denied.
//!
//! A profile is written as strict TOML, checked once into [`Profile`], and then only read. [`decide`] turns a proposal
//! and a profile into a [`Decided`] certificate or into every violation; it is a pure function.

mod approval;
mod context;
mod decide;
mod dns_pattern;
mod duration;
mod issuer;
mod raw;
mod rules;
mod samples;
pub(crate) mod source;
mod template;
mod validate;

pub use approval::{Approval, Role};
pub use context::{Context, ContextField};
pub use decide::{Decided, Inputs, Proposal, Requester, decide};
pub use dns_pattern::DnsPattern;
pub use duration::Seconds;
pub use issuer::Issuer;
pub use rules::{
    AttributeRule, CaRules, CountRule, CsrNames, DnsRule, EmailRule, IpRule, Kind, Rate, SanRules, UriRule, UsageRule,
    ValidityRule, Waiver,
};
pub use samples::{lint_samples, samples};
pub use template::Template;

use std::collections::{BTreeMap, BTreeSet};

use der::asn1::ObjectIdentifier;

use crate::error::Error;
use crate::names::AttributeType;
use crate::types::{CallerName, Digest, KeyAlgorithm, KeyName, ProfileName, SignatureAlgorithm};

/// A profile that passed every check that it can pass alone; the authority bundle checks the names in it.
#[derive(Clone, Debug)]
pub struct Profile {
    name: ProfileName,
    digest: Digest,
    /// What it issues.
    pub kind: Kind,
    /// The CA keys that may sign under it; the caller chooses where there are several.
    pub issuers: BTreeSet<KeyName>,
    /// The callers that may ask under it.
    pub callers: BTreeSet<CallerName>,
    /// The context that those callers are trusted to vouch for.
    pub context: BTreeSet<ContextField>,
    /// The algorithms that a subject's key may have.
    pub key_algorithms: BTreeSet<KeyAlgorithm>,
    /// The algorithm to sign with; `None`: the default of the issuer's key.
    pub signature: Option<SignatureAlgorithm>,
    /// How long certificates live.
    pub validity: ValidityRule,
    /// The subject, attribute by attribute; one that is not here is forbidden.
    pub subject: BTreeMap<AttributeType, AttributeRule>,
    /// The subject alternative names, form by form.
    pub sans: SanRules,
    /// Key usages and extended key usages.
    pub usages: UsageRule,
    /// Where CRLs of the issuer are.
    pub crl_urls: Vec<String>,
    /// Where the issuer's certificate is.
    pub ca_issuers_urls: Vec<String>,
    /// OCSP responders.
    pub ocsp_urls: Vec<String>,
    /// Certificate policies.
    pub policies: Vec<ObjectIdentifier>,
    /// Whether certificates say that they are never revoked (RFC 9608).
    pub no_rev_avail: bool,
    /// What the names in a CSR mean.
    pub csr_names: CsrNames,
    /// Extensions that a CSR may ask for in vain.
    pub ignored_extensions: BTreeSet<ObjectIdentifier>,
    /// Lints that do not apply, and why.
    pub waivers: Vec<Waiver>,
    /// How often one caller may ask.
    pub rate: Option<Rate>,
    /// Who must agree.
    pub approval: Approval,
}

impl Profile {
    /// Reads and checks a profile; `file` is its name for error messages.
    ///
    /// # Errors
    /// Every fault in it, each naming file, line and key, what was found and what is permitted.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<Error>> {
        validate::validate(source::Source { file, text })
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &ProfileName {
        &self.name
    }

    /// SHA-256 of the exact text of its file.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }
}
