//! A simulated proxy: joins as a real one does, keeps one Watch stream, and acknowledges what it has taken.
//!
//! It reads of a resource no more than an acknowledgement needs: on a cluster, reading all of it is the work of as many
//! machines as there are proxies.

use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use bytes::Bytes;
use prost::Message as _;
use rustls_pki_types::CertificateDer;
use tokio::sync::watch;
use tokio::time::Instant;
use weft_api::{Resource, pb};
use weft_certs::{CertificateRequest, KeyPair, Leaf, SpiffeId};
use weft_control_plane::identity::tokens;

use super::call::{Call, Plane};
use super::cluster::{CLIENT_ACCOUNT, TRUST_DOMAIN, client_name, client_namespace};
use super::record::{Held, Records, State, Subscriptions};

const CERTIFY: &str = "/weft.v1.Certification/Certify";
const WATCH: &str = "/weft.v1.Discovery/Watch";
const TOKEN_LIFE: Duration = Duration::from_secs(600);

/// What all proxies of the fleet have in common.
pub struct Fleet {
    pub plane: Plane,
    pub subscriptions: Subscriptions,
    pub records: Records,
    /// Turns true when all are to subscribe.
    pub begin: watch::Sender<bool>,
}

/// What an acknowledgement needs of a `WatchResponse`. Its members are one `oneof` there, which the wire does not tell.
#[derive(Clone, PartialEq, prost::Message)]
struct Outline {
    #[prost(message, optional, tag = "1")]
    resource: Option<pb::ResourceVersion>,
    #[prost(message, optional, tag = "2")]
    removed: Option<pb::Removed>,
    #[prost(message, optional, tag = "3")]
    synced: Option<pb::Synced>,
}

/// Gets a certificate by a join token.
pub async fn join(plane: &Plane, state_folder: &Path, number: usize) -> anyhow::Result<Leaf> {
    let identity = SpiffeId::new(TRUST_DOMAIN, &client_namespace(number), CLIENT_ACCOUNT)?;
    let key = KeyPair::generate()?;
    let csr_der = CertificateRequest::new(&key, &identity)?.into_der();
    let token = tokens::create(state_folder, &identity, TOKEN_LIFE)?;
    let question = pb::CertifyRequest { csr_der, proof: Some(pb::certify_request::Proof::JoinToken(token)) };
    let connection = plane.connect(None).await?;
    let answer: pb::CertifyResponse = connection.ask(CERTIFY, &question).await.context("ask for a certificate")?;
    Ok(Leaf::new(answer.chain_der.into_iter().map(CertificateDer::from).collect(), key)?)
}

/// Waits for the beginning, then watches until the stream ends or the fleet does. A stream's end is noted.
pub async fn run(fleet: Arc<Fleet>, number: usize, leaf: Leaf) {
    let mut begin = fleet.begin.subscribe();
    // The fleet ends before the word is given: nothing is left to do.
    if begin.wait_for(|begun| *begun).await.is_err() {
        return;
    }
    if let Err(error) = watch(&fleet, number, &leaf).await {
        fleet.records.of(number).state = State::Dropped(format!("{error:#}"));
    }
}

async fn watch(fleet: &Fleet, number: usize, leaf: &Leaf) -> anyhow::Result<()> {
    let connection = fleet.plane.connect(Some(leaf)).await?;
    let mut call = connection.stream(WATCH, &hello(number)).await?;
    fleet.records.of(number).state = State::Watching;
    call.send(&asked(pb::watch_request::Message::Report(report(fleet, leaf)?)))?;
    let subscribe = pb::Subscribe { keys: fleet.subscriptions.keys.clone() };
    call.send(&asked(pb::watch_request::Message::Subscribe(subscribe)))?;
    loop {
        let messages = call.receive().await?;
        take(fleet, number, &mut call, &messages)?;
    }
}

/// Takes all that has come, and acknowledges the last version of each key.
fn take(fleet: &Fleet, number: usize, call: &mut Call, messages: &[Bytes]) -> anyhow::Result<()> {
    let now = Instant::now();
    let mut applied = HashMap::new();
    let mut record = fleet.records.of(number);
    for message in messages {
        let Outline { resource, removed, synced } = Outline::decode(&**message).context("read a message")?;
        if let Some(pb::ResourceVersion { key: Some(key), version }) = resource {
            if let Some(place) = fleet.subscriptions.place(&key) {
                let endpoints = if number == 0 { endpoints(message)? } else { None };
                record.hold(place, Held { version, since: now, endpoints });
            }
            applied.insert(key, version);
        }
        if let Some(key) = removed.and_then(|removed| removed.key)
            && fleet.subscriptions.place(&key).is_some()
        {
            bail!("{} is said not to be there", key.name);
        }
        if synced.is_some() {
            record.sync(now);
        }
    }
    drop(record);
    if applied.is_empty() {
        return Ok(());
    }
    let versions = applied.into_iter().map(|(key, version)| pb::ResourceVersion { key: Some(key), version }).collect();
    call.send(&asked(pb::watch_request::Message::Applied(pb::Applied { versions })))
}

/// The whole of a message, if it is of endpoints: where they are and who.
fn endpoints(message: &Bytes) -> anyhow::Result<Option<BTreeSet<(SocketAddr, String)>>> {
    let response = pb::WatchResponse::decode(message.clone()).context("read a message")?;
    let Some(pb::watch_response::Message::Resource(resource)) = response.message else { return Ok(None) };
    let (_, _, Resource::Endpoints(endpoints)) = Resource::read(resource)? else { return Ok(None) };
    Ok(Some(endpoints.into_iter().map(|one| (one.address, one.identity.unwrap_or_default())).collect()))
}

fn hello(number: usize) -> pb::WatchRequest {
    let workload = pb::Workload {
        namespace: client_namespace(number),
        pod: client_name(number),
        service_account: CLIENT_ACCOUNT.to_owned(),
        ..pb::Workload::default()
    };
    let hello = pb::Hello { workload: Some(workload), proxy_version: "simulated".to_owned(), have: Vec::new() };
    asked(pb::watch_request::Message::Hello(hello))
}

fn report(fleet: &Fleet, leaf: &Leaf) -> anyhow::Result<pb::Report> {
    let expiry = leaf.not_after().duration_since(std::time::SystemTime::UNIX_EPOCH)?;
    Ok(pb::Report {
        bundle_version: fleet.plane.bundle.version(),
        leaf_issuer: leaf.issuer_id().to_owned(),
        leaf_expiry_unix_seconds: i64::try_from(expiry.as_secs())?,
    })
}

fn asked(message: pb::watch_request::Message) -> pb::WatchRequest {
    pb::WatchRequest { message: Some(message) }
}
