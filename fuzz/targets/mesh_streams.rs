//! The states of a link's streams, with a hostile peer on one side and busy tasks on the other: its books stay in order.
#![no_main]

libfuzzer_sys::fuzz_target!(|script: &[u8]| {
    let _ = weft_proxy::mesh::play(script);
});
