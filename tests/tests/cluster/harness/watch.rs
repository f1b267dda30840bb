//! When the API server said what of a pod.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader},
    process::{Child, Stdio},
    sync::{Arc, Mutex},
    time::{SystemTime, UNIX_EPOCH},
};

use super::Namespace;

/// Microseconds since 1970, by the clock that nodes and tests share.
pub fn micros_now() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros()
}

/// When something was first said of a pod, in microseconds since 1970.
#[derive(Clone, Copy, Debug, Default)]
pub struct PodEvent {
    /// An EndpointSlice says that it is ready, which is how a Service's clients hear of it.
    pub ready: Option<u128>,
    /// It is being deleted: it has a deletionTimestamp.
    pub deleted: Option<u128>,
}

/// A watch on all pods of a namespace, and on what EndpointSlices say of them. It ends with this value.
pub struct Watch {
    children: [Child; 2],
    seen: Arc<Mutex<HashMap<String, PodEvent>>>,
}

impl Watch {
    /// Begins to watch.
    pub fn pods(namespace: &Namespace) -> Self {
        let seen = Arc::<Mutex<HashMap<String, PodEvent>>>::default();
        let deleted = "{.metadata.name} {.metadata.deletionTimestamp}";
        let pods = watch(namespace, "pods", deleted, seen.clone(), |seen, line| {
            if let Some((pod, time)) = line.split_once(' ')
                && !time.is_empty()
            {
                seen.entry(pod.to_owned()).or_default().deleted.get_or_insert_with(micros_now);
            }
        });
        let ready = "{.endpoints[?(@.conditions.ready==true)].targetRef.name}";
        let slices = watch(namespace, "endpointslices", ready, seen.clone(), |seen, line| {
            for pod in line.split_whitespace() {
                seen.entry(pod.to_owned()).or_default().ready.get_or_insert_with(micros_now);
            }
        });
        Self { children: [pods, slices], seen }
    }

    /// What was said so far, by pod.
    pub fn seen(&self) -> HashMap<String, PodEvent> {
        self.seen.lock().unwrap().clone()
    }
}

/// Calls `note` with the line that `template` makes of each event of a kind.
fn watch(
    namespace: &Namespace,
    kind: &str,
    template: &str,
    seen: Arc<Mutex<HashMap<String, PodEvent>>>,
    note: fn(&mut HashMap<String, PodEvent>, &str),
) -> Child {
    let output = format!("jsonpath={template}{{\"\\n\"}}");
    let mut command = namespace.cluster.command_now("kubectl");
    command.args(["--namespace", &namespace.name, "get", kind, "--watch", "--output", &output]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("kubectl");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| note(&mut seen.lock().unwrap(), &line)));
    child
}

impl Drop for Watch {
    fn drop(&mut self) {
        for child in &mut self.children {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
