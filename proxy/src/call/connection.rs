//! A connection of bytes on its way: the same steps as for a request, but one choice lasts for the whole connection.

use std::{rc::Rc, sync::Arc};

use super::judge;
use crate::{
    balance::{Endpoint, Lease},
    error::{Reason, Verdict},
    mesh::{Open, Protocol, Stream},
    origin::Origin,
    policy::Backend,
    telemetry::TcpSeries,
    worker::Worker,
};

/// Endpoints that are tried before the client is told.
const MOST_TRIES: usize = 3;

/// A connection that has a server.
pub struct Connected {
    /// Its bytes.
    pub stream: Stream,
    /// Where it is counted, should it turn out to be one of bytes. None: where it is admitted to the app.
    pub series: Option<Arc<TcpSeries>>,
    /// The endpoint counts it as long as it lasts.
    lease: Option<Lease>,
}

impl Connected {
    /// Where it leads, unless to the app beside this proxy.
    pub fn endpoint(&self) -> Option<&Endpoint> {
        self.lease.as_ref().map(|lease| &**lease.endpoint())
    }
}

/// Finds a server that takes the connection. Nothing of it was sent yet, so every failure may be tried elsewhere.
///
/// # Errors
/// Why none did.
pub async fn connect(worker: &Rc<Worker>, origin: &Origin, protocol: Protocol) -> Result<Connected, Reason> {
    let open = Open { target_port: 0, protocol, deadline: None, retried: false, target: None, trace: None };
    let backend = match origin {
        Origin::Nowhere(nowhere) => return Err(nowhere.reason),
        Origin::App(app) => {
            let stream = worker.open_to_app(app, open)?;
            stream.accepted().await.map_err(|error| error.reason())?;
            return Ok(Connected { stream, series: None, lease: None });
        }
        Origin::Pod(pod) => pod.backend.clone(),
        Origin::Service(policy) => policy.backend.clone(),
    };
    let mut tried = Vec::new();
    loop {
        match attempt(worker, origin, &backend, (open, &tried)).await {
            Ok(connected) => return Ok(connected),
            Err((endpoint, reason)) => {
                tried.extend(endpoint);
                if reason.verdict() != Verdict::NeverDelivered || tried.len() >= MOST_TRIES {
                    return Err(reason);
                }
            }
        }
    }
}

async fn attempt(
    worker: &Rc<Worker>,
    origin: &Origin,
    backend: &Backend,
    (open, tried): (Open, &[u64]),
) -> Result<Connected, (Option<u64>, Reason)> {
    let mut lease =
        worker.pick(backend, tried, worker.destination(origin).as_deref()).await.map_err(|reason| (None, reason))?;
    let id = lease.endpoint().id;
    let opened = match worker.open_to_endpoint(&mut lease, open) {
        Ok(stream) => stream.accepted().await.map(|()| stream).map_err(|error| error.reason()),
        Err(reason) => Err(reason),
    };
    match opened {
        Ok(stream) => {
            lease.success();
            let series = Some(worker.tcp_series(origin, lease.endpoint().identity.is_some()));
            Ok(Connected { stream, series, lease: Some(lease) })
        }
        Err(reason) => {
            if let Some(cause) = judge(&mut lease, reason)
                && let Some(destination) = worker.destination(origin)
            {
                destination.ejected(cause);
            }
            Err((Some(id), reason))
        }
    }
}
