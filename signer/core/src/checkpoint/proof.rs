//! C2SP tlog-proof: an entry's inclusion in a log, in one file that is verified offline.

use std::fmt;
use std::str::FromStr;

use base64ct::{Base64, Encoding};

use super::{Checkpoint, Endorsement, NoteVerifier, base64_hash, decimal, malformed, open};
use crate::error::Error;
use crate::merkle::{self, Hash};

const HEADER: &str = "c2sp.org/tlog-proof@v1";
/// No tree of fewer than 2^64 leaves has a longer path.
const MAX_HASHES: usize = 64;

/// A proof that an entry stands in a log. Its text form belongs in a `.tlog-proof` file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlogProof {
    /// Bytes of the application's own meaning. Nothing vouches for them; here, the record's exact bytes, which are then
    /// verified as the entry.
    pub extra: Option<Vec<u8>>,
    /// The zero-based index of the entry.
    pub index: u64,
    /// The inclusion proof, from the leaf's sibling up.
    pub hashes: Vec<Hash>,
    /// The signed checkpoint, verbatim.
    pub checkpoint: String,
}

impl TlogProof {
    /// Verifies that `entry` stands at this index in the log that signed the checkpoint. Returns the checkpoint and
    /// who of `verifiers` signed it; whether those are enough witnesses is for the caller's policy to judge.
    ///
    /// # Errors
    /// When the checkpoint does not [`open`], or the proof does not lead from the entry to its root.
    pub fn verify<'v>(
        &self,
        entry: &[u8],
        verifiers: &'v [NoteVerifier],
    ) -> Result<(Checkpoint, Vec<Endorsement<'v>>), Error> {
        let (checkpoint, endorsements) = open(&self.checkpoint, verifiers)?;
        let leaf = merkle::leaf_hash(entry);
        merkle::verify_inclusion(&leaf, self.index, checkpoint.size, &self.hashes, &checkpoint.root)?;
        Ok((checkpoint, endorsements))
    }
}

impl fmt::Display for TlogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", Base64::encode_string(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        for hash in &self.hashes {
            writeln!(f, "{}", Base64::encode_string(&hash.0))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

impl FromStr for TlogProof {
    type Err = Error;

    fn from_str(s: &str) -> Result<Self, Error> {
        let bad = |found: &str, permitted| malformed("tlog-proof", found, permitted);
        let (head, checkpoint) = s
            .split_once("\n\n")
            .ok_or_else(|| bad(s, "proof lines, an empty line and a checkpoint (C2SP tlog-proof)"))?;
        let mut lines = head.split('\n').peekable();
        let header = lines.next().unwrap_or_default();
        if header != HEADER {
            return Err(bad(header, "c2sp.org/tlog-proof@v1"));
        }
        let extra = match lines.next_if(|l| l.starts_with("extra ")) {
            Some(line) => {
                let base64 = line.strip_prefix("extra ").unwrap_or_default();
                Some(Base64::decode_vec(base64).map_err(|_| bad(line, "`extra ` and standard base64 with padding"))?)
            }
            None => None,
        };
        let line = lines.next().unwrap_or_default();
        let index = line
            .strip_prefix("index ")
            .ok_or_else(|| bad(line, "`index ` and a number"))?;
        let index = decimal("tlog-proof index", index)?;
        let hashes: Vec<Hash> = lines
            .take(MAX_HASHES + 1)
            .map(|l| base64_hash("tlog-proof hash", l))
            .collect::<Result<_, _>>()?;
        if hashes.len() > MAX_HASHES {
            return Err(bad("more hashes", "at most 64 hashes"));
        }
        // A malformed checkpoint makes a malformed proof, even before anyone verifies it.
        Checkpoint::from_note_unverified(checkpoint)?;
        Ok(Self {
            extra,
            index,
            hashes,
            checkpoint: checkpoint.to_owned(),
        })
    }
}
