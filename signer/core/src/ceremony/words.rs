//! Digests as words to be read aloud across a room.

use std::fmt::Write as _;

use crate::types::Digest;

const CONSONANTS: &[u8; 16] = b"bdfghjklmnprstvz";
const VOWELS: &[u8; 4] = b"aiou";

/// A digest as sixteen pronounceable five-letter words, four to a line: proquints (D. S. Wilkerson, arXiv:0901.4016),
/// each of which spells 16 bits. Nothing is left out, so that whoever hears all of them has compared the whole digest.
#[must_use]
pub fn words(digest: &Digest) -> String {
    let mut out = String::new();
    for (number, pair) in digest.0.chunks(2).enumerate() {
        if number > 0 {
            out.push(if number % 4 == 0 { '\n' } else { ' ' });
        }
        let bits = pair.iter().fold(0_u16, |all, byte| (all << 8) | u16::from(*byte));
        let _ = write!(out, "{}", word(bits));
    }
    out
}

fn word(bits: u16) -> String {
    [
        (CONSONANTS.as_slice(), 12),
        (VOWELS, 10),
        (CONSONANTS, 6),
        (VOWELS, 4),
        (CONSONANTS, 0),
    ]
    .iter()
    .filter_map(|(letters, shift)| {
        let index = usize::from(bits >> shift) % letters.len();
        letters.get(index).copied().map(char::from)
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_those_of_the_proposal() {
        // The examples of arXiv:0901.4016: 127.0.0.1 and 63.84.220.193.
        assert_eq!([word(0x7f00), word(0x0001)], ["lusab", "babad"]);
        assert_eq!([word(0x3f54), word(0xdcc1)], ["gutih", "tugad"]);
    }

    #[test]
    fn every_bit_is_heard() {
        let plain = words(&Digest([0; 32]));
        assert_eq!(plain.split_whitespace().count(), 16);
        for bit in 0..256 {
            let mut bytes = [0; 32];
            bytes[bit / 8] = 1 << (bit % 8);
            assert_ne!(words(&Digest(bytes)), plain, "bit {bit}");
        }
    }
}
