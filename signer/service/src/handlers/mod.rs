//! The services of the contract. A handler converts its message, enters a door with it, and converts the answer.

mod authority;
mod ledger;
mod profiles;
mod requests;
mod signing;
mod stop;
mod stream;
mod trust;

use std::sync::Arc;

use stele_api::status::Failure;
use stele_api::v1;
use tonic::service::Routes;
use v1::authority_service_server::AuthorityServiceServer;
use v1::ledger_service_server::LedgerServiceServer;
use v1::profile_service_server::ProfileServiceServer;
use v1::request_service_server::RequestServiceServer;
use v1::signing_service_server::SigningServiceServer;
use v1::stop_service_server::StopServiceServer;
use v1::trust_service_server::TrustServiceServer;

use crate::doors::Doors;
use crate::signer::Signer;

/// Names of the services, as health answers for them.
pub(crate) const NAMES: [&str; 7] = [
    "stele.v1.SigningService",
    "stele.v1.RequestService",
    "stele.v1.ProfileService",
    "stele.v1.TrustService",
    "stele.v1.StopService",
    "stele.v1.AuthorityService",
    "stele.v1.LedgerService",
];

/// What every handler has.
#[derive(Clone)]
pub(crate) struct Handlers {
    /// The signer.
    pub(crate) signer: Arc<Signer>,
    /// Threads for blocking work.
    pub(crate) doors: Doors,
}

/// The services of the contract.
pub(crate) fn routes(handlers: &Handlers) -> Routes {
    let most = handlers.signer.config.grpc.max_message_bytes;
    macro_rules! service {
        ($server:ident) => {
            $server::new(handlers.clone()).max_decoding_message_size(most)
        };
    }
    Routes::new(service!(SigningServiceServer))
        .add_service(service!(RequestServiceServer))
        .add_service(service!(ProfileServiceServer))
        .add_service(service!(TrustServiceServer))
        .add_service(service!(StopServiceServer))
        .add_service(service!(AuthorityServiceServer))
        .add_service(service!(LedgerServiceServer))
}

/// The conversion's refusal as a failed call.
fn malformed(refusal: stele_core::Refusal) -> tonic::Status {
    Failure::malformed(refusal).into()
}
