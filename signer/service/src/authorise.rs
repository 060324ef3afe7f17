//! Who may call what. A method that is not in the table is refused; what a caller may see or do *within* a method is
//! the handler's to judge.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use stele_api::status::{Failure, Reason};
use stele_core::authority::CallerRole;
use stele_core::record::FreezeTarget;
use stele_core::types::{CallerName, CallerSan};
use tonic::body::Body;
use tonic::codegen::http::{Request, Response};
use tonic::{Code, Status};
use tower::{Layer, Service};

use crate::identity::Peer;
use crate::signer::{Signer, Who};

/// What a method asks of its caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// A client certificate.
    Certificate,
    /// To be a caller of the bundle.
    Known,
    /// To have one of these roles.
    Role(&'static [CallerRole]),
}

const READERS: &[CallerRole] = &[CallerRole::Operate, CallerRole::Audit];

const OPERATE: Access = Access::Role(&[CallerRole::Operate]);
const REVOKE: Access = Access::Role(&[CallerRole::Revoke]);

/// The log's tiles over HTTP, as one method.
pub(crate) const TILES: &str = "/tile";

/// Every method that is served, with who may call it as the contract says.
const TABLE: &[(&str, Access)] = &[
    ("/stele.v1.SigningService/Sign", Access::Role(&[CallerRole::Request])),
    ("/stele.v1.RequestService/GetRequest", Access::Known),
    ("/stele.v1.RequestService/ListRequests", Access::Known),
    ("/stele.v1.RequestService/ApproveRequest", OPERATE),
    ("/stele.v1.RequestService/DenyRequest", OPERATE),
    ("/stele.v1.RequestService/WithdrawRequest", Access::Known),
    ("/stele.v1.ProfileService/ListProfiles", Access::Known),
    ("/stele.v1.TrustService/GetTrustBundle", Access::Known),
    ("/stele.v1.TrustService/ListIssuers", Access::Known),
    ("/stele.v1.TrustService/GetIssuerChain", Access::Known),
    ("/stele.v1.TrustService/GetCrl", Access::Known),
    ("/stele.v1.StopService/Revoke", REVOKE),
    ("/stele.v1.StopService/Freeze", REVOKE),
    ("/stele.v1.AuthorityService/ApplySignedFile", OPERATE),
    ("/stele.v1.AuthorityService/GetBundle", Access::Role(READERS)),
    ("/stele.v1.LedgerService/GetCheckpoint", Access::Known),
    ("/stele.v1.LedgerService/StreamEntries", Access::Role(READERS)),
    ("/stele.v1.LedgerService/GetInclusionProof", Access::Known),
    ("/stele.v1.LedgerService/GetConsistencyProof", Access::Known),
    ("/stele.v1.LedgerService/FindEntries", Access::Known),
    (TILES, Access::Role(READERS)),
    ("/grpc.health.v1.Health/Check", Access::Certificate),
    ("/grpc.health.v1.Health/Watch", Access::Certificate),
    ("/grpc.health.v1.Health/List", Access::Certificate),
    (
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        Access::Known,
    ),
    (
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        Access::Known,
    ),
];

/// A caller of the bundle, for the handlers.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    /// Its name in the bundle.
    pub(crate) name: CallerName,
    /// Its identity.
    pub(crate) san: CallerSan,
    /// Whether it sees what is not its own.
    pub(crate) sees_all: bool,
}

impl Caller {
    /// As the one who asks for a certificate.
    pub(crate) fn who(&self) -> Who {
        Who::Caller {
            name: self.name.clone(),
            san: self.san.clone(),
        }
    }
}

/// The caller of a request that passed this layer.
///
/// # Errors
/// When it did not pass.
pub(crate) fn caller<T>(request: &tonic::Request<T>) -> Result<Caller, Status> {
    let found = request.extensions().get::<Caller>().cloned();
    found.ok_or_else(|| Failure::new(Reason::CallerUnknown, "no caller").into())
}

/// A call that is not admitted.
struct Turned {
    failure: Failure,
    /// The caller, where it is one of the bundle: then the refusal is recorded.
    known: Option<CallerSan>,
}

impl From<Failure> for Turned {
    fn from(failure: Failure) -> Self {
        Self { failure, known: None }
    }
}

impl Signer {
    /// Judges a call before it is read. `None`: any client certificate serves.
    fn admit(&self, peer: &Peer, method: &str) -> Result<Option<Caller>, Turned> {
        let access = TABLE
            .iter()
            .find(|(name, _)| *name == method)
            .map(|(_, access)| *access);
        if access == Some(Access::Certificate) {
            return Ok(None);
        }
        let unidentified = |error: &stele_core::Error| Failure::from_error(Reason::CallerUnidentified, error.clone());
        let san = peer.caller.as_ref().map_err(unidentified)?;
        let snapshot = self.snapshot.load();
        let known = snapshot.authority()?.caller_by_san(san).ok_or_else(|| {
            Failure::new(
                Reason::CallerUnknown,
                format!("{san} is no caller of the authority bundle"),
            )
        })?;
        let turned = |reason, why: String| Turned {
            failure: Failure::new(reason, why),
            known: Some(san.clone()),
        };
        if snapshot.revoked_clients.contains(&peer.serial) {
            return Err(turned(
                Reason::CallerUnidentified,
                "the client certificate is revoked".to_owned(),
            ));
        }
        if snapshot.frozen.contains(&FreezeTarget::Caller(san.clone())) {
            return Err(turned(Reason::CallerFrozen, format!("{san} is frozen")));
        }
        let permitted = match access {
            Some(Access::Known) => true,
            Some(Access::Role(roles)) => roles.iter().any(|role| known.roles.contains(role)),
            Some(Access::Certificate) | None => false,
        };
        if !permitted {
            return Err(turned(
                Reason::MethodNotPermitted,
                format!("{} may not call {method}", known.name),
            ));
        }
        Ok(Some(Caller {
            name: known.name.clone(),
            sees_all: READERS.iter().any(|role| known.roles.contains(role)),
            san: san.clone(),
        }))
    }
}

/// Puts [`Signer::admit`] before every call.
#[derive(Clone)]
pub(crate) struct Authorise(pub(crate) Arc<Signer>);

impl<S> Layer<S> for Authorise {
    type Service = Authorised<S>;

    fn layer(&self, inner: S) -> Authorised<S> {
        Authorised {
            signer: self.0.clone(),
            inner,
        }
    }
}

/// A service behind [`Authorise`].
#[derive(Clone)]
pub(crate) struct Authorised<S> {
    signer: Arc<Signer>,
    inner: S,
}

impl<S> Service<Request<Body>> for Authorised<S>
where
    S: Service<Request<Body>, Response = Response<Body>> + Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        // The service that was polled ready is the one to call; a clone takes its place.
        let spare = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, spare);
        let signer = self.signer.clone();
        Box::pin(async move {
            let method = request.uri().path().to_owned();
            let Some(peer) = request.extensions().get::<Peer>().cloned() else {
                let failure = Failure::new(Reason::CallerUnidentified, "no client certificate");
                return Ok(Status::from(failure).into_http());
            };
            match judge(signer, peer, method).await {
                Ok(Some(caller)) => {
                    request.extensions_mut().insert(caller);
                    inner.call(request).await.map(limited)
                }
                Ok(None) => inner.call(request).await.map(limited),
                Err(failure) => Ok(Status::from(failure).into_http()),
            }
        })
    }
}

/// The library says OUT_OF_RANGE of a message beyond `grpc.max_message_bytes`; gRPC's own word for a limit is
/// RESOURCE_EXHAUSTED.
fn limited(response: Response<Body>) -> Response<Body> {
    let library = |status: &Status| {
        status.code() == Code::OutOfRange && status.message().starts_with("Error, decoded message length too large")
    };
    match Status::from_header_map(response.headers()).filter(library) {
        Some(status) => {
            let why = status.message().trim_start_matches("Error, ").to_owned();
            Status::from(Failure::new(Reason::MessageTooLarge, why)).into_http()
        }
        None => response,
    }
}

/// An admission is a look at the snapshot; a refusal is recorded, which blocks, so a thread does that.
pub(crate) async fn judge(signer: Arc<Signer>, peer: Peer, method: String) -> Result<Option<Caller>, Failure> {
    let Turned { failure, known } = match signer.admit(&peer, &method) {
        Ok(admitted) => return Ok(admitted),
        Err(turned) => turned,
    };
    tracing::debug!(address = ?peer.address, method, reason = failure.reason().name(), "turned away");
    let Some(caller) = known else {
        signer.metrics.turned_away.add();
        return Err(failure);
    };
    let recorded = tokio::task::spawn_blocking(move || signer.turn_away(&caller, &method, failure));
    Err(recorded
        .await
        .unwrap_or_else(|_| Failure::new(Reason::Internal, "the server's log says more")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_of_the_contract_stands_in_the_table() {
        use tonic::codegen::http::Uri;
        let names: Vec<&str> = TABLE.iter().map(|(name, _)| *name).collect();
        for (i, name) in names.iter().enumerate() {
            assert!(name.parse::<Uri>().is_ok());
            assert!(!names[..i].contains(name), "{name} twice");
        }
        let descriptors = String::from_utf8_lossy(stele_api::FILE_DESCRIPTOR_SET).into_owned();
        for name in names.iter().filter(|n| n.starts_with("/stele.v1.")) {
            let method = name.rsplit('/').next().unwrap();
            assert!(descriptors.contains(method), "{method}");
        }
    }
}
