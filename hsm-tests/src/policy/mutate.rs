//! Altering bytes as chance and malice do.

use super::random::Random;

/// A copy with one to three changes.
pub(super) fn mutated(bytes: &[u8], random: &mut Random) -> Vec<u8> {
    let mut out = bytes.to_vec();
    for _ in 0..=random.below(3) {
        change(&mut out, random);
    }
    out
}

fn change(out: &mut Vec<u8>, random: &mut Random) {
    if out.is_empty() {
        return;
    }
    let at = random.below(out.len());
    match random.below(8) {
        0 => out[at] ^= 1 << random.below(8),
        1 => out[at] = out[at].wrapping_add(1),
        2 => out[at] = u8::try_from(random.below(256)).expect("a byte"),
        3 => {
            out[at] = random
                .pick(&[&0x00, &0x30, &0x80, &0x81, &0x84, &0xff, &0x7f, &0x05])
                .to_owned()
        }
        4 => out.truncate(at),
        5 => out.insert(at, u8::try_from(random.below(256)).expect("a byte")),
        6 => {
            let end = (at + random.below(40)).min(out.len());
            let piece = out[at..end].to_vec();
            out.splice(at..at, piece);
        }
        _ => {
            let end = (at + random.below(8)).min(out.len());
            out.drain(at..end);
        }
    }
}
