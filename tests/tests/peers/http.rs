//! HTTP/1.1 and HTTP/2 between other people's clients and servers: curl, h2load and wrk; nginx and Node.

use weft_tests::mesh::Mesh;

use crate::harness::{REQUESTS, app, crossed, mesh, peers, run};

/// The ports of both servers, curl's word for what is spoken there, and its version as curl prints it.
const VERSIONS: [(u16, &str, &str); 2] = [(8080, "--http1.1", "1.1"), (8081, "--http2-prior-knowledge", "2")];
const FILE: usize = 20_000_000;

async fn nginx(nginx: &str) -> Mesh {
    mesh(&[nginx, "-p", ".", "-c", &app("nginx.conf")], &[8080, 8081]).await
}

/// What curl prints, without its progress.
async fn curl(mesh: &Mesh, curl: &str, arguments: &[&str]) -> String {
    run(mesh, "client", &[&[curl, "--silent", "--show-error", "--max-time", "60"], arguments].concat()).await
}

/// Writes a file that no compression and no constant could stand for.
fn write_file(mesh: &Mesh) -> Vec<u8> {
    let bytes: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..)).take(FILE).collect();
    std::fs::write(mesh.folder.path().join("file"), &bytes).unwrap();
    bytes
}

#[tokio::test]
async fn curl_puts_a_file_on_nginx_and_gets_it_back() {
    let Some([server, client]) = peers(["nginx", "curl"]) else { return };
    let mesh = nginx(&server).await;
    let file = write_file(&mesh);
    for (port, flag, version) in VERSIONS {
        let url = |name: &str| format!("http://server:{port}/files/{name}");
        let told = ["--write-out", "%{http_version} %{response_code} %{size_download}", flag];
        for (name, more) in [("length", &[][..]), ("chunked", &["--header", "Transfer-Encoding: chunked"])] {
            // HTTP/2 has no such field: there curl leaves it out.
            let file_url = url(&format!("{name}-{port}"));
            let put = [&told[..], more, &["--upload-file", "file", &file_url]].concat();
            assert_eq!(curl(&mesh, &client, &put).await, format!("{version} 201 0"));
            let got = curl(&mesh, &client, &[&told[..], &["--output", "got", &file_url]].concat()).await;
            assert_eq!(got, format!("{version} 200 {FILE}"));
            assert!(std::fs::read(mesh.folder.path().join("got")).unwrap() == file, "{name} came back otherwise");
        }
        let part =
            curl(&mesh, &client, &[&told[..], &["--range", "5-9", &url(&format!("length-{port}"))]].concat()).await;
        assert!(part.ends_with(&format!("{version} 206 5")), "{part:?}");
    }
    assert_eq!(crossed(&mesh, REQUESTS).await, 10.0);
}

#[tokio::test]
async fn curl_and_node_agree_on_continue_trailers_and_early_answers() {
    let Some([node, client]) = peers(["node", "curl"]) else { return };
    let mesh = mesh(&[&node, &app("http-server.js")], &[8080, 8081]).await;
    write_file(&mesh);
    let sum = run(&mesh, "client", &["sha256sum", "file"]).await;
    let wanted = format!("PUT {}", sum.split(' ').next().unwrap());
    for (port, flag, version) in VERSIONS {
        let url = |path: &str| format!("http://server:{port}{path}");
        let put = [flag, "--include", "--upload-file", "file"];
        let answer = curl(&mesh, &client, &[&put[..], &["--header", "Expect: 100-continue", &url("/")]].concat()).await;
        assert!(answer.contains(&format!("HTTP/{version} 100")), "no 100 (Continue): {answer}");
        assert!(answer.contains(&wanted), "{answer} has no {wanted}");
        assert!(answer.contains(&format!("x-length: {FILE}")), "no trailer: {answer}");
        let answer = curl(&mesh, &client, &[flag, "--include", &url("/hints")]).await;
        assert!(answer.contains(&format!("HTTP/{version} 103")), "no 103 (Early Hints): {answer}");
        let answer = curl(&mesh, &client, &[flag, "--head", &url("/")]).await;
        assert!(answer.contains(&format!("HTTP/{version} 200")), "{answer}");
    }
    let put = ["--http1.1", "--include", "--upload-file", "file", "--header", "Expect: 100-continue"];
    let answer = curl(&mesh, &client, &[&put[..], &["http://server:8080/refuse"]].concat()).await;
    assert!(!answer.contains("100 Continue") && answer.contains("not here"), "{answer}");
    // Answered before the body was read.
    let answer = curl(&mesh, &client, &[&put[..], &["http://server:8080/early"]].concat()).await;
    assert!(answer.contains("HTTP/1.1 413") && answer.contains("too large"), "{answer}");
}

/// RFC 9113 section 8.1: after a whole answer the server may ask by RST_STREAM with NO_ERROR that the rest of the request
/// not be sent, and the answer must not be discarded. (curl 7.88 discards it, from Node itself too.)
#[tokio::test]
async fn nghttp_gets_an_answer_that_comes_before_its_request_was_read() {
    let Some([node, nghttp]) = peers(["node", "nghttp"]) else { return };
    let mesh = mesh(&[&node, &app("http-server.js")], &[8080, 8081]).await;
    write_file(&mesh);
    for pod in ["client", "outside", "client", "outside"] {
        let put = [&nghttp, "--verbose", "--header=:method: PUT", "--data=file", "http://server:8081/early"];
        let told = run(&mesh, pod, &put).await;
        assert!(told.contains(":status: 413") && told.contains("too large"), "{pod}: {told}");
        let resets = told.matches("error_code=").count();
        assert_eq!(told.matches("error_code=NO_ERROR").count(), resets, "{pod}: {told}");
    }
}

/// nginx ends a connection of HTTP/2 after 1,000 requests, with others on it that it has not processed. (POSTs of a client
/// outside of the mesh are left out: nobody keeps their bodies for a second try.)
#[tokio::test]
async fn h2load_sees_every_request_succeed() {
    let Some([server, h2load]) = peers(["nginx", "h2load"]) else { return };
    let mesh = nginx(&server).await;
    std::fs::write(mesh.folder.path().join("body"), "a small body").unwrap();
    let http2 = &["--no-tls-proto=h2c", "http://server:8081/"][..];
    let post = &["--no-tls-proto=h2c", "--data=body", "http://server:8081/"][..];
    let http1 = &["--h1", "http://server:8080/"][..];
    for (pod, asked) in [("client", http2), ("client", post), ("client", http1), ("outside", http2), ("outside", http1)]
    {
        let report = run(&mesh, pod, &[&[&*h2load, "-n", "4000", "-c", "4", "-m", "8"], asked].concat()).await;
        assert!(report.contains("4000 succeeded, 0 failed, 0 errored, 0 timeout"), "{pod} {asked:?}: {report}");
        assert!(report.contains("status codes: 4000 2xx"), "{pod} {asked:?}: {report}");
    }
    assert_eq!(crossed(&mesh, REQUESTS).await, 12000.0);
}

#[tokio::test]
async fn wrk_sees_no_error() {
    let Some([server, wrk]) = peers(["nginx", "wrk"]) else { return };
    let mesh = nginx(&server).await;
    let report =
        run(&mesh, "client", &[&wrk, "-t", "2", "-c", "32", "-d", "2s", "--timeout", "30s", "http://server:8080/"])
            .await;
    assert!(!report.contains("Socket errors") && !report.contains("Non-2xx"), "{report}");
    let line = report.lines().find(|line| line.contains(" requests in ")).expect("no count");
    let requests: f64 = line.split_whitespace().next().unwrap().parse().unwrap();
    assert!(requests > 0.0 && crossed(&mesh, REQUESTS).await >= requests, "{report}");
}
