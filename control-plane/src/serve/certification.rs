//! Certify: a certificate for whoever proves who it is.

use std::sync::Arc;

use tonic::{Request, Response, Status};
use tracing::{info, warn};
use weft_api::pb::{self, certification_server::Certification, certify_request::Proof};

use super::watch::Services;
use crate::identity::{Caller, CertifyError};

/// The gRPC service.
pub(super) struct CertificationService {
    pub(super) services: Arc<Services>,
    pub(super) caller: Caller,
}

#[tonic::async_trait]
impl Certification for CertificationService {
    async fn certify(&self, request: Request<pb::CertifyRequest>) -> Result<Response<pb::CertifyResponse>, Status> {
        let request = request.into_inner();
        let proof = proof_label(&request);
        let metrics = &self.services.hub.metrics;
        match self.services.authority.certify(&request, &self.caller) {
            Ok(issued) => {
                metrics.certified(proof, "issued");
                info!(identity = %issued.identity, proof, client.addr = %self.caller.address, "certificate issued");
                let bundle_version = issued.bundle.version();
                let anchors_der = issued.bundle.anchors().iter().map(|anchor| anchor.to_vec()).collect();
                let trust_bundle = Some(pb::TrustBundle { anchors_der });
                Ok(Response::new(pb::CertifyResponse { chain_der: issued.chain, trust_bundle, bundle_version }))
            }
            Err(error) => {
                metrics.certified(proof, "refused");
                let reason = chain(&error);
                warn!(error = %reason, proof, client.addr = %self.caller.address, "certificate refused");
                Err(match error {
                    CertifyError::Proof(_) => Status::unauthenticated(reason),
                    CertifyError::Request(_) => Status::invalid_argument(reason),
                })
            }
        }
    }
}

fn proof_label(request: &pb::CertifyRequest) -> &'static str {
    match &request.proof {
        None => "none",
        Some(Proof::JoinToken(_)) => "join_token",
        Some(Proof::Renewal(_)) => "renewal",
        Some(Proof::ServiceAccountToken(_)) => "service_account_token",
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
