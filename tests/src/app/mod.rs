//! Both sides of the test traffic.

mod capture;
mod grpc;
mod load;
mod one;
mod serve;
mod stream;
mod unary;

pub use capture::capture;
pub use grpc::grpc;
pub use load::{Load, Pace, Protocol};
pub use one::One;
pub use serve::serve;
pub use stream::{bytes, hold, silent, trickle};
