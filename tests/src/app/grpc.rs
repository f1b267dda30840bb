//! gRPC as an app makes it: four kinds of call, a deadline, a cancellation.

use std::time::Duration;

use serde::Serialize;
use tokio_stream::StreamExt;
use tonic::{Code, Request};
use weft_examples::proto::{
    GetUserRequest, ImportUsersRequest, ListUsersRequest, User, user_service_client::UserServiceClient,
};

/// What came of each call.
#[derive(Serialize)]
pub struct Called {
    unary: String,
    not_found: i32,
    server_stream: usize,
    client_stream: usize,
    both_streams: usize,
    deadline: i32,
    after_cancel: String,
}

/// Makes the calls on one connection.
pub async fn grpc(target: &str) -> anyhow::Result<Called> {
    let mut client = UserServiceClient::connect(format!("http://{target}")).await?;
    let unary = client.get_user(GetUserRequest { id: 1 }).await?.into_inner().name;
    let not_found =
        client.get_user(GetUserRequest { id: 999_999 }).await.map_or_else(|status| status.code() as i32, |_| 0);
    let users = client.list_users(ListUsersRequest {}).await?.into_inner();
    let server_stream = users.collect::<Result<Vec<_>, _>>().await?.len();
    let new = |number: usize| ImportUsersRequest {
        name: format!("Import {number}"),
        email: format!("import{number}@example.org"),
    };
    let imported = client.import_users(tokio_stream::iter((0..50).map(new))).await?.into_inner();
    let client_stream = imported.ids.len();
    let both_streams = both(&mut client).await?;
    let mut late = Request::new(tokio_stream::pending::<User>());
    late.set_timeout(Duration::from_millis(300));
    let deadline = match client.sync_users(late).await {
        Ok(answer) => answer.into_inner().message().await.map_or_else(|status| status.code() as i32, |_| 0),
        Err(status) => status.code() as i32,
    };
    let stream = client.list_users(ListUsersRequest {}).await?;
    drop(stream);
    let after_cancel = client.get_user(GetUserRequest { id: 2 }).await?.into_inner().name;
    Ok(Called { unary, not_found, server_stream, client_stream, both_streams, deadline, after_cancel })
}

/// Each answer is awaited before the next request is sent: neither direction may be held back.
async fn both(client: &mut UserServiceClient<tonic::transport::Channel>) -> anyhow::Result<usize> {
    let (send, receive) = tokio::sync::mpsc::channel(1);
    let requests = tokio_stream::wrappers::ReceiverStream::new(receive);
    let first = User { id: 0, name: "Sync 0".to_owned(), email: "sync0@example.org".to_owned() };
    send.send(first).await?;
    let mut answers = client.sync_users(requests).await?.into_inner();
    let mut count = 0;
    while let Some(answer) = answers.next().await {
        let answer = answer?;
        anyhow::ensure!(answer.user.is_some(), "{} has no user", Code::Internal);
        count += 1;
        if count == 5 {
            break;
        }
        let name = format!("Sync {count}");
        send.send(User { id: 0, name, email: format!("sync{count}@example.org") }).await?;
    }
    Ok(count)
}
