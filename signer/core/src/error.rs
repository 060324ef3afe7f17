//! What can go wrong in the core: malformed input, failed verification, and refusals of policy.

use serde::{Deserialize, Serialize};

/// A failure of the core. Every variant names the thing, what was found, and what is permitted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Foreign input that does not have the form it must have.
    #[error("{field}: found {found}; permitted: {permitted}")]
    Malformed {
        /// Which field or input, in the words of its reader.
        field: String,
        /// What was found there.
        found: String,
        /// What would be accepted.
        permitted: String,
    },
    /// A signature, proof or digest that does not fit what it is said to cover.
    #[error("{what} does not verify: {why}")]
    Unverified {
        /// What was to be verified.
        what: String,
        /// Why it was rejected.
        why: String,
    },
}

impl Error {
    /// Shorthand for [`Error::Malformed`].
    pub fn malformed(field: impl Into<String>, found: impl Into<String>, permitted: impl Into<String>) -> Self {
        Self::Malformed {
            field: field.into(),
            found: found.into(),
            permitted: permitted.into(),
        }
    }

    /// Shorthand for [`Error::Unverified`].
    pub fn unverified(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self::Unverified {
            what: what.into(),
            why: why.into(),
        }
    }
}

/// One rule that a request broke, in words that let its sender mend it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Violation {
    /// The field of the request or certificate, e.g. `subject.commonName` or `san.dns`.
    pub field: String,
    /// Stable identifier of the rule, e.g. `san-not-permitted`.
    pub rule: String,
    /// What was found.
    pub found: String,
    /// What the rule permits, and so how to mend it.
    pub permitted: String,
}

impl Violation {
    /// A violation of `rule` at `field`.
    pub fn new(
        field: impl Into<String>,
        rule: impl Into<String>,
        found: impl Into<String>,
        permitted: impl Into<String>,
    ) -> Self {
        Self {
            field: field.into(),
            rule: rule.into(),
            found: found.into(),
            permitted: permitted.into(),
        }
    }
}

impl std::fmt::Display for Violation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} [{}]: found {}; permitted: {}",
            self.field, self.rule, self.found, self.permitted
        )
    }
}

/// A judgement against a request: every violation that was found, never only the first.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("refused: {}", .violations.iter().map(ToString::to_string).collect::<Vec<_>>().join(" | "))]
pub struct Refusal {
    /// All violations, in the order in which the rules were tried; never empty.
    pub violations: Vec<Violation>,
}

impl Refusal {
    /// A refusal with a single violation.
    #[must_use]
    pub fn one(violation: Violation) -> Self {
        Self {
            violations: vec![violation],
        }
    }
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self::one(match error {
            Error::Malformed {
                field,
                found,
                permitted,
            } => Violation::new(field, "malformed", found, permitted),
            Error::Unverified { what, why } => {
                Violation::new(what, "unverified", why, "a signature or proof that verifies")
            }
        })
    }
}
