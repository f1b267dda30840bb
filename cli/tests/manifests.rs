//! The three ways to install give the same objects: `kubectl kustomize deploy/k8s`, `weft install`, and the Helm chart.
//!
//! Needs kubectl (or kustomize) and helm, from PATH or from target/tools (`make tools`). Where one is missing these tests fail in CI
//! (the variable CI is set), and say elsewhere that they did not run.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test panics when it fails")]

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;
use serde_json::Value;

/// What `weft install` is told, what Helm is told, and which folder of deploy/k8s says the same.
const CHOICES: &[(&[&str], &[&str], Option<&str>)] = &[
    (&[], &[], Some("deploy/k8s")),
    (&["--ha"], &["ha=true"], Some("deploy/k8s/overlays/ha")),
    (&["--skip-gateway-api"], &["gatewayApi=false"], None),
    (&["--tap"], &["tap=true"], None),
    (
        &[
            "--ha",
            "--image-registry=registry.example.com:5000/mesh",
            "--image-version=1.2.3",
            "--trust-domain=example.com",
            "--cluster-ranges=10.0.0.0/8,fd00::/8",
            "--log-level=debug",
        ],
        &[
            "ha=true",
            "imageRegistry=registry.example.com:5000/mesh",
            "imageVersion=1.2.3",
            "trustDomain=example.com",
            "clusterRanges=10.0.0.0/8\\,fd00::/8",
            "logLevel=debug",
        ],
        None,
    ),
];

type Objects = BTreeMap<String, Value>;

#[test]
fn install_prints_what_kustomize_makes() {
    let Some(kustomize) = tool(&["kubectl", "kustomize"]) else { return };
    for (flags, _, folder) in CHOICES {
        let Some(folder) = folder else { continue };
        let verb = if kustomize.ends_with("kubectl") { "kustomize" } else { "build" };
        let kustomized = objects(&output(Command::new(&kustomize).arg(verb).arg(repository().join(folder))));
        same(&install(flags), &kustomized, folder);
    }
}

#[test]
fn install_prints_what_helm_makes() {
    let Some(helm) = tool(&["helm"]) else { return };
    let chart = repository().join("deploy/helm/weft");
    for (flags, values, _) in CHOICES {
        let set = values.iter().flat_map(|value| ["--set", value]);
        let templated =
            output(Command::new(&helm).args(["template", "weft", "--kube-version=1.34.0"]).arg(&chart).args(set));
        same(&install(flags), &objects(&templated), &format!("helm with {values:?}"));
    }
}

#[test]
fn the_charts_template_and_the_versions_are_up_to_date() {
    let chart = repository().join("deploy/helm/weft");
    let text = |file: &str| std::fs::read_to_string(chart.join(file)).unwrap();
    let printed = output(Command::new(env!("CARGO_BIN_EXE_weft")).args(["install", "--chart-template"]));
    assert!(text("templates/deployment.yaml") == printed, "deployment.yaml is out of date: run `make manifests`");
    let version = env!("CARGO_PKG_VERSION");
    assert!(text("Chart.yaml").contains(&format!("\nversion: {version}\nappVersion: {version}\n")));
    assert!(text("values.yaml").contains(&format!("\nimageVersion: {version}\n")));
}

#[test]
fn what_the_control_plane_would_refuse_is_refused_before_the_cluster_sees_it() {
    let flags = ["install", "--trust-domain=a/b", "--cluster-ranges=10.0.0.0/99", "--log-level=loud"];
    let refused = Command::new(env!("CARGO_BIN_EXE_weft")).args(flags).output().unwrap();
    let message = String::from_utf8(refused.stderr).unwrap();
    assert!(!refused.status.success() && refused.stdout.is_empty());
    for name in ["WEFT_TRUST_DOMAIN=a/b", "WEFT_CLUSTER_RANGES=10.0.0.0/99", "WEFT_LOG=loud"] {
        assert!(message.contains(name), "{message}");
    }
}

#[test]
fn every_object_says_that_it_is_part_of_weft_and_fits_into_an_annotation() {
    for (name, object) in install(&["--ha"]) {
        assert_eq!(object["metadata"]["labels"]["app.kubernetes.io/part-of"], "weft", "{name}");
        // `kubectl apply` keeps what it applies in an annotation; this is the limit of all annotations together.
        assert!(object.to_string().len() < 262_144 - 1024, "{name} is too large for `kubectl apply`");
    }
}

fn install(flags: &[&str]) -> Objects {
    objects(&output(Command::new(env!("CARGO_BIN_EXE_weft")).arg("install").args(flags)))
}

fn objects(text: &str) -> Objects {
    let documents = serde_yaml_ng::Deserializer::from_str(text);
    let all = documents.map(|document| Value::deserialize(document).unwrap()).filter(|object| !object.is_null());
    let named = all.map(|object| {
        let metadata = &object["metadata"];
        (format!("{} {} {}", object["kind"], metadata["namespace"], metadata["name"]), object)
    });
    named.collect()
}

fn same(ours: &Objects, theirs: &Objects, other: &str) {
    let names = |objects: &Objects| objects.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(ours), names(theirs), "{other} has other objects");
    for (name, object) in ours {
        assert!(*object == theirs[name], "{name} differs in {other}: {object:#} is not {:#}", theirs[name]);
    }
}

fn output(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The first of these tools that there is.
#[expect(clippy::explicit_write, reason = "the test harness keeps what a passing test prints by macros")]
fn tool(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let built = Path::new(env!("CARGO_BIN_EXE_weft")).ancestors().nth(2).unwrap().join("tools");
    let folders: Vec<PathBuf> = std::env::split_paths(&path).chain([built]).collect();
    let files = names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    let found = files.into_iter().find(|file| file.is_file());
    if found.is_none() {
        let message = format!("{} is neither in PATH nor in target/tools: run `make tools`", names.join(" or "));
        assert!(std::env::var_os("CI").is_none(), "{message}");
        writeln!(std::io::stderr(), "NOT RUN: {message}").unwrap();
    }
    found
}
