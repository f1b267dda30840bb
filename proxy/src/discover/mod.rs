//! Where a destination leads: the Watch stream of the control plane and the picture that it paints (outbound step 2).
//!
//! [`Directory`] is what workers ask, without a lock; [`Picture`] is what the control thread applies resources to;
//! [`Watch`] is the client that feeds it. What has been answered once stays for ever while the control plane is away.
//! Each destination is known, foreign or unanswered, and never one of them because another could not be found out.

mod backends;
mod backoff;
mod demand;
mod directory;
mod error;
mod followed;
mod freshness;
mod gauges;
mod list;
mod outgoing;
mod picture;
mod resources;
mod subscriptions;
mod watch;

use std::time::Duration;

pub use self::{
    directory::{Directory, Lookup, Target},
    error::{DiscoverError, RefusedResource},
    gauges::Gauges,
    list::Listed,
    picture::Picture,
    watch::{Watch, WatchSettings},
};
use crate::{balance, retry};

/// How destinations are followed.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// How each destination is balanced.
    pub balance: balance::Settings,
    /// How much each destination may be retried.
    pub budget: retry::BudgetSettings,
    /// Whether addresses outside of the cluster may be called. Default true.
    pub foreign_allowed: bool,
    /// After how long without use a destination is dropped. Default 1 h.
    pub idle: Duration,
    /// How many destinations are followed at most, beyond those that connections are using. Default 2,000.
    pub capacity: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            balance: balance::Settings::default(),
            budget: retry::BudgetSettings::default(),
            foreign_allowed: true,
            idle: Duration::from_secs(3600),
            capacity: 2000,
        }
    }
}

#[cfg(test)]
mod tests;
