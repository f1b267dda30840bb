//! Serve: one delta stream per proxy, and certificates.
//!
//! [`Hub`] holds the index and what has been made of it: a change is resolved once and encoded once per topic, and the
//! same bytes go to every subscriber. A subscriber has an [`Outbox`](outbox) that keeps the latest of each key, so a slow
//! one costs no more than a quick one. `session` is one Watch stream, `listener` the port with its TLS.

mod certification;
mod codec;
mod door;
mod feed;
mod fleet;
mod hub;
mod lag;
mod listener;
mod outbox;
mod picture;
mod session;
mod subscriber;
mod targets;
#[cfg(test)]
mod tests;
mod topic;
mod trust;
mod watch;

pub use feed::Feed;
pub use hub::{Hub, HubSettings, RouteTarget};
pub use listener::{Listener, ListenerSettings};
pub use picture::{Picture, StreamPicture};
pub use subscriber::{Subscriber, TooManySubscriptions};
pub use targets::Target;
pub use trust::pass_trust_on;
pub use watch::{ServiceSettings, Services};
