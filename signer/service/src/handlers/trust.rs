//! Roots, issuers' chains, CRLs.

use stele_api::convert::{crl_issuer, issuer_name, issuers_page, time_to_wire};
use stele_api::status::{Failure, Reason};
use stele_api::v1::trust_service_server::TrustService;
use stele_api::v1::{
    GetCrlRequest, GetCrlResponse, GetIssuerChainRequest, GetIssuerChainResponse, GetTrustBundleRequest,
    GetTrustBundleResponse, Issuer, ListIssuersRequest, ListIssuersResponse,
};
use stele_core::record::FreezeTarget;
use stele_core::types::KeyName;
use tonic::{Request, Response, Status};

use super::{Handlers, malformed};
use crate::error::SignerError;
use crate::page_token;
use crate::snapshot::{Ca, Snapshot};

#[tonic::async_trait]
impl TrustService for Handlers {
    async fn get_trust_bundle(
        &self,
        _: Request<GetTrustBundleRequest>,
    ) -> Result<Response<GetTrustBundleResponse>, Status> {
        let snapshot = self.signer.snapshot.load();
        let roots_der = snapshot.roots.iter().rev().cloned().collect();
        Ok(Response::new(GetTrustBundleResponse { roots_der }))
    }

    async fn list_issuers(&self, call: Request<ListIssuersRequest>) -> Result<Response<ListIssuersResponse>, Status> {
        let page = issuers_page(call.into_inner()).map_err(malformed)?;
        let start = page_token::read(page.token.as_deref(), "issuers")?.unwrap_or_default();
        let snapshot = self.signer.snapshot.load_full();
        let mut all = snapshot.cas.iter().skip(usize::try_from(start).unwrap_or(usize::MAX));
        let issuers: Vec<Issuer> = all
            .by_ref()
            .take(usize::try_from(page.size).unwrap_or(usize::MAX))
            .map(|(name, ca)| to_wire(&snapshot, name, ca))
            .collect();
        let next_page_token = match all.next() {
            Some(_) => page_token::write(start.saturating_add(issuers.len() as u64), "issuers"),
            None => String::new(),
        };
        Ok(Response::new(ListIssuersResponse {
            issuers,
            next_page_token,
        }))
    }

    async fn get_issuer_chain(
        &self,
        call: Request<GetIssuerChainRequest>,
    ) -> Result<Response<GetIssuerChainResponse>, Status> {
        let name = issuer_name(call.into_inner()).map_err(malformed)?;
        let snapshot = self.signer.snapshot.load_full();
        let ca = snapshot
            .cas
            .get(&name)
            .ok_or_else(|| Failure::new(Reason::IssuerNotFound, format!("no issuer `{name}`")))?;
        Ok(Response::new(GetIssuerChainResponse {
            issuer: Some(to_wire(&snapshot, &name, ca)),
        }))
    }

    async fn get_crl(&self, call: Request<GetCrlRequest>) -> Result<Response<GetCrlResponse>, Status> {
        let name = crl_issuer(call.into_inner()).map_err(malformed)?;
        let work = self.doors.answer(&self.signer, move |signer| {
            let found = signer.reader.crl(&name).map_err(SignerError::from)?;
            let crl = found.ok_or_else(|| Failure::new(Reason::CrlNotFound, format!("no CRL of `{name}`")))?;
            let number = crl.number.to_be_bytes();
            let start = number.iter().position(|b| *b != 0).unwrap_or(number.len());
            Ok(GetCrlResponse {
                crl_der: crl.der,
                crl_number: number.get(start..).unwrap_or_default().to_vec(),
                this_update: Some(time_to_wire(crl.this_update)),
                next_update: Some(time_to_wire(crl.next_update)),
                position: Some(signer.position(crl.index).into()),
            })
        });
        work.await
    }
}

fn to_wire(snapshot: &Snapshot, name: &KeyName, ca: &Ca) -> Issuer {
    let in_bundle = snapshot.authority().is_ok_and(|a| a.key(name).is_some());
    Issuer {
        name: name.to_string(),
        certificate_der: ca.certificate().to_vec(),
        chain_der: ca.below_root().iter().skip(1).cloned().collect(),
        frozen: snapshot.frozen.contains(&FreezeTarget::Issuer(name.clone())),
        retired: !in_bundle,
    }
}
