//! Revoking and freezing.

use stele_api::convert;
use stele_api::v1::stop_service_server::StopService;
use stele_api::v1::{FreezeRequest, FreezeResponse, RevokeRequest, RevokeResponse};
use tonic::{Request, Response, Status};
use tracing::Instrument as _;

use super::{Handlers, malformed};
use crate::authorise::caller;

#[tonic::async_trait]
impl StopService for Handlers {
    async fn revoke(&self, call: Request<RevokeRequest>) -> Result<Response<RevokeResponse>, Status> {
        let caller = caller(&call)?;
        let revocation = convert::revocation(call.into_inner()).map_err(malformed)?;
        let span = tracing::info_span!("revoke", caller = %caller.name, serial = %revocation.serial);
        let work = self.doors.answer(&self.signer, move |signer| {
            let index = signer.revoke(&caller.san, revocation)?;
            Ok(RevokeResponse {
                position: Some(signer.position(index).into()),
            })
        });
        work.instrument(span).await
    }

    async fn freeze(&self, call: Request<FreezeRequest>) -> Result<Response<FreezeResponse>, Status> {
        let caller = caller(&call)?;
        let freeze = convert::freeze(call.into_inner()).map_err(malformed)?;
        let span = tracing::info_span!("freeze", caller = %caller.name);
        let work = self.doors.answer(&self.signer, move |signer| {
            let index = signer.freeze(&caller.san, freeze)?;
            Ok(FreezeResponse {
                position: Some(signer.position(index).into()),
            })
        });
        work.instrument(span).await
    }
}
