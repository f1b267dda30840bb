//! What crosses a link.

use std::rc::Rc;

use tokio::task::spawn_local;

use super::fixture::{Counted, OPEN, Pair, configs, endpoint, id, local, read_all, write_all};
use crate::mesh::{Event, Incoming, Limits, Link, Refusal, ResetCause, StreamError};

#[tokio::test(start_paused = true)]
async fn an_exchange_crosses_both_ways_and_both_sides_know_who_is_there() {
    local(async || {
        let pair = Pair::new(Limits::default());
        let near = pair.client.open(&OPEN).unwrap();
        near.head(b"request", true);
        assert!(!near.written(), "the handshake is not over");
        let incoming = pair.inbound.next().await;
        let far = incoming.stream;
        assert_eq!(incoming.open, OPEN);
        assert_eq!(far.peer(), Some(id("orders")));
        assert_eq!(near.peer(), Some(id("users")));
        let mut request = far.received().await.unwrap();
        assert_eq!(request.next(), Some(Event::Head { payload: b"request", interim: false, end: true }));
        far.interim_head(b"100");
        far.head(b"200", false);
        far.trailers(b"sum: 1\r\n");
        let mut response = near.received().await.unwrap();
        assert_eq!(response.next(), Some(Event::Head { payload: b"100", interim: true, end: false }));
        assert_eq!(response.next(), Some(Event::Head { payload: b"200", interim: false, end: false }));
        assert_eq!(response.next(), Some(Event::Trailers { lines: b"sum: 1\r\n" }));
        assert!(near.written());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_the_tasks_of_a_turn_send_shares_a_write_both_ways() {
    local(async || {
        let (client, server) = configs();
        let (near, far) = tokio::io::duplex(1 << 20);
        let (near_writes, far_writes) = (Rc::default(), Rc::default());
        let near = Counted { io: near, writes: Rc::clone(&near_writes) };
        let far = Counted { io: far, writes: Rc::clone(&far_writes) };
        let client = Link::client(client, endpoint(), Limits::default());
        spawn_local(client.clone().run_client(near));
        // A task per stream, as the inbound path has.
        spawn_local(Link::server(server, Limits::default()).run_server(far, |Incoming { stream, .. }| {
            spawn_local(async move {
                let mut request = stream.received().await.unwrap();
                while request.next().is_some() {}
                stream.head(b"200", true);
            });
        }));
        client.established().await;
        let before = (near_writes.get(), far_writes.get());
        let exchanges: Vec<_> = (0..64).map(|_| spawn_local(exchange(client.clone()))).collect();
        for exchange in exchanges {
            exchange.await.unwrap();
        }
        let writes = (near_writes.get() - before.0, far_writes.get() - before.1);
        assert!(writes.0 <= 2 && writes.1 <= 2, "{writes:?} for 64 exchanges");
    })
    .await;
}

async fn exchange(client: Rc<Link>) {
    let stream = client.open(&OPEN).unwrap();
    stream.head(b"request", true);
    assert!(stream.received().await.unwrap().next().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_long_body_crosses_whole_both_ways_at_once_through_a_narrow_socket() {
    local(async || {
        let pair = Pair::over(configs(), Limits::default(), tokio::io::duplex(3000));
        let (near, far) = pair.stream().await;
        let body: Vec<u8> = (0..3_000_000_u32).map(|i| (i % 251) as u8).collect();
        let copy = body.clone();
        let echo = spawn_local(async move {
            let received = read_all(&far).await;
            write_all(&far, &received).await;
            received.len()
        });
        let (_, back) = tokio::join!(write_all(&near, &body), read_all(&near));
        assert!(back == copy);
        assert_eq!(echo.await.unwrap(), copy.len());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_holds_up_its_own_stream_only() {
    local(async || {
        let pair = Pair::new(Limits::default());
        let (slow, _not_read) = pair.stream().await;
        let stuck = spawn_local(async move { write_all(&slow, &vec![0; 1 << 20]).await });
        let (near, far) = pair.stream().await;
        let sent = vec![1; 1 << 20];
        let (_, body) = tokio::join!(write_all(&near, &sent), read_all(&far));
        assert_eq!(body.len(), sent.len());
        assert!(!stuck.is_finished());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn each_half_ends_by_itself() {
    local(async || {
        let pair = Pair::new(Limits::default());
        let (near, far) = pair.stream().await;
        near.end();
        assert_eq!(far.received().await.unwrap().next(), Some(Event::End));
        assert_eq!(far.credit(5).await.unwrap(), 5);
        far.data(b"still", true);
        assert_eq!(near.received().await.unwrap().next(), Some(Event::Data { bytes: b"still", end: true }));
        drop((near, far));
        assert_eq!(pair.client.state().streams, 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_opener_learns_whether_the_app_took_the_stream() {
    local(async || {
        let pair = Pair::new(Limits::default());
        let (near, far) = pair.stream().await;
        far.accept();
        near.accepted().await.unwrap();
        drop((near, far));
        let (near, far) = pair.stream().await;
        far.refuse(Refusal::AppRefused);
        let refused = near.accepted().await.unwrap_err();
        assert!(matches!(refused, StreamError::Refused(Refusal::AppRefused)));
        assert!(matches!(near.credit(1).await, Err(StreamError::Refused(_))));
        drop(far);
        assert_eq!(pair.server.state().streams, 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_reset_crosses_with_its_cause_behind_what_was_sent_before() {
    local(async || {
        let pair = Pair::new(Limits::default());
        let (near, far) = pair.stream().await;
        far.head(b"200", false);
        far.reset(ResetCause::TcpReset);
        assert!(near.received().await.unwrap().next().is_some());
        assert!(matches!(near.received().await, Err(StreamError::Reset(ResetCause::TcpReset))));
        let (near, far) = pair.stream().await;
        drop(near);
        assert!(matches!(far.received().await, Err(StreamError::Reset(ResetCause::Cancelled))));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_server_s_own_cap_refuses_what_is_too_many_as_not_delivered() {
    local(async || {
        let (client, server) = configs();
        let pair = Pair::over((client, server), Limits { streams: 1, ..Limits::default() }, tokio::io::duplex(1 << 16));
        let (near, far) = pair.stream().await;
        assert!(pair.client.open(&OPEN).is_err(), "its own cap");
        near.end();
        drop(near); // The server's task still has its end.
        let second = pair.client.open(&OPEN).unwrap();
        let refused = second.accepted().await.unwrap_err();
        assert!(matches!(refused, StreamError::Refused(Refusal::NotDelivered)));
        drop(far);
    })
    .await;
}
