//! How links begin and end.

use std::rc::Rc;

use tokio::{task::spawn_local, time::Instant};

use super::fixture::{Inbound, Mesh, OPEN, Pair, SECOND, configs, endpoint, id, local, read_all, wire};
use crate::{
    error::{Reason, Verdict},
    mesh::{Event, Limits, Link, LinkError, OpenError, StreamError},
};

#[tokio::test(start_paused = true)]
async fn an_idle_link_closes_after_a_minute_and_the_opener_does_it() {
    local(async || {
        let pair = Pair::new(Limits::default());
        drop(pair.stream().await);
        let start = Instant::now();
        let end = pair.client_end.await.unwrap();
        assert!(matches!(end.cause, LinkError::Idle) && end.established);
        assert_eq!(start.elapsed().as_secs(), 60);
        assert!(matches!(pair.server_end.await.unwrap().cause, LinkError::Drained));
        assert!(matches!(pair.client.open(&OPEN), Err(OpenError::Dead(LinkError::Idle))));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_busy_link_to_a_live_peer_lasts_although_nothing_is_said() {
    local(async || {
        let pair = Pair::new(Limits::default());
        let (near, far) = pair.stream().await;
        tokio::time::sleep(600 * SECOND).await;
        far.head(b"late", true);
        assert!(near.received().await.unwrap().next().is_some());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_falls_silent_is_found_within_ten_seconds() {
    local(async || {
        let (near, far, frozen) = wire();
        let pair = Pair::over(configs(), Limits::default(), (near, far));
        let (near, _far) = pair.stream().await;
        frozen.set(true);
        let start = Instant::now();
        let lost = near.received().await.err().unwrap();
        assert!(matches!(lost, StreamError::Lost { delivered: true, cause: LinkError::Silent }), "{lost:?}");
        assert_eq!(lost.reason(), Reason::ConnectionLost);
        assert!(start.elapsed() <= 10 * SECOND);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_is_not_answered_ends_at_its_deadline_with_nothing_delivered() {
    local(async || {
        let client = Link::client(configs().0, endpoint(), Limits::default());
        let stream = client.open(&OPEN).unwrap();
        let (near, _silent) = tokio::io::duplex(1 << 16);
        let start = Instant::now();
        let run = spawn_local(client.run_client(near));
        let lost = stream.received().await.err().unwrap();
        assert_eq!((lost.reason(), lost.reason().verdict()), (Reason::Handshake, Verdict::NeverDelivered));
        assert_eq!(start.elapsed(), 5 * SECOND);
        assert!(!run.await.unwrap().established);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_with_a_wrong_identity_gets_nothing() {
    local(async || {
        let mesh = Mesh::new();
        let configs = (mesh.tls("orders", 3600).client_for(&id("users")), mesh.tls("catalog", 3600).server());
        let pair = Pair::over(configs, Limits::default(), tokio::io::duplex(1 << 16));
        let near = pair.client.open(&OPEN).unwrap();
        near.head(b"secret", true);
        let lost = near.received().await.err().unwrap();
        assert_eq!(lost.reason(), Reason::WrongIdentity);
        assert!(!near.written());
        let LinkError::Handshake(error) = pair.client_end.await.unwrap().cause else { panic!("not a handshake") };
        let wrong = weft_certs::wrong_identity(&error).unwrap();
        assert_eq!((wrong.expected, wrong.actual), (id("users"), id("catalog")));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_the_server_does_not_believe_has_proof_that_nothing_was_delivered() {
    local(async || {
        let (mesh, other) = (Mesh::new(), Mesh::new());
        let client = other.tls_trusting("orders", 3600, &mesh).client_for(&id("users"));
        let configs = (client, mesh.tls("users", 3600).server());
        let pair = Pair::over(configs, Limits::default(), tokio::io::duplex(1 << 16));
        let near = pair.client.open(&OPEN).unwrap();
        near.head(b"request", true);
        let lost = near.received().await.err().unwrap();
        assert!(matches!(lost, StreamError::Lost { delivered: false, .. }), "{lost:?}");
        assert_eq!(lost.reason().verdict(), Verdict::NeverDelivered);
        assert!(!pair.server_end.await.unwrap().established);
        assert!(!pair.client_end.await.unwrap().established);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn no_link_outlives_the_leaf_that_opened_it_by_more_than_its_drain() {
    local(async || {
        let mesh = Mesh::new();
        let configs = (mesh.tls("orders", 20).client_for(&id("users")), mesh.tls("users", 3600).server());
        let pair = Pair::over(configs, Limits::default(), tokio::io::duplex(1 << 16));
        let (near, _far) = pair.stream().await;
        let start = Instant::now();
        tokio::time::sleep(21 * SECOND).await;
        assert!(matches!(pair.client.open(&OPEN), Err(OpenError::Draining)));
        assert!(near.failure().is_none(), "it may finish");
        pair.server_end.await.unwrap();
        let lived = start.elapsed().as_secs();
        assert!((48..=51).contains(&lived), "{lived}");
        assert!(near.received().await.is_err());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_link_drains_when_its_own_leaf_ends() {
    local(async || {
        let expires = Some(Instant::now() + 7 * SECOND);
        let pair = Pair::new(Limits { expires, ..Limits::default() });
        let (near, far) = pair.stream().await;
        tokio::time::sleep(8 * SECOND).await;
        assert!(matches!(pair.client.open(&OPEN), Err(OpenError::Draining)));
        drop((near, far));
        assert!(matches!(pair.client_end.await.unwrap().cause, LinkError::Drained));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_draining_server_finishes_what_is_open_and_serves_what_was_on_its_way() {
    local(async || {
        let pair = Pair::new(Limits::default());
        let (near, far) = pair.stream().await;
        pair.server.drain();
        let crossing = pair.client.open(&OPEN).unwrap();
        crossing.end();
        let served = pair.inbound.next().await.stream;
        served.head(b"200", true);
        assert!(crossing.received().await.unwrap().next().is_some());
        assert!(matches!(pair.client.open(&OPEN), Err(OpenError::Draining)));
        near.end();
        far.head(b"200", true);
        assert!(near.received().await.unwrap().next().is_some());
        drop((near, far, crossing, served));
        assert!(matches!(pair.client_end.await.unwrap().cause, LinkError::Drained));
        pair.server_end.await.unwrap();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_answer_holds_a_drain_up_for_two_seconds() {
    local(async || {
        let (near, far, frozen) = wire();
        let pair = Pair::over(configs(), Limits::default(), (near, far));
        drop(pair.stream().await);
        tokio::time::sleep(SECOND).await;
        frozen.set(true);
        let start = Instant::now();
        pair.server.drain();
        assert!(matches!(pair.server_end.await.unwrap().cause, LinkError::Drained));
        // The goodbye waits a second for the peer to close its side.
        assert_eq!(start.elapsed().as_secs(), 3);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_was_answered_before_a_close_is_read_whole() {
    local(async || {
        let pair = Pair::over(configs(), Limits::default(), tokio::io::duplex(1000));
        let (near, far) = pair.stream().await;
        far.head(&[7; 50_000], true);
        near.end();
        drop(far);
        pair.server.drain();
        let mut response = near.received().await.unwrap();
        assert!(matches!(response.next(), Some(Event::Head { payload, end: true, .. }) if payload.len() == 50_000));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_link_that_is_closed_or_dropped_loses_its_streams_on_both_sides() {
    local(async || {
        let pair = Pair::new(Limits::default());
        let (near, far) = pair.stream().await;
        pair.client.close();
        assert!(matches!(near.received().await, Err(StreamError::Lost { cause: LinkError::Closed, .. })));
        assert!(matches!(far.received().await, Err(StreamError::Lost { .. })));
        let pair = Pair::new(Limits::default());
        let (near, far) = pair.stream().await;
        pair.client_end.abort();
        assert!(matches!(near.received().await, Err(StreamError::Lost { .. })));
        assert!(matches!(far.received().await, Err(StreamError::Lost { .. })));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_dialler_s_verdict_reaches_every_stream() {
    local(async || {
        let client = Link::client(configs().0, endpoint(), Limits::default());
        let stream = client.open(&OPEN).unwrap();
        client.dead(LinkError::Connect(std::io::ErrorKind::ConnectionRefused));
        let lost = stream.received().await.err().unwrap();
        assert_eq!((lost.reason(), lost.reason().verdict()), (Reason::ConnectRefused, Verdict::NeverDelivered));
        assert!(client.is_dead());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn sessions_are_resumed_and_keep_the_peer_s_identity() {
    local(async || {
        let (client, server) = configs();
        for _ in 0..2 {
            let pair = Pair::over((client.clone(), server.clone()), Limits::default(), tokio::io::duplex(1 << 16));
            let (near, far) = pair.stream().await;
            assert_eq!((near.peer(), far.peer()), (Some(id("users")), Some(id("orders"))));
            near.end();
            far.end();
            read_all(&near).await;
            drop((near, far));
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_a_task_of_its_own_drops_in_the_middle_of_a_hand_over_does_not_panic() {
    local(async || {
        let (client, server) = configs();
        let (near, far) = tokio::io::duplex(1 << 16);
        let client = Link::client(client, endpoint(), Limits::default());
        let server = Link::server(server, Limits::default());
        spawn_local(client.clone().run_client(near));
        let (kept, inner) = (Inbound::default(), server.clone());
        let pushed = kept.clone();
        spawn_local(server.run_server(far, move |incoming| {
            // More than usual: answers, asks for the link's state, drops a stream.
            incoming.stream.head(b"200", false);
            assert!(inner.state().streams > 0 && Rc::strong_count(&inner) > 1);
            pushed.push(incoming);
        }));
        let first = client.open(&OPEN).unwrap();
        let second = client.open(&OPEN).unwrap();
        assert!(first.received().await.is_ok() && second.received().await.is_ok());
        drop(kept.next().await);
        assert!(first.received().await.is_err());
    })
    .await;
}
