//! RSA public keys without the known weaknesses (CA/Browser Forum Baseline Requirements section 6.1.1.3 and 6.1.6).

use crypto_bigint::{U4096, Uint};
use der::asn1::UintRef;
use der::{Decode, Sequence};

use crate::error::Error;
use crate::types::{KeyAlgorithm, hex};

const FIELD: &str = "RSA public key";
/// Baseline Requirements section 6.1.6: "the modulus SHOULD ... have no factors smaller than 752".
const SMALLEST_FACTOR: u32 = 752;
/// The ROCA test looks at every prime up to this one: they divide the generator's modulus for every key size.
const LAST_ROCA_PRIME: u32 = 167;
/// Baseline Requirements section 6.1.1.3 asks for at least 100 rounds of Fermat's method.
const FERMAT_ROUNDS: u32 = 100;

/// RFC 8017 appendix A.1.1.
#[derive(Sequence)]
pub(super) struct RsaPublicKey<'a> {
    pub(super) modulus: UintRef<'a>,
    pub(super) public_exponent: UintRef<'a>,
}

/// A check that names what is wrong with a modulus, if anything.
type Weakness = fn(&[u8]) -> Option<String>;

/// What is tried on every modulus, cheapest first. Keys that look well and are known are in a
/// [`super::Blocklist`].
const WEAKNESSES: [Weakness; 3] = [small_factor, roca, fermat_close];

/// Checks the contents of an rsaEncryption BIT STRING; answers with the size.
pub(super) fn check(key: &[u8]) -> Result<KeyAlgorithm, Error> {
    super::strict::check(FIELD, key, 1)?;
    let key = RsaPublicKey::from_der(key).map_err(|e| {
        let permitted = "RSAPublicKey with a positive modulus and exponent (RFC 8017 appendix A.1.1)";
        Error::malformed(FIELD, e.to_string(), permitted)
    })?;
    let modulus = key.modulus.as_bytes();
    let algorithm = match bit_length(modulus) {
        2048 => KeyAlgorithm::Rsa2048,
        3072 => KeyAlgorithm::Rsa3072,
        4096 => KeyAlgorithm::Rsa4096,
        bits => {
            let found = format!("a modulus of {bits} bits");
            return Err(Error::malformed(FIELD, found, "exactly 2048, 3072 or 4096 bits"));
        }
    };
    let exponent = key.public_exponent.as_bytes();
    if exponent != [1, 0, 1] {
        let found = format!("exponent 0x{}", hex(exponent.get(..8).unwrap_or(exponent)));
        return Err(Error::malformed(FIELD, found, "exponent 65537 (0x010001)"));
    }
    match WEAKNESSES.iter().find_map(|weakness| weakness(modulus)) {
        Some(found) => Err(Error::malformed(FIELD, found, "a modulus of two large random primes")),
        None => Ok(algorithm),
    }
}

fn bit_length(modulus: &[u8]) -> usize {
    let leading_zeros = modulus.first().map_or(0, |b| b.leading_zeros() as usize);
    (modulus.len() * 8).saturating_sub(leading_zeros)
}

fn small_factor(modulus: &[u8]) -> Option<String> {
    primes_below(SMALLEST_FACTOR)
        .find(|p| remainder(modulus, *p) == 0)
        .map(|p| format!("a modulus divisible by {p}"))
}

/// The fingerprint of CVE-2017-15361 (Nemec et al., "The Return of Coppersmith's Attack", section 2.2): the primes
/// are k·M + 65537^a mod M, so the modulus is a power of 65537 modulo each small prime. A good key passes for one of
/// 2^28 by accident.
fn roca(modulus: &[u8]) -> Option<String> {
    primes_below(LAST_ROCA_PRIME + 1)
        .all(|p| is_power_of_65537(remainder(modulus, p), p))
        .then(|| "the ROCA fingerprint (CVE-2017-15361)".to_owned())
}

fn is_power_of_65537(value: u32, prime: u32) -> bool {
    std::iter::successors(Some(1), |power| Some(power * (65537 % prime) % prime))
        .take(prime as usize)
        .any(|power| power == value)
}

/// Fermat's method finds both primes when they are close to each other (CVE-2022-26320).
fn fermat_close(modulus: &[u8]) -> Option<String> {
    let mut padded = [0u8; 512];
    let start = padded.len().checked_sub(modulus.len())?;
    padded.get_mut(start..)?.copy_from_slice(modulus);
    let n = U4096::from_be_slice(&padded);
    let mut a = n.floor_sqrt_vartime();
    // a² may exceed 4096 bits, but a² - n is far smaller, so arithmetic modulo 2^4096 gives it exactly.
    if a.wrapping_mul(&a) != n {
        a = a.wrapping_add(&Uint::ONE);
    }
    let mut difference = a.wrapping_mul(&a).wrapping_sub(&n);
    for _ in 0..FERMAT_ROUNDS {
        if difference.checked_sqrt_vartime().is_some() {
            return Some("a modulus of two primes that are too close to each other".to_owned());
        }
        // (a + 1)² = a² + 2a + 1
        difference = difference.wrapping_add(&a).wrapping_add(&a).wrapping_add(&Uint::ONE);
        a = a.wrapping_add(&Uint::ONE);
    }
    None
}

fn primes_below(limit: u32) -> impl Iterator<Item = u32> {
    (2..limit).filter(|n| (2..).take_while(|d| d * d <= *n).all(|d| n % d != 0))
}

/// `bytes`, big-endian, modulo `divisor`.
fn remainder(bytes: &[u8], divisor: u32) -> u32 {
    bytes
        .iter()
        .fold(0, |rest, byte| ((rest << 8) | u32::from(*byte)) % divisor)
}
