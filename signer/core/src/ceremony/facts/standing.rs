//! What the log says of the root key's work: what it certified, which serials are gone, which CRL number is next.

use std::collections::BTreeMap;

use super::{Attempt, Facts, Outcome, Sitting};
use crate::ceremony::script::ROOT_KEY;
use crate::ceremony::{CeremonyFile as _, Plan, RootCertificate, Standing};
use crate::crl::{Reason, Revocation};
use crate::error::Error;
use crate::record::{self, Purpose, Unknown};
use crate::tbs::parse_certificate;
use crate::types::{KeyName, Serial, Time};

/// A certificate that a ceremony of the log made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certified {
    /// The index of its outcome.
    pub index: u64,
    /// Root or intermediate.
    pub purpose: Purpose,
    /// The certificate.
    pub der: Vec<u8>,
}

/// A serial of the root key that its CRLs must list.
#[derive(Clone, Debug)]
pub(super) struct Gone {
    index: u64,
    serial: Serial,
    entry: Revocation,
    not_after: Time,
}

impl Gone {
    pub(super) fn revoked(index: u64, time: Time, revocation: &record::Revocation) -> Option<Self> {
        (revocation.key.as_str() == ROOT_KEY).then(|| Self {
            index,
            serial: revocation.serial.clone(),
            entry: Revocation {
                date: time,
                reason: revocation.reason,
            },
            not_after: revocation.not_after,
        })
    }

    /// It may exist, so it is listed (P8); RFC 5280 has no reason for that.
    pub(super) fn unknown(index: u64, time: Time, unknown: &Unknown) -> Option<Self> {
        let (serial, not_after) = (unknown.serial.clone()?, unknown.not_after?);
        (unknown.key.as_str() == ROOT_KEY).then_some(Self {
            index,
            serial,
            entry: Revocation {
                date: time,
                reason: Reason::Unspecified,
            },
            not_after,
        })
    }
}

impl Facts {
    fn sittings(&self) -> impl DoubleEndedIterator<Item = &Sitting> {
        self.earlier.iter().chain([&self.sitting])
    }

    /// The plan of a ceremony, decoded.
    fn plan_of(&self, sitting: &Sitting) -> Result<Option<Plan>, Error> {
        let bytes = sitting.plan.as_ref().map(|found| found.body.plan.resolve(self));
        bytes.transpose()?.map(|bytes| Plan::decode(&bytes)).transpose()
    }

    /// The newest certificate of each key, the root's own among them, whichever ceremony of the log made it.
    ///
    /// # Errors
    /// When a plan or an outcome in the log does not read.
    pub fn certificates(&self) -> Result<BTreeMap<KeyName, Certified>, Error> {
        let mut newest = BTreeMap::new();
        for sitting in self.sittings() {
            let steps = self.plan_of(sitting)?.map(|plan| plan.steps).unwrap_or_default();
            for step in steps.into_iter().filter(|step| step.purpose != Purpose::Crl) {
                let Some(issued) = sitting.issued(step.step) else {
                    continue;
                };
                let certified = Certified {
                    index: issued.index,
                    purpose: step.purpose,
                    der: issued.body.signed.resolve(self)?,
                };
                newest.insert(step.subject_key, certified);
            }
        }
        Ok(newest)
    }

    /// Whether the next CRL of the root must list a serial.
    #[must_use]
    pub fn is_gone(&self, serial: &Serial) -> bool {
        self.gone.iter().any(|gone| gone.serial == *serial)
    }

    /// The end of validity of the certificate with this serial, where the root key signed it or may have.
    #[must_use]
    pub fn not_after(&self, serial: &Serial) -> Option<Time> {
        let attempts = self.sittings().flat_map(|sitting| sitting.attempts.values()).flatten();
        let mut intents = attempts.map(|attempt| &attempt.intent.body);
        intents.find(|intent| intent.serial.as_ref() == Some(serial))?.not_after
    }

    /// From what a plan is drawn at `now`, beside script and keys; once the plan is recorded, what came before it counts.
    ///
    /// # Errors
    /// When something in the log does not read.
    pub fn standing(&self, now: Time) -> Result<Standing, Error> {
        let before = self.sitting.plan.as_ref().map_or(u64::MAX, |plan| plan.index);
        let root = self.certificates()?.remove(&ROOT_KEY.parse()?);
        let root = root.filter(|root| root.index < before);
        let numbers = self.crls.iter().filter(|(index, _)| *index < before);
        // RFC 5280 section 3.3: an entry may go only when the certificate has expired.
        let gone = self
            .gone
            .iter()
            .filter(|gone| gone.index < before && gone.not_after >= now);
        Ok(Standing {
            root: root.map(|root| RootCertificate::read(&root.der)).transpose()?,
            crl_number: numbers.map(|(_, number)| *number).max().unwrap_or(0) + 1,
            revoked: gone.map(|gone| (gone.serial.clone(), gone.entry)).collect(),
        })
    }

    /// The attempt before this one at a certificate for a key, when its fate is unknown or it failed: what a new one is
    /// linked to (P8).
    ///
    /// # Errors
    /// When a plan in the log does not read.
    pub fn unfulfilled(&self, purpose: Purpose, subject_key: &KeyName) -> Result<Option<&Attempt>, Error> {
        for sitting in self.sittings().rev() {
            let steps = self.plan_of(sitting)?.map(|plan| plan.steps).unwrap_or_default();
            let step = steps
                .iter()
                .find(|s| s.purpose == purpose && s.subject_key == *subject_key);
            let last = step.and_then(|step| sitting.attempts.get(&step.step)?.last());
            match last.map(|attempt| &attempt.outcome) {
                None => {}
                Some(Some(Outcome::Issued(_))) => return Ok(None),
                Some(_) => return Ok(last),
            }
        }
        Ok(None)
    }
}

impl RootCertificate {
    fn read(der: &[u8]) -> Result<Self, Error> {
        let (view, ..) = parse_certificate(der)?;
        Ok(Self {
            subject: view.subject.clone()?,
            subject_der: view.subject_der,
            not_after: view.not_after,
            path_length: view.path_length,
        })
    }
}
