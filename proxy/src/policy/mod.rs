//! The last known picture of each destination and of each port, as snapshots that the data path reads.
//!
//! `discover/` writes them, on the control thread; nothing here is ever taken back because the control plane is away.

mod destination;
mod inbound;

pub use self::{
    destination::{DestinationPolicy, PodTarget},
    inbound::{InboundPolicies, PortPolicy},
};
pub use crate::balance::Backend;
