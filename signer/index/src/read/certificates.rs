//! Certificates, CRLs, and what stops them.

use rusqlite::Row;
use stele_core::crl::Reason;
use stele_core::record::{Body, FreezeTarget, Record};
use stele_core::types::{Digest, KeyName, Serial, Time};

use super::Reader;
use crate::convert::{Int, Json, Millis, Text};
use crate::error::IndexError;
use crate::text::Name;
use crate::view::{BundleView, CaView, Carried, CertificateView, CrlView, Frozen, Listed, Revoked, StateKind};

impl Reader {
    /// The certificate that `key` signed with this serial.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn certificate(&self, key: &KeyName, serial: &Serial) -> Result<Option<CertificateView>, IndexError> {
        self.row(
            "SELECT idx, key, serial, not_after, der FROM certificate WHERE key = ?1 AND serial = ?2",
            (Text(key), Text(serial)),
            certificate_row,
        )
    }

    /// A certificate of the log before this one, of which the carry-over names no more than this.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn carried(&self, key: &KeyName, serial: &Serial) -> Result<Option<Carried>, IndexError> {
        self.row(
            "SELECT not_after, ca FROM carried WHERE key = ?1 AND serial = ?2",
            (Text(key), Text(serial)),
            |row| {
                Ok(Carried {
                    not_after: row.get::<_, Millis>(0)?.0,
                    ca: row.get(1)?,
                })
            },
        )
    }

    /// The newest certificate with this name, from whichever key.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn newest_certificate(&self, name: &Name) -> Result<Option<CertificateView>, IndexError> {
        self.row(
            "SELECT c.idx, c.key, c.serial, c.not_after, c.der FROM name n CROSS JOIN certificate c ON c.idx = n.idx
             WHERE n.text = ?1 ORDER BY n.idx DESC LIMIT 1",
            [Text(name)],
            certificate_row,
        )
    }

    /// The newest CA certificate of a key, with its chain.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn ca(&self, key: &KeyName) -> Result<Option<CaView>, IndexError> {
        self.cas("WHERE key = ?1", [Text(key)])
            .map(|found| found.into_iter().next())
    }

    /// The newest root: a CA certificate without a chain above it.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn root(&self) -> Result<Option<CaView>, IndexError> {
        let found = self.cas("WHERE root ORDER BY idx DESC LIMIT 1", [])?;
        Ok(found.into_iter().next())
    }

    /// The newest CA certificate of every key, the root's included, in the log's order.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn all_cas(&self) -> Result<Vec<CaView>, IndexError> {
        self.cas("ORDER BY idx", [])
    }

    fn cas(&self, which: &str, params: impl rusqlite::Params) -> Result<Vec<CaView>, IndexError> {
        let sql = format!("SELECT record FROM ca {which}");
        let records: Vec<String> = self.rows(&sql, params, |row| row.get(0))?;
        let decoded = records.iter().map(|record| {
            let Record { index, body, .. } = Record::decode(record.as_bytes())?;
            match body {
                Body::CaCertificate(ca) => Ok(CaView { index, ca }),
                other => Err(stele_core::Error::malformed("table ca", other.kind(), "ca_certificate").into()),
            }
        });
        decoded.collect()
    }

    /// The CRL of a key with the highest number.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn crl(&self, key: &KeyName) -> Result<Option<CrlView>, IndexError> {
        self.row(
            "SELECT idx, number, this_update, next_update, der FROM crl WHERE key = ?1",
            [Text(key)],
            |row| {
                Ok(CrlView {
                    index: row.get::<_, Int>(0)?.0,
                    number: row.get::<_, Int>(1)?.0,
                    this_update: row.get::<_, Millis>(2)?.0,
                    next_update: row.get::<_, Millis>(3)?.0,
                    der: row.get(4)?,
                })
            },
        )
    }

    /// The revocation of a serial.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn revoked(&self, key: &KeyName, serial: &Serial) -> Result<Option<Revoked>, IndexError> {
        self.row(
            "SELECT idx, time, not_after, reason FROM revoked WHERE key = ?1 AND serial = ?2",
            (Text(key), Text(serial)),
            |row| {
                Ok(Revoked {
                    index: row.get::<_, Int>(0)?.0,
                    time: row.get::<_, Millis>(1)?.0,
                    not_after: row.get::<_, Millis>(2)?.0,
                    reason: row.get::<_, Json<_>>(3)?.0,
                })
            },
        )
    }

    /// Every serial of `key` that a CRL made at `now` must list: revoked, or of an intent with an unknown fate, and
    /// not expired before `now`. In the log's order; a serial that is both stands here as revoked.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn listed(&self, key: &KeyName, now: Time) -> Result<Vec<Listed>, IndexError> {
        self.rows(
            "SELECT serial, idx, time, not_after, reason FROM revoked WHERE key = ?1 AND not_after >= ?2
             UNION ALL
             SELECT i.serial, i.fated, r.time, i.not_after, NULL FROM intent i JOIN record r ON r.idx = i.fated
             WHERE i.key = ?1 AND i.fate = ?3 AND i.fate <> '\"issued\"' AND i.serial IS NOT NULL
                 AND (i.not_after IS NULL OR i.not_after >= ?2)
                 AND NOT EXISTS (SELECT 1 FROM revoked x WHERE x.key = i.key AND x.serial = i.serial)
             ORDER BY 2",
            (Text(key), Millis(now), Json(StateKind::Unknown)),
            |row| {
                Ok(Listed {
                    serial: row.get::<_, Text<_>>(0)?.0,
                    index: row.get::<_, Int>(1)?.0,
                    time: row.get::<_, Millis>(2)?.0,
                    not_after: row.get::<_, Option<Millis>>(3)?.map(|t| t.0),
                    reason: row.get::<_, Option<Json<Reason>>>(4)?.map(|r| r.0),
                })
            },
        )
    }

    /// Every freeze in force.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn frozen(&self) -> Result<Vec<Frozen>, IndexError> {
        self.rows("SELECT target, idx FROM frozen ORDER BY idx", [], |row| {
            Ok(Frozen {
                target: row.get::<_, Json<_>>(0)?.0,
                index: row.get::<_, Int>(1)?.0,
            })
        })
    }

    /// The freeze of this target, if one is in force.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn is_frozen(&self, target: &FreezeTarget) -> Result<Option<u64>, IndexError> {
        let sql = "SELECT idx FROM frozen WHERE target = ?1";
        Ok(self
            .row(sql, [Json(target)], |row| row.get::<_, Int>(0))?
            .map(|index| index.0))
    }

    /// The newest bundle.
    ///
    /// # Errors
    /// [`IndexError::BundleUnreadable`] when the log does not hold it whole; and when the file cannot be read.
    pub fn newest_bundle(&self) -> Result<Option<BundleView>, IndexError> {
        let found = self.row("SELECT idx, number, sha256, bytes, fault FROM bundle", [], |row| {
            let index = row.get::<_, Int>(0)?.0;
            let Some(bytes) = row.get::<_, Option<Vec<u8>>>(3)? else {
                let why = row.get::<_, Option<String>>(4)?.unwrap_or_default();
                return Ok(Err(IndexError::BundleUnreadable { index, why }));
            };
            Ok(Ok(BundleView {
                index,
                number: row.get::<_, Text<_>>(1)?.0,
                sha256: row.get::<_, Text<Digest>>(2)?.0,
                bytes,
            }))
        })?;
        found.transpose()
    }
}

fn certificate_row(row: &Row<'_>) -> rusqlite::Result<CertificateView> {
    Ok(CertificateView {
        index: row.get::<_, Int>(0)?.0,
        key: row.get::<_, Text<_>>(1)?.0,
        serial: row.get::<_, Text<_>>(2)?.0,
        not_after: row.get::<_, Millis>(3)?.0,
        der: row.get(4)?,
    })
}
