//! Users over gRPC: one method for each of the four kinds of call.

use std::pin::Pin;
use std::sync::Arc;

use tokio_stream::{Stream, StreamExt, iter};
use tonic::{Request, Response, Status, Streaming};

use super::{NewUser, Outcome, User, UserError, Users};
use crate::faults::Faults;
use crate::page::Page;
use crate::proto;
use crate::proto::sync_users_response::Outcome as WireOutcome;
use crate::proto::user_service_server::UserService;

const MOST_IMPORTED: usize = 10_000;
const PAGE: usize = 100;

/// The service, over the same users as REST.
#[derive(Debug)]
pub struct UsersGrpc {
    users: Arc<Users>,
    faults: Arc<Faults>,
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

impl UsersGrpc {
    /// The faults make it slow; only REST requests fail on demand.
    #[must_use]
    pub fn new(users: Arc<Users>, faults: Arc<Faults>) -> Self {
        Self { users, faults }
    }
}

#[tonic::async_trait]
impl UserService for UsersGrpc {
    type ListUsersStream = Answers<proto::User>;
    type SyncUsersStream = Answers<proto::SyncUsersResponse>;

    async fn get_user(
        &self,
        request: Request<proto::GetUserRequest>,
    ) -> Result<Response<proto::GetUserResponse>, Status> {
        self.faults.delay().await;
        let user = self.users.find(request.into_inner().id)?;
        Ok(Response::new(proto::GetUserResponse { name: user.name, email: user.email }))
    }

    async fn list_users(&self, _: Request<proto::ListUsersRequest>) -> Result<Response<Self::ListUsersStream>, Status> {
        self.faults.delay().await;
        Ok(Response::new(Box::pin(iter(Pages::new(self.users.clone())).map(|user| Ok(user.into())))))
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
        let ids = self.users.import(new)?.iter().map(|user| user.id).collect();
        Ok(Response::new(proto::ImportUsersResponse { ids }))
    }

    async fn sync_users(
        &self,
        request: Request<Streaming<proto::User>>,
    ) -> Result<Response<Self::SyncUsersStream>, Status> {
        self.faults.delay().await;
        let users = self.users.clone();
        let answers = request.into_inner().map(move |known| {
            let (user, outcome) = users.sync(known?.into())?;
            Ok(proto::SyncUsersResponse { user: Some(user.into()), outcome: WireOutcome::from(outcome).into() })
        });
        Ok(Response::new(Box::pin(answers)))
    }
}

/// All users, taken from the store a page at a time, so that a slow reader holds no copy of them all.
struct Pages {
    users: Arc<Users>,
    page: std::vec::IntoIter<User>,
    after: i64,
}

impl Pages {
    fn new(users: Arc<Users>) -> Self {
        Self { users, page: Vec::new().into_iter(), after: 0 }
    }
}

impl Iterator for Pages {
    type Item = User;

    fn next(&mut self) -> Option<User> {
        if self.page.len() == 0 {
            self.page = self.users.list(Page { after: self.after, limit: PAGE }).into_iter();
        }
        let user = self.page.next()?;
        self.after = user.id;
        Some(user)
    }
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
            UserError::Full { .. } => Self::resource_exhausted(message),
        }
    }
}
