//! Refusals in the log: of requests, with their violations, and of peers who may not call at all.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use stele_api::status::{Failure, Reason};
use stele_core::record::{AccessRefused, Body, Refused};
use stele_core::request::SignRequest;
use stele_core::types::{CallerSan, Time};
use stele_core::{Refusal, Violation};

use crate::clock;
use crate::signer::{Signer, Who};

/// Octets of violations in one record: it may have 65,535, and JSON and base64 need their share.
const MAX_BYTES: usize = 40 * 1024;
/// Characters of what was found or is permitted, in a record.
const MAX_PART: usize = 1000;
/// How long a peer's further refusals at one method are not recorded: a peer that hammers must not fill the log.
const QUIET_MILLIS: u64 = 60_000;
/// Peers and methods that are remembered.
const MAX_REMEMBERED: usize = 10_000;

/// Remembers whose refusal was recorded lately.
#[derive(Debug, Default)]
pub(crate) struct Throttle(Mutex<HashMap<(CallerSan, String), Time>>);

impl Throttle {
    /// Whether the refusal of `caller` at `method` is to be recorded now.
    fn due(&self, caller: &CallerSan, method: &str, now: Time) -> bool {
        let mut remembered = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let quiet = |at: &Time| now.millis().saturating_sub(at.millis()) < QUIET_MILLIS;
        if remembered.len() >= MAX_REMEMBERED {
            remembered.retain(|_, at| quiet(at));
        }
        let key = (caller.clone(), method.to_owned());
        if remembered.get(&key).is_some_and(quiet) || remembered.len() >= MAX_REMEMBERED {
            return false;
        }
        remembered.insert(key, now);
        true
    }
}

/// Octets of JSON that a request and its violations may have together.
const MAX_WITH_REQUEST: usize = 60 * 1024;

/// The whole request, where a record has room for it beside the violations.
fn fits_with(violations: &[Violation], request: &SignRequest) -> Option<Box<SignRequest>> {
    let asked = serde_json::to_vec(request).ok()?.len();
    let beside = serde_json::to_vec(&fitting(violations)).ok()?.len();
    (asked + beside <= MAX_WITH_REQUEST).then(|| Box::new(request.clone()))
}

impl Signer {
    /// Records that a request was refused, and answers with the failure that names the record.
    pub(crate) fn refuse(&self, who: &Who, request: &SignRequest, reason: Reason, refusal: Refusal) -> Failure {
        self.metrics.refused.add();
        let total = refusal.violations.len() as u64;
        let body = Body::Refusal(Refused {
            caller: who.san().clone(),
            id: request.id.clone(),
            digest: request.digest(),
            profile: request.profile.clone(),
            violations: fitting(&refusal.violations),
            total,
            asked: fits_with(&refusal.violations, request),
        });
        match self.append(&body) {
            Ok(at) => {
                tracing::info!(index = at.index, reason = reason.name(), total, "refused");
                Failure::refused(reason, refusal).recorded_at(self.position(at.index))
            }
            // When it cannot be recorded nothing auditable happens, and that is what the caller has to know.
            Err(error) => error.into(),
        }
    }

    /// Records that a known caller was turned away, and answers with the failure.
    pub(crate) fn turn_away(&self, caller: &CallerSan, method: &str, failure: Failure) -> Failure {
        self.metrics.turned_away.add();
        if !self.throttle.due(caller, method, clock::now()) {
            return failure;
        }
        let body = Body::AccessRefused(AccessRefused {
            caller: caller.clone(),
            method: method.to_owned(),
            reason: failure.reason().name().to_owned(),
        });
        match self.append(&body) {
            Ok(at) => {
                tracing::info!(index = at.index, %caller, method, reason = failure.reason().name(), "turned away");
                failure.recorded_at(self.position(at.index))
            }
            Err(error) => {
                tracing::error!(%error, %caller, method, "a refusal could not be recorded");
                failure
            }
        }
    }
}

/// The first violations, as many as fit a record.
fn fitting(violations: &[Violation]) -> Vec<Violation> {
    let cut = |text: &str| text.chars().take(MAX_PART).collect::<String>();
    let mut left = MAX_BYTES;
    let mut out = Vec::new();
    for violation in violations {
        let Violation {
            field,
            rule,
            found,
            permitted,
        } = violation;
        let short = Violation::new(cut(field), cut(rule), cut(found), cut(permitted));
        // Escapes make text longer in JSON, so the encoded length counts.
        let length = serde_json::to_vec(&short).map_or(MAX_BYTES, |v| v.len() + 1);
        match left.checked_sub(length) {
            Some(rest) => left = rest,
            None => break,
        }
        out.push(short);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn violations_fit_a_record_whatever_they_say() {
        let violation = Violation::new("field", "rule", "\u{1}".repeat(20_000), "\"".repeat(20_000));
        let kept = fitting(&vec![violation; 100]);
        assert!(!kept.is_empty());
        assert!(serde_json::to_vec(&kept).unwrap().len() <= MAX_BYTES + 2);
    }

    #[test]
    fn a_hammering_peer_is_recorded_once_a_minute() {
        let throttle = Throttle::default();
        let caller = "dns:a.example".parse().unwrap();
        assert!(throttle.due(&caller, "/m", Time::from_secs(1)));
        assert!(!throttle.due(&caller, "/m", Time::from_secs(60)));
        assert!(throttle.due(&caller, "/n", Time::from_secs(60)));
        assert!(throttle.due(&caller, "/m", Time::from_secs(61)));
    }
}
