//! Every serial of every CA key, compact: a log may hold millions.

use std::collections::{HashMap, HashSet};

use crate::record::RequestRef;
use crate::types::{Digest, Serial, Time};

/// What became of the certificate with a serial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Its intent has no outcome yet.
    Open,
    /// It was issued.
    Issued,
    /// Nobody knows: it counts as issued.
    Unknown,
    /// No signature was made.
    Failed,
}

/// What is kept of a serial.
#[derive(Clone, Copy)]
pub(super) struct Entry {
    /// Seconds, big-endian: the year 9999 takes 38 bits, and an array keeps the entry unpadded.
    not_after: [u8; 5],
    pub(super) fate: Fate,
    pub(super) ca: bool,
    pub(super) revoked: bool,
}

impl Entry {
    /// The end of validity.
    pub(super) fn not_after(&self) -> Time {
        Time::from_secs(self.not_after.iter().fold(0, |n, b| (n << 8) | u64::from(*b)))
    }
}

/// The serials of all keys, each with the number of its key.
#[derive(Default)]
pub(super) struct Serials(HashMap<(u16, [u8; 20]), Entry>);

fn padded(serial: &Serial) -> [u8; 20] {
    let mut out = [0; 20];
    let bytes = serial.as_bytes();
    out.iter_mut()
        .rev()
        .zip(bytes.iter().rev())
        .for_each(|(to, from)| *to = *from);
    out
}

impl Serials {
    /// Adds a serial with an open intent; false when this key has used it before.
    pub(super) fn open(&mut self, key: u16, serial: &Serial, not_after: Time, ca: bool) -> bool {
        let [.., a, b, c, d, e] = not_after.secs().to_be_bytes();
        let mut new = false;
        self.0.entry((key, padded(serial))).or_insert_with(|| {
            new = true;
            Entry {
                not_after: [a, b, c, d, e],
                fate: Fate::Open,
                ca,
                revoked: false,
            }
        });
        new
    }

    /// The serials of a key whose certificates exist or may, and have not expired at `time`: serial, end of validity,
    /// and whether it is a CA's. In no order.
    pub(super) fn unexpired(&self, key: u16, time: Time) -> Vec<(Serial, Time, bool)> {
        let of_key = self
            .0
            .iter()
            .filter(|((number, _), entry)| *number == key && entry.fate != Fate::Failed && entry.not_after() >= time);
        of_key
            .filter_map(|((_, serial), entry)| Some((Serial::from_unsigned(serial).ok()?, entry.not_after(), entry.ca)))
            .collect()
    }

    /// Forgets a serial: no certificate has it.
    pub(super) fn remove(&mut self, key: u16, serial: &Serial) {
        self.0.remove(&(key, padded(serial)));
    }

    pub(super) fn get_mut(&mut self, key: u16, serial: &Serial) -> Option<&mut Entry> {
        self.0.get_mut(&(key, padded(serial)))
    }
}

/// Which attempts at which requests there were, as truncated digests: 128 bits do not collide by accident, and whoever
/// makes them collide only draws a finding on themselves.
#[derive(Default)]
pub(super) struct Attempts(HashSet<[u8; 16]>);

impl Attempts {
    /// Adds an attempt; false when it is there already.
    pub(super) fn add(&mut self, request: &RequestRef) -> bool {
        let name = format!("{}\n{}\n{}", request.caller, request.id, request.attempt);
        let mut short = [0; 16];
        short
            .iter_mut()
            .zip(Digest::of(name.as_bytes()).0)
            .for_each(|(to, from)| *to = from);
        self.0.insert(short)
    }
}
