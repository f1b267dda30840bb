//! Two futures of one exchange, driven together without a task of their own.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
};

use super::Failure;
use crate::mesh::Stream;

/// Drives both; over when `main` is, or when `beside` fails. Cancel-safe as far as the two are.
///
/// # Errors
/// The first failure of either.
pub async fn with_beside<T, E>(
    mut beside: Pin<&mut impl Future<Output = Result<(), E>>>,
    mut main: Pin<&mut impl Future<Output = Result<T, E>>>,
) -> Result<T, E> {
    let mut done = false;
    poll_fn(|cx| {
        if !done && let Poll::Ready(result) = beside.as_mut().poll(cx) {
            done = true;
            if let Err(failure) = result {
                return Poll::Ready(Err(failure));
            }
        }
        main.as_mut().poll(cx)
    })
    .await
}

/// Over when the caller of a stream, whose half has ended, gives the exchange up: nobody waits for the answer any more.
pub async fn given_up(stream: &Stream) -> Failure {
    loop {
        if let Err(error) = stream.received().await {
            return error.into();
        }
    }
}

/// The same while the caller may still speak: what it says early, before a switch of protocol, stays to be received.
pub async fn given_up_early(stream: &Stream) -> Failure {
    match stream.received().await {
        Err(error) => error.into(),
        Ok(early) => {
            stream.put_back(early);
            std::future::pending().await
        }
    }
}
