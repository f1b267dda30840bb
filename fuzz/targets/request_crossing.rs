//! What a client says over HTTP/1.x reaches the app with the same meaning, or is refused; and what reaches the app is the
//! same to a strict reader and to a sloppy one, so that nothing is hidden in it.
#![no_main]

use libfuzzer_sys::arbitrary::Unstructured;
use weft_fuzz::{
    crossing::{cross, same_meaning},
    judge::{Manner, Message, Stop, take},
    request,
};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    match bytes.split_first() {
        // As it is: what a dictionary and earlier finds make of text.
        Some((0..64, text)) => judge(text),
        _ => request::connection(&mut Unstructured::new(bytes)).iter().for_each(|text| judge(text)),
    }
});

fn judge(text: &[u8]) {
    let crossed = cross(text);
    let heard = all(&crossed.out, Manner::Strict);
    assert_eq!(heard.0.len(), crossed.whole);
    assert!(crossed.cut || heard.1.is_empty());
    assert_eq!(heard, all(&crossed.out, Manner::Lenient));
    let mut rest = text;
    for heard in &heard.0 {
        let said = take(&mut rest, Manner::Strict).expect("what goes through is to the letter of the RFC");
        same_meaning(&said, heard);
    }
}

/// All messages that are whole, and what is left.
fn all(mut bytes: &[u8], manner: Manner) -> (Vec<Message>, &[u8]) {
    let mut messages = Vec::new();
    loop {
        match take(&mut bytes, manner) {
            Ok(message) => messages.push(message),
            Err(Stop::Incomplete) => return (messages, bytes),
            Err(Stop::Malformed(what)) => panic!("malformed {what} at {:?}", bytes.escape_ascii().to_string()),
        }
    }
}
