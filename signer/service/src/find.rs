//! Finding entries: the index narrows, the records themselves decide what the index does not know.

use stele_api::convert::FindQuery;
use stele_api::status::{Failure, Reason};
use stele_api::v1::{Entry, FindEntriesResponse};
use stele_core::record::{Body, Payload, Record};
use stele_core::types::{Digest, OperatorName};
use stele_index::{Filter, Name, RecordView, subject_text};

use crate::authorise::Caller;
use crate::error::SignerError;
use crate::page_token;
use crate::signer::Signer;

/// Records that one call looks at; the rest is for the next page.
const MOST_READ: usize = 10_000;

impl Signer {
    /// Entries that fulfil the conditions, newest first.
    ///
    /// # Errors
    /// When the conditions name what is not there or not for this caller, or a read fails.
    pub(crate) fn find(&self, caller: &Caller, query: &FindQuery) -> Result<FindEntriesResponse, Failure> {
        self.own_log(query.origin.as_ref())?;
        let filter = self.filter(caller, query)?;
        let conditions = conditions(&filter, query);
        let mut before = page_token::read(query.page.token.as_deref(), &conditions)?;
        let wanted = usize::try_from(query.page.size).unwrap_or(usize::MAX);
        let (mut entries, mut read) = (Vec::new(), 0);
        loop {
            let page = self
                .reader
                .find_newest(&filter, before, query.page.size)
                .map_err(SignerError::from)?;
            for view in &page.items {
                before = Some(view.index);
                read += 1;
                entries.extend(self.fitting(query, view)?);
                if entries.len() >= wanted || read >= MOST_READ {
                    let next_page_token = page_token::write(view.index, &conditions);
                    return Ok(FindEntriesResponse {
                        entries,
                        next_page_token,
                    });
                }
            }
            if page.next.is_none() {
                return Ok(FindEntriesResponse {
                    entries,
                    next_page_token: String::new(),
                });
            }
        }
    }

    fn filter(&self, caller: &Caller, query: &FindQuery) -> Result<Filter, Failure> {
        let other = query.caller.as_ref().filter(|san| **san != caller.san);
        if !caller.sees_all && other.is_some() {
            return Err(Failure::new(
                Reason::MethodNotPermitted,
                "you see records about your own requests",
            ));
        }
        let about = if caller.sees_all {
            query.caller.clone()
        } else {
            Some(caller.san.clone())
        };
        let san = query.san.clone().map(Name::San);
        let subject = query.subject.as_ref().map(|s| Name::Subject(subject_text(s)));
        Ok(Filter {
            kind: match query.kinds.as_slice() {
                [only] => Some(only.clone()),
                _ => None,
            },
            caller: about,
            request: query.request_id.clone(),
            profile: query.profile.clone(),
            key: query.issuer.clone(),
            serial: query.serial.clone(),
            name: san.or(subject),
            from: query.from,
            until: query.until,
        })
    }

    /// The entry, when it fulfils what the index did not look at.
    fn fitting(&self, query: &FindQuery, view: &RecordView) -> Result<Option<Entry>, Failure> {
        if !query.kinds.is_empty() && !query.kinds.contains(&view.kind) {
            return Ok(None);
        }
        let entries = self.keeper.entries(view.index, 1).map_err(SignerError::from)?;
        let Some(bytes) = entries.into_iter().next() else {
            return Ok(None);
        };
        let body = Record::decode(&bytes).map_err(SignerError::from)?.body;
        let operator = query.operator.as_ref().is_none_or(|name| decided_by(&body, name));
        let certificate = query.certificate.is_none_or(|digest| holds(&body, digest));
        // Of two names the index looked at the first.
        let subject = match (&query.san, &query.subject) {
            (Some(_), Some(subject)) => subject_of(&body).is_some_and(|found| found == *subject),
            _ => true,
        };
        Ok((operator && certificate && subject).then(|| self.entry(view.index, bytes)))
    }
}

fn conditions(filter: &Filter, query: &FindQuery) -> String {
    format!(
        "{filter:?} {:?} {:?} {:?} {:?}",
        query.kinds, query.operator, query.certificate, query.subject
    )
}

fn decided_by(body: &Body, name: &OperatorName) -> bool {
    matches!(body, Body::Decision(decision) if decision.operator == *name)
}

fn holds(body: &Body, digest: Digest) -> bool {
    match body {
        Body::Issued(issued) => issued.sha256 == digest,
        Body::CaCertificate(ca) => Digest::of(&ca.certificate.0) == digest,
        _ => false,
    }
}

fn subject_of(body: &Body) -> Option<stele_core::names::Subject> {
    let der = match body {
        Body::Issued(issued) => match &issued.signed {
            Payload::Inline(bytes) => &bytes.0,
            Payload::Chunks { .. } => return None,
        },
        Body::CaCertificate(ca) => &ca.certificate.0,
        _ => return None,
    };
    stele_core::tbs::parse_certificate(der).ok()?.0.subject.ok()
}
