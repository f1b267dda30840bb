//! Generates the shop's gRPC code from its proto files, without a protoc binary, and keeps what reflection tells of them.

use std::path::PathBuf;

use prost::Message;

const FILES: [&str; 5] = ["events.proto", "inventory.proto", "payments.proto", "two_phase.proto", "users.proto"];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = protox::compile(FILES, ["proto"])?;
    let descriptors = PathBuf::from(std::env::var("OUT_DIR")?).join("shop.bin");
    std::fs::write(descriptors, files.encode_to_vec())?;
    tonic_prost_build::configure().compile_fds(files)?;
    Ok(())
}
