use std::{fs, io::Write};

use tempfile::TempDir;
use tokio::{
    sync::mpsc,
    time::{error::Elapsed, timeout},
};

use super::*;
use crate::{
    index::{Affected, Index, ObjectKind, ObjectName},
    registry::Place,
};

/// A registry over a folder of its own, and the index that it feeds.
struct Fixture {
    folder: TempDir,
    events: mpsc::UnboundedReceiver<Vec<Event>>,
    condition: watch::Receiver<Arc<Condition>>,
    index: Index,
    stop: CancellationToken,
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Fixture {
    async fn with(files: &[(&str, &str)]) -> Self {
        let folder = TempDir::new().unwrap();
        files.iter().for_each(|(name, text)| fs::write(folder.path().join(name), text).unwrap());
        let (registry, condition) = FileRegistry::new(folder.path());
        let (sender, events) = mpsc::unbounded_channel();
        let stop = CancellationToken::new();
        let run = registry.run(move |events| drop(sender.send(events)), stop.clone());
        tokio_util::task::TaskTracker::new().spawn(run);
        let mut fixture = Self { folder, events, condition, index: Index::default(), stop };
        fixture.next().await.unwrap();
        fixture
    }

    /// Waits for one batch: within the 100 ms that are promised, and some for a machine that is busy.
    async fn next(&mut self) -> Result<(), Elapsed> {
        let events = timeout(Duration::from_millis(1500), self.events.recv()).await?.unwrap();
        for event in events {
            match event {
                Event::Apply(object) => self.index.apply(object, &mut Affected::default()),
                Event::Delete(key) => self.index.delete(&key, &mut Affected::default()),
                Event::Reset(objects) => self.index.reset(objects, &mut Affected::default()),
            }
        }
        Ok(())
    }

    async fn eventually(&mut self, holds: impl Fn(&Self) -> bool) {
        while !holds(self) {
            self.next().await.expect("the change was told");
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn has(&self, pod: &str) -> bool {
        self.index.pod(&ObjectName::new("shop", pod)).is_some()
    }
}

fn pod(name: &str) -> String {
    format!("---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: shop}}\n")
}

#[tokio::test]
async fn the_first_event_holds_everything_that_is_there() {
    let both = pod("a") + &pod("b");
    let fixture = Fixture::with(&[("one.yaml", &both), (".hidden.yaml", &pod("c")), ("note.txt", "x")]).await;
    assert_eq!(fixture.index.count(ObjectKind::Pod), 2);
}

#[tokio::test]
async fn a_write_is_told_at_once_and_so_is_a_removal() {
    let mut fixture = Fixture::with(&[]).await;
    let mut quickest = Duration::MAX;
    for name in ["a", "b", "c", "d", "e"] {
        let written = Instant::now();
        fs::write(fixture.path(&format!("{name}.yaml")), pod(name)).unwrap();
        fixture.eventually(|fixture| fixture.has(name)).await;
        quickest = quickest.min(written.elapsed());
    }
    assert!(quickest < Duration::from_millis(100), "the quickest of five took {quickest:?}");
    fs::remove_file(fixture.path("a.yaml")).unwrap();
    fixture.eventually(|fixture| !fixture.has("a")).await;
}

#[tokio::test]
async fn a_file_that_takes_anothers_place_is_never_seen_empty() {
    let mut fixture = Fixture::with(&[("a.yaml", &pod("a"))]).await;
    fs::write(fixture.path(".a.new"), pod("a") + &pod("b")).unwrap();
    fs::rename(fixture.path(".a.new"), fixture.path("a.yaml")).unwrap();
    fixture.next().await.unwrap();
    assert!(fixture.has("a") && fixture.has("b"));
}

#[tokio::test]
async fn a_writer_that_pauses_in_the_middle_takes_nothing_away() {
    let mut fixture = Fixture::with(&[("a.yaml", &(pod("a") + &pod("b")))]).await;
    let mut file = fs::File::create(fixture.path("a.yaml")).unwrap();
    file.write_all(pod("a").as_bytes()).unwrap();
    let quiet = timeout(Duration::from_millis(250), fixture.events.recv()).await;
    assert!(quiet.is_err(), "half a file was taken: {quiet:?}");
    file.write_all((pod("b") + &pod("c")).as_bytes()).unwrap();
    drop(file);
    fixture.eventually(|fixture| fixture.has("c")).await;
    assert!(fixture.has("a") && fixture.has("b"));
}

#[tokio::test]
async fn a_broken_file_keeps_its_last_good_state_and_is_reported() {
    let mut fixture = Fixture::with(&[("a.yaml", &pod("a")), ("b.yaml", &pod("b"))]).await;
    fs::write(fixture.path("a.yaml"), "# head\nkind: [\n").unwrap();
    let condition = fixture.condition.wait_for(|condition| !condition.broken.is_empty()).await.unwrap().clone();
    let [broken] = &*condition.broken else { panic!("{condition:?}") };
    let Place::File { file, line } = &broken.place else { panic!("{broken:?}") };
    assert!(file.ends_with("a.yaml") && *line >= 2, "{broken:?}");
    fs::write(fixture.path("b.yaml"), pod("c")).unwrap();
    fixture.eventually(|fixture| fixture.has("c")).await;
    assert!(fixture.has("a"), "the broken file's object stays");

    fs::write(fixture.path("a.yaml"), pod("d")).unwrap();
    fixture.eventually(|fixture| fixture.has("d") && !fixture.has("a")).await;
    fixture.condition.wait_for(|condition| condition.broken.is_empty()).await.unwrap();
}

#[tokio::test]
async fn an_object_in_two_files_is_the_firsts_until_that_is_gone() {
    let labelled = pod("a").replace("namespace: shop", "namespace: shop, labels: {from: b}");
    let mut fixture = Fixture::with(&[("a.yaml", &pod("a")), ("b.yaml", &labelled)]).await;
    let labels = |fixture: &Fixture| fixture.index.pod(&ObjectName::new("shop", "a")).map(|pod| pod.labels.len());
    assert_eq!(labels(&fixture), Some(0));
    assert_eq!(fixture.condition.borrow().warnings.len(), 1);
    fs::remove_file(fixture.path("a.yaml")).unwrap();
    fixture.eventually(|fixture| labels(fixture) == Some(1)).await;
}
