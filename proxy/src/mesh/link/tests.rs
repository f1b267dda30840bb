//! The link, over real TLS through memory, with the clock paused.

mod fixture;
mod hostile;
mod life;
mod traffic;
