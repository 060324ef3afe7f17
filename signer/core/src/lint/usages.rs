//! Lints of usages: what goes together, and with which key.

use super::names::has_extended;
use super::{Lint, require};
use crate::names::Usage;
use crate::tbs::TbsView;

pub(super) const LINTS: &[Lint] = &[
    Lint {
        id: "key-usage-present",
        citation: "RFC 5280 section 4.2.1.3",
        field: "keyUsage",
        permitted: "the extension, with at least one usage",
        waivable: false,
        check: |c| require(c.key_usages.is_some(), || "none".to_owned()),
    },
    Lint {
        id: "extended-usages-known",
        citation: "RFC 5280 section 4.2.1.12",
        field: "extKeyUsage",
        permitted: "usages that Stele knows, each once, not anyExtendedKeyUsage",
        waivable: false,
        check: extended_known,
    },
    Lint {
        id: "leaf-extended-usage",
        citation: "house rule",
        field: "extKeyUsage",
        permitted: "at least one in a leaf: without any it would be good for everything",
        waivable: false,
        check: |c| require(c.ca || c.extended_key_usages.is_some(), || "none".to_owned()),
    },
    Lint {
        id: "usage-pairs",
        citation: "RFC 5280 section 4.2.1.12",
        field: "usages",
        permitted: "a key usage consistent with every extended one",
        waivable: true,
        check: usage_pairs,
    },
    Lint {
        id: "key-usage-fits-key",
        citation: "RFC 8813 section 3, RFC 9295 section 3",
        field: "keyUsage",
        permitted: "no encipherment with an EC or Ed25519 key, no key agreement with an RSA or Ed25519 key",
        waivable: true,
        check: fits_key,
    },
    Lint {
        id: "encipher-decipher-only",
        citation: "RFC 5280 section 4.2.1.3",
        field: "keyUsage",
        permitted: "`encipher only` or `decipher only` beside `key agreement`, and not both",
        waivable: false,
        check: |c| {
            let has = |usage| c.key_usages.iter().flatten().any(|u| *u == usage);
            let (encipher, decipher) = (has(Usage::EncipherOnly), has(Usage::DecipherOnly));
            let fits = (!encipher && !decipher) || (has(Usage::KeyAgreement) && encipher != decipher);
            require(fits, || "otherwise".to_owned())
        },
    },
];

fn extended_known(c: &TbsView) -> Result<(), String> {
    let Some(usages) = &c.extended_key_usages else {
        return Ok(());
    };
    require(!usages.is_empty(), || "an empty extension".to_owned())?;
    for (n, id) in usages.iter().enumerate() {
        require(Usage::from_extended_oid(*id).is_some(), || id.to_string())?;
        require(!usages.iter().take(n).any(|earlier| earlier == id), || {
            format!("{id} twice")
        })?;
    }
    Ok(())
}

fn usage_pairs(c: &TbsView) -> Result<(), String> {
    use Usage::{ContentCommitment, DigitalSignature, KeyAgreement, KeyEncipherment};
    if c.ca {
        return Ok(());
    }
    let pairs: [(Usage, &[Usage]); 6] = [
        (Usage::ServerAuth, &[DigitalSignature, KeyEncipherment, KeyAgreement]),
        (Usage::ClientAuth, &[DigitalSignature, KeyAgreement]),
        (Usage::CodeSigning, &[DigitalSignature]),
        (
            Usage::EmailProtection,
            &[DigitalSignature, ContentCommitment, KeyEncipherment, KeyAgreement],
        ),
        (Usage::TimeStamping, &[DigitalSignature, ContentCommitment]),
        (Usage::OcspSigning, &[DigitalSignature, ContentCommitment]),
    ];
    let has = |usage: &Usage| c.key_usages.iter().flatten().any(|u| u == usage);
    let lonely = pairs
        .iter()
        .find(|(extended, any)| has_extended(c, *extended) && !any.iter().any(has));
    lonely.map_or(Ok(()), |(extended, _)| Err(format!("{} alone", extended.name())))
}

/// The algorithms are RSA, EC and, for the rest, Ed25519: no other key gets this far.
fn fits_key(c: &TbsView) -> Result<(), String> {
    let spki = spki::SubjectPublicKeyInfoRef::try_from(c.spki_der.as_slice()).map_err(|e| e.to_string())?;
    let algorithm = spki.algorithm.oid.to_string();
    let forbidden: &[Usage] = match algorithm.as_str() {
        "1.2.840.113549.1.1.1" => &[Usage::KeyAgreement],
        "1.2.840.10045.2.1" => &[Usage::KeyEncipherment, Usage::DataEncipherment],
        _ => &[Usage::KeyEncipherment, Usage::DataEncipherment, Usage::KeyAgreement],
    };
    let wrong = c.key_usages.iter().flatten().find(|u| forbidden.contains(u));
    wrong.map_or(Ok(()), |u| {
        Err(format!("{} with a key of algorithm {algorithm}", u.name()))
    })
}
