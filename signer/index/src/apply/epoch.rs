//! What a log took over from the one before it.

use stele_core::ceremony::CeremonyFile as _;
use stele_core::crl::Reason;
use stele_core::epoch::CarryOver;
use stele_core::record::CarriedOver;
use stele_core::types::Digest;

use super::{About, Step};
use crate::convert::{Int, Json, Millis, Text};

impl Step<'_> {
    /// Bundle, freezes, revocations and serials in use. CA certificates follow as records of their own.
    pub(super) fn carried_over(&self, carried: &CarriedOver) -> rusqlite::Result<About> {
        let read = self.whole(&carried.carry_over)?;
        let read = read.and_then(|bytes| {
            let carry = CarryOver::decode(&bytes)?;
            let checked = carry.check()?;
            Ok((carry, checked.bundle.number()))
        });
        let (carry, number) = match read {
            Ok(read) => read,
            Err(error) => {
                self.anomaly(&format!("the carry-over does not read: {error}"))?;
                return Ok(About::default());
            }
        };
        self.execute(
            "INSERT OR REPLACE INTO bundle VALUES (0, ?1, ?2, ?3, ?4, NULL)",
            (
                Int(self.index),
                Text(number),
                Text(Digest::of(carry.bundle.as_bytes())),
                carry.bundle.as_bytes(),
            ),
        )?;
        for target in &carry.frozen {
            self.execute("INSERT INTO frozen VALUES (?1, ?2)", (Json(target), Int(self.index)))?;
        }
        for gone in &carry.gone {
            self.execute(
                "INSERT INTO revoked VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                (
                    Text(&gone.key),
                    Text(&gone.serial),
                    Int(self.index),
                    Millis(gone.time),
                    Millis(gone.not_after),
                    Json(Reason::of_code(gone.reason).unwrap_or(Reason::Unspecified)),
                ),
            )?;
        }
        for used in &carry.serials {
            self.execute(
                "INSERT INTO carried VALUES (?1, ?2, ?3, ?4)",
                (Text(&used.key), Text(&used.serial), Millis(used.not_after), used.ca),
            )?;
        }
        Ok(About::default())
    }
}
