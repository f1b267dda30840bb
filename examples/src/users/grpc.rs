//! Users over gRPC: one method for each of the four kinds of call, and one more stream of answers.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::stream::{self, Stream, StreamExt, TryStreamExt};
use tonic::{Request, Response, Status, Streaming};

use super::{NewUser, Outcome, User, UserError, orders, store};
use crate::client::Client;
use crate::db::{self, Db};
use crate::faults::Faults;
use crate::page::Page;
use crate::proto;
use crate::proto::sync_users_response::Outcome as WireOutcome;
use crate::proto::user_service_server::UserService;
use crate::trace::TraceContext;

const MOST_IMPORTED: usize = 10_000;
const PAGE: usize = 100;

/// The service, over the same users as REST.
#[derive(Debug)]
pub struct UsersGrpc {
    db: Db,
    orders: Client,
    faults: Arc<Faults>,
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl UsersGrpc {
    /// `orders` is the orders service. The faults make this one slow; only REST requests fail on demand.
    #[must_use]
    pub fn new(db: Db, orders: Client, faults: Arc<Faults>) -> Self {
        Self { db, orders, faults }
    }
}

#[tonic::async_trait]
impl UserService for UsersGrpc {
    type ListUsersStream = Answers<proto::User>;
    type ListOrdersStream = Answers<proto::UserOrder>;
    type SyncUsersStream = Answers<proto::SyncUsersResponse>;

    async fn get_user(
        &self,
        request: Request<proto::GetUserRequest>,
    ) -> Result<Response<proto::GetUserResponse>, Status> {
        self.faults.delay().await;
        let user = find(&self.db, request.into_inner().id).await?;
        Ok(Response::new(proto::GetUserResponse { name: user.name, email: user.email }))
    }

    async fn list_users(&self, _: Request<proto::ListUsersRequest>) -> Result<Response<Self::ListUsersStream>, Status> {
        self.faults.delay().await;
        Ok(Response::new(Box::pin(all(self.db.clone()).map_ok(Into::into).map_err(Into::into))))
    }

    async fn list_orders(
        &self,
        request: Request<proto::ListOrdersRequest>,
    ) -> Result<Response<Self::ListOrdersStream>, Status> {
        self.faults.delay().await;
        let trace = TraceContext::of(&request.metadata().clone().into_headers());
        let user = find(&self.db, request.into_inner().user_id).await?;
        Ok(Response::new(Box::pin(orders::of_user(self.orders.clone(), user.id, trace))))
    }

    async fn import_users(
        &self,
        request: Request<Streaming<proto::ImportUsersRequest>>,
    ) -> Result<Response<proto::ImportUsersResponse>, Status> {
        self.faults.delay().await;
        let mut requests = request.into_inner();
        let mut new = Vec::new();
        while let Some(proto::ImportUsersRequest { name, email }) = requests.message().await? {
            if new.len() == MOST_IMPORTED {
                return Err(Status::resource_exhausted(format!("an import has at most {MOST_IMPORTED} users")));
            }
            new.push(NewUser { name, email });
        }
        let ids = import(&self.db, new).await?.iter().map(|user| user.id).collect();
        Ok(Response::new(proto::ImportUsersResponse { ids }))
    }

    async fn sync_users(
        &self,
        request: Request<Streaming<proto::User>>,
    ) -> Result<Response<Self::SyncUsersStream>, Status> {
        self.faults.delay().await;
        let db = self.db.clone();
        let answers = request.into_inner().and_then(move |known| {
            let db = db.clone();
            async move {
                let (user, outcome) = sync(&db, known.into()).await?;
                Ok(proto::SyncUsersResponse { user: Some(user.into()), outcome: WireOutcome::from(outcome).into() })
            }
        });
        Ok(Response::new(Box::pin(answers)))
    }
}

async fn find(db: &Db, id: i64) -> Result<User, UserError> {
    store::find(&mut *db.pool.acquire().await?, id).await
}

async fn import(db: &Db, new: Vec<NewUser>) -> Result<Vec<User>, UserError> {
    let mut work = db.begin().await?;
    let created = store::import(&mut work, new).await?;
    work.commit().await?;
    Ok(created)
}

async fn sync(db: &Db, known: User) -> Result<(User, Outcome), UserError> {
    let mut work = db.begin().await?;
    let answer = store::sync(&mut work, known).await?;
    work.commit().await?;
    Ok(answer)
}

/// All users, taken from the store a page at a time, so that a slow reader holds no copy of them all.
fn all(db: Db) -> impl Stream<Item = Result<User, UserError>> {
    let pages = stream::try_unfold(0, move |after| {
        let db = db.clone();
        async move {
            let page = store::list(&mut *db.pool.acquire().await?, Page { after, limit: PAGE }).await?;
            let last = page.last().map(|user| user.id);
            Ok::<_, UserError>(last.map(|last| (stream::iter(page).map(Ok), last)))
        }
    });
    pages.try_flatten()
}

impl From<User> for proto::User {
    fn from(User { id, name, email }: User) -> Self {
        Self { id, name, email }
    }
}

impl From<proto::User> for User {
    fn from(proto::User { id, name, email }: proto::User) -> Self {
        Self { id, name, email }
    }
}

impl From<Outcome> for WireOutcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Unchanged => Self::Unchanged,
            Outcome::Created => Self::Created,
            Outcome::Updated => Self::Updated,
        }
    }
}

impl From<UserError> for Status {
    fn from(error: UserError) -> Self {
        let message = error.to_string();
        match error {
            UserError::Unknown { .. } => Self::not_found(message),
            UserError::EmailTaken { .. } => Self::already_exists(message),
            UserError::Invalid(_) => Self::invalid_argument(message),
            UserError::Database(error) => db::status(&error),
        }
    }
}
