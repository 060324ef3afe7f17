//! The records of the ledger: versioned JSON objects with a fixed field order; the stored bytes are what is hashed.
//!
//! One record is `{"v":1,"index":N,"time":"...","kind":"...","body":{...}}` on one line. Decoding encodes again and
//! compares, so that a record has exactly one form: no unknown, missing, repeated or reordered field, no second
//! spelling of a number, no white space. What `jq` shows an auditor is then all there is.

mod bodies;
mod large;

pub use bodies::*;
pub use large::{Chunk, ChunkSource, MAX_INLINE, Payload};

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::types::Time;

/// The version of the record format that this code writes.
pub const VERSION: u8 = 1;

/// An entry of an entry bundle has a 16-bit length (C2SP tlog-tiles, log entries).
pub const MAX_RECORD: usize = 65_535;

/// A record as it stands in the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Zero-based position in its log.
    pub index: u64,
    /// The keeper's clock when it was appended; never earlier than that of the record before.
    pub time: Time,
    /// What happened.
    pub body: Body,
}

#[derive(Serialize)]
struct Wire<B> {
    v: u8,
    index: u64,
    time: Time,
    #[serde(flatten)]
    body: B,
}

/// What stands before the kind.
#[derive(Deserialize)]
struct Head {
    v: u8,
    index: u64,
    time: Time,
}

/// Takes a record's bytes apart into two JSON objects, before its kind. That is several times faster than serde's
/// `flatten`, which copies every value of the body first. What is not canonical is found by encoding it again.
fn split(bytes: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    const MARK: &[u8] = b",\"kind\":";
    /// No canonical head is longer.
    const MAX_HEAD: usize = 128;
    let start = bytes.get(..bytes.len().min(MAX_HEAD))?;
    let at = start.windows(MARK.len()).position(|window| window == MARK)?;
    let (head, body) = bytes.split_at_checked(at)?;
    Some(([head, b"}"].concat(), [b"{", body.get(1..)?].concat()))
}

impl Record {
    /// The canonical bytes.
    ///
    /// # Errors
    /// When the encoding would exceed [`MAX_RECORD`].
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        let wire = Wire {
            v: VERSION,
            index: self.index,
            time: self.time,
            body: &self.body,
        };
        let bytes =
            serde_json::to_vec(&wire).map_err(|e| Error::malformed("record", e.to_string(), "an encodable record"))?;
        if bytes.len() > MAX_RECORD {
            return Err(Error::malformed(
                format!("record of kind {}", self.body.kind()),
                format!("{} bytes", bytes.len()),
                format!("at most {MAX_RECORD} bytes; larger bodies are split into chunk records"),
            ));
        }
        Ok(bytes)
    }

    /// The canonical bytes of the record that a body becomes at `index` and `time`; `body` is what [`Body::encode`] gave,
    /// which need not be encoded again.
    ///
    /// # Errors
    /// When the record would exceed [`MAX_RECORD`], or `body` is no JSON object.
    pub fn stamp(index: u64, time: Time, body: &[u8]) -> Result<Vec<u8>, Error> {
        let fields = body
            .strip_prefix(b"{")
            .ok_or_else(|| Error::malformed("record body", "no JSON object", "one canonical body of a known kind"))?;
        let head = format!("{{\"v\":{VERSION},\"index\":{index},\"time\":\"{time}\",");
        let bytes = [head.as_bytes(), fields].concat();
        if bytes.len() > MAX_RECORD {
            return Err(Error::malformed(
                "record",
                format!("{} bytes", bytes.len()),
                format!("at most {MAX_RECORD} bytes; larger bodies are split into chunk records"),
            ));
        }
        Ok(bytes)
    }

    /// Reads canonical bytes.
    ///
    /// # Errors
    /// When they are not the one canonical form of a record of a known version and kind.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let bad = |found: String| {
            Error::malformed(
                "record",
                found,
                "one canonical record of version 1 (see record.schema.json)",
            )
        };
        if bytes.len() > MAX_RECORD {
            return Err(bad(format!("{} bytes", bytes.len())));
        }
        let (head, body) =
            split(bytes).ok_or_else(|| bad("JSON without a kind after version, index and time".to_owned()))?;
        let head: Head = serde_json::from_slice(&head).map_err(|e| bad(e.to_string()))?;
        if head.v != VERSION {
            return Err(bad(format!("version {}", head.v)));
        }
        let record = Self {
            index: head.index,
            time: head.time,
            body: serde_json::from_slice(&body).map_err(|e| bad(e.to_string()))?,
        };
        if record.encode()? != bytes {
            return Err(bad(
                "JSON that is not in canonical form: an unknown field, another order, or white space".to_owned(),
            ));
        }
        Ok(record)
    }
}

impl Body {
    /// The canonical bytes of the kind and body alone, as they travel to the keeper.
    ///
    /// # Errors
    /// When it cannot be encoded.
    pub fn encode(&self) -> Result<Vec<u8>, Error> {
        serde_json::to_vec(self).map_err(|e| Error::malformed("record body", e.to_string(), "an encodable body"))
    }

    /// Reads canonical bytes written by [`Body::encode`].
    ///
    /// # Errors
    /// When they are not the one canonical form.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let bad = |found: String| Error::malformed("record body", found, "one canonical body of a known kind");
        if bytes.len() > MAX_RECORD {
            return Err(bad(format!("{} bytes", bytes.len())));
        }
        let body: Self = serde_json::from_slice(bytes).map_err(|e| bad(e.to_string()))?;
        if body.encode()? != bytes {
            return Err(bad("JSON that is not in canonical form".to_owned()));
        }
        Ok(body)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            index: 7,
            time: Time::from_millis(1_795_310_546_123),
            body: Body::Stopped(Process {
                process: "keeper".into(),
                instance: "ab".into(),
                version: "0.1.0".into(),
                detail: "drained".into(),
            }),
        }
    }

    #[test]
    fn a_record_has_one_form() {
        let bytes = record().encode().unwrap();
        assert_eq!(
            std::str::from_utf8(&bytes).unwrap(),
            r#"{"v":1,"index":7,"time":"2026-11-22T01:22:26.123Z","kind":"stopped","body":{"process":"keeper","instance":"ab","version":"0.1.0","detail":"drained"}}"#
        );
        assert_eq!(Record::decode(&bytes).unwrap(), record());
        let Record { index, time, body } = record();
        assert_eq!(Record::stamp(index, time, &body.encode().unwrap()).unwrap(), bytes);
        assert!(Record::stamp(index, time, b"[]").is_err());
        let large = [b"{".as_slice(), &[b' '; MAX_RECORD]].concat();
        assert!(Record::stamp(index, time, &large).is_err());
        let text = String::from_utf8(bytes).unwrap();
        for bad in [
            text.replace("\"v\":1", "\"v\":2"),
            text.replace("\"v\":1,", ""),
            text.replace(",\"kind\"", ",\"extra\":1,\"kind\""),
            text.replace(":7,", ": 7,"),
            text.replace(":7,", ":7.0,"),
            text.replace("\"instance\"", "\"unknown\""),
            text.replace("stopped", "no-such-kind"),
            text.replace("}}", "},\"body\":{}}"),
            format!("{text}\n"),
        ] {
            assert!(Record::decode(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn deep_nesting_is_refused() {
        let bad = format!("{}{}", "[".repeat(30_000), "]".repeat(30_000));
        assert!(Record::decode(bad.as_bytes()).is_err());
        assert!(Body::decode(bad.as_bytes()).is_err());
    }
}
