//! The AlgorithmIdentifier of every signature algorithm: one table, read and written.

use der::Encode;
use der::asn1::AnyRef;

use crate::error::Error;
use crate::types::{KeyAlgorithm, SignatureAlgorithm};

/// Every algorithm with the whole value of its AlgorithmIdentifier (RFC 5758 section 3.2, RFC 4055 sections 3 and 5, RFC
/// 8410 section 3). In PSS the hash parameters are NULL, as RFC 4055 section 2.1 has signers write them.
const TABLE: [(SignatureAlgorithm, &[u8]); 10] = [
    (
        SignatureAlgorithm::EcdsaSha256,
        b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x02",
    ),
    (
        SignatureAlgorithm::EcdsaSha384,
        b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x03",
    ),
    (
        SignatureAlgorithm::EcdsaSha512,
        b"\x06\x08\x2a\x86\x48\xce\x3d\x04\x03\x04",
    ),
    (
        SignatureAlgorithm::RsaPkcs1Sha256,
        b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b\x05\x00",
    ),
    (
        SignatureAlgorithm::RsaPkcs1Sha384,
        b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c\x05\x00",
    ),
    (
        SignatureAlgorithm::RsaPkcs1Sha512,
        b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d\x05\x00",
    ),
    (SignatureAlgorithm::RsaPssSha256, &pss(1, 32)),
    (SignatureAlgorithm::RsaPssSha384, &pss(2, 48)),
    (SignatureAlgorithm::RsaPssSha512, &pss(3, 64)),
    (SignatureAlgorithm::Ed25519, b"\x06\x03\x2b\x65\x70"),
];

/// id-RSASSA-PSS with its parameters: hash `2.16.840.1.101.3.4.2.<hash>`, MGF1 with the same, salt of `salt` octets.
const fn pss(hash: u8, salt: u8) -> [u8; 65] {
    let mut out = *b"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a\x30\x34\
        \xa0\x0f\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x00\x05\x00\
        \xa1\x1c\x30\x1a\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x08\x30\x0d\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x00\x05\x00\
        \xa2\x03\x02\x01\x00";
    out[27] = hash;
    out[57] = hash;
    out[64] = salt;
    out
}

/// The AlgorithmIdentifier of a signature algorithm.
#[must_use]
pub fn algorithm_identifier(algorithm: SignatureAlgorithm) -> AnyRef<'static> {
    TABLE
        .iter()
        .find(|(a, _)| *a == algorithm)
        .and_then(|(_, value)| AnyRef::new(der::Tag::Sequence, value).ok())
        .unwrap_or(AnyRef::NULL)
}

/// Which signature algorithm an AlgorithmIdentifier names.
///
/// # Errors
/// When its bytes are not exactly those that [`algorithm_identifier`] writes for one of ours.
pub fn signature_algorithm(identifier: AnyRef<'_>) -> Result<SignatureAlgorithm, Error> {
    TABLE
        .iter()
        .find(|(_, value)| *value == identifier.value() && identifier.header().tag() == der::Tag::Sequence)
        .map(|(algorithm, _)| *algorithm)
        .ok_or_else(|| {
            Error::malformed(
                "signature algorithm",
                identifier.to_der().map(|d| crate::types::hex(&d)).unwrap_or_default(),
                "the AlgorithmIdentifier of ECDSA, RSA PKCS#1 or PSS with SHA-2, or Ed25519",
            )
        })
}

impl SignatureAlgorithm {
    /// Every signature algorithm.
    pub const ALL: [Self; 10] = [
        Self::EcdsaSha256,
        Self::EcdsaSha384,
        Self::EcdsaSha512,
        Self::RsaPkcs1Sha256,
        Self::RsaPkcs1Sha384,
        Self::RsaPkcs1Sha512,
        Self::RsaPssSha256,
        Self::RsaPssSha384,
        Self::RsaPssSha512,
        Self::Ed25519,
    ];

    /// Whether a key of this kind can sign with this algorithm.
    #[must_use]
    pub const fn fits(self, key: KeyAlgorithm) -> bool {
        match key {
            KeyAlgorithm::EcP256 | KeyAlgorithm::EcP384 | KeyAlgorithm::EcP521 => {
                matches!(self, Self::EcdsaSha256 | Self::EcdsaSha384 | Self::EcdsaSha512)
            }
            KeyAlgorithm::Ed25519 => matches!(self, Self::Ed25519),
            KeyAlgorithm::Rsa2048 | KeyAlgorithm::Rsa3072 | KeyAlgorithm::Rsa4096 => !matches!(
                self,
                Self::EcdsaSha256 | Self::EcdsaSha384 | Self::EcdsaSha512 | Self::Ed25519
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use der::Decode;

    use super::*;

    #[test]
    fn every_identifier_is_der_and_reads_back() {
        for algorithm in SignatureAlgorithm::ALL {
            let identifier = algorithm_identifier(algorithm);
            assert_eq!(signature_algorithm(identifier).unwrap(), algorithm);
            let der = identifier.to_der().unwrap();
            let parsed = spki::AlgorithmIdentifierOwned::from_der(&der).unwrap();
            assert_eq!(parsed.to_der().unwrap(), der, "{algorithm:?}");
        }
    }

    #[test]
    fn a_foreign_identifier_is_refused() {
        // sha1WithRSAEncryption
        let sha1 = AnyRef::from_der(b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05\x05\x00").unwrap();
        assert!(signature_algorithm(sha1).is_err());
        assert!(signature_algorithm(AnyRef::NULL).is_err());
    }
}
