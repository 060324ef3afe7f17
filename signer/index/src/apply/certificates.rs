//! What was signed: certificates, CA certificates, CRLs.

use std::collections::BTreeSet;

use stele_core::crl::parse_crl;
use stele_core::record::{CaCertificate, Issued, Payload, Purpose};
use stele_core::tbs::{TbsView, parse_certificate};
use stele_core::types::{KeyName, Serial};

use super::{About, Step};
use crate::convert::{Int, Millis, Text};
use crate::text::{Name, subject_text};
use crate::view::StateKind;

impl Step<'_> {
    /// What was signed counts, even where its intent's fate was settled before: it exists.
    pub(super) fn issued(&self, issued: &Issued) -> rusqlite::Result<About> {
        let of_intent = self.fate(issued.intent, StateKind::Issued)?;
        match issued.purpose {
            Purpose::Leaf | Purpose::Intermediate | Purpose::Root => self.certificate(issued)?,
            Purpose::Crl => self.crl(&issued.key, &issued.signed)?,
            Purpose::Csr => {}
        }
        Ok(About {
            caller: Some(issued.request.caller.clone()),
            request: Some(issued.request.id.clone()),
            profile: of_intent.profile,
            key: Some(issued.key.clone()),
            serial: issued.serial.clone(),
        })
    }

    fn certificate(&self, issued: &Issued) -> rusqlite::Result<()> {
        let parsed = self
            .whole(&issued.signed)?
            .and_then(|der| parse_certificate(&der).map(|(view, ..)| (view, der)));
        let (view, der) = match parsed {
            Ok(parsed) => parsed,
            Err(error) => return self.anomaly(&format!("the certificate does not read: {error}")),
        };
        self.names(&view)?;
        let serial = Serial::from_unsigned(&view.serial).ok();
        let Some(serial) = serial.filter(|serial| issued.serial.as_ref() == Some(serial)) else {
            return self.anomaly("the certificate has another serial than the record");
        };
        let twice: Option<()> = self.row(
            "SELECT 1 FROM certificate WHERE key = ?1 AND serial = ?2",
            (Text(&issued.key), Text(&serial)),
            |_| Ok(()),
        )?;
        if twice.is_some() {
            return self.anomaly("a second certificate with the same serial from the same key");
        }
        self.execute(
            "INSERT INTO certificate VALUES (?1, ?2, ?3, ?4, ?5)",
            (
                Int(self.index),
                Text(&issued.key),
                Text(&serial),
                Millis(view.not_after),
                der,
            ),
        )
    }

    pub(super) fn ca_certificate(&self, ca: &CaCertificate) -> rusqlite::Result<About> {
        let mut about = About {
            key: Some(ca.key.clone()),
            ..About::default()
        };
        match parse_certificate(&ca.certificate.0) {
            Ok((view, ..)) => {
                self.names(&view)?;
                about.serial = Serial::from_unsigned(&view.serial).ok();
            }
            Err(error) => self.anomaly(&format!("the CA certificate does not read: {error}"))?,
        }
        match self.record.encode().map(String::from_utf8) {
            Ok(Ok(record)) => self.execute(
                "INSERT OR REPLACE INTO ca VALUES (?1, ?2, ?3, ?4)",
                (Text(&ca.key), Int(self.index), record, ca.chain.is_empty()),
            )?,
            Ok(Err(_)) | Err(_) => self.anomaly("the record cannot be encoded")?,
        }
        if let Some(crl) = &ca.crl {
            self.crl(&ca.key, crl)?;
        }
        Ok(about)
    }

    /// Keeps the CRL with the highest number: an older ceremony's hand-over may be imported late.
    fn crl(&self, key: &KeyName, payload: &Payload) -> rusqlite::Result<()> {
        let parsed = self
            .whole(payload)?
            .and_then(|der| parse_crl(&der).map(|(view, ..)| (view, der)));
        let (view, der) = match parsed {
            Ok(parsed) => parsed,
            Err(error) => return self.anomaly(&format!("the CRL does not read: {error}")),
        };
        if i64::try_from(view.number).is_err() {
            return self.anomaly("a CRL number of 2^63 or more");
        }
        self.execute(
            "INSERT INTO crl VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO UPDATE SET idx = excluded.idx,
             number = excluded.number, this_update = excluded.this_update, next_update = excluded.next_update,
             der = excluded.der WHERE excluded.number >= number",
            (
                Text(key),
                Int(self.index),
                Int(view.number),
                Millis(view.this_update),
                Millis(view.next_update),
                der,
            ),
        )
    }

    /// Makes the record findable by the certificate's names. An empty subject names nobody.
    fn names(&self, view: &TbsView) -> rusqlite::Result<()> {
        let subject = view.subject.as_ref().ok().filter(|subject| !subject.is_empty());
        let names: BTreeSet<String> = view
            .sans
            .iter()
            .cloned()
            .map(Name::San)
            .chain(subject.map(|subject| Name::Subject(subject_text(subject))))
            .map(|name| name.to_string())
            .collect();
        for name in names {
            self.execute("INSERT INTO name VALUES (?1, ?2)", (name, Int(self.index)))?;
        }
        Ok(())
    }
}
