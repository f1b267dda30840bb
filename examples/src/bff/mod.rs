//! Back ends for front ends: one answer of just what one kind of client shows, made of three services' answers.
//!
//! The services are asked at the same time, each within a second; what one of them does not say is left out of the answer and
//! named in it. `web` serves pages too, `mobile` sends only what a phone needs.

mod mobile;
mod page;
mod parts;
mod run;
#[cfg(test)]
mod tests;
mod web;

pub use parts::{Missing, Order, Overview, Shop};
pub use run::{run_mobile, run_web};
