//! The SSH wire encoding (RFC 4251 section 5), read strictly: no trailing bytes, shortest integers.

use crate::error::Error;

/// Takes values off the front of foreign bytes.
pub(super) struct Reader<'a> {
    field: &'static str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Over `bytes`; `field` names them in errors.
    pub(super) const fn new(field: &'static str, bytes: &'a [u8]) -> Self {
        Self { field, rest: bytes }
    }

    /// `octets` bytes.
    pub(super) fn bytes(&mut self, octets: usize) -> Result<&'a [u8], Error> {
        let (taken, rest) = self.rest.split_at_checked(octets).ok_or_else(|| {
            let found = format!("{} bytes where {octets} should follow", self.rest.len());
            self.malformed(&found)
        })?;
        self.rest = rest;
        Ok(taken)
    }

    /// One `byte`.
    pub(super) fn byte(&mut self) -> Result<u8, Error> {
        self.bytes(1).map(|b| b.first().copied().unwrap_or_default())
    }

    /// A `uint32`.
    pub(super) fn uint32(&mut self) -> Result<u32, Error> {
        let octets = self.bytes(4)?;
        Ok(octets.iter().fold(0, |n, b| (n << 8) | u32::from(*b)))
    }

    /// A `string`: any octets.
    pub(super) fn string(&mut self) -> Result<&'a [u8], Error> {
        let length = self.uint32()?;
        let length = usize::try_from(length).map_err(|_| self.malformed("a string too long to hold"))?;
        self.bytes(length)
    }

    /// A `string` of printable ASCII.
    pub(super) fn text(&mut self) -> Result<&'a str, Error> {
        let octets = self.string()?;
        std::str::from_utf8(octets)
            .ok()
            .filter(|text| text.bytes().all(|b| b.is_ascii_graphic()))
            .ok_or_else(|| self.malformed("a name that is not printable ASCII"))
    }

    /// A positive `mpint` as unsigned big-endian octets without leading zeros.
    pub(super) fn positive_mpint(&mut self) -> Result<&'a [u8], Error> {
        match self.string()? {
            [] => Err(self.malformed("an mpint of zero")),
            [0x00, magnitude @ ..] if magnitude.first().is_some_and(|b| b & 0x80 != 0) => Ok(magnitude),
            [0x00, ..] => Err(self.malformed("an mpint with needless leading zeros")),
            [first, ..] if first & 0x80 != 0 => Err(self.malformed("a negative mpint")),
            magnitude => Ok(magnitude),
        }
    }

    /// Nothing may follow.
    pub(super) fn end(self) -> Result<(), Error> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err(self.malformed(&format!("{} trailing bytes", self.rest.len())))
        }
    }

    fn malformed(&self, found: &str) -> Error {
        Error::malformed(self.field, found, "what OpenSSH writes (RFC 4251 section 5)")
    }
}

/// Appends a `string`.
pub(super) fn put_string(out: &mut Vec<u8>, octets: &[u8]) {
    // Only digests and short names are written, so the length always fits.
    out.extend_from_slice(&u32::try_from(octets.len()).unwrap_or(u32::MAX).to_be_bytes());
    out.extend_from_slice(octets);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_have_one_form() {
        let mpint = |bytes: &[u8]| Reader::new("test", bytes).positive_mpint().map(<[u8]>::to_vec);
        assert_eq!(mpint(&[0, 0, 0, 2, 0, 0x80]).unwrap(), [0x80]);
        assert_eq!(mpint(&[0, 0, 0, 1, 0x7f]).unwrap(), [0x7f]);
        for bad in [
            &[0, 0, 0, 0][..],
            &[0, 0, 0, 1, 0],
            &[0, 0, 0, 2, 0, 0x7f],
            &[0, 0, 0, 1, 0x80],
            &[0, 0, 0, 2, 1],
            &[0xff, 0xff, 0xff, 0xff, 1],
            &[0, 0],
        ] {
            assert!(mpint(bad).is_err(), "{bad:02x?}");
        }
    }
}
