//! The cases of HTTP/1.1, from both sides that clients come from.

use std::rc::Rc;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use weft_api::AppProtocol;

use super::{
    app::App,
    fixture::{Proxy, Side, each, run},
    table::{self, Becomes, Case},
};

#[test]
fn what_an_app_sends_is_refused_or_has_one_meaning() {
    run(async || every_case(Side::Outbound).await);
}

#[test]
fn what_a_client_outside_of_the_mesh_sends_is_refused_or_has_one_meaning() {
    run(async || every_case(Side::Inbound).await);
}

async fn every_case(side: Side) {
    let (proxy, app) = (Rc::new(Proxy::new()), App::start().await);
    let one = |case| {
        let (proxy, app) = (proxy.clone(), app.clone());
        async move { one(&proxy, &app, (side, case)).await }
    };
    each(table::http1(), |case| case.name, one).await;
}

async fn one(proxy: &Proxy, app: &App, (side, case): (Side, &Case)) {
    let name = format!("{} ({}) {side:?}", case.name, case.source);
    let mut client = Client { io: proxy.client(side, app.address, AppProtocol::Http1).await, input: Vec::new() };
    // A proxy that has refused may have closed before all of it is there.
    let _ = client.io.write_all(case.bytes).await;
    match case.becomes {
        Becomes::Refused(status) => {
            client.refused(&name, status).await;
            let seen = app.seen().await;
            assert!(seen.is_empty(), "{name}: {seen:?}");
        }
        Becomes::CutShort(status) => {
            client.refused_or_cut(&name, status).await;
            let seen = app.seen().await;
            let clean = seen.iter().all(|message| !message.whole && message.flaw.is_none());
            assert!(clean && seen.len() <= 1, "{name}: {seen:?}");
        }
        Becomes::Passed(wanted) => {
            let closes = client.answered(&name, wanted).await;
            let seen = app.seen().await;
            let flaws: Vec<_> = seen.iter().filter_map(|message| message.flaw).collect();
            let texts: Vec<_> = seen.iter().map(|message| message.text.as_str()).collect();
            assert_eq!((texts, flaws), (wanted.to_vec(), vec![]), "{name}");
            if closes { client.ended(&name).await } else { client.goes_on(&name).await }
        }
    }
    // Whatever came before, a good client is served, with the answer to its own request.
    let mut next = Client { io: proxy.client(side, app.address, AppProtocol::Http1).await, input: Vec::new() };
    next.goes_on(&name).await;
    app.seen().await;
}

struct Client {
    io: TcpStream,
    input: Vec<u8>,
}

/// An answer that was read to its end.
struct Answer {
    head: String,
    body: String,
}

impl Client {
    /// One answer of the proxy's own, and the end of the connection.
    async fn refused(&mut self, name: &str, status: u16) {
        let answer = self.answer(false).await.unwrap_or_else(|| panic!("{name}: closed without an answer"));
        assert!(answer.head.starts_with(&format!("HTTP/1.1 {status} ")), "{name}: {}", answer.head);
        assert!(answer.head.contains("\r\nweft-proxy-error: "), "{name}: {}", answer.head);
        assert!(answer.head.contains("\r\nconnection: close\r\n"), "{name}: {}", answer.head);
        self.ended(name).await;
    }

    async fn refused_or_cut(&mut self, name: &str, status: u16) {
        if let Some(answer) = self.answer(false).await {
            assert!(answer.head.starts_with(&format!("HTTP/1.1 {status} ")), "{name}: {}", answer.head);
        }
        self.ended(name).await;
    }

    async fn ended(&mut self, name: &str) {
        let _ = self.io.read_to_end(&mut self.input).await; // Unread bytes may make it a reset.
        assert!(self.input.is_empty(), "{name}: {:?}", String::from_utf8_lossy(&self.input));
    }

    /// The answers of the app to these messages. True: the last of them says that the connection ends.
    async fn answered(&mut self, name: &str, messages: &[&str]) -> bool {
        let mut closes = false;
        for message in messages {
            let mut words = message.split(' ');
            let (method, target) = (words.next().unwrap(), words.next().unwrap());
            let answer = self.answer(method == "HEAD").await.unwrap_or_else(|| panic!("{name}: no answer"));
            assert!(answer.head.starts_with("HTTP/1.1 200 "), "{name}: {} {}", answer.head, answer.body);
            assert_eq!(answer.body, if method == "HEAD" { "" } else { target }, "{name}");
            closes = answer.head.contains("connection: close");
        }
        closes
    }

    async fn goes_on(&mut self, name: &str) {
        self.io.write_all(b"GET /after HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
        let answer = self.answer(false).await.unwrap_or_else(|| panic!("{name}: the next request has no answer"));
        assert_eq!(answer.body, "/after", "{name}: {}", answer.head);
    }

    /// The next answer. None: the connection has ended.
    async fn answer(&mut self, to_head: bool) -> Option<Answer> {
        let end = loop {
            if let Some(at) = self.input.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            self.fill().await?;
        };
        let head = String::from_utf8_lossy(&self.input[..end]).into_owned();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let length = if to_head { 0 } else { length.map_or(0, |length| length.parse().unwrap()) };
        while self.input.len() < end + length {
            self.fill().await?;
        }
        let body = String::from_utf8_lossy(&self.input[end..end + length]).into_owned();
        self.input.drain(..end + length);
        Some(Answer { head, body })
    }

    async fn fill(&mut self) -> Option<()> {
        matches!(self.io.read_buf(&mut self.input).await, Ok(read) if read > 0).then_some(())
    }
}
