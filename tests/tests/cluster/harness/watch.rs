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
    /// It is ready.
    pub ready: Option<u128>,
    /// It is being deleted: it has a deletionTimestamp.
    pub deleted: Option<u128>,
}

/// A watch on all pods of a namespace. It ends with this value.
pub struct Watch {
    child: Child,
    seen: Arc<Mutex<HashMap<String, PodEvent>>>,
}

impl Watch {
    /// Begins to watch.
    pub fn pods(namespace: &Namespace) -> Self {
        let line = "jsonpath={.metadata.name} {.status.conditions[?(@.type==\"Ready\")].status} \
                    {.metadata.deletionTimestamp}{\"\\n\"}";
        let mut command = namespace.cluster.command_now("kubectl");
        command.args(["--namespace", &namespace.name, "get", "pods", "--watch", "--output", line]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("kubectl");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let seen: Arc<Mutex<HashMap<String, PodEvent>>> = Arc::default();
        let events = seen.clone();
        std::thread::spawn(move || lines.map_while(Result::ok).for_each(|line| note(&events, &line)));
        Self { child, seen }
    }

    /// What was said so far, by pod.
    pub fn seen(&self) -> HashMap<String, PodEvent> {
        self.seen.lock().unwrap().clone()
    }
}

fn note(events: &Mutex<HashMap<String, PodEvent>>, line: &str) {
    let mut words = line.split(' ');
    let (Some(pod), ready, deleted) = (words.next(), words.next(), words.next()) else { return };
    let mut events = events.lock().unwrap();
    let event = events.entry(pod.to_owned()).or_default();
    if ready == Some("True") {
        event.ready.get_or_insert_with(micros_now);
    }
    if deleted.is_some_and(|time| !time.is_empty()) {
        event.deleted.get_or_insert_with(micros_now);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
