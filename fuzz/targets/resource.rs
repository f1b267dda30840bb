//! What the control plane tells, from its bytes to the types that proxies work with, and back.
#![no_main]

use prost::Message;
use weft_api::{Resource, pb};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(wire) = pb::Resource::decode(bytes) else { return };
    let Ok((key, version, resource)) = Resource::read(wire) else { return };
    let content = Some(resource.clone().into_content());
    let again = pb::Resource { key: Some((&key).into()), version: version.0, content };
    let again = Resource::read(again).expect("what was read can be written and read again");
    assert_eq!(again, (key, version, resource));
});
