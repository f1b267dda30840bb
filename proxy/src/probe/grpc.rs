//! gRPC's own health check, without TLS, as the kubelet does it.

use std::net::{IpAddr, SocketAddr};

use http::HeaderValue;
use tonic::transport::Endpoint;
use weft_api::{
    health::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient},
    probe::Grpc,
};

use super::{ProbeError, connect};

pub(super) async fn check(address: IpAddr, probe: &Grpc, agent: Option<HeaderValue>) -> Result<(), ProbeError> {
    // Tells an app that is not there from one that answers something else.
    drop(connect(address, probe.port).await?);
    let error = |error: tonic::transport::Error| ProbeError::Grpc(error.into());
    let to = SocketAddr::new(address, probe.port.get());
    let mut endpoint = Endpoint::from_shared(format!("http://{to}")).map_err(error)?;
    if let Some(agent) = agent {
        endpoint = endpoint.user_agent(agent).map_err(error)?;
    }
    let channel = endpoint.connect().await.map_err(error)?;
    let request = HealthCheckRequest { service: probe.service.clone() };
    let answer = HealthClient::new(channel).check(request).await.map_err(|status| ProbeError::Grpc(status.into()))?;
    match answer.into_inner().status() {
        ServingStatus::Serving => Ok(()),
        status => Err(ProbeError::NotServing { status: status.as_str_name() }),
    }
}
