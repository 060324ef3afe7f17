//! Reading the ledger.

use stele_api::convert::{self, ConsistencyQuery, InclusionQuery};
use stele_api::status::{Failure, Reason};
use stele_api::v1::ledger_service_server::LedgerService;
use stele_api::v1::{
    Entry, FindEntriesRequest, FindEntriesResponse, GetCheckpointRequest, GetCheckpointResponse,
    GetConsistencyProofRequest, GetConsistencyProofResponse, GetInclusionProofRequest, GetInclusionProofResponse,
    StreamEntriesRequest, StreamEntriesResponse,
};
use stele_core::checkpoint::TlogProof;
use stele_core::record::{Body, Record};
use stele_core::types::{Digest, Origin};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::{Handlers, malformed};
use crate::authorise::{Caller, caller};
use crate::error::SignerError;
use crate::signer::Signer;
use crate::tree;

#[tonic::async_trait]
impl LedgerService for Handlers {
    type StreamEntriesStream = ReceiverStream<Result<StreamEntriesResponse, Status>>;

    async fn get_checkpoint(
        &self,
        call: Request<GetCheckpointRequest>,
    ) -> Result<Response<GetCheckpointResponse>, Status> {
        let origin = convert::log_origin(call.into_inner()).map_err(malformed)?;
        let work = self.doors.answer(&self.signer, move |signer| {
            signer.own_log(origin.as_ref())?;
            let (note, checkpoint) = tree::published(&signer.keeper)?;
            Ok(GetCheckpointResponse {
                checkpoint: note,
                origin: checkpoint.origin.to_string(),
                tree_size: checkpoint.size,
                verifier_key: signer.vkey.clone(),
            })
        });
        work.await
    }

    async fn stream_entries(
        &self,
        call: Request<StreamEntriesRequest>,
    ) -> Result<Response<Self::StreamEntriesStream>, Status> {
        let query = convert::entries_query(call.into_inner()).map_err(malformed)?;
        self.signer.own_log(query.origin.as_ref())?;
        Ok(Response::new(super::stream::entries(self.clone(), query)))
    }

    async fn get_inclusion_proof(
        &self,
        call: Request<GetInclusionProofRequest>,
    ) -> Result<Response<GetInclusionProofResponse>, Status> {
        let caller = caller(&call)?;
        let query = convert::inclusion_query(call.into_inner()).map_err(malformed)?;
        self.doors
            .answer(&self.signer, move |signer| inclusion(signer, &caller, &query))
            .await
    }

    async fn get_consistency_proof(
        &self,
        call: Request<GetConsistencyProofRequest>,
    ) -> Result<Response<GetConsistencyProofResponse>, Status> {
        let query = convert::consistency_query(call.into_inner()).map_err(malformed)?;
        self.doors
            .answer(&self.signer, move |signer| consistency(signer, &query))
            .await
    }

    async fn find_entries(&self, call: Request<FindEntriesRequest>) -> Result<Response<FindEntriesResponse>, Status> {
        let caller = caller(&call)?;
        let query = convert::find_query(call.into_inner()).map_err(malformed)?;
        self.doors
            .answer(&self.signer, move |signer| signer.find(&caller, &query))
            .await
    }
}

impl Signer {
    /// Refuses another log than ours.
    ///
    /// # Errors
    /// When it is another.
    pub(crate) fn own_log(&self, origin: Option<&Origin>) -> Result<(), Failure> {
        match origin.filter(|origin| **origin != self.origin) {
            Some(other) => Err(Failure::new(Reason::ObjectNotFound, format!("no log `{other}` here"))),
            None => Ok(()),
        }
    }

    /// An entry on the wire.
    pub(crate) fn entry(&self, index: u64, record: Vec<u8>) -> Entry {
        Entry {
            position: Some(self.position(index).into()),
            record,
        }
    }
}

fn beyond(what: &str, found: u64, size: u64) -> Failure {
    let why = format!("{what} {found} with {size} entries in the newest checkpoint");
    Failure::new(Reason::BeyondCheckpoint, why)
}

fn inclusion(signer: &Signer, caller: &Caller, query: &InclusionQuery) -> Result<GetInclusionProofResponse, Failure> {
    signer.own_log(query.origin.as_ref())?;
    let (note, newest) = tree::checkpoint(&signer.keeper)?;
    let size = query.tree_size.unwrap_or(newest.size);
    if size > newest.size {
        return Err(beyond("tree_size", size, newest.size));
    }
    if query.index >= size {
        return Err(beyond("index", query.index, newest.size));
    }
    let entries = signer.keeper.entries(query.index, 1).map_err(SignerError::from)?;
    let record = entries
        .into_iter()
        .next()
        .ok_or_else(|| beyond("index", query.index, newest.size))?;
    if !caller.sees_all && !is_outcome_of(&record, caller) {
        let why = "the entry is not the outcome of a request of yours";
        return Err(Failure::new(Reason::MethodNotPermitted, why));
    }
    let hashes: Vec<Digest> = signer
        .keeper
        .inclusion(query.index, size)
        .map_err(SignerError::from)?
        .into_iter()
        .map(Digest)
        .collect();
    let root = tree::root(&signer.keeper, size)?;
    let checkpoint = if size == newest.size { note } else { String::new() };
    let proof = TlogProof {
        extra: Some(record.clone()),
        index: query.index,
        hashes: hashes.clone(),
        checkpoint: checkpoint.clone(),
    };
    Ok(GetInclusionProofResponse {
        entry: Some(signer.entry(query.index, record)),
        tree_size: size,
        hashes: hashes.into_iter().map(|h| h.0.to_vec()).collect(),
        root_hash: root.0.to_vec(),
        tlog_proof: if checkpoint.is_empty() {
            String::new()
        } else {
            proof.to_string()
        },
        checkpoint,
    })
}

fn is_outcome_of(record: &[u8], caller: &Caller) -> bool {
    match Record::decode(record).map(|r| r.body) {
        Ok(Body::Issued(issued)) => issued.request.caller == caller.san,
        _ => false,
    }
}

fn consistency(signer: &Signer, query: &ConsistencyQuery) -> Result<GetConsistencyProofResponse, Failure> {
    signer.own_log(query.origin.as_ref())?;
    let (note, newest) = tree::checkpoint(&signer.keeper)?;
    let size = query.new_size.unwrap_or(newest.size);
    if size > newest.size {
        return Err(beyond("new_size", size, newest.size));
    }
    if query.old_size > size {
        return Err(beyond("old_size", query.old_size, newest.size));
    }
    let hashes = if query.old_size == 0 || query.old_size == size {
        Vec::new()
    } else {
        signer
            .keeper
            .consistency(query.old_size, size)
            .map_err(SignerError::from)?
    };
    Ok(GetConsistencyProofResponse {
        new_size: size,
        hashes: hashes.into_iter().map(|h| h.to_vec()).collect(),
        root_hash: tree::root(&signer.keeper, size)?.0.to_vec(),
        checkpoint: if size == newest.size { note } else { String::new() },
    })
}
