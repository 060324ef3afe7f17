//! Object identifiers of the extensions that Stele writes or must recognise.

use der::asn1::ObjectIdentifier;

macro_rules! oids {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)+) => {$(
        $(#[$doc])*
        pub const $name: ObjectIdentifier = ObjectIdentifier::new_unwrap($text);
    )+};
}

oids! {
    /// subjectKeyIdentifier (RFC 5280 section 4.2.1.2)
    SUBJECT_KEY_IDENTIFIER = "2.5.29.14";
    /// keyUsage (4.2.1.3)
    KEY_USAGE = "2.5.29.15";
    /// subjectAltName (4.2.1.6)
    SUBJECT_ALT_NAME = "2.5.29.17";
    /// basicConstraints (4.2.1.9)
    BASIC_CONSTRAINTS = "2.5.29.19";
    /// cRLNumber (5.2.3)
    CRL_NUMBER = "2.5.29.20";
    /// reasonCode (5.3.1)
    CRL_REASON = "2.5.29.21";
    /// nameConstraints (4.2.1.10)
    NAME_CONSTRAINTS = "2.5.29.30";
    /// cRLDistributionPoints (4.2.1.13)
    CRL_DISTRIBUTION_POINTS = "2.5.29.31";
    /// certificatePolicies (4.2.1.4)
    CERTIFICATE_POLICIES = "2.5.29.32";
    /// authorityKeyIdentifier (4.2.1.1)
    AUTHORITY_KEY_IDENTIFIER = "2.5.29.35";
    /// extKeyUsage (4.2.1.12)
    EXTENDED_KEY_USAGE = "2.5.29.37";
    /// freshestCRL (4.2.1.15)
    FRESHEST_CRL = "2.5.29.46";
    /// noRevAvail (RFC 9608)
    NO_REV_AVAIL = "2.5.29.56";
    /// authorityInfoAccess (RFC 5280 section 4.2.2.1)
    AUTHORITY_INFO_ACCESS = "1.3.6.1.5.5.7.1.1";
    /// id-ad-ocsp
    ACCESS_OCSP = "1.3.6.1.5.5.7.48.1";
    /// id-ad-caIssuers
    ACCESS_CA_ISSUERS = "1.3.6.1.5.5.7.48.2";
}
