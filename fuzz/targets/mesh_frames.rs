//! Bytes from a peer with a valid certificate: frames, or a broken rule.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = weft_proxy::mesh::feed(bytes);
});
