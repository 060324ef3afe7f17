//! What every conversion shares: collecting violations, and reading single fields.

use std::fmt::Display;
use std::str::FromStr;

use prost_types::Timestamp;
use stele_core::types::{SignedText, Time};
use stele_core::{Error, Refusal, Violation};

use super::limits;
use crate::v1;

/// Collects the violations of one message.
#[derive(Default)]
pub(super) struct Fields {
    violations: Vec<Violation>,
}

impl Fields {
    /// Notes that `field` breaks `rule`.
    pub(super) fn refuse(&mut self, field: &str, rule: &str, found: impl Into<String>, permitted: impl Into<String>) {
        self.violations.push(Violation::new(field, rule, found, permitted));
    }

    /// The value, when nothing was refused.
    pub(super) fn finish<T>(self, value: Option<T>) -> Result<T, Refusal> {
        match value {
            Some(value) if self.violations.is_empty() => Ok(value),
            // A value is missing only where a field was refused; should that ever not hold, nothing passes.
            _ if self.violations.is_empty() => Err(Refusal::one(Violation::new(
                "message",
                "malformed",
                "an incomplete message",
                "every required field",
            ))),
            _ => Err(Refusal {
                violations: self.violations,
            }),
        }
    }

    /// Notes that a required field is absent.
    pub(super) fn absent(&mut self, field: &str, permitted: &str) {
        self.refuse(field, "required", "nothing", permitted);
    }

    /// A required text that has a type of its own.
    pub(super) fn parsed<T: FromStr<Err = Error>>(&mut self, field: &str, text: &str) -> Option<T> {
        let rule = if text.is_empty() { "required" } else { "malformed" };
        match text.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.core_error(field, rule, error);
                None
            }
        }
    }

    /// An optional text that has a type of its own.
    pub(super) fn parsed_if<T: FromStr<Err = Error>>(&mut self, field: &str, text: Option<&str>) -> Option<T> {
        text.and_then(|text| self.parsed(field, text))
    }

    /// Notes an error of the core under the name of the field on the wire.
    pub(super) fn core_error(&mut self, field: &str, rule: &str, error: Error) {
        match error {
            Error::Malformed { found, permitted, .. } => {
                let found = if rule == "required" {
                    "nothing".to_owned()
                } else {
                    found
                };
                self.refuse(field, rule, found, permitted);
            }
            Error::Unverified { why, .. } => self.refuse(field, "unverified", why, "what verifies"),
        }
    }

    /// A required text of at most `max` octets without control characters.
    pub(super) fn text(&mut self, field: &str, text: String, max: usize) -> Option<String> {
        let permitted = || format!("1 to {max} bytes without control characters");
        if text.is_empty() {
            self.absent(field, &permitted());
        } else if text.len() > max {
            self.refuse(field, "too-long", format!("{} bytes", text.len()), permitted());
        } else if text.chars().any(char::is_control) {
            self.refuse(field, "malformed", excerpt(&text), permitted());
        } else {
            return Some(text);
        }
        None
    }

    /// A text as [`Self::text`], where empty means that nothing is said.
    pub(super) fn text_or_empty(&mut self, field: &str, text: String, max: usize) -> Option<String> {
        if text.is_empty() {
            Some(text)
        } else {
            self.text(field, text, max)
        }
    }

    /// Required octets, at most `max` of them.
    pub(super) fn octets(&mut self, field: &str, octets: Vec<u8>, max: usize) -> Option<Vec<u8>> {
        let permitted = || format!("1 to {max} bytes");
        if octets.is_empty() {
            self.absent(field, &permitted());
        } else if octets.len() > max {
            self.refuse(field, "too-long", format!("{} bytes", octets.len()), permitted());
        } else {
            return Some(octets);
        }
        None
    }

    /// Whether a list has at most `max` members; longer ones are refused unread.
    pub(super) fn count(&mut self, field: &str, len: usize, max: usize, what: &str) -> bool {
        if len > max {
            self.refuse(field, "too-many", format!("{len} {what}"), format!("at most {max}"));
        }
        len <= max
    }

    /// Notes that two fields contradict each other.
    pub(super) fn conflict(&mut self, field: &str, found: impl Display, permitted: &str) {
        self.refuse(field, "conflict", found.to_string(), permitted);
    }

    /// A point in time; `unit` is the finest fraction permitted, in nanoseconds.
    fn instant(&mut self, field: &str, at: Timestamp, unit: i32, permitted: &str) -> Option<Time> {
        let Timestamp { seconds, nanos } = at;
        let millis = u64::try_from(seconds)
            .ok()
            .filter(|_| (0..1_000_000_000).contains(&nanos) && nanos % unit == 0)
            .and_then(|s| s.checked_mul(1000))
            .and_then(|ms| ms.checked_add(u64::from(nanos.unsigned_abs()) / 1_000_000));
        // `Time` takes the last instant for whatever lies beyond it; here that is refused instead.
        match millis.map(|ms| (ms, Time::from_millis(ms))) {
            Some((ms, time)) if time.millis() == ms => Some(time),
            _ => {
                self.refuse(field, "malformed", format!("{seconds} s and {nanos} ns"), permitted);
                None
            }
        }
    }

    /// An optional point in time in whole seconds, as certificates state it.
    pub(super) fn seconds(&mut self, field: &str, at: Option<Timestamp>) -> Option<Time> {
        self.instant(field, at?, 1_000_000_000, "whole seconds, 1970 to 9999")
    }

    /// An optional point in time in milliseconds, as records state it.
    pub(super) fn millis(&mut self, field: &str, at: Option<Timestamp>) -> Option<Time> {
        self.instant(field, at?, 1_000_000, "whole milliseconds, 1970 to 9999")
    }

    /// A required signed text.
    pub(super) fn signed_text(&mut self, field: &str, wire: Option<v1::SignedText>) -> Option<SignedText> {
        let Some(v1::SignedText { text, signature }) = wire else {
            self.absent(field, "a text and the SSH signature over it");
            return None;
        };
        let text = self.lines(&format!("{field}.text"), text, limits::SIGNED_TEXT);
        let signature = self.lines(&format!("{field}.signature"), signature, limits::SSH_SIGNATURE);
        Some(SignedText {
            text: text?,
            signature: signature?,
        })
    }

    /// A required text of several lines. What stands in it is judged with its signature.
    pub(super) fn lines(&mut self, field: &str, text: String, max: usize) -> Option<String> {
        self.octets(field, text.into_bytes(), max)
            .and_then(|octets| String::from_utf8(octets).ok())
    }

    /// The page that a list call asks for.
    pub(super) fn page(&mut self, size: u32, token: String) -> Option<Page> {
        if size > limits::PAGE_MOST {
            let permitted = format!("at most {}, or 0 for {}", limits::PAGE_MOST, limits::PAGE_DEFAULT);
            self.refuse("page_size", "too-many", size.to_string(), permitted);
        }
        let token = self.text_or_empty("page_token", token, limits::PAGE_TOKEN)?;
        Some(Page {
            size: page_size(size),
            token: Some(token).filter(|t| !t.is_empty()),
        })
    }
}

/// Which part of a list to answer with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// How many to answer with, 1 to 1,000.
    pub size: u32,
    /// Where an earlier answer ended, in that answer's words; `None` at the start.
    pub token: Option<String>,
}

/// The size of a page that was asked for with `size`: the default for 0, never more than the limit.
#[must_use]
pub fn page_size(size: u32) -> u32 {
    if size == 0 {
        limits::PAGE_DEFAULT
    } else {
        size.min(limits::PAGE_MOST)
    }
}

/// A point in time on the wire.
#[must_use]
pub fn time_to_wire(time: Time) -> Timestamp {
    Timestamp {
        seconds: i64::try_from(time.secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(time.millis() % 1000).unwrap_or_default() * 1_000_000,
    }
}

/// The first 80 characters of a foreign text, escaped, for a message.
pub(super) fn excerpt(text: &str) -> String {
    let shown: String = text.chars().take(80).collect();
    format!("`{}`", shown.escape_debug())
}
