//! The script: one reviewed file that says everything a ceremony will do. Secrets and places of tokens are not in it.

mod check;

use std::collections::BTreeMap;

use ipnet::IpNet;
use serde::Deserialize;

use super::Span;
use crate::crl::Reason;
use crate::error::Error;
use crate::names::{Attribute, AttributeType, Subject};
use crate::strict_toml;
use crate::tbs::{NameConstraints, Subtrees};
use crate::types::{KeyAlgorithm, KeyName, Origin, Serial};

/// What a rehearsal puts before every common name.
pub const REHEARSAL_MARK: &str = "REHEARSAL ";

/// The name of the ceremony's own key.
pub const ROOT_KEY: &str = "root";

/// A checked script.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// What the ceremony is called in its minutes.
    pub title: String,
    /// Whether it is a rehearsal; then every subject's common name says so.
    pub rehearsal: bool,
    /// Whether it continues the log of an earlier ceremony, with the same root token.
    #[serde(default)]
    pub continues: bool,
    /// The origin of the ceremony's own log.
    pub origin: Origin,
    /// The origin of the log of the signer that the certificates are for.
    pub signer_origin: Origin,
    /// How long before the drawing of the dates certificates become valid, for clients whose clocks are slow.
    #[serde(default = "no_time")]
    pub backdate: Span,
    /// How long after the drawing of the dates plan and bundle can be signed.
    pub approval_expiry: Span,
    /// The token that will hold the root key.
    pub token: TokenScript,
    /// The root, where this ceremony makes its certificate: a first one, or a later one after an interruption there.
    pub root: Option<RootScript>,
    /// The root's next CRL.
    pub root_crl: CrlScript,
    /// The signer's CAs, in the order in which they are signed.
    #[serde(default, rename = "intermediate")]
    pub intermediates: Vec<IntermediateScript>,
    /// Certificates of the root to revoke, in a later ceremony.
    #[serde(default, rename = "revoke")]
    pub revocations: Vec<RevokeScript>,
    /// Who takes part.
    #[serde(rename = "participant")]
    pub participants: Vec<Participant>,
    /// Devices, media, bags and seals to be looked at before and after.
    #[serde(default)]
    pub inventory: Vec<String>,
}

const fn no_time() -> Span {
    Span::ZERO
}

/// The token of the root key.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenScript {
    /// Its label; the first ceremony refuses a token that bears it already.
    pub label: String,
}

/// The subject of a CA: attribute types and values, each type once.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct SubjectScript(BTreeMap<AttributeType, String>);

/// The root certificate.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RootScript {
    /// The algorithm of its key.
    pub algorithm: KeyAlgorithm,
    /// Its subject.
    pub subject: SubjectScript,
    /// How long it is valid.
    pub validity: Span,
    /// How many CA levels may lie below it; any number where it is left out.
    pub path_length: Option<u8>,
}

/// The root's CRL.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CrlScript {
    /// How long it is valid: by then the next ceremony has made the next one.
    pub validity: Span,
}

/// The certificate of one of the signer's CAs.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IntermediateScript {
    /// The key's name in the signer's request.
    pub key: KeyName,
    /// Its subject.
    pub subject: SubjectScript,
    /// How long it is valid.
    pub validity: Span,
    /// How many CA levels may lie below it.
    pub path_length: u8,
    /// The names that may lie below it; any where a form is left out.
    #[serde(default)]
    pub permitted: NamesScript,
    /// The names that may not lie below it.
    #[serde(default)]
    pub excluded: NamesScript,
    /// Where the root's CRL is.
    #[serde(default)]
    pub crl_urls: Vec<String>,
    /// Where the root's certificate is.
    #[serde(default)]
    pub ca_issuers_urls: Vec<String>,
}

/// A certificate of the root to revoke, which takes the quorum's signatures over a text of its own.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokeScript {
    /// Its serial.
    pub serial: Serial,
    /// Why, as the CRL says it.
    pub reason: Reason,
    /// Why, in the words that the operators sign.
    pub because: String,
}

/// Names in a name constraint. Other forms than these two are refused by too many clients.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NamesScript {
    /// DNS names, each with everything below it.
    pub dns: Vec<String>,
    /// Networks.
    pub ip: Vec<IpNet>,
}

/// What a participant is there for. Nobody has two roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Leads through the script, works at the machine.
    Administrator,
    /// Signs bundle and plan with their SSH key.
    Operator,
    /// Watches and confirms hashes and clock.
    Witness,
    /// Keeps the transcript and checks it afterwards.
    Auditor,
}

impl Role {
    /// The word for it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::Operator => "operator",
            Self::Witness => "witness",
            Self::Auditor => "auditor",
        }
    }
}

/// A person.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Participant {
    /// Their name.
    pub name: String,
    /// What they are there for.
    pub role: Role,
}

impl SubjectScript {
    /// The subject, most significant attribute first; marked where the ceremony is a rehearsal.
    #[must_use]
    pub fn subject(&self, rehearsal: bool) -> Subject {
        let mark = |kind| {
            if rehearsal && kind == AttributeType::CommonName {
                REHEARSAL_MARK
            } else {
                ""
            }
        };
        let attribute = |kind| {
            self.0
                .get(&kind)
                .map(|value| Attribute::new(kind, format!("{}{value}", mark(kind))))
        };
        Subject(AttributeType::ALL.into_iter().filter_map(attribute).collect())
    }
}

impl NamesScript {
    fn subtrees(&self) -> Subtrees {
        Subtrees {
            dns: self.dns.clone(),
            ip: self.ip.clone(),
            ..Subtrees::default()
        }
    }
}

impl IntermediateScript {
    /// Its name constraints.
    #[must_use]
    pub fn name_constraints(&self) -> NameConstraints {
        NameConstraints {
            permitted: self.permitted.subtrees(),
            excluded: self.excluded.subtrees(),
            ..NameConstraints::default()
        }
    }
}

impl Script {
    /// Reads and checks a script that came from `file`.
    ///
    /// # Errors
    /// When it is not strict TOML, then the first line that is wrong; else everything that a ceremony could not carry out.
    pub fn parse(file: &str, text: &str) -> Result<Self, Vec<Error>> {
        let script: Self = strict_toml::parse(file, text).map_err(|e| vec![e])?;
        let faults = check::faults(file, &script);
        if faults.is_empty() { Ok(script) } else { Err(faults) }
    }
}
