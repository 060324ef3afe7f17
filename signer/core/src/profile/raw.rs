//! The profile's file, as TOML has it.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use serde::Deserialize;

use super::approval::Approval;
use super::context::ContextField;
use super::dns_pattern::DnsPattern;
use super::rules::{CsrNames, Rate, ValidityRule, Waiver};
use super::template::Template;
use crate::names::{AttributeType, Usage};
use crate::tbs::NameConstraints;
use crate::types::{CallerName, KeyAlgorithm, KeyName, ProfileName, SignatureAlgorithm};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum RawKind {
    Leaf,
    Intermediate,
    Caller,
    Server,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawProfile {
    pub(super) name: ProfileName,
    /// For people; nothing reads it.
    #[serde(default, rename = "description")]
    pub(super) _description: Option<String>,
    pub(super) kind: RawKind,
    pub(super) issuers: BTreeSet<KeyName>,
    #[serde(default)]
    pub(super) callers: BTreeSet<CallerName>,
    #[serde(default)]
    pub(super) context: BTreeSet<ContextField>,
    pub(super) key_algorithms: BTreeSet<KeyAlgorithm>,
    pub(super) signature: Option<SignatureAlgorithm>,
    #[serde(default)]
    pub(super) csr_names: CsrNames,
    #[serde(default)]
    pub(super) ignored_extensions: Vec<String>,
    #[serde(default)]
    pub(super) crl_urls: Vec<String>,
    #[serde(default)]
    pub(super) ca_issuers_urls: Vec<String>,
    #[serde(default)]
    pub(super) ocsp_urls: Vec<String>,
    #[serde(default)]
    pub(super) policies: Vec<String>,
    #[serde(default)]
    pub(super) no_rev_avail: bool,
    pub(super) approval: Approval,
    pub(super) validity: ValidityRule,
    #[serde(default)]
    pub(super) subject: BTreeMap<AttributeType, RawAttribute>,
    #[serde(default)]
    pub(super) sans: RawSans,
    pub(super) usages: RawUsages,
    pub(super) basic_constraints: Option<RawBasicConstraints>,
    pub(super) name_constraints: Option<NameConstraints>,
    #[serde(default)]
    pub(super) lint_waivers: Vec<Waiver>,
    pub(super) rate: Option<Rate>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawAttribute {
    pub(super) fixed: Option<Vec<String>>,
    pub(super) request: Option<Vec<Template>>,
    pub(super) except: Option<Vec<Template>>,
    pub(super) context: Option<Template>,
    pub(super) fits: Option<Vec<Template>>,
    pub(super) required: Option<bool>,
    pub(super) max: Option<usize>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSans {
    pub(super) min: Option<usize>,
    pub(super) max: Option<usize>,
    pub(super) dns: Option<RawDns>,
    pub(super) ip: Option<RawIp>,
    pub(super) uri: Option<RawUri>,
    pub(super) email: Option<RawEmail>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawDns {
    #[serde(default)]
    pub(super) patterns: Vec<DnsPattern>,
    #[serde(default)]
    pub(super) wildcard: bool,
    #[serde(default)]
    pub(super) always: Vec<Template>,
    pub(super) min: Option<usize>,
    pub(super) max: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawIp {
    pub(super) cidrs: Vec<IpNet>,
    pub(super) min: Option<usize>,
    pub(super) max: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawUri {
    #[serde(default)]
    pub(super) templates: Vec<Template>,
    #[serde(default)]
    pub(super) always: Vec<Template>,
    pub(super) min: Option<usize>,
    pub(super) max: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawEmail {
    pub(super) patterns: Vec<Template>,
    pub(super) min: Option<usize>,
    pub(super) max: Option<usize>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawUsages {
    pub(super) fixed: Option<BTreeSet<Usage>>,
    pub(super) allowed: Option<BTreeSet<Usage>>,
    pub(super) required: Option<BTreeSet<Usage>>,
    pub(super) always: Option<BTreeSet<Usage>>,
    pub(super) default: Option<BTreeSet<Usage>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBasicConstraints {
    pub(super) path_length: u8,
}
