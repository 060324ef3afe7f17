//! PEM in the one form in which a ceremony writes it (RFC 7468).

use der::pem::{LineEnding, decode_vec, encode_string};

use crate::error::Error;

/// One block with this label, lines of 64 characters, a newline at the end.
///
/// # Errors
/// When it would be too long to encode.
pub fn to_pem(label: &str, der: &[u8]) -> Result<String, Error> {
    encode_string(label, LineEnding::LF, der)
        .map_err(|e| Error::malformed("PEM", e.to_string(), "bytes that PEM can carry"))
}

/// The bytes of exactly one block with this label, in the form that [`to_pem`] writes.
///
/// # Errors
/// When it has another label or form, or there is more than the block.
pub fn from_pem(label: &str, pem: &[u8]) -> Result<Vec<u8>, Error> {
    let bad = |found: String| Error::malformed("PEM", found, format!("one block {label} with lines of 64 characters"));
    let (found, der) = decode_vec(pem).map_err(|e| bad(e.to_string()))?;
    if found != label || to_pem(label, &der)?.as_bytes() != pem {
        return Err(bad(format!("a block {found}, or another form")));
    }
    Ok(der)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pem_has_one_form() {
        let pem = to_pem("CERTIFICATE", &[7; 100]).unwrap();
        assert_eq!(from_pem("CERTIFICATE", pem.as_bytes()).unwrap(), [7; 100]);
        for bad in [
            pem.replace('\n', "\r\n"),
            format!("{pem}\n"),
            format!("note\n{pem}"),
            pem.trim_end().to_owned(),
        ] {
            assert!(from_pem("CERTIFICATE", bad.as_bytes()).is_err(), "{bad:?}");
        }
        assert!(from_pem("X509 CRL", pem.as_bytes()).is_err());
    }
}
