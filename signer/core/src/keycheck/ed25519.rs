//! Ed25519 public keys: canonical encodings of points on the curve, not of small order (RFC 8032 section 5.1.3).
//! A verifier need not check any of this, and aws-lc does not until it verifies.

use crypto_bigint::modular::{FixedMontyForm, FixedMontyParams};
use crypto_bigint::{Odd, U256};

use crate::error::Error;

const FIELD: &str = "Ed25519 public key";

/// p = 2^255 - 19.
const P: Odd<U256> = Odd::<U256>::from_be_hex("7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffed");
const FIELD_MODULUS: FixedMontyParams<{ U256::LIMBS }> = FixedMontyParams::new_vartime(P);
/// The curve constant d (RFC 8032 section 5.1).
const D: U256 = U256::from_be_hex("52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3");

/// The y coordinates of the eight points whose order divides 8: of the identity, of order 2, 4 and 8.
const SMALL_ORDER: [U256; 5] = [
    U256::ONE,
    U256::from_be_hex("7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffec"),
    U256::ZERO,
    U256::from_be_hex("05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826"),
    U256::from_be_hex("7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7"),
];

/// Checks the 32 octets of a key.
pub(super) fn check(key: &[u8]) -> Result<(), Error> {
    let bad = |found: &str| Error::malformed(FIELD, found, "a canonical point on the curve, not of small order");
    let mut octets: [u8; 32] = key.try_into().map_err(|_| bad(&format!("{} octets", key.len())))?;
    // The top bit is the sign of x.
    if let Some(last) = octets.last_mut() {
        *last &= 0x7f;
    }
    let y = U256::from_le_slice(&octets);
    if y >= *P.as_ref() {
        return Err(bad("a y coordinate that is not reduced"));
    }
    if SMALL_ORDER.contains(&y) {
        return Err(bad("a point of small order"));
    }
    if !has_x(&y) {
        return Err(bad("a point that is not on the curve"));
    }
    Ok(())
}

/// Whether x² = (y² - 1) / (dy² + 1) has a solution. By Euler's criterion u/v is a square when (uv)^((p-1)/2) = 1;
/// x = 0, where it would be 0, is of small order and was refused before.
fn has_x(y: &U256) -> bool {
    let element = |n: &U256| FixedMontyForm::new(n, &FIELD_MODULUS);
    let (y, one) = (element(y), FixedMontyForm::one(&FIELD_MODULUS));
    let y_squared = y * y;
    let product = (y_squared - one) * (element(&D) * y_squared + one);
    let half = P.as_ref().wrapping_shr_vartime(1);
    product.pow_vartime(&half) == one
}

#[cfg(test)]
mod tests {
    use super::*;
    use ed25519_dalek::VerifyingKey;
    use proptest::prelude::*;

    proptest! {
        /// About half of all strings encode a point: both answers occur, and an independent implementation agrees.
        #[test]
        fn agrees_with_dalek(key in any::<[u8; 32]>()) {
            let theirs = VerifyingKey::from_bytes(&key).is_ok_and(|k| !k.is_weak() && k.as_bytes() == &key);
            let canonical = U256::from_le_slice(&key).wrapping_shr_vartime(255) != U256::ZERO
                || U256::from_le_slice(&key) < *P.as_ref();
            prop_assume!(canonical);
            prop_assert_eq!(check(&key).is_ok(), theirs);
        }
    }

    #[test]
    fn small_order_and_unreduced_points_are_refused() {
        for y in SMALL_ORDER {
            for sign in [0u8, 0x80] {
                let mut key = [0u8; 32];
                key.copy_from_slice(y.to_le_bytes().as_ref());
                key[31] |= sign;
                let dalek = VerifyingKey::from_bytes(&key);
                assert!(dalek.is_err() || dalek.unwrap().is_weak(), "{key:02x?}");
                assert!(check(&key).unwrap_err().to_string().contains("small order"));
            }
        }
        // p + 3, which a lax reader takes for y = 3, a point on the curve.
        let mut key = [0xffu8; 32];
        key[0] = 0xf0;
        key[31] = 0x7f;
        assert!(check(&key).unwrap_err().to_string().contains("not reduced"));
        assert!(check(&[7; 31]).is_err());
    }
}
