//! The users service as orders sees it: one question, over gRPC.

use std::time::Duration;

use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request};

use super::OrderError;
use crate::proto::GetUserRequest;
use crate::proto::user_service_client::UserServiceClient;
use crate::trace::TraceContext;

const CONNECT_DEADLINE: Duration = Duration::from_secs(1);
const DEADLINE: Duration = Duration::from_secs(2);

/// A client of the users service; connects when it is first asked.
#[derive(Clone, Debug)]
pub struct UsersClient(UserServiceClient<Channel>);

impl UsersClient {
    /// `url` such as `http://users:9090`.
    ///
    /// # Errors
    /// A text that is no URL.
    pub fn new(url: &str) -> Result<Self, tonic::transport::Error> {
        let endpoint = Endpoint::from_shared(url.to_owned())?.connect_timeout(CONNECT_DEADLINE);
        Ok(Self(UserServiceClient::new(endpoint.connect_lazy())))
    }

    /// The name of a user.
    ///
    /// # Errors
    /// [`OrderError::UnknownUser`], or [`OrderError::Users`] without an answer within 2 s.
    pub async fn name(&self, id: i64, trace: TraceContext) -> Result<String, OrderError> {
        let mut request = Request::new(GetUserRequest { id });
        request.set_timeout(DEADLINE);
        trace.pass_on(request.metadata_mut());
        match self.0.clone().get_user(request).await {
            Ok(answer) => Ok(answer.into_inner().name),
            Err(status) if status.code() == Code::NotFound => Err(OrderError::UnknownUser { id }),
            Err(status) => Err(OrderError::Users { id, source: Box::new(status) }),
        }
    }
}
