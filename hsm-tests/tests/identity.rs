//! Who may call what: only callers of the bundle, by the access CA's certificates, over TLS 1.3, each within its
//! methods; refusals of known callers are recorded. A common name is never an identity.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a surprise ends the test"
)]

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use stele_api::status::Reason;
use stele_api::v1;
use stele_core::record::{Body, Record};
use stele_core::types::CallerSan;
use stele_hsm_tests::service::{Service, both, succeed};
use stele_hsm_tests::service_client::{
    channel, csr, intermediate, leaf, reason, records, request, runtime, sign, sign_persistently, tls,
};
use tonic::{Code, Status};

fn assert_refused<T: std::fmt::Debug>(answer: Result<T, Status>, code: Code, why: Reason) {
    let status = answer.expect_err("a refusal");
    assert_eq!((status.code(), reason(&status)), (code, Some(why)), "{status:?}");
}

/// The recorded refusals of calls: caller, method's name, reason.
fn turned_away(records: &[Record]) -> Vec<(CallerSan, String, String)> {
    let refusals = records.iter().filter_map(|r| match &r.body {
        Body::AccessRefused(a) => {
            let method = a.method.rsplit('/').next().unwrap_or_default().to_owned();
            Some((a.caller.clone(), method, a.reason.clone()))
        }
        _ => None,
    });
    refusals.collect()
}

fn san(uri: &str) -> CallerSan {
    format!("uri:{uri}").parse().unwrap()
}

/// A self-signed certificate that claims the caller's identity, and its key.
fn self_signed(service: &Service) -> (PathBuf, PathBuf) {
    let (certificate, key) = (service.path("self.pem"), service.path("self.key"));
    succeed(
        Command::new("openssl")
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-days",
                "1",
            ])
            .args([
                "-subj",
                "/CN=cluster-signer",
                "-addext",
                "extendedKeyUsage=clientAuth",
                "-addext",
            ])
            .arg("subjectAltName=URI:spiffe://stele/caller/cluster-signer")
            .arg("-keyout")
            .arg(&key)
            .arg("-out")
            .arg(&certificate),
    );
    (certificate, key)
}

/// A client certificate of the issuing CA, whose CN is a caller's name, and its key.
fn from_another_ca(service: &Service) -> (PathBuf, PathBuf) {
    let (key, request, out) = (
        service.path("pod.key"),
        service.path("pod.csr"),
        service.path("pod.pem"),
    );
    succeed(
        Command::new("openssl")
            .args([
                "req",
                "-new",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-nodes",
                "-subj",
            ])
            .args(["/O=system:nodes/CN=system:node:node-1", "-keyout"])
            .arg(&key)
            .arg("-out")
            .arg(&request),
    );
    succeed(
        service
            .stele_as("caller")
            .args(["sign", "--profile", "kubelet-client", "--csr"])
            .arg(request)
            .arg("--out")
            .arg(&out),
    );
    (service.path("pod-chain.pem"), key)
}

/// The call failed below gRPC, and the signer's log, which was emptied before, says that the handshake did.
fn assert_no_connection<T: std::fmt::Debug>(service: &Service, answer: Result<T, Status>) {
    let status = answer.expect_err("a refusal");
    assert_eq!(reason(&status), None, "no TLS, so no gRPC: {status:?}");
    let until = Instant::now() + Duration::from_secs(10);
    while !service.log().contains("a TLS handshake failed") {
        assert!(Instant::now() < until, "the signer tells of no handshake that failed");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn only_certificates_of_the_access_ca_pass_the_handshake() {
    let service = Service::started();
    let runtime = runtime();
    for (certificate, key) in [self_signed(&service), from_another_ca(&service)] {
        std::fs::write(service.path("signer.log"), "").unwrap();
        let config = tls(&service.path("out/access-ca.pem"), &certificate, &key);
        let answer = runtime.block_on(async { sign(&channel(service.grpc, config), leaf("stranger")).await });
        assert_no_connection(&service, answer);
    }
    // The same call by the caller itself is good, so that only the certificate made the difference.
    let good = runtime.block_on(async { sign(&service.channel("caller"), leaf("stranger")).await });
    assert!(good.is_ok(), "{good:?}");
}

/// What `openssl s_client` says with these further arguments.
fn s_client(service: &Service, args: &[&str]) -> String {
    let out = Command::new("openssl")
        .args([
            "s_client",
            "-connect",
            &format!("127.0.0.1:{}", service.grpc),
            "-alpn",
            "h2",
            "-CAfile",
        ])
        .arg(service.path("out/access-ca.pem"))
        .args(["-partial_chain", "-servername", "localhost"])
        .args(args)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    both(&out)
}

#[test]
fn tls_1_2_and_no_certificate_are_refused() {
    let service = Service::started();
    let (pem, key) = (service.path("people/caller.pem"), service.path("people/caller.key"));
    let identity = ["-cert", pem.to_str().unwrap(), "-key", key.to_str().unwrap()];
    let good = s_client(&service, &[&identity[..], &["-tls1_3"]].concat());
    assert!(
        good.contains("Verify return code: 0 (ok)") && good.contains("TLSv1.3"),
        "{good}"
    );
    let old = s_client(&service, &[&identity[..], &["-tls1_2"]].concat());
    assert!(
        old.contains("alert protocol version") || old.contains("Cipher is (NONE)"),
        "{old}"
    );
    // In TLS 1.3 the client hears of it after its own side of the handshake is done.
    std::fs::write(service.path("signer.log"), "").unwrap();
    let config = tls(&service.path("out/access-ca.pem"), &pem, &key);
    let mut anonymous = (*config).clone();
    anonymous.client_auth_cert_resolver = std::sync::Arc::new(Nobody);
    let answer = runtime().block_on(async {
        let channel = channel(service.grpc, std::sync::Arc::new(anonymous));
        sign(&channel, leaf("nobody")).await
    });
    assert_no_connection(&service, answer);
}

/// A client without a certificate.
#[derive(Debug)]
struct Nobody;

impl rustls::client::ResolvesClientCert for Nobody {
    fn resolve(
        &self,
        _: &[&[u8]],
        _: &[rustls::SignatureScheme],
    ) -> Option<std::sync::Arc<rustls::sign::CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

#[test]
fn each_caller_has_its_methods_and_profiles() {
    let service = Service::started();
    runtime().block_on(async {
        let (auditor, caller, guest) = (
            service.channel("auditor"),
            service.channel("caller"),
            service.channel("guest"),
        );
        let denied = Code::PermissionDenied;
        assert_refused(sign(&auditor, leaf("a-1")).await, denied, Reason::MethodNotPermitted);
        let mut ledger = v1::ledger_service_client::LedgerServiceClient::new(caller.clone());
        let entries = ledger.stream_entries(v1::StreamEntriesRequest::default()).await;
        assert_refused(entries.map(drop), denied, Reason::MethodNotPermitted);
        let mut stop = v1::stop_service_client::StopServiceClient::new(caller.clone());
        let freeze = v1::FreezeRequest {
            target: Some(v1::freeze_request::Target::Issuer("issuing-ca".to_owned())),
            reason: "mischief".to_owned(),
        };
        assert_refused(stop.freeze(freeze).await, denied, Reason::MethodNotPermitted);
        let mut requests = v1::request_service_client::RequestServiceClient::new(caller.clone());
        let approve = requests.approve_request(v1::ApproveRequestRequest::default()).await;
        assert_refused(approve, denied, Reason::MethodNotPermitted);
        let mut authority = v1::authority_service_client::AuthorityServiceClient::new(caller.clone());
        let bundle = authority.get_bundle(v1::GetBundleRequest::default()).await;
        assert_refused(bundle, denied, Reason::MethodNotPermitted);
        // A profile that lists others only, and one that does not exist: the same answer.
        for profile in ["kube-apiserver-serving", "no-such-profile"] {
            let wrong = request(profile, &format!("g-{profile}"), csr(None, &["api.demo.example"]));
            assert_refused(sign(&guest, wrong).await, denied, Reason::ProfileNotPermitted);
        }
        // A CN that is another caller's name helps nobody.
        let mut own = request("caller", "g-2", csr(Some("cluster-signer"), &[]));
        own.wanted = Some(v1::Wanted {
            sans: Some(v1::SubjectAlternativeNames {
                names: vec![uri("spiffe://stele/caller/cluster-signer")],
            }),
            ..v1::Wanted::default()
        });
        let status = sign(&guest, own.clone()).await.expect_err("another's identity");
        assert_eq!(reason(&status), Some(Reason::PolicyRefused), "{status:?}");
        // Two identities in one certificate are not to be had.
        if let Some(sans) = own.wanted.as_mut().and_then(|w| w.sans.as_mut()) {
            sans.names = vec![
                uri("spiffe://stele/caller/guest"),
                uri("spiffe://stele/caller/cluster-signer"),
            ];
        }
        own.request_id = "g-3".to_owned();
        let status = sign(&guest, own).await.expect_err("two identities");
        assert_eq!(reason(&status), Some(Reason::PolicyRefused), "{status:?}");

        let records = records(&service).await;
        let refused = turned_away(&records);
        let (auditor, caller) = (
            san("spiffe://stele/caller/auditor"),
            san("spiffe://stele/caller/cluster-signer"),
        );
        for (who, method) in [
            (&auditor, "Sign"),
            (&caller, "StreamEntries"),
            (&caller, "Freeze"),
            (&caller, "ApproveRequest"),
            (&caller, "GetBundle"),
        ] {
            let expected = (who.clone(), method.to_owned(), "METHOD_NOT_PERMITTED".to_owned());
            assert!(refused.contains(&expected), "{method}: {refused:?}");
        }
        let guests = san("spiffe://stele/caller/guest");
        let refusals = records
            .iter()
            .filter(|r| matches!(&r.body, Body::Refusal(refused) if refused.caller == guests));
        assert_eq!(refusals.count(), 4);
    });
}

fn uri(text: &str) -> v1::SubjectAlternativeName {
    v1::SubjectAlternativeName {
        name: Some(v1::subject_alternative_name::Name::Uri(text.to_owned())),
    }
}

#[test]
fn a_frozen_caller_is_refused_on_its_open_connection_too() {
    let service = Service::started();
    let runtime = runtime();
    let open = runtime.block_on(async { service.channel("caller") });
    runtime.block_on(sign_persistently(&open, &leaf("f-1")));
    let caller = "uri:spiffe://stele/caller/cluster-signer";
    succeed(
        service
            .stele_as("operator")
            .args(["freeze", "caller", caller, "--reason", "lost laptop"]),
    );
    runtime.block_on(async {
        for channel in [open, service.channel("caller")] {
            assert_refused(
                sign(&channel, leaf("f-2")).await,
                Code::PermissionDenied,
                Reason::CallerFrozen,
            );
            assert_refused(
                sign(&channel, intermediate("f-3")).await,
                Code::PermissionDenied,
                Reason::CallerFrozen,
            );
        }
        let refused = turned_away(&records(&service).await);
        let expected = (caller.parse().unwrap(), "Sign".to_owned(), "CALLER_FROZEN".to_owned());
        assert_eq!(refused.iter().filter(|r| **r == expected).count(), 4, "{refused:?}");
    });
}

#[test]
fn whom_the_next_bundle_leaves_out_is_unknown() {
    let service = Service::started();
    let authority = service.path("authority/authority.toml");
    let text = std::fs::read_to_string(&authority).unwrap();
    let (kept, _) = text.split_once("\n[[caller]]\nname = \"guest\"").unwrap();
    std::fs::write(&authority, kept).unwrap();
    let caller = service.path("authority/profiles/caller.toml");
    let text = std::fs::read_to_string(&caller).unwrap();
    std::fs::write(&caller, text.replace(", \"guest\"", "")).unwrap();
    let runtime = runtime();
    let open = runtime.block_on(async { service.channel("guest") });
    let answer = runtime.block_on(sign(&open, leaf("u-1")));
    assert_refused(answer, Code::PermissionDenied, Reason::ProfileNotPermitted);
    service.adopt_next_bundle("olga");
    runtime.block_on(async {
        for channel in [open, service.channel("guest")] {
            assert_refused(
                sign(&channel, leaf("u-2")).await,
                Code::PermissionDenied,
                Reason::CallerUnknown,
            );
        }
    });
}
