//! Both sides of the test traffic.

mod capture;
mod flood;
mod grpc;
mod load;
mod one;
mod serve;
mod stream;
mod unary;
mod unplug;

pub use capture::capture;
pub use flood::flood;
pub use grpc::grpc;
pub use load::{Load, Pace, Protocol};
pub use one::One;
pub use serve::{Serve, serve};
pub use stream::{bytes, hold, silent, switch, trickle};
pub use unplug::unplug;
