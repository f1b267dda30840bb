//! The platform with functions that are shell commands, and the receipts.

use std::pin::Pin;
use std::time::Duration;

use futures_util::{Stream, stream};
use tokio::task::JoinSet;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};

use super::runner::follow;
use super::*;
use crate::proto::order_events_client::OrderEventsClient;
use crate::proto::order_events_server::{OrderEvents, OrderEventsServer};
use crate::proto::{FollowRequest, HeadRequest, HeadResponse, Item, OrderEvent, order_event};

fn event(sequence: i64, kind: order_event::Kind) -> OrderEvent {
    OrderEvent {
        sequence,
        kind: kind.into(),
        order_id: 40 + sequence,
        user_id: 2,
        total_cents: 1250,
        items: vec![Item { product_id: 1, quantity: 3 }],
        happened_at: 0,
    }
}

/// Three events, and the end.
struct Orders;

#[tonic::async_trait]
impl OrderEvents for Orders {
    type FollowStream = Pin<Box<dyn Stream<Item = Result<OrderEvent, Status>> + Send>>;

    async fn follow(&self, request: Request<FollowRequest>) -> Result<Response<Self::FollowStream>, Status> {
        use order_event::Kind::{Cancelled, Completed, Created};
        let after = request.into_inner().after;
        let events = [event(1, Created), event(2, Completed), event(3, Cancelled)];
        let events = events.into_iter().filter(move |event| event.sequence > after).map(Ok);
        Ok(Response::new(Box::pin(stream::iter(events))))
    }

    async fn head(&self, _: Request<HeadRequest>) -> Result<Response<HeadResponse>, Status> {
        Ok(Response::new(HeadResponse { sequence: 3 }))
    }
}

async fn orders() -> (OrderEventsClient<tonic::transport::Channel>, JoinSet<()>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = Server::builder().add_service(OrderEventsServer::new(Orders));
    let mut task = JoinSet::new();
    task.spawn(async move { server.serve_with_incoming(TcpListenerStream::new(listener)).await.unwrap() });
    (OrderEventsClient::connect(url).await.unwrap(), task)
}

fn shell(script: &str, limit: Duration) -> Function {
    Function { words: ["sh", "-c", script].map(str::to_owned).to_vec(), limit }
}

const AMPLE: Duration = Duration::from_secs(60);

#[test]
fn an_end_of_an_order_calls_for_a_letter_and_its_beginning_does_not() {
    let of = |kind| receipt(&Event::from(event(2, kind)));
    assert_eq!(of(order_event::Kind::Created), None);
    let paid = "Receipt for user 2: order 42, 3 pieces, 12.50 €, paid.";
    assert_eq!(of(order_event::Kind::Completed).as_deref(), Some(paid));
    assert!(of(order_event::Kind::Cancelled).is_some());
}

#[tokio::test]
async fn each_event_is_given_to_a_process_of_its_own_and_only_once_after_another_start() {
    let (orders, _task) = orders().await;
    let folder = tempfile::tempdir().unwrap();
    let echo = shell("cat; echo; echo $$", AMPLE);
    follow(orders.clone(), &echo, folder.path()).await.unwrap();
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    let (second, third) = (read("2-completed.txt"), read("3-cancelled.txt"));
    let given: Event = serde_json::from_str(second.lines().next().unwrap()).unwrap();
    assert_eq!(given, Event::from(event(2, order_event::Kind::Completed)));
    assert_ne!(second.lines().nth(1), third.lines().nth(1), "the same process for two events");
    assert_eq!(read("cursor"), "3");
    // Nothing is left to do for another start: this function would fail.
    follow(orders, &shell("exit 1", AMPLE), folder.path()).await.unwrap();
}

#[tokio::test]
async fn a_function_that_takes_too_long_is_ended_and_one_that_fails_says_how() {
    let event = Event::from(event(1, order_event::Kind::Created));
    let late = shell("sleep 60", Duration::from_millis(50)).call(&event).await.unwrap_err();
    assert_eq!(late.to_string(), "no end within 50ms");
    let failed = shell("exit 3", AMPLE).call(&event).await.unwrap_err();
    assert_eq!(failed.to_string(), "sh ended with exit status: 3");
    let missing = Function { words: vec!["/nowhere".into()], limit: AMPLE };
    assert_eq!(missing.call(&event).await.unwrap_err().to_string(), "cannot start /nowhere");
}
