//! The gRPC services as one, for each connection with the caller that its TLS has shown.
//!
//! Watch is routed by hand: the generated server would encode each response for each subscriber.

use std::{convert::Infallible, future::Future, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::Stream;
use http_body::Body as HttpBody;
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
    pace::Pace,
    shutdown::Shutdown,
};

const WATCH: &str = "/weft.v1.Discovery/Watch";
const FLEET: &str = "/weft.v1.Fleet/";

/// How Watch streams are let in.
#[derive(Clone, Copy, Debug)]
pub struct WatchSettings {
    /// New streams per second.
    pub admitted_per_second: u32,
    /// How long a new stream may wait for its turn.
    pub admission_wait: Duration,
}

/// What every connection is served from.
pub struct Services {
    pub(super) hub: Arc<Hub>,
    pub(super) authority: Arc<Authority>,
    pub(super) proofs: Proofs,
    pub(super) admission: Pace,
    pub(super) trust_domain: String,
    pub(super) shutdown: Shutdown,
}

impl Services {
    /// Services over a hub and an authority.
    pub fn new(
        hub: Arc<Hub>,
        authority: Arc<Authority>,
        proofs: Proofs,
        settings: WatchSettings,
        shutdown: Shutdown,
    ) -> Arc<Self> {
        let trust_domain = hub.lock().world.mesh.trust_domain.clone();
        let admission = Pace::new(settings.admitted_per_second, settings.admission_wait);
        Arc::new(Self { hub, authority, proofs, admission, trust_domain, shutdown })
    }

    /// The services as one caller has them.
    pub(super) fn for_caller(self: &Arc<Self>, caller: Caller) -> Router {
        Router { services: self.clone(), caller }
    }
}

/// All services, for one caller.
#[derive(Clone)]
pub(super) struct Router {
    services: Arc<Services>,
    caller: Caller,
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
        let Self { services, caller } = self.clone();
        if request.uri().path() == WATCH {
            let watch = Watch { services, caller };
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
}

impl StreamingService<WatchRequest> for Watch {
    type Response = Bytes;
    type ResponseStream = Pin<Box<dyn Stream<Item = Result<Bytes, Status>> + Send>>;
    type Future = std::future::Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Streaming<WatchRequest>>) -> Self::Future {
        let responses = session::responses(self.services.clone(), self.caller.clone(), request.into_inner());
        std::future::ready(Ok(Response::new(Box::pin(responses))))
    }
}
