//! What a report needs of the records, gathered while they are verified.

use std::collections::{BTreeMap, BTreeSet};

use stele_core::record::{Authority, Body, FreezeTarget, KeyRole, Payload, Process, Purpose, Record};
use stele_core::types::{Digest, KeyAlgorithm, KeyName, Serial, Time};

use super::super::about::{About, Follower, detail};
use super::hierarchy::Cas;

/// So many rows of a list are kept; the rest is counted.
pub(super) const MOST_ROWS: usize = 500;

/// Something worth a look.
pub(super) struct Event {
    pub(super) index: u64,
    pub(super) time: Time,
    pub(super) kind: &'static str,
    pub(super) text: String,
    pub(super) grave: bool,
}

/// A refused request.
pub(super) struct RefusalRow {
    pub(super) index: u64,
    pub(super) time: Time,
    pub(super) caller: String,
    pub(super) profile: String,
    pub(super) why: String,
}

/// An operator's word.
pub(super) struct DecisionRow {
    pub(super) index: u64,
    pub(super) time: Time,
    pub(super) operator: String,
    pub(super) approve: bool,
    pub(super) about: String,
}

/// Rows of a list, as many as a page bears.
pub(super) struct Rows<T> {
    pub(super) rows: Vec<T>,
    pub(super) left_out: u64,
}

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            left_out: 0,
        }
    }
}

impl<T> Rows<T> {
    fn push(&mut self, row: T) {
        if self.rows.len() < MOST_ROWS {
            self.rows.push(row);
        } else {
            self.left_out += 1;
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.rows.len() as u64 + self.left_out
    }
}

/// Certificates in each hour, by one of their properties.
pub(super) type Hours = BTreeMap<u64, BTreeMap<String, u64>>;

/// Everything.
pub(super) struct Gathered {
    from: Option<Time>,
    until: Option<Time>,
    follower: Follower,
    /// Times of the first and last record of the log.
    pub(super) first: Option<Time>,
    pub(super) last: Option<Time>,
    pub(super) records: u64,
    pub(super) certificates: u64,
    pub(super) ca_certificates: u64,
    pub(super) crls: u64,
    pub(super) refused: u64,
    pub(super) revoked: u64,
    pub(super) by_profile: Hours,
    pub(super) by_caller: Hours,
    /// Leaves by the key that signed them.
    pub(super) by_issuer: BTreeMap<KeyName, u64>,
    pub(super) decisions: Rows<DecisionRow>,
    pub(super) operators: BTreeMap<String, (u64, u64)>,
    pub(super) refusals: Rows<RefusalRow>,
    pub(super) refused_by: BTreeMap<(String, String), u64>,
    pub(super) refused_rules: BTreeMap<String, u64>,
    pub(super) events: Rows<Event>,
    pub(super) cas: Cas,
    /// Processes that started and have not stopped.
    running: BTreeMap<String, String>,
    /// Callers and profiles that issued before the period.
    known: BTreeSet<String>,
}

impl Gathered {
    /// For a period; without bounds, for the whole log.
    pub(super) fn new(from: Option<Time>, until: Option<Time>) -> Self {
        Self {
            from,
            until,
            follower: Follower::default(),
            first: None,
            last: None,
            records: 0,
            certificates: 0,
            ca_certificates: 0,
            crls: 0,
            refused: 0,
            revoked: 0,
            by_profile: Hours::new(),
            by_caller: Hours::new(),
            by_issuer: BTreeMap::new(),
            decisions: Rows::default(),
            operators: BTreeMap::new(),
            refusals: Rows::default(),
            refused_by: BTreeMap::new(),
            refused_rules: BTreeMap::new(),
            events: Rows::default(),
            cas: Cas::default(),
            running: BTreeMap::new(),
            known: BTreeSet::new(),
        }
    }

    /// Takes the next record.
    pub(super) fn add(&mut self, record: &Record) {
        self.first = self.first.or(Some(record.time));
        self.last = Some(record.time);
        let about = self.follower.about(record);
        self.standing(record);
        let within =
            self.from.is_none_or(|from| record.time >= from) && self.until.is_none_or(|until| record.time < until);
        let caller = self.caller(&about);
        if within {
            self.records += 1;
            self.count(record, &about, &caller);
            self.remark(record, &caller);
        } else if matches!(record.body, Body::Issued(_)) {
            self.known.insert(caller);
        }
        self.process(record, within);
    }

    /// The caller as people know it.
    fn caller(&self, about: &About) -> String {
        let Some(caller) = &about.caller else {
            return "(nobody)".to_owned();
        };
        match self.follower.name(caller) {
            Some(name) => format!("{name} ({caller})"),
            None => caller.to_string(),
        }
    }

    /// What holds beyond the period: keys, CAs, what is revoked and frozen.
    fn standing(&mut self, record: &Record) {
        match &record.body {
            Body::KeyGenerated(key) if key.role == KeyRole::Ca => {
                self.cas.key(&key.key, key.algorithm, key.spki_sha256);
            }
            Body::CaCertificate(ca) => {
                self.cas.learn(&ca.certificate.0, record.index, "imported");
                ca.chain
                    .iter()
                    .for_each(|der| self.cas.learn(&der.0, record.index, "imported"));
            }
            Body::Issued(issued) if matches!(issued.purpose, Purpose::Intermediate | Purpose::Root) => {
                if let Payload::Inline(der) = &issued.signed {
                    self.cas.learn(&der.0, record.index, "issued");
                }
            }
            Body::Revocation(revocation) => self.cas.revoke(&revocation.serial),
            Body::Freeze(freeze) => {
                if let FreezeTarget::Issuer(key) = &freeze.target {
                    self.cas.freeze(key, true);
                }
            }
            Body::Unfreeze(unfreeze) => {
                if let FreezeTarget::Issuer(key) = &unfreeze.target {
                    self.cas.freeze(key, false);
                }
            }
            _ => {}
        }
    }

    fn count(&mut self, record: &Record, about: &About, caller: &str) {
        match &record.body {
            Body::Issued(issued) => match issued.purpose {
                Purpose::Crl => self.crls += 1,
                Purpose::Csr => {}
                purpose => {
                    let profile = about.profile.as_ref().map_or("(plan)".to_owned(), ToString::to_string);
                    self.certificate(record, purpose, caller, profile);
                    *self.by_issuer.entry(issued.key.clone()).or_default() += 1;
                }
            },
            Body::Decision(decision) => {
                let operator = decision.operator.to_string();
                let (yes, no) = self.operators.entry(operator.clone()).or_default();
                *(if decision.approve { yes } else { no }) += 1;
                self.decisions.push(DecisionRow {
                    index: record.index,
                    time: record.time,
                    operator,
                    approve: decision.approve,
                    about: words(about, caller),
                });
            }
            Body::Refusal(refused) => {
                self.refused += 1;
                let profile = refused.profile.to_string();
                *self.refused_by.entry((caller.to_owned(), profile.clone())).or_default() += 1;
                for violation in &refused.violations {
                    *self.refused_rules.entry(violation.rule.clone()).or_default() += 1;
                }
                let why: Vec<String> = refused.violations.iter().map(ToString::to_string).collect();
                self.refusals.push(RefusalRow {
                    index: record.index,
                    time: record.time,
                    caller: caller.to_owned(),
                    profile,
                    why: why.join("\n"),
                });
            }
            Body::Revocation(_) => self.revoked += 1,
            _ => {}
        }
    }

    fn certificate(&mut self, record: &Record, purpose: Purpose, caller: &str, profile: String) {
        self.certificates += 1;
        self.ca_certificates += u64::from(purpose != Purpose::Leaf);
        let hour = record.time.secs() / 3600;
        *self.by_profile.entry(hour).or_default().entry(profile).or_default() += 1;
        *self
            .by_caller
            .entry(hour)
            .or_default()
            .entry(caller.to_owned())
            .or_default() += 1;
        let new = self.known.insert(caller.to_owned());
        if new
            && self
                .from
                .is_some_and(|from| self.first.is_some_and(|first| first < from))
        {
            self.event(
                record,
                "new caller",
                format!("the first certificate of {caller} in this log"),
                false,
            );
        }
    }

    /// What people should look at.
    fn remark(&mut self, record: &Record, caller: &str) {
        let body = &record.body;
        let (kind, grave) = match body {
            Body::Unknown(_) => ("fate unknown", true),
            Body::Failed(_) => ("signature failed", false),
            Body::AccessRefused(_) => ("access refused", false),
            Body::ClockStep(_) => ("clock step", true),
            Body::TokenLogin(login) if login.outcome != "ok" => ("token log-in failed", true),
            Body::Revocation(_) => ("revocation", false),
            Body::Freeze(_) => ("freeze", true),
            Body::Unfreeze(_) => ("unfreeze", false),
            Body::Recovery(_) => ("recovery", true),
            Body::BundleAdopted(_) => ("change of authority", false),
            Body::KeyGenerated(_) => ("new key", false),
            Body::CeremonyImported(_) => ("import of a ceremony", false),
            Body::Intent(intent) if intent.request.attempt > 1 => ("another attempt", false),
            Body::Issued(issued) if issued.purpose == Purpose::Intermediate => ("CA certificate", false),
            _ => return,
        };
        let mut text = detail(body);
        if let Body::Intent(intent) = body {
            let how = match intent.authority {
                Authority::Approvals(_) => ", approved by operators",
                _ => "",
            };
            text = format!(
                "attempt {} at {} of {caller}{how}",
                intent.request.attempt, intent.request.id
            );
        }
        self.event(record, kind, text, grave);
    }

    fn event(&mut self, record: &Record, kind: &'static str, text: String, grave: bool) {
        self.events.push(Event {
            index: record.index,
            time: record.time,
            kind,
            text,
            grave,
        });
    }

    /// A process that starts while the record of its last end is missing was killed, or lost power.
    fn process(&mut self, record: &Record, within: bool) {
        match &record.body {
            Body::Started(Process { process, instance, .. }) => {
                let before = self.running.insert(process.clone(), instance.clone());
                if let Some(before) = before.filter(|_| within) {
                    let text = format!("{process} {before} ended without a record of it");
                    self.event(record, "unclean end", text, true);
                }
            }
            Body::Stopped(Process { process, .. }) => {
                self.running.remove(process);
            }
            _ => {}
        }
    }
}

fn words(about: &About, caller: &str) -> String {
    let request = about.request.as_ref().map_or(String::new(), ToString::to_string);
    let profile = about.profile.as_ref().map_or(String::new(), |p| format!(" under {p}"));
    format!("{request} of {caller}{profile}")
}

/// What [`Cas`] needs to know of a key.
pub(super) struct KeyFacts {
    pub(super) name: KeyName,
    pub(super) algorithm: KeyAlgorithm,
    pub(super) spki_sha256: Digest,
}

/// A serial as the hierarchy compares it.
pub(super) fn same_serial(serial: &Serial, octets: &[u8]) -> bool {
    Serial::from_unsigned(octets).is_ok_and(|found| found == *serial)
}
