//! Certify: a certificate for whoever proves who it is.

use std::sync::Arc;

use tonic::{Request, Response, Status};
use tracing::{info, warn};
use weft_api::pb::{self, certification_server::Certification, certify_request::Proof};
use weft_certs::IssueError;

use super::watch::Services;
use crate::{
    error::chain,
    identity::{Caller, Issued, ProofError},
    telemetry::Over,
};

/// The gRPC service.
pub(super) struct CertificationService {
    pub(super) services: Arc<Services>,
    pub(super) caller: Caller,
}

/// A request that gets no certificate.
#[derive(Debug, thiserror::Error)]
enum Refused {
    /// Its proof proves nothing.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// It is no request that can be signed.
    #[error(transparent)]
    Request(#[from] IssueError),
}

#[tonic::async_trait]
impl Certification for CertificationService {
    async fn certify(&self, request: Request<pb::CertifyRequest>) -> Result<Response<pb::CertifyResponse>, Status> {
        let request = request.into_inner();
        let proof = proof_label(&request);
        let metrics = &self.services.hub.metrics;
        if !self.services.certificates.admit(self.caller.address.ip()) {
            metrics.refused(Over::Certificates);
            return Err(Status::resource_exhausted(
                "too many requests for a certificate from this address: come back later",
            ));
        }
        match self.issue(&request).await {
            Ok(issued) => {
                metrics.certificates.issued(proof);
                info!(identity = %issued.identity, proof, client.addr = %self.caller.address, "certificate issued");
                Ok(Response::new(response(issued)))
            }
            Err(refused) => {
                metrics.certificates.refused(proof, refused.label());
                let reason = chain(&refused);
                let client = self.caller.address;
                warn!(error = reason, reason = refused.label(), proof, client.addr = %client, "certificate refused");
                Err(refused.status(reason))
            }
        }
    }
}

impl CertificationService {
    /// A token that can be used once is used up only by a request that gets its certificate.
    async fn issue(&self, request: &pb::CertifyRequest) -> Result<Issued, Refused> {
        let proven = self.services.proofs.check(request, &self.caller).await?;
        let issued = self.services.authority.issue(&request.csr_der, &proven.identity)?;
        proven.redeem()?;
        Ok(issued)
    }
}

impl Refused {
    /// The reason, as metrics name it.
    fn label(&self) -> &'static str {
        match self {
            Self::Proof(error) => error.label(),
            Self::Request(_) => "request",
        }
    }

    fn status(&self, reason: String) -> Status {
        match self {
            Self::Proof(error) if error.is_transient() => Status::unavailable(reason),
            Self::Proof(_) => Status::unauthenticated(reason),
            Self::Request(_) => Status::invalid_argument(reason),
        }
    }
}

fn response(issued: Issued) -> pb::CertifyResponse {
    let bundle_version = issued.bundle.version();
    let anchors_der = issued.bundle.anchors().iter().map(|anchor| anchor.to_vec()).collect();
    let trust_bundle = Some(pb::TrustBundle { anchors_der, issuer: issued.issuer });
    pb::CertifyResponse { chain_der: issued.chain, trust_bundle, bundle_version }
}

fn proof_label(request: &pb::CertifyRequest) -> &'static str {
    match &request.proof {
        None => "none",
        Some(Proof::JoinToken(_)) => "join_token",
        Some(Proof::Renewal(_)) => "renewal",
        Some(Proof::ServiceAccountToken(_)) => "service_account_token",
    }
}
