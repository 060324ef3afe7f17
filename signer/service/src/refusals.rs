//! Refusals in the log: of requests, with their violations, and of peers who may not call at all. The first few of a
//! caller and hour have a record each, a flood of further ones is counted.

use stele_api::status::{Failure, Reason};
use stele_core::record::{AccessRefused, Body, Refused};
use stele_core::request::SignRequest;
use stele_core::types::CallerSan;
use stele_core::{Refusal, Violation};

use crate::clock;
use crate::error::SignerError;
use crate::floods::{Recording, Which};
use crate::signer::{Signer, Who};

/// Octets of violations in one record: it may have 65,535, and JSON and base64 need their share.
const MAX_BYTES: usize = 40 * 1024;
/// Characters of what was found or is permitted, in a record.
const MAX_PART: usize = 1000;
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
        if self.floods.add(who.san(), reason.name(), clock::now()) == Recording::Counted {
            tracing::debug!(reason = reason.name(), total, "refused and counted");
            return Failure::refused(reason, refusal);
        }
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

    /// Records the floods that are due; at the end of the process, all.
    ///
    /// # Errors
    /// When one cannot be recorded; it is counted again then.
    pub(crate) fn record_floods(&self, which: Which) -> Result<(), SignerError> {
        for counted in self.floods.take(which, clock::now()) {
            let body = Body::RefusalsCounted(counted);
            if let Err(error) = self.append(&body) {
                if let Body::RefusalsCounted(counted) = body {
                    self.floods.put_back(counted);
                }
                return Err(error);
            }
        }
        Ok(())
    }

    /// Records that a known caller was turned away, and answers with the failure.
    pub(crate) fn turn_away(&self, caller: &CallerSan, method: &str, failure: Failure) -> Failure {
        self.metrics.turned_away.add();
        if self.floods.add(caller, failure.reason().name(), clock::now()) == Recording::Counted {
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
}
