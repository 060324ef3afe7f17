//! Requests for certificates.

use stele_core::Refusal;
use stele_core::request::{Context, KeyProof, SignRequest, Wanted, pkcs10_from_pem};

use super::fields::{Fields, time_to_wire};
use super::{limits, san_to_wire, subject_to_wire, usage_to_wire};
use crate::v1;

/// A request for a certificate.
///
/// # Errors
/// Every field that is absent, unknown, malformed, too large or contradictory.
pub fn sign_request(wire: v1::SignRequest) -> Result<SignRequest, Refusal> {
    let v1::SignRequest {
        request_id,
        profile,
        issuer,
        key_proof,
        wanted,
        context,
    } = wire;
    let mut fields = Fields::default();
    let id = fields.parsed("request_id", &request_id);
    let profile = fields.parsed("profile", &profile);
    let issuer = fields.parsed_if("issuer", issuer.as_deref());
    let proof = fields.key_proof(key_proof);
    let wanted = wanted.map(|w| fields.wanted(w)).unwrap_or_default();
    let context = context.map(|c| fields.context(c)).unwrap_or_default();
    if let (Some(KeyProof::PodKey { pod_uid, .. }), Some(vouched)) = (&proof, &context.pod_uid)
        && pod_uid != vouched
    {
        let found = "another UID than `context.pod_uid`";
        fields.conflict("key_proof.pod_key.pod_uid", found, "the same UID in both");
    }
    fields.finish((|| {
        Some(SignRequest {
            id: id?,
            profile: profile?,
            issuer,
            proof: proof?,
            wanted,
            context,
        })
    })())
}

impl Fields {
    fn key_proof(&mut self, wire: Option<v1::KeyProof>) -> Option<KeyProof> {
        use v1::key_proof::Proof;
        match wire.and_then(|v1::KeyProof { proof }| proof) {
            None => {
                self.absent("key_proof", "one of pkcs10_der, pkcs10_pem, pod_key");
                None
            }
            Some(Proof::Pkcs10Der(der)) => self
                .octets("key_proof.pkcs10_der", der, limits::PKCS10_DER)
                .map(KeyProof::Pkcs10),
            Some(Proof::Pkcs10Pem(pem)) => self.pkcs10_pem(pem),
            Some(Proof::PodKey(v1::PodKeyProof {
                spki_der,
                proof_of_possession,
                pod_uid,
            })) => {
                let spki = self.octets("key_proof.pod_key.spki_der", spki_der, limits::SPKI);
                let field = "key_proof.pod_key.proof_of_possession";
                let proof = self.octets(field, proof_of_possession, limits::PROOF);
                let pod_uid = self.text("key_proof.pod_key.pod_uid", pod_uid, limits::UID);
                Some(KeyProof::PodKey {
                    spki: spki?,
                    proof: proof?,
                    pod_uid: pod_uid?,
                })
            }
        }
    }

    fn pkcs10_pem(&mut self, pem: String) -> Option<KeyProof> {
        let field = "key_proof.pkcs10_pem";
        let pem = self.lines(field, pem, limits::PKCS10_PEM)?;
        match pkcs10_from_pem(&pem) {
            Ok(der) => self.octets(field, der, limits::PKCS10_DER).map(KeyProof::Pkcs10),
            Err(error) => {
                self.core_error(field, "malformed", error);
                None
            }
        }
    }

    fn wanted(&mut self, wire: v1::Wanted) -> Wanted {
        let v1::Wanted {
            subject,
            sans,
            usages,
            validity_seconds,
            not_before,
            not_after,
        } = wire;
        let wanted = Wanted {
            subject: subject.and_then(|s| self.subject("wanted.subject", s)),
            sans: sans.and_then(|s| self.sans("wanted.sans", s)),
            usages: usages.and_then(|u| self.usages("wanted.usages", u)),
            validity_secs: validity_seconds,
            not_before: self.seconds("wanted.not_before", not_before),
            not_after: self.seconds("wanted.not_after", not_after),
        };
        if wanted.validity_secs == Some(0) {
            let permitted = "at least 1; leave it out to take the profile's default";
            self.refuse("wanted.validity_seconds", "out-of-range", "0", permitted);
        }
        if let (Some(secs), Some(_)) = (wanted.validity_secs, wanted.not_after) {
            let found = format!("{secs} together with `wanted.not_after`");
            self.conflict("wanted.validity_seconds", found, "one of the two");
        }
        if let (Some(from), Some(until)) = (wanted.not_before, wanted.not_after)
            && until < from
        {
            let found = format!("{until}, before `wanted.not_before` {from}");
            self.conflict("wanted.not_after", found, "not before `wanted.not_before`");
        }
        wanted
    }

    fn context(&mut self, wire: v1::Context) -> Context {
        let v1::Context {
            cluster,
            object_uid,
            requester,
            groups,
            namespace,
            pod_name,
            pod_uid,
            service_account_name,
            service_account_uid,
            node_name,
            node_uid,
        } = wire;
        let mut text = |name: &str, value: Option<String>| {
            value.and_then(|value| self.text(&format!("context.{name}"), value, limits::TEXT))
        };
        let context = Context {
            cluster: text("cluster", cluster),
            object_uid: text("object_uid", object_uid),
            requester: text("requester", requester),
            groups: Vec::new(),
            namespace: text("namespace", namespace),
            pod: text("pod_name", pod_name),
            pod_uid: text("pod_uid", pod_uid),
            service_account: text("service_account_name", service_account_name),
            service_account_uid: text("service_account_uid", service_account_uid),
            node: text("node_name", node_name),
            node_uid: text("node_uid", node_uid),
        };
        Context {
            groups: self.groups(groups),
            ..context
        }
    }

    fn groups(&mut self, groups: Vec<String>) -> Vec<String> {
        if !self.count("context.groups", groups.len(), limits::GROUPS, "groups") {
            return Vec::new();
        }
        groups
            .into_iter()
            .enumerate()
            .filter_map(|(i, group)| self.text(&format!("context.groups[{i}]"), group, limits::TEXT))
            .collect()
    }
}

/// A request for a certificate on the wire; converted back it is equal.
#[must_use]
pub fn sign_request_to_wire(request: &SignRequest) -> v1::SignRequest {
    let SignRequest {
        id,
        profile,
        issuer,
        proof,
        wanted,
        context,
    } = request;
    v1::SignRequest {
        request_id: id.to_string(),
        profile: profile.to_string(),
        issuer: issuer.as_ref().map(ToString::to_string),
        key_proof: Some(key_proof_to_wire(proof)),
        wanted: Some(wanted_to_wire(wanted)),
        context: Some(context_to_wire(context)),
    }
}

fn key_proof_to_wire(proof: &KeyProof) -> v1::KeyProof {
    use v1::key_proof::Proof;
    v1::KeyProof {
        proof: Some(match proof {
            KeyProof::Pkcs10(der) => Proof::Pkcs10Der(der.clone()),
            KeyProof::PodKey { spki, proof, pod_uid } => Proof::PodKey(v1::PodKeyProof {
                spki_der: spki.clone(),
                proof_of_possession: proof.clone(),
                pod_uid: pod_uid.clone(),
            }),
        }),
    }
}

fn wanted_to_wire(wanted: &Wanted) -> v1::Wanted {
    let Wanted {
        subject,
        sans,
        usages,
        validity_secs,
        not_before,
        not_after,
    } = wanted;
    v1::Wanted {
        subject: subject.as_ref().map(subject_to_wire),
        sans: sans.as_ref().map(|sans| v1::SubjectAlternativeNames {
            names: sans.iter().map(san_to_wire).collect(),
        }),
        usages: usages.as_ref().map(|usages| v1::Usages {
            usages: usages.iter().map(|usage| usage_to_wire(*usage).into()).collect(),
        }),
        validity_seconds: *validity_secs,
        not_before: not_before.map(time_to_wire),
        not_after: not_after.map(time_to_wire),
    }
}

fn context_to_wire(context: &Context) -> v1::Context {
    let Context {
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
    } = context.clone();
    v1::Context {
        cluster,
        object_uid,
        requester,
        groups,
        namespace,
        pod_name: pod,
        pod_uid,
        service_account_name: service_account,
        service_account_uid,
        node_name: node,
        node_uid,
    }
}
