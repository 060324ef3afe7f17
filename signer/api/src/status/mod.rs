//! Errors on the wire: a gRPC status with `google.rpc` details, small enough for every client, and how a client
//! shows one to people.

mod explain;
mod reason;

use std::collections::HashMap;
use std::time::Duration;

use stele_core::types::{Position, RequestId};
use stele_core::{Error, Refusal, Violation};
use tonic::Status;
use tonic_types::{ErrorDetails, FieldViolation, StatusExt as _};

pub use explain::explain;
pub use reason::Reason;

/// The domain in `ErrorInfo` of every error of ours.
pub const DOMAIN: &str = "stele";

/// Octets of a status on the wire, message and details as HTTP/2 trailers carry them. Clients refuse trailers that
/// are much larger (grpc-go and grpc-c++ from 8 KiB on), and proxies add their own.
const MAX_WIRE: usize = 3900;
/// Characters of a status's message.
const MAX_MESSAGE: usize = 240;
/// Characters of what was found and of what is permitted, each.
const MAX_PART: usize = 240;
/// Characters of a field's path.
const MAX_FIELD: usize = 160;

/// A failed call, before it becomes a status. Boxed, because it is the rare arm of many results.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure(Box<Parts>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Parts {
    reason: Reason,
    message: String,
    violations: Vec<Violation>,
    refusal: Option<Position>,
    attempt: Option<(RequestId, u32)>,
    retry_after: Option<Duration>,
}

impl Failure {
    /// A failure for `reason`; `message` says in a sentence what was found, and is cut after 240 characters.
    #[must_use]
    pub fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self(Box::new(Parts {
            reason,
            message: message.into(),
            violations: Vec::new(),
            refusal: None,
            attempt: None,
            retry_after: None,
        }))
    }

    /// A failure for `reason` with the violations of a refusal.
    #[must_use]
    pub fn refused(reason: Reason, refusal: Refusal) -> Self {
        let message = match refusal.violations.as_slice() {
            [] => "refused".to_owned(),
            [only] => only.to_string(),
            [first, rest @ ..] => format!("{} violations; the first: {first}", rest.len() + 1),
        };
        let mut failure = Self::new(reason, message);
        failure.0.violations = refusal.violations;
        failure
    }

    /// A call whose message could not be converted.
    #[must_use]
    pub fn malformed(refusal: Refusal) -> Self {
        Self::refused(Reason::MalformedRequest, refusal)
    }

    /// Foreign input that the core rejected, under the reason that fits the input.
    #[must_use]
    pub fn from_error(reason: Reason, error: Error) -> Self {
        Self::refused(reason, error.into())
    }

    /// Names the record of the refusal, under which all violations are found.
    #[must_use]
    pub fn recorded_at(mut self, position: Position) -> Self {
        self.0.refusal = Some(position);
        self
    }

    /// Names the request and the attempt that failed.
    #[must_use]
    pub fn of_attempt(mut self, id: RequestId, attempt: u32) -> Self {
        self.0.attempt = Some((id, attempt));
        self
    }

    /// Says that trying again makes sense, but not before `delay`.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.0.retry_after = Some(delay);
        self
    }

    /// The reason.
    #[must_use]
    pub fn reason(&self) -> Reason {
        self.0.reason
    }

    /// Every violation, also those that do not fit the status.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.0.violations
    }

    /// The status: reason, as many of the first violations as fit, how many there are, and the delay.
    #[must_use]
    pub fn to_status(&self) -> Status {
        let mut fitting = self.status_with(Vec::new());
        let mut shown = Vec::new();
        for violation in &self.0.violations {
            shown.push(field_violation(violation));
            let larger = self.status_with(shown.clone());
            if wire_size(&larger) > MAX_WIRE {
                break;
            }
            fitting = larger;
        }
        fitting
    }

    fn status_with(&self, violations: Vec<FieldViolation>) -> Status {
        let mut details = ErrorDetails::new();
        details.set_error_info(self.0.reason.name(), DOMAIN, self.metadata());
        if !violations.is_empty() {
            details.set_bad_request(violations);
        }
        if self.0.retry_after.is_some() {
            details.set_retry_info(self.0.retry_after);
        }
        Status::with_error_details(self.0.reason.code(), cut(&self.0.message, MAX_MESSAGE), details)
    }

    fn metadata(&self) -> HashMap<String, String> {
        let mut metadata = HashMap::new();
        if !self.0.violations.is_empty() {
            metadata.insert("violations".to_owned(), self.0.violations.len().to_string());
        }
        if let Some(position) = &self.0.refusal {
            metadata.insert("refusal".to_owned(), position.to_string());
        }
        if let Some((id, attempt)) = &self.0.attempt {
            metadata.insert("request_id".to_owned(), id.to_string());
            metadata.insert("attempt".to_owned(), attempt.to_string());
        }
        metadata
    }
}

impl From<Failure> for Status {
    fn from(failure: Failure) -> Self {
        failure.to_status()
    }
}

/// The rule becomes the violation's `reason`, which google.rpc wants in capitals and underscores.
fn field_violation(violation: &Violation) -> FieldViolation {
    let Violation {
        field,
        rule,
        found,
        permitted,
    } = violation;
    FieldViolation {
        field: cut(field, MAX_FIELD),
        description: format!(
            "found {}; permitted: {}",
            cut(found, MAX_PART),
            cut(permitted, MAX_PART)
        ),
        reason: cut(rule, MAX_FIELD).to_ascii_uppercase().replace('-', "_"),
        localized_message: None,
    }
}

/// At most `max` characters of `text`, marked where it was cut.
fn cut(text: &str, max: usize) -> String {
    if text.chars().nth(max).is_none() {
        return text.to_owned();
    }
    text.chars().take(max.saturating_sub(1)).chain(['…']).collect()
}

/// Octets that a status takes in the trailers, estimated from above: the message percent-encoded, the details in
/// base64 (gRPC over HTTP/2, "Responses").
fn wire_size(status: &Status) -> usize {
    let names = "grpc-status: 16 grpc-message: grpc-status-details-bin: ".len();
    let message: usize = status
        .message()
        .bytes()
        .map(|b| {
            if b.is_ascii_alphanumeric() || b"-_.:;,".contains(&b) {
                1
            } else {
                3
            }
        })
        .sum();
    names + message + status.details().len().div_ceil(3) * 4
}

#[cfg(test)]
mod tests;
