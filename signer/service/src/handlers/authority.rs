//! Files that operators signed, and the authority in force.

use stele_api::convert;
use stele_api::v1::authority_service_server::AuthorityService;
use stele_api::v1::{ApplySignedFileRequest, ApplySignedFileResponse, GetBundleRequest, GetBundleResponse};
use tonic::{Request, Response, Status};
use tracing::Instrument as _;

use super::{Handlers, malformed};
use crate::authorise::caller;

#[tonic::async_trait]
impl AuthorityService for Handlers {
    async fn apply_signed_file(
        &self,
        call: Request<ApplySignedFileRequest>,
    ) -> Result<Response<ApplySignedFileResponse>, Status> {
        let caller = caller(&call)?;
        let file = convert::signed_file(call.into_inner()).map_err(malformed)?;
        let span = tracing::info_span!("apply", caller = %caller.name);
        let work = self.doors.answer(&self.signer, move |signer| {
            let applied = signer.apply(&caller.san, &file)?;
            Ok(ApplySignedFileResponse {
                kind: applied.kind.into(),
                position: Some(signer.position(applied.index).into()),
                changes: applied.changes,
            })
        });
        work.instrument(span).await
    }

    async fn get_bundle(&self, call: Request<GetBundleRequest>) -> Result<Response<GetBundleResponse>, Status> {
        let number = convert::bundle_number(call.into_inner());
        let work = self.doors.answer(&self.signer, move |signer| {
            let (index, adopted, bytes) = signer.adopted_bundle(number)?;
            let in_force = signer.snapshot.load().bundle_digest()? == adopted.sha256;
            Ok(GetBundleResponse {
                number: adopted.number,
                bundle: bytes,
                bundle_sha256: adopted.sha256.0.to_vec(),
                signatures: adopted.texts.into_iter().map(Into::into).collect(),
                position: Some(signer.position(index).into()),
                in_force,
            })
        });
        work.await
    }
}
