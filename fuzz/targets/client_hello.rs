//! The server name in a ClientHello: what rustls reads there is what Weft reads, however few of the bytes have come.
#![no_main]

use rustls::server::Acceptor;
use weft_proxy::detect::server_name;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let name = server_name(bytes);
    for end in 0..bytes.len() {
        let part = server_name(&bytes[..end]);
        assert!(part.is_none() || part == name, "{part:?} of {end} bytes");
    }
    if let Some(wanted) = by_rustls(bytes) {
        assert!(name.is_none_or(|name| name.eq_ignore_ascii_case(&wanted)), "{name:?} is not {wanted:?}");
    }
});

fn by_rustls(mut bytes: &[u8]) -> Option<String> {
    let mut acceptor = Acceptor::default();
    acceptor.read_tls(&mut bytes).ok()?;
    let accepted = acceptor.accept().ok()??;
    accepted.client_hello().server_name().map(str::to_owned)
}
