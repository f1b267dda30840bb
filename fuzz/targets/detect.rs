//! Protocol detection: a decision once made stands, and is made in time.
#![no_main]

use weft_proxy::detect::{Detected, LIMIT, detect};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let mut before = Detected::More;
    for end in 0..=bytes.len().min(LIMIT) {
        let now = detect(&bytes[..end]);
        assert!(before == Detected::More || before == now, "{before:?}, then {now:?}");
        before = now;
    }
    assert!(bytes.len() <= LIMIT || detect(bytes) != Detected::More);
});
