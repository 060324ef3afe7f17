//! The messages between the keeper and its callers, over a Unix socket.
//!
//! A frame is a 32-bit big-endian length and that many bytes of one protobuf message: a [`Request`] from the caller,
//! then a [`Reply`] from the keeper, one after the other on each connection. The protocol is private: both ends are
//! built from the same source and the keeper refuses another [`PROTOCOL`].

use prost::Message;

/// The version of this protocol.
pub const PROTOCOL: u32 = 2;

/// The largest frame either side accepts, in bytes: a page of 256 entries of the largest size would be 16 MiB, so
/// pages are cut by size instead.
pub const MAX_FRAME: usize = 1024 * 1024;

/// A caller's message.
#[derive(Clone, PartialEq, Message)]
pub struct Request {
    /// What is asked; an absent one is refused.
    #[prost(
        oneof = "Ask",
        tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 30, 31, 32, 40"
    )]
    pub ask: Option<Ask>,
}

/// What a caller can ask.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Ask {
    /// First message of a connection.
    #[prost(message, tag = "1")]
    Hello(Hello),
    /// Append a body; answered when it is durable.
    #[prost(message, tag = "2")]
    Append(Append),
    /// Sign the intent at an index.
    #[prost(message, tag = "3")]
    Sign(Sign),
    /// Append an outcome; answered when a checkpoint covers it.
    #[prost(message, tag = "4")]
    Commit(Append),
    /// The newest checkpoint over everything appended so far.
    #[prost(message, tag = "5")]
    Checkpoint(Empty),
    /// Entries.
    #[prost(message, tag = "6")]
    Read(Read),
    /// Inclusion proof.
    #[prost(message, tag = "7")]
    Inclusion(Inclusion),
    /// Consistency proof.
    #[prost(message, tag = "8")]
    Consistency(Consistency),
    /// A hash tile.
    #[prost(message, tag = "9")]
    Tile(Tile),
    /// Random bytes from the token.
    #[prost(message, tag = "10")]
    Random(Random),
    /// What the keeper holds.
    #[prost(message, tag = "11")]
    Status(Empty),
    /// The caller does not know an intent's fate.
    #[prost(message, tag = "12")]
    GiveUp(GiveUp),
    /// What a CRL of a key must list.
    #[prost(message, tag = "13")]
    CrlState(CrlQuery),
    /// Sign with a session key, to see that the token really signs.
    #[prost(message, tag = "14")]
    Probe(Empty),
    /// Append an intent, and sign it once it is durable.
    #[prost(message, tag = "15")]
    Intend(Intend),
    /// End another connection; answered when nothing that was asked on it is under way any more.
    #[prost(message, tag = "16")]
    End(Welcome),
    /// Generate or destroy a key.
    #[prost(message, tag = "40")]
    Key(KeyOrder),
    /// The checkpoint for the public.
    #[prost(message, tag = "30")]
    Published(Empty),
    /// A checkpoint that witnesses cosigned.
    #[prost(message, tag = "31")]
    Cosigned(Note),
    /// A checkpoint of this log that somebody showed.
    #[prost(message, tag = "32")]
    Seen(Note),
}

/// Nothing.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Empty {}

/// The caller's version of the protocol.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Hello {
    /// [`PROTOCOL`].
    #[prost(uint32, tag = "1")]
    pub protocol: u32,
}

/// A body in canonical JSON (`stele_core::record::Body::encode`).
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Append {
    /// The bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub body: Vec<u8>,
}

/// Sign an intent.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Sign {
    /// Index of the intent.
    #[prost(uint64, tag = "1")]
    pub index: u64,
    /// How long it may wait for the token, in milliseconds.
    #[prost(uint64, tag = "2")]
    pub deadline_millis: u64,
}

/// Append an intent and sign it.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Intend {
    /// The body in canonical JSON.
    #[prost(bytes = "vec", tag = "1")]
    pub body: Vec<u8>,
    /// How long the signature may wait for the token, in milliseconds.
    #[prost(uint64, tag = "2")]
    pub deadline_millis: u64,
}

/// A range of entries.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Read {
    /// The first index.
    #[prost(uint64, tag = "1")]
    pub start: u64,
    /// How many at most; the answer may hold fewer, but at least one where there is one.
    #[prost(uint32, tag = "2")]
    pub count: u32,
}

/// An inclusion proof in the tree of a size.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Inclusion {
    /// The entry.
    #[prost(uint64, tag = "1")]
    pub index: u64,
    /// The tree.
    #[prost(uint64, tag = "2")]
    pub size: u64,
}

/// A consistency proof between two sizes.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Consistency {
    /// The older size.
    #[prost(uint64, tag = "1")]
    pub old: u64,
    /// The newer size.
    #[prost(uint64, tag = "2")]
    pub new: u64,
}

/// A hash tile (C2SP tlog-tiles).
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Tile {
    /// The level, 0 to 63.
    #[prost(uint32, tag = "1")]
    pub level: u32,
    /// The tile's number in the level.
    #[prost(uint64, tag = "2")]
    pub number: u64,
    /// Its width, 1 to 256.
    #[prost(uint32, tag = "3")]
    pub width: u32,
}

/// Random bytes.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Random {
    /// How many, at most 1024.
    #[prost(uint32, tag = "1")]
    pub length: u32,
}

/// An intent whose fate the caller does not know.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct GiveUp {
    /// Index of the intent.
    #[prost(uint64, tag = "1")]
    pub index: u64,
    /// Why.
    #[prost(string, tag = "2")]
    pub reason: String,
}

/// Which key's CRL.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CrlQuery {
    /// The key's name.
    #[prost(string, tag = "1")]
    pub key: String,
}

/// What operators say about a key.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct KeyOrder {
    /// Their signed texts.
    #[prost(message, repeated, tag = "1")]
    pub texts: Vec<SignedText>,
}

/// A text with its SSH signature.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct SignedText {
    /// The exact text.
    #[prost(string, tag = "1")]
    pub text: String,
    /// The armored signature.
    #[prost(string, tag = "2")]
    pub signature: String,
}

/// The keeper's message.
#[derive(Clone, PartialEq, Message)]
pub struct Reply {
    /// The answer.
    #[prost(oneof = "Answer", tags = "1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 40")]
    pub answer: Option<Answer>,
}

/// What the keeper can answer.
#[derive(Clone, PartialEq, prost::Oneof)]
pub enum Answer {
    /// Nothing was done, and why.
    #[prost(message, tag = "1")]
    Refused(Refused),
    /// Done; nothing to say.
    #[prost(message, tag = "2")]
    Done(Empty),
    /// Appended.
    #[prost(message, tag = "3")]
    Appended(Appended),
    /// Signed.
    #[prost(message, tag = "4")]
    Signed(Bytes),
    /// The outcome is durable and covered.
    #[prost(message, tag = "5")]
    Committed(Committed),
    /// A checkpoint, a tile, or random bytes.
    #[prost(message, tag = "6")]
    Bytes(Bytes),
    /// Entries or proof hashes.
    #[prost(message, tag = "7")]
    List(List),
    /// What the keeper holds.
    #[prost(message, tag = "8")]
    Status(Status),
    /// What a CRL must list.
    #[prost(message, tag = "9")]
    CrlState(CrlState),
    /// An intent that was appended, and its signature.
    #[prost(message, tag = "10")]
    Intended(Intended),
    /// To a hello: the connection's name.
    #[prost(message, tag = "11")]
    Welcome(Welcome),
    /// A key was generated or destroyed.
    #[prost(message, tag = "40")]
    KeyDone(KeyDone),
}

/// The name of a connection, unlike that of any other, of an earlier life of the keeper too.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Welcome {
    /// The keeper's life.
    #[prost(string, tag = "1")]
    pub instance: String,
    /// The connection's number in it.
    #[prost(uint64, tag = "2")]
    pub number: u64,
}

/// An intent that is durable, and what became of its signature.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Intended {
    /// The intent's index.
    #[prost(uint64, tag = "1")]
    pub index: u64,
    /// Its time, in milliseconds since the epoch.
    #[prost(uint64, tag = "2")]
    pub time_millis: u64,
    /// Its record's exact bytes.
    #[prost(bytes = "vec", tag = "3")]
    pub record: Vec<u8>,
    /// The signature; empty where there is none.
    #[prost(bytes = "vec", tag = "4")]
    pub signature: Vec<u8>,
    /// Why there is none.
    #[prost(message, optional, tag = "5")]
    pub refused: Option<Refused>,
}

/// A refusal.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Refused {
    /// A [`crate::RefusalCode`].
    #[prost(uint32, tag = "1")]
    pub code: u32,
    /// What and why and how to mend it.
    #[prost(string, tag = "2")]
    pub message: String,
}

/// Where and when a record was appended.
#[derive(Clone, Copy, PartialEq, Eq, Message)]
pub struct Appended {
    /// Its index.
    #[prost(uint64, tag = "1")]
    pub index: u64,
    /// Its time, in milliseconds since the epoch.
    #[prost(uint64, tag = "2")]
    pub time_millis: u64,
}

/// Plain bytes.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Bytes {
    /// The bytes.
    #[prost(bytes = "vec", tag = "1")]
    pub bytes: Vec<u8>,
}

/// An outcome that a checkpoint covers.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Committed {
    /// Its index.
    #[prost(uint64, tag = "1")]
    pub index: u64,
    /// Its record's exact bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub record: Vec<u8>,
    /// The checkpoint, a signed note.
    #[prost(string, tag = "3")]
    pub checkpoint: String,
    /// The inclusion proof in the checkpoint's tree, sibling first.
    #[prost(bytes = "vec", repeated, tag = "4")]
    pub proof: Vec<Vec<u8>>,
    /// Its time, in milliseconds since the epoch.
    #[prost(uint64, tag = "5")]
    pub time_millis: u64,
}

/// A signed note.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Note {
    /// Its text and signature lines, verbatim.
    #[prost(string, tag = "1")]
    pub note: String,
}

/// A list of byte strings.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct List {
    /// The items.
    #[prost(bytes = "vec", repeated, tag = "1")]
    pub items: Vec<Vec<u8>>,
}

/// A CA key that the keeper holds.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Key {
    /// Its name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Its SPKI in DER.
    #[prost(bytes = "vec", tag = "2")]
    pub spki: Vec<u8>,
}

/// What became of a key.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct KeyDone {
    /// Index of its record.
    #[prost(uint64, tag = "1")]
    pub index: u64,
    /// The CSR of a new key; empty for one that was destroyed.
    #[prost(bytes = "vec", tag = "2")]
    pub csr: Vec<u8>,
}

/// What the keeper holds.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct Status {
    /// The log's origin.
    #[prost(string, tag = "1")]
    pub origin: String,
    /// The log's verifier key.
    #[prost(string, tag = "2")]
    pub vkey: String,
    /// The log's size in entries.
    #[prost(uint64, tag = "3")]
    pub size: u64,
    /// Random name of this life of the keeper.
    #[prost(string, tag = "4")]
    pub instance: String,
    /// The keys.
    #[prost(message, repeated, tag = "5")]
    pub keys: Vec<Key>,
    /// Index of the newest bundle's record plus one; 0 without a bundle.
    #[prost(uint64, tag = "6")]
    pub bundle_index_plus_one: u64,
    /// Why nothing is signed at the moment; empty when all is well.
    #[prost(string, tag = "7")]
    pub stopped: String,
}

/// One entry that a CRL must hold.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct RevokedSerial {
    /// The serial, unsigned big-endian.
    #[prost(bytes = "vec", tag = "1")]
    pub serial: Vec<u8>,
    /// Time of revocation, in milliseconds since the epoch.
    #[prost(uint64, tag = "2")]
    pub time_millis: u64,
    /// The CRLReason code.
    #[prost(uint32, tag = "3")]
    pub reason: u32,
}

/// What the next CRL of a key must be.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct CrlState {
    /// Its number.
    #[prost(uint64, tag = "1")]
    pub next_number: u64,
    /// What it must list.
    #[prost(message, repeated, tag = "2")]
    pub entries: Vec<RevokedSerial>,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A tag that the list beside a oneof names and no variant has makes prost panic.
    #[test]
    fn a_field_of_any_number_is_read_or_passed_over() {
        for field in 1..=100_u32 {
            let mut message = Vec::new();
            prost::encoding::encode_key(field, prost::encoding::WireType::LengthDelimited, &mut message);
            message.push(0);
            assert!(Request::decode(message.as_slice()).is_ok(), "field {field}");
            assert!(Reply::decode(message.as_slice()).is_ok(), "field {field}");
        }
    }
}
