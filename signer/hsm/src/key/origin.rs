//! Where a key comes from, and the attributes that it must show for it.

use cryptoki::object::{Attribute, AttributeType};

/// How a CA key came to be where it is; decides which attributes it must show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOrigin {
    /// Generated on this token: it was never anywhere else.
    Generated,
    /// Copied token to token by the vendor's cloning tool.
    Cloned,
    /// Unwrapped from a blob that only a trusted wrapping key could make (CKA_WRAP_WITH_TRUSTED).
    TrustedWrap,
}

impl KeyOrigin {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Generated => "generated on this token",
            Self::Cloned => "cloned by the vendor's tool",
            Self::TrustedWrap => "trusted wrap",
        }
    }

    /// The attributes that do not fit. One that the token does not give does not fit either.
    ///
    /// C_UnwrapKey clears CKA_LOCAL, CKA_ALWAYS_SENSITIVE and CKA_NEVER_EXTRACTABLE (PKCS#11 v3.0 section 5.18.4), and
    /// cloning tools vary: only a key generated here can be asked for all of them.
    pub(super) fn misfits(self, attributes: &[Attribute]) -> Vec<String> {
        let given = |kind: AttributeType| attributes.iter().find(|a| a.attribute_type() == kind).and_then(flag);
        let trusted_only = self == Self::TrustedWrap && given(AttributeType::WrapWithTrusted) == Some(true);
        let wanted = [
            (AttributeType::Sensitive, true, true),
            (AttributeType::Extractable, false, !trusted_only),
            (AttributeType::AlwaysSensitive, true, self == Self::Generated),
            (AttributeType::NeverExtractable, true, self == Self::Generated),
            (AttributeType::Local, true, self == Self::Generated),
        ];
        wanted
            .into_iter()
            .filter(|(kind, value, applies)| *applies && given(*kind) != Some(*value))
            .map(|(kind, ..)| match given(kind) {
                Some(value) => format!("{kind} is {value}"),
                None => format!("{kind} is not given"),
            })
            .collect()
    }
}

const fn flag(attribute: &Attribute) -> Option<bool> {
    match attribute {
        Attribute::Sensitive(b)
        | Attribute::Extractable(b)
        | Attribute::AlwaysSensitive(b)
        | Attribute::NeverExtractable(b)
        | Attribute::Local(b)
        | Attribute::WrapWithTrusted(b) => Some(*b),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attributes(sensitive: bool, extractable: bool, born_here: bool) -> Vec<Attribute> {
        vec![
            Attribute::Sensitive(sensitive),
            Attribute::Extractable(extractable),
            Attribute::AlwaysSensitive(born_here),
            Attribute::NeverExtractable(born_here),
            Attribute::Local(born_here),
        ]
    }

    #[test]
    fn a_generated_key_shows_all_five_attributes() {
        assert!(KeyOrigin::Generated.misfits(&attributes(true, false, true)).is_empty());
        assert_eq!(KeyOrigin::Generated.misfits(&attributes(true, false, false)).len(), 3);
        assert_eq!(KeyOrigin::Generated.misfits(&[]).len(), 5);
        for at in 0..5 {
            let mut missing = attributes(true, false, true);
            missing.remove(at);
            assert_eq!(KeyOrigin::Generated.misfits(&missing).len(), 1, "attribute {at}");
        }
    }

    #[test]
    fn other_origins_excuse_the_history_but_not_the_present() {
        for origin in [KeyOrigin::Cloned, KeyOrigin::TrustedWrap] {
            assert!(origin.misfits(&attributes(true, false, false)).is_empty());
            assert_eq!(origin.misfits(&attributes(false, false, true)).len(), 1);
            assert_eq!(origin.misfits(&attributes(true, true, true)).len(), 1);
        }
        let mut trusted_only = attributes(true, true, false);
        trusted_only.push(Attribute::WrapWithTrusted(true));
        assert!(KeyOrigin::TrustedWrap.misfits(&trusted_only).is_empty());
        assert_eq!(KeyOrigin::Cloned.misfits(&trusted_only).len(), 1);
    }
}
