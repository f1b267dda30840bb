//! The shop: sample services that know nothing of the mesh.
//!
//! They are what a team would write without Weft. Each keeps what it knows in a database of its own, which its replicas share.

pub mod all_in_one;
pub mod analytics;
pub mod bff;
pub mod books;
pub mod caller;
pub mod catalog;
pub mod client;
pub mod clock;
pub mod db;
pub mod discovery;
pub mod edge;
pub mod events;
#[cfg(test)]
mod fake;
pub mod faults;
pub mod functions;
pub mod id;
pub mod inventory;
pub mod json;
pub mod load;
pub mod notifications;
pub mod orders;
pub mod page;
pub mod participant;
pub mod payments;
pub mod problem;
pub mod serve;
pub mod settings;
#[cfg(test)]
mod testing;
pub mod trace;
pub mod users;

/// Generated from the files of proto/, which are its documentation.
#[expect(missing_docs, reason = "generated code; the proto files are its documentation")]
pub mod proto {
    tonic::include_proto!("_");

    /// All of it as descriptors, for the reflection service.
    pub const DESCRIPTORS: &[u8] = tonic::include_file_descriptor_set!("shop");
}
