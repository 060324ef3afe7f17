//! The digest of a request, and the encoding that it covers.

use super::{Context, KeyProof, SignRequest, Wanted};
use crate::names::{AttributeType, San, Subject, Usage};
use crate::types::{Digest, KeyName, Time};

/// The first bytes of the encoding that [`SignRequest::digest`] covers.
const DIGEST_HEADER: &[u8] = b"stele-sign-request-v1\n";

impl SignRequest {
    /// SHA-256 over an encoding of every field; equal digests mean the same request.
    ///
    /// The encoding is the ASCII `stele-sign-request-v1` and a newline, followed by *items*. An item is a tag (one
    /// octet), the length of its value (a number) and the value. Items stand in the order of this
    /// table; one whose field is not stated is left out. Texts are UTF-8, numbers eight octets, big-endian.
    ///
    /// | tag | value |
    /// |---|---|
    /// | 1 | request id |
    /// | 2 | profile |
    /// | 3 | issuer |
    /// | 4 | PKCS#10 request, DER |
    /// | 5 | pod key: items 1 SPKI (DER), 2 proof, 3 pod UID |
    /// | 6 | subject: for each attribute item 1, which holds items 1 attribute type, 2 value |
    /// | 7 | SANs: for each one item: 1 DNS, 2 IP (4 or 16 octets), 3 URI, 4 e-mail |
    /// | 8 | usages: for each item 1, usage |
    /// | 9 | validity in seconds |
    /// | 10 | notBefore, milliseconds since 1970-01-01T00:00:00Z |
    /// | 11 | notAfter, likewise |
    /// | 12 | context: items 1 cluster, 2 object UID, 3 requester, 4 for each group, 5 namespace, 6 pod, 7 pod UID, 8 service account, 9 its UID, 10 node, 11 its UID |
    ///
    /// Attribute types and usages are numbers: those of `AttributeType` and `Usage` in `stele/v1/types.proto`. Lists
    /// keep their order. Item 12 is always there; 6, 7 and 8 are there, and may be empty, where the list is stated.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let Self {
            id,
            profile,
            issuer,
            proof,
            wanted,
            context,
        } = self;
        let mut items = Items(DIGEST_HEADER.to_vec());
        items.text(1, id.as_str());
        items.text(2, profile.as_str());
        items.optional(3, issuer.as_ref().map(KeyName::as_str));
        proof.encode(&mut items);
        wanted.encode(&mut items);
        items.nested(12, |items| context.encode(items));
        Digest::of(&items.0)
    }
}

impl KeyProof {
    fn encode(&self, items: &mut Items) {
        match self {
            Self::Pkcs10(der) => items.bytes(4, der),
            Self::PodKey { spki, proof, pod_uid } => items.nested(5, |items| {
                items.bytes(1, spki);
                items.bytes(2, proof);
                items.text(3, pod_uid);
            }),
        }
    }
}

impl Wanted {
    fn encode(&self, items: &mut Items) {
        let Self {
            subject,
            sans,
            usages,
            validity_secs,
            not_before,
            not_after,
        } = self;
        if let Some(Subject(attributes)) = subject {
            items.nested(6, |items| {
                for attribute in attributes {
                    items.nested(1, |items| {
                        items.number(1, attribute_number(attribute.kind));
                        items.text(2, &attribute.value);
                    });
                }
            });
        }
        if let Some(sans) = sans {
            items.nested(7, |items| sans.iter().for_each(|san| encode_san(san, items)));
        }
        if let Some(usages) = usages {
            items.nested(8, |items| {
                usages.iter().for_each(|usage| items.number(1, usage_number(*usage)));
            });
        }
        for (tag, number) in [
            (9, *validity_secs),
            (10, not_before.map(Time::millis)),
            (11, not_after.map(Time::millis)),
        ] {
            if let Some(number) = number {
                items.number(tag, number);
            }
        }
    }
}

impl Context {
    fn encode(&self, items: &mut Items) {
        let Self {
            cluster,
            object_uid,
            requester,
            groups,
            namespace,
            pod,
            pod_uid,
            service_account,
            service_account_uid,
            node,
            node_uid,
        } = self;
        items.optional(1, cluster.as_deref());
        items.optional(2, object_uid.as_deref());
        items.optional(3, requester.as_deref());
        groups.iter().for_each(|group| items.text(4, group));
        items.optional(5, namespace.as_deref());
        items.optional(6, pod.as_deref());
        items.optional(7, pod_uid.as_deref());
        items.optional(8, service_account.as_deref());
        items.optional(9, service_account_uid.as_deref());
        items.optional(10, node.as_deref());
        items.optional(11, node_uid.as_deref());
    }
}

fn encode_san(san: &San, items: &mut Items) {
    match san {
        San::Dns(name) => items.text(1, name),
        San::Ip(std::net::IpAddr::V4(address)) => items.bytes(2, &address.octets()),
        San::Ip(std::net::IpAddr::V6(address)) => items.bytes(2, &address.octets()),
        San::Uri(uri) => items.text(3, uri),
        San::Email(address) => items.text(4, address),
    }
}

/// The number of the attribute type in the public contract.
const fn attribute_number(kind: AttributeType) -> u64 {
    match kind {
        AttributeType::CommonName => 1,
        AttributeType::Organization => 2,
        AttributeType::OrganizationalUnit => 3,
        AttributeType::Country => 4,
        AttributeType::State => 5,
        AttributeType::Locality => 6,
        AttributeType::SerialNumber => 7,
        AttributeType::DomainComponent => 8,
        AttributeType::UserId => 9,
    }
}

/// The number of the usage in the public contract.
const fn usage_number(usage: Usage) -> u64 {
    match usage {
        Usage::DigitalSignature => 1,
        Usage::ContentCommitment => 2,
        Usage::KeyEncipherment => 3,
        Usage::DataEncipherment => 4,
        Usage::KeyAgreement => 5,
        Usage::CertSign => 6,
        Usage::CrlSign => 7,
        Usage::EncipherOnly => 8,
        Usage::DecipherOnly => 9,
        Usage::ServerAuth => 10,
        Usage::ClientAuth => 11,
        Usage::CodeSigning => 12,
        Usage::EmailProtection => 13,
        Usage::TimeStamping => 14,
        Usage::OcspSigning => 15,
    }
}

/// Items as [`SignRequest::digest`] describes them, one after the other.
struct Items(Vec<u8>);

impl Items {
    fn bytes(&mut self, tag: u8, value: &[u8]) {
        self.0.push(tag);
        self.0.extend_from_slice(&(value.len() as u64).to_be_bytes());
        self.0.extend_from_slice(value);
    }

    fn text(&mut self, tag: u8, value: &str) {
        self.bytes(tag, value.as_bytes());
    }

    fn optional(&mut self, tag: u8, value: Option<&str>) {
        if let Some(value) = value {
            self.text(tag, value);
        }
    }

    fn number(&mut self, tag: u8, value: u64) {
        self.bytes(tag, &value.to_be_bytes());
    }

    fn nested(&mut self, tag: u8, fill: impl FnOnce(&mut Self)) {
        let mut inner = Self(Vec::new());
        fill(&mut inner);
        self.bytes(tag, &inner.0);
    }
}
