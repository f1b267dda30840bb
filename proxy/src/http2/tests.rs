use ::http::Request;

use super::*;

#[test]
fn a_request_of_http_2_crosses_the_mesh() {
    let request = Request::post("http://shop:8080/a?b").header("x", "1").header("weft-y", "2").body(()).unwrap();
    let mut payload = Vec::new();
    let framing = request_to_head(&request, false, &Limits::default(), &mut payload).unwrap();
    assert_eq!(framing, Framing::Chunked);
    let back = head_to_request(&payload, &[]).unwrap();
    assert_eq!((back.method(), back.uri()), (request.method(), request.uri()));
    assert_eq!(back.headers().len(), 1);
}
