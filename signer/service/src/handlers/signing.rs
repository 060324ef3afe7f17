//! Asking for a certificate.

use stele_api::convert;
use stele_api::v1::signing_service_server::SigningService;
use stele_api::v1::{SignRequest, SignResponse};
use tonic::{Request, Response, Status};
use tracing::Instrument as _;

use super::{Handlers, malformed};
use crate::authorise::caller;

#[tonic::async_trait]
impl SigningService for Handlers {
    async fn sign(&self, call: Request<SignRequest>) -> Result<Response<SignResponse>, Status> {
        let caller = caller(&call)?;
        let request = convert::sign_request(call.into_inner()).map_err(malformed)?;
        let span =
            tracing::info_span!("sign", request = %request.id, caller = %caller.name, profile = %request.profile);
        let work = self
            .doors
            .pass_at_once(&self.signer, move |signer| signer.sign(&caller.who(), &request));
        Ok(Response::new(work.instrument(span).await?.into()))
    }
}
