//! Inventory and payments as orders meets them, in memory, with trouble on demand; and a catalog of tests; the users are the
//! real ones.
//!
//! They keep to what proto/ promises: each call is known by its order, can be repeated, and is refused once it was undone.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use axum::extract::Path;
use axum::http::StatusCode;
use axum::{Json, Router, routing::get};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Request, Response, Status};
use weft_examples::orders::Urls;
use weft_examples::proto::inventory_service_server::{InventoryService, InventoryServiceServer};
use weft_examples::proto::participant_server::{Participant, ParticipantServer};
use weft_examples::proto::payment_service_server::{PaymentService, PaymentServiceServer};
use weft_examples::proto::prepare_request::Work;
use weft_examples::proto::*;

use crate::program::Program;

/// What goes wrong with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The service says no.
    Refuse,
    /// The call does not arrive.
    NotDone,
    /// It is done, and the answer does not arrive.
    DoneUnanswered,
}

/// Both services' books, and what is to go wrong with them.
#[derive(Debug, Default)]
pub struct World {
    pub inventory: Mutex<Book>,
    pub payments: Mutex<Book>,
    trouble: Mutex<HashMap<&'static str, (Trouble, u32)>>,
    traces: Mutex<BTreeSet<String>>,
}

/// What is held for orders: items or cents.
#[derive(Debug, Default)]
pub struct Book {
    pub held: BTreeMap<i64, i64>,
    /// Promised in two-phase commits, and not decided.
    pub promised: BTreeMap<i64, i64>,
    pub undone: BTreeSet<i64>,
}

/// The services of a test; they end with it.
pub struct Partners {
    pub world: Arc<World>,
    pub urls: Urls,
    _servers: JoinSet<()>,
    _users: Program,
    _folder: tempfile::TempDir,
}

impl Partners {
    pub async fn start() -> Self {
        let (world, mut servers) = (Arc::new(World::default()), JoinSet::new());
        let folder = tempfile::tempdir().unwrap();
        let database = format!("sqlite://{}/users.db?mode=rwc", folder.path().display());
        let users = Program::run("users", &database, &[]).await;
        let urls = Urls {
            users: users.grpc.clone(),
            catalog: serve_catalog(&mut servers).await,
            inventory: {
                let inventory = InventoryServiceServer::new(Inventory(world.clone()));
                let participant = ParticipantServer::new(Inventory(world.clone()));
                serve(&mut servers, Server::builder().add_service(inventory).add_service(participant)).await
            },
            payments: {
                let payments = PaymentServiceServer::new(Payments(world.clone()));
                let participant = ParticipantServer::new(Payments(world.clone()));
                serve(&mut servers, Server::builder().add_service(payments).add_service(participant)).await
            },
        };
        Self { world, urls, _servers: servers, _users: users, _folder: folder }
    }
}

impl World {
    /// Lets the next `times` calls of `name` go wrong.
    pub fn trouble(&self, name: &'static str, trouble: Trouble, times: u32) {
        self.trouble.lock().unwrap().insert(name, (trouble, times));
    }

    /// The orders that items are held for and money is charged for.
    pub fn held(&self) -> (Vec<i64>, Vec<i64>) {
        let orders = |book: &Mutex<Book>| book.lock().unwrap().held.keys().copied().collect();
        (orders(&self.inventory), orders(&self.payments))
    }

    /// The orders that something was promised for, and nothing decided.
    pub fn in_doubt(&self) -> BTreeSet<i64> {
        [&self.inventory, &self.payments]
            .iter()
            .flat_map(|book| book.lock().unwrap().promised.clone().into_keys())
            .collect()
    }

    /// Trace parents of all calls.
    pub fn traces(&self) -> Vec<String> {
        self.traces.lock().unwrap().iter().cloned().collect()
    }

    fn call<T, A>(
        &self,
        name: &str,
        request: Request<T>,
        work: impl FnOnce(T) -> Result<A, Status>,
    ) -> Result<Response<A>, Status> {
        if let Some(trace) = request.metadata().get("traceparent") {
            self.traces.lock().unwrap().insert(trace.to_str().unwrap().to_owned());
        }
        match self.next_trouble(name) {
            None => work(request.into_inner()).map(Response::new),
            Some(Trouble::Refuse) => Err(Status::failed_precondition(format!("{name} is refused"))),
            Some(Trouble::NotDone) => Err(Status::unavailable("not done")),
            Some(Trouble::DoneUnanswered) => {
                work(request.into_inner())?;
                Err(Status::unavailable("done, and not answered"))
            }
        }
    }

    fn next_trouble(&self, name: &str) -> Option<Trouble> {
        let mut trouble = self.trouble.lock().unwrap();
        let (kind, left) = trouble.get_mut(name).filter(|(_, left)| *left > 0)?;
        *left -= 1;
        Some(*kind)
    }
}

impl Book {
    pub fn hold(&mut self, order: i64, amount: i64) -> Result<(), Status> {
        if self.undone.contains(&order) {
            return Err(Status::aborted("it was undone before"));
        }
        self.held.insert(order, amount);
        Ok(())
    }

    fn promise(&mut self, order: i64, amount: i64) -> PrepareResponse {
        self.promised.insert(order, amount);
        PrepareResponse { yes: true, reason: String::new() }
    }

    fn obey(&mut self, order: i64, decision: Decision) -> DecideResponse {
        let promised = self.promised.remove(&order);
        if let Some(amount) = promised.filter(|_| decision == Decision::Commit) {
            self.held.insert(order, amount);
        }
        DecideResponse {}
    }

    pub fn undo(&mut self, order: i64) {
        self.held.remove(&order);
        self.undone.insert(order);
    }
}

struct Inventory(Arc<World>);
struct Payments(Arc<World>);

#[tonic::async_trait]
impl InventoryService for Inventory {
    async fn reserve(&self, request: Request<ReserveRequest>) -> Result<Response<ReserveResponse>, Status> {
        self.0.call("reserve", request, |ReserveRequest { order_id, items }| {
            let pieces = items.iter().map(|item| item.quantity).sum();
            self.0.inventory.lock().unwrap().hold(order_id, pieces).map(|()| ReserveResponse {})
        })
    }

    async fn release(&self, request: Request<ReleaseRequest>) -> Result<Response<ReleaseResponse>, Status> {
        self.0.call("release", request, |ReleaseRequest { order_id }| {
            self.0.inventory.lock().unwrap().undo(order_id);
            Ok(ReleaseResponse {})
        })
    }

    async fn list_stock(&self, _: Request<ListStockRequest>) -> Result<Response<ListStockResponse>, Status> {
        Err(Status::unimplemented("orders does not ask"))
    }

    async fn restock(&self, _: Request<RestockRequest>) -> Result<Response<Stock>, Status> {
        Err(Status::unimplemented("orders does not ask"))
    }
}

#[tonic::async_trait]
impl PaymentService for Payments {
    async fn charge(&self, request: Request<ChargeRequest>) -> Result<Response<ChargeResponse>, Status> {
        self.0.call("charge", request, |ChargeRequest { order_id, amount_cents, .. }| {
            self.0.payments.lock().unwrap().hold(order_id, amount_cents).map(|()| ChargeResponse {})
        })
    }

    async fn refund(&self, request: Request<RefundRequest>) -> Result<Response<RefundResponse>, Status> {
        self.0.call("refund", request, |RefundRequest { order_id }| {
            self.0.payments.lock().unwrap().undo(order_id);
            Ok(RefundResponse {})
        })
    }

    async fn list_accounts(&self, _: Request<ListAccountsRequest>) -> Result<Response<ListAccountsResponse>, Status> {
        Err(Status::unimplemented("orders does not ask"))
    }
}

#[tonic::async_trait]
impl Participant for Inventory {
    async fn prepare(&self, request: Request<PrepareRequest>) -> Result<Response<PrepareResponse>, Status> {
        self.0.call("prepare-inventory", request, |PrepareRequest { transaction_id, work }| match work {
            Some(Work::Reserve(reservation)) => {
                let pieces = reservation.items.iter().map(|item| item.quantity).sum();
                Ok(self.0.inventory.lock().unwrap().promise(transaction_id, pieces))
            }
            _ => Err(Status::invalid_argument("not the work of inventory")),
        })
    }

    async fn decide(&self, request: Request<DecideRequest>) -> Result<Response<DecideResponse>, Status> {
        self.0.call("finish-inventory", request, |told| {
            Ok(self.0.inventory.lock().unwrap().obey(told.transaction_id, told.decision()))
        })
    }

    async fn list_in_doubt(&self, _: Request<ListInDoubtRequest>) -> Result<Response<ListInDoubtResponse>, Status> {
        Err(Status::unimplemented("orders does not ask"))
    }
}

#[tonic::async_trait]
impl Participant for Payments {
    async fn prepare(&self, request: Request<PrepareRequest>) -> Result<Response<PrepareResponse>, Status> {
        self.0.call("prepare-payment", request, |PrepareRequest { transaction_id, work }| match work {
            Some(Work::Charge(payment)) => {
                Ok(self.0.payments.lock().unwrap().promise(transaction_id, payment.amount_cents))
            }
            _ => Err(Status::invalid_argument("not the work of payments")),
        })
    }

    async fn decide(&self, request: Request<DecideRequest>) -> Result<Response<DecideResponse>, Status> {
        self.0.call("finish-payment", request, |told| {
            Ok(self.0.payments.lock().unwrap().obey(told.transaction_id, told.decision()))
        })
    }

    async fn list_in_doubt(&self, _: Request<ListInDoubtRequest>) -> Result<Response<ListInDoubtResponse>, Status> {
        Err(Status::unimplemented("orders does not ask"))
    }
}

async fn serve(servers: &mut JoinSet<()>, router: tonic::transport::server::Router) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    servers.spawn(async move { router.serve_with_incoming(TcpListenerStream::new(listener)).await.unwrap() });
    url
}

/// Products 1 to 8; a piece of product N costs N euros.
async fn serve_catalog(servers: &mut JoinSet<()>) -> String {
    let product = async |Path(id): Path<i64>| match id {
        1..=8 => {
            Ok(Json(json!({ "id": id, "name": format!("product {id}"), "description": "", "price_cents": id * 100 })))
        }
        _ => Err((StatusCode::NOT_FOUND, Json(json!({ "detail": format!("there is no product {id}") })))),
    };
    let router = Router::new().route("/products/{id}", get(product));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    servers.spawn(async move { axum::serve(listener, router).await.unwrap() });
    url
}
