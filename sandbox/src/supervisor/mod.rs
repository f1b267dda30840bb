//! The supervisor: process 1 of the sandbox's pid namespace, whose end is the end of every process in it.
//!
//! It is this same program, started again (`weft sandbox-supervisor`): a first stage makes the namespaces and waits, a
//! second one, its child, does the work.

mod container;
mod control;
mod exec;
mod find;
mod mesh;
mod pod;
mod probe;
mod relay;
mod service;
mod stage;
mod state;
mod sync;

pub(crate) use control::SOCKET;
pub use stage::run;
