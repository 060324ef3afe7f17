//! Looking at requests, and deciding about them.

use stele_api::convert::{self, RequestFilter, RequestKey};
use stele_api::status::{Failure, Reason};
use stele_api::v1::request_service_server::RequestService;
use stele_api::v1::{
    ApproveRequestRequest, ApproveRequestResponse, DenyRequestRequest, DenyRequestResponse, GetRequestRequest,
    GetRequestResponse, ListRequestsRequest, ListRequestsResponse, WithdrawRequestRequest, WithdrawRequestResponse,
};
use stele_core::authority::texts::Decision;
use stele_core::types::CallerSan;
use tonic::{Request, Response, Status};
use tracing::Instrument as _;

use super::{Handlers, malformed};
use crate::authorise::{Caller, caller};
use crate::error::SignerError;
use crate::page_token;
use crate::signer::Signer;
use crate::views::{Detail, index_state};

#[tonic::async_trait]
impl RequestService for Handlers {
    async fn get_request(&self, call: Request<GetRequestRequest>) -> Result<Response<GetRequestResponse>, Status> {
        let caller = caller(&call)?;
        let key = convert::request_key(call.into_inner()).map_err(malformed)?;
        self.doors
            .answer(&self.signer, move |signer| get(signer, &caller, key))
            .await
    }

    async fn list_requests(
        &self,
        call: Request<ListRequestsRequest>,
    ) -> Result<Response<ListRequestsResponse>, Status> {
        let caller = caller(&call)?;
        let filter = convert::request_filter(call.into_inner()).map_err(malformed)?;
        self.doors
            .answer(&self.signer, move |signer| list(signer, &caller, &filter))
            .await
    }

    async fn approve_request(
        &self,
        call: Request<ApproveRequestRequest>,
    ) -> Result<Response<ApproveRequestResponse>, Status> {
        let caller = caller(&call)?;
        let signed = convert::approval(call.into_inner()).map_err(malformed)?;
        let span = tracing::info_span!("approve", caller = %caller.name);
        let work = self.doors.answer(&self.signer, move |signer| {
            let decided = signer.decide(&signed, Decision::Approve, "")?;
            let snapshot = signer.snapshot.load_full();
            Ok(ApproveRequestResponse {
                position: Some(signer.position(decided.index).into()),
                request: Some(signer.show(&snapshot, &decided.requester, &decided.id)?),
            })
        });
        work.instrument(span).await
    }

    async fn deny_request(&self, call: Request<DenyRequestRequest>) -> Result<Response<DenyRequestResponse>, Status> {
        let caller = caller(&call)?;
        let denial = convert::denial(call.into_inner()).map_err(malformed)?;
        let span = tracing::info_span!("deny", caller = %caller.name, reason = denial.reason);
        let work = self.doors.answer(&self.signer, move |signer| {
            let decided = signer.decide(&denial.signed, Decision::Deny, &denial.reason)?;
            let snapshot = signer.snapshot.load_full();
            Ok(DenyRequestResponse {
                position: Some(signer.position(decided.index).into()),
                request: Some(signer.show(&snapshot, &decided.requester, &decided.id)?),
            })
        });
        work.instrument(span).await
    }

    async fn withdraw_request(
        &self,
        call: Request<WithdrawRequestRequest>,
    ) -> Result<Response<WithdrawRequestResponse>, Status> {
        let caller = caller(&call)?;
        let withdrawal = convert::withdrawal(call.into_inner()).map_err(malformed)?;
        let span = tracing::info_span!("withdraw", request = %withdrawal.id, caller = %caller.name);
        let work = self.doors.answer(&self.signer, move |signer| {
            let index = signer.withdraw(&caller.san, &withdrawal.id, &withdrawal.reason)?;
            let snapshot = signer.snapshot.load_full();
            Ok(WithdrawRequestResponse {
                position: Some(signer.position(index).into()),
                request: Some(signer.show(&snapshot, &caller.san, &withdrawal.id)?),
            })
        });
        work.instrument(span).await
    }
}

/// Whose requests are meant: one's own, or another's where the caller may see all.
fn whose(caller: &Caller, named: Option<&CallerSan>) -> Result<CallerSan, Failure> {
    match named {
        Some(other) if *other != caller.san && !caller.sees_all => {
            let why = "no such request, or it is not yours to see";
            Err(Failure::new(Reason::RequestNotFound, why))
        }
        Some(san) => Ok(san.clone()),
        None => Ok(caller.san.clone()),
    }
}

fn get(signer: &Signer, caller: &Caller, key: RequestKey) -> Result<GetRequestResponse, Failure> {
    let snapshot = signer.snapshot.load_full();
    let san = whose(caller, key.caller.as_ref())?;
    let request = signer.show(&snapshot, &san, &key.id)?;
    if let Some(attempt) = key.attempt.filter(|attempt| *attempt != request.attempt) {
        let why = format!(
            "attempt {attempt}: {} is the newest, and earlier ones are in the ledger",
            request.attempt
        );
        return Err(Failure::new(Reason::RequestNotFound, why));
    }
    Ok(GetRequestResponse { request: Some(request) })
}

fn list(signer: &Signer, caller: &Caller, filter: &RequestFilter) -> Result<ListRequestsResponse, Failure> {
    let snapshot = signer.snapshot.load_full();
    let mine = (!caller.sees_all || filter.caller.is_some())
        .then(|| whose(caller, filter.caller.as_ref()))
        .transpose()?;
    let conditions = format!("{mine:?} {:?} {:?}", filter.states, filter.profile);
    let mut before = page_token::read(filter.page.token.as_deref(), &conditions)?;
    let wanted = usize::try_from(filter.page.size).unwrap_or(usize::MAX);
    let one_state = match filter.states.as_slice() {
        [only] => Some(index_state(*only)),
        _ => None,
    };
    let rows = stele_index::RequestFilter {
        caller: mine,
        state: one_state,
        profile: filter.profile.clone(),
    };
    let mut requests = Vec::new();
    loop {
        let page = signer
            .reader
            .newest_requests(&rows, before, filter.page.size)
            .map_err(SignerError::from)?;
        for view in &page.items {
            before = Some(view.first);
            // What no profile governs (CRLs, CSRs) is not a caller's request.
            if view.profile.is_none() && !matches!(view.state, stele_index::State::Refused { .. }) {
                continue;
            }
            let request = signer.view(&snapshot, view, Detail::Brief)?;
            let fits = filter.states.is_empty()
                || filter
                    .states
                    .iter()
                    .any(|s| request.state == i32::from(convert::state_to_wire(*s)));
            if fits {
                requests.push(request);
            }
            if requests.len() >= wanted {
                let next_page_token = before.map(|b| page_token::write(b, &conditions)).unwrap_or_default();
                return Ok(ListRequestsResponse {
                    requests,
                    next_page_token,
                });
            }
        }
        if page.next.is_none() {
            return Ok(ListRequestsResponse {
                requests,
                next_page_token: String::new(),
            });
        }
    }
}
