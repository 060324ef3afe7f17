//! The rules that a profile is made of, valid as they stand.

use std::collections::BTreeSet;

use ipnet::IpNet;
use serde::Deserialize;

use super::dns_pattern::DnsPattern;
use super::duration::Seconds;
use super::template::Template;
use crate::names::Usage;
use crate::tbs::NameConstraints;

/// What a profile issues.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// End-entity certificates.
    Leaf,
    /// Certificates of CAs below the issuer.
    Intermediate(Box<CaRules>),
    /// Client certificates of Stele's own callers; only the access CA issues them.
    Caller,
    /// Stele's own server certificate; only the access CA issues it.
    Server,
}

impl Kind {
    /// The word in the profile's file.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Leaf => "leaf",
            Self::Intermediate(_) => "intermediate",
            Self::Caller => "caller",
            Self::Server => "server",
        }
    }
}

/// What an intermediate's certificate says about the CAs and names below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaRules {
    /// The greatest path length; a request may ask for less.
    pub path_length: u8,
    /// Written into the certificate; none when empty.
    pub name_constraints: NameConstraints,
}

/// What the names in a CSR mean when the request itself has none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CsrNames {
    /// They are proposed, and each that is not permitted is a violation.
    #[default]
    Use,
    /// They are not looked at.
    Ignore,
}

/// How long certificates live. `min <= default <= max`, and `backdate < min`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidityRule {
    /// When the request does not say; shortened where the issuer's certificate ends earlier.
    pub default: Seconds,
    /// The shortest that is issued.
    pub min: Seconds,
    /// The longest that is issued.
    pub max: Seconds,
    /// How far before now it begins, for the sake of clocks that are behind; counted in the lifetime.
    pub backdate: Seconds,
}

/// One attribute of the subject.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttributeRule {
    /// Always exactly these values; a request may repeat them.
    Fixed(Vec<String>),
    /// From the request.
    Request {
        /// Each value fits one of these.
        patterns: Vec<Template>,
        /// And none of these.
        except: Vec<Template>,
        /// Whether there must be a value.
        required: bool,
        /// How many values there may be.
        max: usize,
    },
    /// Always this one value, filled from the vouched context; a request may repeat it.
    Context {
        /// The value.
        template: Template,
        /// Where this is not empty, the value must fit one of these besides.
        fits: Vec<Template>,
    },
}

/// How many names there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CountRule {
    /// At least.
    pub min: usize,
    /// At most.
    pub max: usize,
}

/// DNS names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DnsRule {
    /// What a request may have.
    pub patterns: Vec<DnsPattern>,
    /// Whether `*.x` may be asked for, where a pattern covers all of it.
    pub wildcard: bool,
    /// Names that every certificate has, filled from the context.
    pub always: Vec<Template>,
    /// How many in all.
    pub count: CountRule,
}

/// IP addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpRule {
    /// The networks that a request's addresses must lie in.
    pub cidrs: Vec<IpNet>,
    /// How many in all.
    pub count: CountRule,
}

/// URIs, SPIFFE IDs among them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UriRule {
    /// What a request may have; `*` is one path segment or a part of one.
    pub templates: Vec<Template>,
    /// URIs that every certificate has, filled from the context.
    pub always: Vec<Template>,
    /// How many in all.
    pub count: CountRule,
}

/// E-mail addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EmailRule {
    /// What a request may have.
    pub patterns: Vec<Template>,
    /// How many in all.
    pub count: CountRule,
}

/// Subject alternative names; a form that is `None` is forbidden.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SanRules {
    /// How many of all forms together.
    pub count: CountRule,
    /// DNS names.
    pub dns: Option<DnsRule>,
    /// IP addresses.
    pub ip: Option<IpRule>,
    /// URIs.
    pub uri: Option<UriRule>,
    /// E-mail addresses.
    pub email: Option<EmailRule>,
}

/// Key usages and extended key usages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UsageRule {
    /// Always exactly these; a request may name any of them and no other.
    Fixed(BTreeSet<Usage>),
    /// The request chooses.
    Choice {
        /// Of these.
        allowed: BTreeSet<Usage>,
        /// And with these among them.
        required: BTreeSet<Usage>,
        /// These are added where it leaves them out.
        always: BTreeSet<Usage>,
        /// When the request names none.
        default: BTreeSet<Usage>,
    },
}

impl UsageRule {
    /// Every usage that a certificate under the rule can have.
    #[must_use]
    pub const fn permitted(&self) -> &BTreeSet<Usage> {
        match self {
            Self::Fixed(set) | Self::Choice { allowed: set, .. } => set,
        }
    }

    /// The usages that every certificate under the rule has.
    #[must_use]
    pub fn certain(&self) -> BTreeSet<Usage> {
        match self {
            Self::Fixed(set) => set.clone(),
            Self::Choice { required, always, .. } => required | always,
        }
    }
}

/// A lint that does not apply to a profile's certificates.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waiver {
    /// The lint's id.
    pub lint: String,
    /// Why; recorded with the bundle.
    pub reason: String,
}

/// How often one caller may ask under one profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Requests a minute in the long run.
    pub per_minute: u32,
    /// Requests at once; `per_minute` when absent.
    #[serde(default)]
    pub burst: Option<u32>,
}
