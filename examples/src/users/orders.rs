//! The orders of a user, as the orders service tells them: page by page, so that a slow reader holds no copy of them all.

use futures_util::stream::{self, Stream, TryStreamExt};
use serde::Deserialize;
use tonic::Status;

use crate::client::{Client, Failure};
use crate::proto;
use crate::trace::TraceContext;

const PAGE: usize = 100;

#[derive(Debug, Deserialize)]
struct Order {
    id: i64,
    status: String,
    total_cents: i64,
    created_at: i64,
    items: Vec<Item>,
}

#[derive(Debug, Deserialize)]
struct Item {
    product_id: i64,
    quantity: i64,
}

/// Every order of a user, in the order of their ids.
pub(super) fn of_user(
    orders: Client,
    user_id: i64,
    trace: TraceContext,
) -> impl Stream<Item = Result<proto::UserOrder, Status>> {
    let pages = stream::try_unfold(Some(0), move |after| {
        let (orders, trace) = (orders.clone(), trace.clone());
        async move {
            let Some(after) = after else { return Ok::<_, Status>(None) };
            let path = format!("/orders?user_id={user_id}&after={after}&limit={PAGE}");
            let page: Vec<Order> = orders.get(&path, &trace).await.map_err(|failure| status(user_id, &failure))?;
            let next = page.last().filter(|_| page.len() == PAGE).map(|order| order.id);
            Ok(Some((stream::iter(page.into_iter().map(|order| Ok(order.into()))), next)))
        }
    });
    pages.try_flatten()
}

fn status(user_id: i64, failure: &Failure) -> Status {
    Status::unavailable(format!("the orders of user {user_id} cannot be read now, try again: {failure}"))
}

impl From<Order> for proto::UserOrder {
    fn from(Order { id, status, total_cents, created_at, items }: Order) -> Self {
        let item = |Item { product_id, quantity }: Item| proto::Item { product_id, quantity };
        Self { id, status, total_cents, created_at, items: items.into_iter().map(item).collect() }
    }
}
