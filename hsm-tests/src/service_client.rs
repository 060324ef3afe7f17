//! Clients of the service: gRPC over mutual TLS 1.3, and plain HTTP.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper_util::rt::TokioIo;
use rcgen::{CertificateParams, DnType, KeyPair, PKCS_ECDSA_P256_SHA256, SanType};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use stele_api::convert::{Issued, SignAnswer, sign_answer};
use stele_api::status::Reason;
use stele_api::v1;
use stele_core::record::Record;
use tonic::Status;
use tonic::transport::{Channel, Endpoint, Uri};

use crate::service::Service;

/// How long one call may take.
const CALL: Duration = Duration::from_secs(15);

/// An answer over plain HTTP.
#[derive(Debug)]
pub struct Page {
    /// The status code.
    pub status: u16,
    /// The head, in lower case.
    pub head: String,
    /// The body.
    pub body: Vec<u8>,
}

/// Gets a path of a local port; `None` when nobody listens or the answer is cut short.
pub fn get(port: u16, path: &str) -> Option<Page> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(CALL)).ok()?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    )
    .ok()?;
    let mut all = Vec::new();
    stream.read_to_end(&mut all).ok()?;
    let end = all.windows(4).position(|w| w == b"\r\n\r\n")?;
    let (head, body) = all.split_at(end + 4);
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    Some(Page {
        status: head.split(' ').nth(1)?.parse().ok()?,
        head,
        body: body.to_vec(),
    })
}

/// The TLS settings of somebody with a certificate chain and a key in PEM files.
pub fn tls(ca: &Path, certificate: &Path, key: &Path) -> Arc<ClientConfig> {
    let certificates = |path: &Path| -> Vec<CertificateDer<'static>> {
        let read = CertificateDer::pem_file_iter(path).expect("a PEM file");
        read.collect::<Result<_, _>>().expect("certificates")
    };
    let mut anchors = RootCertStore::empty();
    anchors.add_parsable_certificates(certificates(ca));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .expect("TLS 1.3")
        .with_root_certificates(anchors)
        .with_client_auth_cert(
            certificates(certificate),
            PrivateKeyDer::from_pem_file(key).expect("a key"),
        )
        .expect("a certificate and its key");
    config.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(config)
}

/// A channel that connects when it is first used, and again when the connection is gone.
pub fn channel(port: u16, config: Arc<ClientConfig>) -> Channel {
    let connector = tokio_rustls::TlsConnector::from(config);
    let dial = tower::service_fn(move |_: Uri| {
        let connector = connector.clone();
        async move {
            let tcp = tokio::net::TcpStream::connect(("127.0.0.1", port)).await?;
            let name = ServerName::try_from("localhost").expect("a name");
            Ok::<_, std::io::Error>(TokioIo::new(connector.connect(name, tcp).await?))
        }
    });
    Endpoint::from_shared(format!("http://localhost:{port}"))
        .expect("an address")
        .timeout(CALL)
        .connect_with_connector_lazy(dial)
}

/// A runtime for one test.
pub fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime")
}

impl Service {
    /// A channel as one of the people.
    pub fn channel(&self, who: &str) -> Channel {
        let file = |suffix: &str| self.path(&format!("people/{who}.{suffix}"));
        let config = tls(&self.path("out/access-ca.pem"), &file("pem"), &file("key"));
        channel(self.grpc, config)
    }
}

/// Waits until the service says by gRPC that it serves.
pub(crate) fn wait_serving(service: &Service, until: Instant) {
    let people = service.path("people/auditor.pem").exists();
    runtime().block_on(async {
        loop {
            let serves = if people {
                let mut health = tonic_health::pb::health_client::HealthClient::new(service.channel("auditor"));
                let answer = health.check(tonic_health::pb::HealthCheckRequest::default()).await;
                answer.is_ok_and(|a| a.get_ref().status == 1)
            } else {
                tokio::net::TcpStream::connect(("127.0.0.1", service.grpc))
                    .await
                    .is_ok()
            };
            if serves {
                return;
            }
            assert!(Instant::now() < until, "it does not serve");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
}

/// A CSR with a new P-256 key.
pub fn csr(common_name: Option<&str>, dns: &[&str]) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    if let Some(name) = common_name {
        params.distinguished_name.push(DnType::CommonName, name);
    }
    params.subject_alt_names = dns
        .iter()
        .map(|name| SanType::DnsName((*name).try_into().expect("a DNS name")))
        .collect();
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("a key");
    params.serialize_request(&key).expect("a CSR").der().to_vec()
}

/// A request under a profile.
pub fn request(profile: &str, id: &str, csr: Vec<u8>) -> v1::SignRequest {
    v1::SignRequest {
        request_id: id.to_owned(),
        profile: profile.to_owned(),
        key_proof: Some(v1::KeyProof {
            proof: Some(v1::key_proof::Proof::Pkcs10Der(csr)),
        }),
        ..v1::SignRequest::default()
    }
}

/// A request for an API server's certificate.
pub fn leaf(id: &str) -> v1::SignRequest {
    request(
        "kube-apiserver-serving",
        id,
        csr(Some("kube-apiserver"), &["api.demo.example"]),
    )
}

/// A request for an intermediate, which waits for an operator.
pub fn intermediate(id: &str) -> v1::SignRequest {
    request("cluster-intermediate", id, csr(Some("cert-manager CA"), &[]))
}

/// Asks for a signature.
///
/// # Errors
/// What the server says.
pub async fn sign(channel: &Channel, request: v1::SignRequest) -> Result<SignAnswer, Status> {
    let mut client = v1::signing_service_client::SigningServiceClient::new(channel.clone());
    let answer = client.sign(request).await?.into_inner();
    Ok(sign_answer(answer).expect("an answer as the contract says"))
}

/// Asks for a signature until the server gives one.
pub async fn sign_persistently(channel: &Channel, request: &v1::SignRequest) -> Issued {
    let until = Instant::now() + crate::service::PATIENCE;
    loop {
        match sign(channel, request.clone()).await {
            Ok(SignAnswer::Issued(issued)) => return *issued,
            Ok(SignAnswer::Pending(_)) => panic!("{} waits for operators", request.request_id),
            Err(status) => {
                assert!(Instant::now() < until, "{}: {status:?}", request.request_id);
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// The reason that a failed call names.
pub fn reason(status: &Status) -> Option<Reason> {
    let said = stele_api::status::explain(status);
    let found = Reason::ALL.iter().find(|r| said.contains(&format!("({})", r.name())));
    found.copied()
}

/// Every record of the log, as the auditor reads it.
pub async fn records(service: &Service) -> Vec<Record> {
    let mut client = v1::ledger_service_client::LedgerServiceClient::new(service.channel("auditor"));
    let call = client.stream_entries(v1::StreamEntriesRequest::default()).await;
    let mut stream = call.expect("the entries").into_inner();
    let mut records = Vec::new();
    while let Some(page) = stream.message().await.expect("entries") {
        for entry in page.entries {
            records.push(Record::decode(&entry.record).expect("a record"));
        }
    }
    records
}
