//! The texts that operators sign with their SSH keys, and nothing else they sign counts.
//!
//! Each begins with the line of its type; then come `name: value` lines, each once and in order; it ends in a newline. A
//! text reads only if writing it again gives the same bytes, so that there is one text for one meaning.

mod form;

use std::fmt;
use std::str::FromStr;

use form::{Free, Lines, write_text};

use crate::error::Error;
use crate::types::{CallerSan, Digest, KeyAlgorithm, KeyName, Origin, RequestId, Time};

/// A kind of text: its SSH namespace keeps a signature over one kind from counting for another.
pub trait OperatorText: fmt::Display + FromStr<Err = Error> {
    /// The namespace of `ssh-keygen -Y sign -n`.
    const NAMESPACE: &'static str;

    /// From when on it no longer counts.
    fn expires(&self) -> Time;

    /// The log that it is for.
    fn origin(&self) -> &Origin;

    /// Checks that the text is for this log and still counts.
    ///
    /// # Errors
    /// When it names another origin or has expired.
    fn check(&self, origin: &Origin, now: Time) -> Result<(), Error> {
        if self.origin() != origin {
            return Err(Error::malformed(
                "origin",
                self.origin().as_str(),
                format!("{origin}, this log"),
            ));
        }
        if now >= self.expires() {
            return Err(Error::malformed(
                "expires",
                self.expires().to_string(),
                format!("a time after {now}: sign a new text"),
            ));
        }
        Ok(())
    }
}

/// What an operator says to a proposal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Sign it.
    Approve,
    /// Never sign it.
    Deny,
}

/// `stele-approval-v1`: a decision about one attempt at one request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApprovalText {
    /// The log that holds the proposal.
    pub origin: Origin,
    /// The request.
    pub request: RequestId,
    /// The attempt, from 1.
    pub attempt: u32,
    /// Who asked.
    pub requester: CallerSan,
    /// SHA-256 of the exact TBS.
    pub tbs_sha256: Digest,
    /// SHA-256 of the profile's file.
    pub profile_sha256: Digest,
    /// Yes or no.
    pub decision: Decision,
    /// From when on it no longer counts.
    pub expires: Time,
}

/// `stele-bundle-v1`: acceptance of the next authority bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BundleText {
    /// The log.
    pub origin: Origin,
    /// The bundle's number.
    pub number: u64,
    /// The digest of the bundle before it.
    pub predecessor: Option<Digest>,
    /// SHA-256 of the bundle's bytes.
    pub bundle_sha256: Digest,
    /// From when on it no longer counts.
    pub expires: Time,
}

/// One signature of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanStep {
    /// The key that signs.
    pub key: KeyName,
    /// SHA-256 of the exact bytes that it signs.
    pub tbs_sha256: Digest,
}

/// `stele-plan-v1`: a ceremony's plan with the exact bytes of every signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanText {
    /// The ceremony's log.
    pub origin: Origin,
    /// SHA-256 of the plan.
    pub plan_sha256: Digest,
    /// SHA-256 of the bundle under which it runs.
    pub bundle_sha256: Digest,
    /// From when on it no longer counts.
    pub expires: Time,
    /// The signatures in order, numbered from 1 in the text.
    pub steps: Vec<PlanStep>,
}

/// What a stop does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopAction {
    /// Revokes a certificate.
    Revoke,
    /// Stops a key, profile or caller.
    Freeze,
    /// Lets it go on.
    Unfreeze,
}

/// `stele-stop-v1`: a revocation, freeze or unfreeze that takes operators.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopText {
    /// The log.
    pub origin: Origin,
    /// What to do.
    pub action: StopAction,
    /// To what, e.g. `key:issuing-ca` or `serial:issuing-ca:1f2e...`.
    pub target: String,
    /// Why.
    pub reason: String,
    /// From when on it no longer counts.
    pub expires: Time,
}

impl StopText {
    /// The CRLReason that `reason` begins with, as in `ca-compromise: the safe was open`; unspecified without one.
    #[must_use]
    pub fn crl_reason(&self) -> crate::crl::Reason {
        let word = self.reason.split(':').next().unwrap_or_default();
        serde_json::from_value(serde_json::Value::String(word.to_owned())).unwrap_or(crate::crl::Reason::Unspecified)
    }
}

/// `stele-recovery-v1`: a decision after a fault, e.g. about the clock or a lost log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecoveryText {
    /// The log.
    pub origin: Origin,
    /// What to do, e.g. `clock` or `discontinuity`.
    pub action: String,
    /// SHA-256 of the details, which travel beside the text.
    pub detail_sha256: Digest,
    /// From when on it no longer counts.
    pub expires: Time,
}

/// `stele-close-v1`: the end of an epoch in a planned change; the log appends and signs nothing after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CloseText {
    /// The log that ends.
    pub origin: Origin,
    /// The log that goes on.
    pub successor: Origin,
    /// The verifier key of the log that goes on.
    pub successor_vkey: String,
    /// From when on it no longer counts.
    pub expires: Time,
}

/// Why a log continues another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuccessionKind {
    /// The other log was closed by its quorum; nothing is missing.
    Planned,
    /// The other log, or its end, is lost.
    Discontinuity,
}

/// `stele-succession-v1`: the beginning of an epoch that continues another; it stands in the new log's genesis.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuccessionText {
    /// The log that begins.
    pub origin: Origin,
    /// Its verifier key.
    pub vkey: String,
    /// Whether the change was planned.
    pub kind: SuccessionKind,
    /// The log before.
    pub predecessor: Origin,
    /// How many entries of it are known.
    pub size: u64,
    /// The root over them.
    pub root: Digest,
    /// What is missing, in words; `nothing` after a planned change.
    pub missing: String,
    /// SHA-256 of the carry-over file.
    pub carry_over_sha256: Digest,
    /// From when on it no longer counts.
    pub expires: Time,
}

/// What is done to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyAction {
    /// Made in the token, with a CSR.
    Generate,
    /// Removed from the token.
    Destroy,
}

/// What becomes of the certificates that a destroyed key issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remaining {
    /// All have expired; otherwise the key stays, for it must sign their CRLs.
    Expired,
    /// Those that have not expired are left without CRLs.
    Abandoned,
}

/// `stele-key-v1`: a CA key to be generated or destroyed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyText {
    /// The log of the keeper that holds or will hold it.
    pub origin: Origin,
    /// What is done.
    pub action: KeyAction,
    /// The key's name.
    pub key: KeyName,
    /// Its algorithm.
    pub algorithm: KeyAlgorithm,
    /// SHA-256 of its SPKI: which key is destroyed; none for one that is yet to be made.
    pub spki_sha256: Option<Digest>,
    /// The common name that the CSR of a new key proposes; for one that is destroyed, why.
    pub words: String,
    /// What becomes of its certificates; `expired` for a new key.
    pub certificates: Remaining,
    /// From when on it no longer counts.
    pub expires: Time,
}

/// The words of an enum, both ways.
macro_rules! words {
    ($t:ty, $($variant:ident = $word:literal),+) => {
        impl fmt::Display for $t {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $word),+ })
            }
        }
        impl FromStr for $t {
            type Err = Error;
            fn from_str(s: &str) -> Result<Self, Error> {
                match s {
                    $($word => Ok(Self::$variant),)+
                    other => Err(Error::malformed("word", format!("`{}`", other.escape_debug()), [$($word),+].join(" or "))),
                }
            }
        }
    };
}
words!(Decision, Approve = "approve", Deny = "deny");
words!(StopAction, Revoke = "revoke", Freeze = "freeze", Unfreeze = "unfreeze");
words!(SuccessionKind, Planned = "planned", Discontinuity = "discontinuity");
words!(KeyAction, Generate = "generate", Destroy = "destroy");
words!(Remaining, Expired = "expired", Abandoned = "abandoned");

/// Writing, reading and the trait of one kind of text, from the list of its lines.
macro_rules! text {
    ($t:ident, $kind:literal, $namespace:literal, { $($line:literal => $field:ident $(as $wrap:ident)?),+ $(,)? } $(, $steps:ident)?) => {
        impl fmt::Display for $t {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write_text(f, $kind, &[$(($line, text!(@write self.$field $(, $wrap)?))),+])?;
                $(form::write_steps(f, &self.$steps)?;)?
                Ok(())
            }
        }
        impl FromStr for $t {
            type Err = Error;
            fn from_str(text: &str) -> Result<Self, Error> {
                let mut lines = Lines::begin($kind, text)?;
                let parsed = Self {
                    $($field: text!(@read lines, $line $(, $wrap)?),)+
                    $($steps: lines.steps()?,)?
                };
                lines.end(text, &parsed.to_string())?;
                Ok(parsed)
            }
        }
        impl OperatorText for $t {
            const NAMESPACE: &'static str = $namespace;
            fn expires(&self) -> Time {
                self.expires
            }
            fn origin(&self) -> &Origin {
                &self.origin
            }
        }
    };
    (@write $value:expr) => { $value.to_string() };
    (@write $value:expr, Free) => { $value.to_string() };
    (@write $value:expr, Optional) => { $value.map_or("none".to_owned(), |v| v.to_string()) };
    (@read $lines:ident, $line:literal) => { $lines.value($line)? };
    (@read $lines:ident, $line:literal, Free) => { $lines.value::<Free>($line)?.0 };
    (@read $lines:ident, $line:literal, Optional) => { $lines.optional($line)? };
}

text!(ApprovalText, "stele-approval-v1", "stele-approval", {
    "origin" => origin,
    "request" => request,
    "attempt" => attempt,
    "requester" => requester,
    "tbs-sha256" => tbs_sha256,
    "profile-sha256" => profile_sha256,
    "decision" => decision,
    "expires" => expires,
});
text!(BundleText, "stele-bundle-v1", "stele-bundle", {
    "origin" => origin,
    "number" => number,
    "predecessor" => predecessor as Optional,
    "bundle-sha256" => bundle_sha256,
    "expires" => expires,
});
text!(PlanText, "stele-plan-v1", "stele-plan", {
    "origin" => origin,
    "plan-sha256" => plan_sha256,
    "bundle-sha256" => bundle_sha256,
    "expires" => expires,
}, steps);
text!(StopText, "stele-stop-v1", "stele-stop", {
    "origin" => origin,
    "action" => action,
    "target" => target as Free,
    "reason" => reason as Free,
    "expires" => expires,
});
text!(RecoveryText, "stele-recovery-v1", "stele-recovery", {
    "origin" => origin,
    "action" => action as Free,
    "detail-sha256" => detail_sha256,
    "expires" => expires,
});
text!(CloseText, "stele-close-v1", "stele-recovery", {
    "origin" => origin,
    "successor" => successor,
    "successor-vkey" => successor_vkey as Free,
    "expires" => expires,
});
text!(SuccessionText, "stele-succession-v1", "stele-recovery", {
    "origin" => origin,
    "vkey" => vkey as Free,
    "kind" => kind,
    "predecessor" => predecessor,
    "size" => size,
    "root" => root,
    "missing" => missing as Free,
    "carry-over-sha256" => carry_over_sha256,
    "expires" => expires,
});
text!(KeyText, "stele-key-v1", "stele-key", {
    "origin" => origin,
    "action" => action,
    "key" => key,
    "algorithm" => algorithm,
    "spki-sha256" => spki_sha256 as Optional,
    "words" => words as Free,
    "certificates" => certificates,
    "expires" => expires,
});

#[cfg(test)]
mod tests;
