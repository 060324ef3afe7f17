//! From what a token answers to what X.509 carries.

use der::asn1::UintRef;
use der::{Encode, Sequence};

use crate::error::TokenError;

/// ECDSA-Sig-Value (RFC 3279 section 2.2.3).
#[derive(Sequence)]
struct EcdsaSigValue<'a> {
    r: UintRef<'a>,
    s: UintRef<'a>,
}

/// PKCS#11 gives r and s, each as wide as the curve's order (PKCS#11 v3.0 section 6.3.1); X.509 wants them as DER.
pub(crate) fn ecdsa_to_der(raw: &[u8], order_len: usize) -> Result<Vec<u8>, TokenError> {
    let malformed = |found: String| TokenError::SignatureMalformed {
        found,
        permitted: format!("r and s, non-zero, of {order_len} bytes each"),
    };
    let (r, s) = raw
        .split_at_checked(order_len)
        .filter(|(_, s)| s.len() == order_len)
        .ok_or_else(|| malformed(format!("{} bytes", raw.len())))?;
    if [r, s].iter().any(|n| n.iter().all(|b| *b == 0)) {
        return Err(malformed("a zero".to_owned()));
    }
    let encode = || {
        EcdsaSigValue {
            r: UintRef::new(r)?,
            s: UintRef::new(s)?,
        }
        .to_der()
    };
    encode().map_err(|e| malformed(e.to_string()))
}

/// RSA and Ed25519 signatures are carried as they are; only their length can be wrong.
pub(crate) fn fixed_length(raw: Vec<u8>, len: usize) -> Result<Vec<u8>, TokenError> {
    if raw.len() == len {
        return Ok(raw);
    }
    Err(TokenError::SignatureMalformed {
        found: format!("{} bytes", raw.len()),
        permitted: format!("{len} bytes"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_minimal_and_positive() {
        let der = ecdsa_to_der(&[0x00, 0x01, 0x80, 0x00], 2).unwrap();
        assert_eq!(der, [0x30, 8, 2, 1, 1, 2, 3, 0, 0x80, 0]);
    }

    #[test]
    fn wrong_widths_and_zeros_are_refused() {
        for raw in [&[1u8; 3][..], &[1; 5], &[], &[0, 0, 1, 1], &[1, 1, 0, 0]] {
            assert!(ecdsa_to_der(raw, 2).is_err(), "{raw:?}");
        }
        assert!(fixed_length(vec![0; 63], 64).is_err());
    }
}
