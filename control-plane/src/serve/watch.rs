//! The gRPC services as one, for each connection with the caller that its TLS has shown.
//!
//! Watch is routed by hand: the generated server would encode each response for each subscriber.

use std::{convert::Infallible, future::Future, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::Stream;
use http_body::Body as HttpBody;
use tokio::sync::Semaphore;
use tonic::{
    Request, Response, Status, Streaming,
    body::Body,
    codegen::StdError,
    server::{Grpc, StreamingService},
};
use tower::Service;
use weft_api::pb::{WatchRequest, certification_server::CertificationServer, fleet_server::FleetServer};

use super::{certification::CertificationService, codec::WatchCodec, fleet::FleetService, hub::Hub, session};
use crate::{
    identity::{Authority, Caller, Proofs},
    limit::PeerRate,
    pace::Pace,
    shutdown::Shutdown,
    telemetry::Over,
};

const WATCH: &str = "/weft.v1.Discovery/Watch";
/// A proxy has one, and the next before the end of the last has been noticed.
const WATCHES_PER_CONNECTION: usize = 2;
const FLEET: &str = "/weft.v1.Fleet/";

/// How Watch streams and requests for certificates are let in.
#[derive(Clone, Copy, Debug)]
pub struct ServiceSettings {
    /// New streams per second.
    pub admitted_per_second: u32,
    /// How long a new stream may wait for its turn.
    pub admission_wait: Duration,
    /// Requests for a certificate per second from one address.
    pub certificates_per_peer: u32,
}

/// What every connection is served from.
pub struct Services {
    pub(super) hub: Arc<Hub>,
    pub(super) authority: Arc<Authority>,
    pub(super) proofs: Proofs,
    pub(super) admission: Pace,
    pub(super) certificates: PeerRate,
    pub(super) trust_domain: String,
    pub(super) shutdown: Shutdown,
}

impl Services {
    /// Services over a hub and an authority.
    pub fn new(
        hub: Arc<Hub>,
        authority: Arc<Authority>,
        proofs: Proofs,
        settings: ServiceSettings,
        shutdown: Shutdown,
    ) -> Arc<Self> {
        let trust_domain = hub.lock().world.mesh.trust_domain.clone();
        let admission = Pace::new(settings.admitted_per_second, settings.admission_wait);
        let certificates = PeerRate::new(settings.certificates_per_peer);
        Arc::new(Self { hub, authority, proofs, admission, certificates, trust_domain, shutdown })
    }

    /// The services as one caller has them.
    pub(super) fn for_caller(self: &Arc<Self>, caller: Caller) -> Router {
        Router { services: self.clone(), caller, watches: Arc::new(Semaphore::new(WATCHES_PER_CONNECTION)) }
    }
}

/// All services, for one caller.
#[derive(Clone)]
pub(super) struct Router {
    services: Arc<Services>,
    caller: Caller,
    watches: Arc<Semaphore>,
}

type Answer = Pin<Box<dyn Future<Output = Result<http::Response<Body>, Infallible>> + Send>>;

impl<B> Service<http::Request<B>> for Router
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<StdError> + Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = Answer;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Infallible>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<B>) -> Answer {
        let Self { services, caller, watches } = self.clone();
        if request.uri().path() == WATCH {
            let watch = Watch { services, caller, watches };
            return Box::pin(async move { Ok(Grpc::new(WatchCodec).streaming(watch, request).await) });
        }
        if request.uri().path().starts_with(FLEET) {
            let mut fleet = FleetServer::new(FleetService { services, caller });
            return Box::pin(async move { fleet.call(request).await });
        }
        let mut certification = CertificationServer::new(CertificationService { services, caller });
        Box::pin(async move { certification.call(request).await })
    }
}

struct Watch {
    services: Arc<Services>,
    caller: Caller,
    watches: Arc<Semaphore>,
}

impl StreamingService<WatchRequest> for Watch {
    type Response = Bytes;
    type ResponseStream = Responses;
    type Future = std::future::Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Streaming<WatchRequest>>) -> Self::Future {
        std::future::ready(self.open(request.into_inner()))
    }
}

type Responses = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;

impl Watch {
    fn open(&self, requests: Streaming<WatchRequest>) -> Result<Response<Responses>, Status> {
        let Ok(permit) = self.watches.clone().try_acquire_owned() else {
            self.services.hub.metrics.refused(Over::Streams);
            return Err(Status::resource_exhausted("a connection may have two Watch streams and no more"));
        };
        let responses = session::responses(self.services.clone(), self.caller.clone(), requests, permit);
        Ok(Response::new(Box::pin(responses)))
    }
}
