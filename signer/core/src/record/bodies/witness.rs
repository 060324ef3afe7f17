//! What witnesses said, and what came of it.

use serde::{Deserialize, Serialize};

use crate::types::WitnessName;

/// What a witness answers now; recorded when it changes, not each time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessResult {
    /// The witness.
    pub witness: WitnessName,
    /// The size of the checkpoint that it was asked to cosign.
    pub size: u64,
    /// `cosigned`, or what is wrong.
    pub result: String,
}

/// A checkpoint over a CA certificate's intent that enough witnesses cosigned; written before the key is called.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cosigned {
    /// Index of the intent.
    pub intent: u64,
    /// The checkpoint with its cosignatures, verbatim.
    pub checkpoint: String,
}

/// Why the log is not what others saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HaltReason {
    /// There is a checkpoint under the log's own key with another root at a size that the log has.
    ConflictingCheckpoint,
    /// There is a checkpoint under the log's own key over more entries than the log has, or witnesses say that they
    /// cosigned one.
    LargerLog,
}

/// Nothing is signed from here on, until operators confirm this history with a `history` recovery.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Halted {
    /// Why.
    pub reason: HaltReason,
    /// In words: what was found, and where.
    pub found: String,
    /// The other history's checkpoint, verbatim, where one was seen.
    pub checkpoint: Option<String>,
}
