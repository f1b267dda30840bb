//! Generates the contract's code from the proto files, without a protoc binary.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files =
        protox::compile(["grpc/health/v1/health.proto", "otlp/v1/trace.proto", "weft/v1/weft.proto"], ["proto"])?;
    tonic_prost_build::configure().compile_fds(files)?;
    Ok(())
}
