//! The sandbox without a mesh: pods, Services, names, exec, deletion, and its own end.
//!
//! Needs root or user namespaces; where neither is allowed every test fails and says so. The binary is three programs:
//! the tests, the supervisor, and the app in the pods (`serve`).

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test panics when it fails")]

use std::io::{Read, Write};
use std::net::TcpListener;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use weft_sandbox::{Command, Options, Pod, PodName, SUPERVISOR, Sandbox, SandboxError};

type Test = fn() -> Pin<Box<dyn Future<Output = ()>>>;

const TESTS: &[(&str, Test)] = &[
    ("a_service_leads_to_its_ready_pods_by_name_and_family", || Box::pin(service_by_name())),
    ("a_url_on_loopback_leads_to_the_service", || Box::pin(url_on_loopback())),
    ("exec_passes_output_and_exit_code", || Box::pin(exec())),
    ("a_signal_reaches_what_exec_has_started", || Box::pin(exec_signal())),
    ("a_deleted_pod_is_replaced_and_endpoints_follow", || Box::pin(delete())),
    ("a_killed_container_is_started_again_in_its_pod", || Box::pin(restart())),
    ("a_service_without_endpoints_refuses_at_once", || Box::pin(no_endpoints())),
    ("a_pod_has_no_way_out", || Box::pin(no_way_out())),
    ("nothing_is_left_after_the_end", || Box::pin(nothing_left())),
    ("two_run_side_by_side_but_not_under_one_name", || Box::pin(side_by_side())),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some(SUPERVISOR) => weft_sandbox::supervisor::run(),
        Some("serve") => serve(),
        _ => run_tests(&arguments),
    }
}

fn run_tests(arguments: &[String]) -> ExitCode {
    let filter = arguments.iter().find(|argument| !argument.starts_with('-'));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for (name, test) in TESTS.iter().filter(|(name, _)| filter.is_none_or(|filter| name.contains(filter.as_str()))) {
        let begun = tokio::time::Instant::now();
        // A test that panics ends the run, which its message explains.
        runtime.block_on(async { tokio::time::timeout(Duration::from_secs(60), test()).await.expect(name) });
        eprintln!("test {name} ... ok ({:?})", begun.elapsed());
    }
    ExitCode::SUCCESS
}

/// The app: answers each connection with the pod's name.
fn serve() -> ExitCode {
    let listener = TcpListener::bind("[::]:8080").unwrap();
    let pod = std::env::var("POD").unwrap();
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let _ = write!(stream, "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{pod}", pod.len());
    }
    ExitCode::SUCCESS
}

fn manifests() -> String {
    let program = std::env::current_exe().unwrap();
    format!(
        r#"
apiVersion: apps/v1
kind: Deployment
metadata: {{name: web, namespace: shop}}
spec:
  replicas: 2
  template:
    metadata: {{labels: {{app: web}}}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: web
        command: [{program:?}, serve]
        env: [{{name: POD, valueFrom: {{fieldRef: {{fieldPath: metadata.name}}}}}}]
        ports: [{{name: http, containerPort: 8080}}]
        readinessProbe: {{httpGet: {{path: /, port: http}}, periodSeconds: 1}}
---
kind: Service
metadata: {{name: web, namespace: shop}}
spec:
  ipFamilyPolicy: RequireDualStack
  selector: {{app: web}}
  ports: [{{port: 80, targetPort: http}}]
---
kind: Service
metadata: {{name: nobody, namespace: shop}}
spec: {{selector: {{app: nobody}}, ports: [{{port: 80}}]}}
---
kind: Pod
metadata: {{name: client, namespace: other}}
spec: {{containers: [{{name: c, command: [sleep, infinity]}}]}}
"#
    )
}

fn options(name: &str) -> Options {
    let mut options = Options::from_text(&format!("{name}-{}", std::process::id()), &manifests()).unwrap();
    options.program = Some(std::env::current_exe().unwrap());
    options
}

async fn up(name: &str) -> Sandbox {
    match Sandbox::up(options(name)).await {
        Ok(sandbox) => sandbox,
        Err(error) => panic!("THIS TEST CANNOT RUN HERE: {error}"),
    }
}

async fn web_pods(sandbox: &Sandbox) -> Vec<Pod> {
    sandbox.pods().await.unwrap().into_iter().filter(|pod| pod.namespace == "shop").collect()
}

/// Who answers at `address`, dialled from the client's pod.
async fn ask(sandbox: &Sandbox, address: std::net::IpAddr, port: u16) -> Result<String, SandboxError> {
    let mut stream = sandbox.connect(Some(PodName::from("client")), address, port).await?;
    Ok(talk(&mut stream).await)
}

async fn talk(stream: &mut tokio::net::TcpStream) -> String {
    stream.write_all(b"GET / HTTP/1.1\r\nhost: web\r\n\r\n").await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer.rsplit('\n').next().unwrap_or_default().to_owned()
}

async fn service_by_name() {
    let sandbox = up("names").await;
    let services = sandbox.services().await.unwrap();
    let web = services.iter().find(|service| service.name == "web").unwrap();
    let pods: Vec<String> = web_pods(&sandbox).await.into_iter().map(|pod| pod.name).collect();
    assert_eq!(web.addresses.len(), 2, "{web:?}");
    for address in &web.addresses {
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..40 {
            seen.insert(ask(&sandbox, *address, 80).await.unwrap());
        }
        assert_eq!(seen.len(), 2, "{address} leads to {seen:?} of {pods:?}");
    }
    for name in ["web.shop", "web.shop.svc", "web.shop.svc.cluster.local"] {
        let found = sandbox.exec("client", &["getent", "hosts", name]).await.unwrap();
        assert_eq!(found.code, 0, "{name}: {found:?}");
    }
    let short = sandbox.exec("client", &["getent", "hosts", "web"]).await.unwrap();
    assert_ne!(short.code, 0, "the short name is for the own namespace only: {short:?}");
    let own = sandbox.exec(&pods[0], &["getent", "hosts", "web"]).await.unwrap();
    assert_eq!(own.code, 0, "{own:?}");
    sandbox.down().await.unwrap();
}

async fn url_on_loopback() {
    let sandbox = up("url").await;
    let services = sandbox.services().await.unwrap();
    let url = services.iter().find(|service| service.name == "web").unwrap().urls[0].url.clone();
    let mut stream = tokio::net::TcpStream::connect(url.strip_prefix("http://").unwrap()).await.unwrap();
    assert!(talk(&mut stream).await.starts_with("web-"));
}

async fn exec() {
    let sandbox = up("exec").await;
    let output = sandbox.exec("other/client", &["sh", "-c", "echo out; echo err >&2; exit 7"]).await.unwrap();
    assert_eq!((output.code, output.stdout.as_str(), output.stderr.as_str()), (7, "out\n", "err\n"));
    let error = sandbox.exec("client", &["no-such-program"]).await.unwrap_err();
    assert!(error.to_string().contains("no-such-program is neither in PATH nor in"), "{error}");
    let error = sandbox.exec("nobody", &["true"]).await.unwrap_err();
    assert!(error.to_string().contains("there is no pod nobody"), "{error}");
}

async fn exec_signal() {
    let sandbox = up("signal").await;
    let null =
        || std::os::fd::OwnedFd::from(std::fs::File::options().read(true).write(true).open("/dev/null").unwrap());
    let command = Command::new("client", &["sleep", "60"]);
    let mut running = sandbox.start_command(command, [null(), null(), null()]).await.unwrap();
    assert!(std::path::Path::new(&format!("/proc/{}", running.host_pid())).exists());
    running.signal(15).await.unwrap();
    assert_eq!(running.wait().await.unwrap(), 128 + 15);
}

async fn delete() {
    let sandbox = up("delete").await;
    let before = web_pods(&sandbox).await;
    sandbox.delete(&before[0]).await.unwrap();
    sandbox.ready().await.unwrap();
    let after = web_pods(&sandbox).await;
    assert_eq!(after.len(), 2);
    assert!(!after.iter().any(|pod| pod.name == before[0].name), "{after:?}");
    sandbox.scale("web", 1).await.unwrap();
    sandbox.ready().await.unwrap();
    let left = web_pods(&sandbox).await;
    let services = sandbox.services().await.unwrap();
    for _ in 0..10 {
        assert_eq!(ask(&sandbox, services[0].addresses[0], 80).await.unwrap(), left[0].name);
    }
    sandbox.delete("client").await.unwrap();
    sandbox.ready().await.unwrap();
    assert!(sandbox.pods().await.unwrap().iter().any(|pod| pod.name == "client"), "a Pod keeps its name");
}

async fn restart() {
    let sandbox = up("restart").await;
    let before = web_pods(&sandbox).await.remove(0);
    sandbox.kill(&before, "web", 9).await.unwrap();
    let again = async {
        loop {
            let now = sandbox.find(&before).await.unwrap();
            if now.ready && now.containers[0].restarts == 1 {
                return now;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let now = tokio::time::timeout(Duration::from_secs(10), again).await.expect("the container comes back");
    assert_eq!(now.address, before.address);
    assert_ne!(now.pids, before.pids);
}

async fn no_endpoints() {
    let sandbox = up("empty").await;
    let services = sandbox.services().await.unwrap();
    let nobody = services.iter().find(|service| service.name == "nobody").unwrap();
    let begun = tokio::time::Instant::now();
    let error = ask(&sandbox, nobody.addresses[0], 80).await.unwrap_err();
    assert!(error.to_string().contains("refused"), "{error}");
    assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
}

async fn no_way_out() {
    let sandbox = up("out").await;
    let error = ask(&sandbox, "192.0.2.1".parse().unwrap(), 80).await.unwrap_err();
    assert!(error.to_string().contains("unreachable"), "{error}");
}

async fn nothing_left() {
    let sandbox = up("end").await;
    let pids: Vec<i32> = sandbox.pods().await.unwrap().into_iter().flat_map(|pod| pod.pids).collect();
    assert_eq!(pids.len(), 3);
    let folder = sandbox.folder().to_owned();
    drop(sandbox);
    for pid in pids {
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "{pid} lives on");
    }
    assert!(!folder.exists());
}

async fn side_by_side() {
    let one = up("one").await;
    let two = up("two").await;
    let refused = Sandbox::up(options("one")).await.unwrap_err();
    assert!(refused.to_string().contains("runs already"), "{refused}");
    assert_eq!(two.pods().await.unwrap().len(), one.pods().await.unwrap().len());
}
