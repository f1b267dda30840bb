//! What the client of the Watch stream says, and when there is something to say.

use std::collections::BTreeSet;

use weft_api::{
    Key,
    pb::{self, watch_request::Message},
};

use super::Watch;

impl Watch {
    /// The first word on a stream.
    pub(super) fn hello(&mut self) -> pb::Hello {
        self.report = None;
        self.reports.mark_changed();
        let have = self.picture.begin_stream();
        pb::Hello {
            workload: Some(self.workload.clone()),
            proxy_version: env!("CARGO_PKG_VERSION").to_owned(),
            have: have.iter().map(|(key, version)| resource_version(key, version.0)).collect(),
        }
    }

    /// Whether [`Self::next`] has something.
    pub(super) fn has_news(&self) -> bool {
        self.report.is_some() || !self.picture.subscriptions.told() || !self.picture.applied.is_empty()
    }

    /// The next thing to say: subscriptions first, as somebody waits for their answers.
    pub(super) fn next(&mut self) -> Option<pb::WatchRequest> {
        let keys = |keys: BTreeSet<Key>| keys.iter().map(pb::ResourceKey::from).collect::<Vec<_>>();
        let old = self.picture.subscriptions.take_old();
        if !old.is_empty() {
            return Some(message(Message::Unsubscribe(pb::Unsubscribe { keys: keys(old) })));
        }
        let new = self.picture.subscriptions.take_new();
        if !new.is_empty() {
            return Some(message(Message::Subscribe(pb::Subscribe { keys: keys(new) })));
        }
        if let Some(report) = self.report.take() {
            return Some(message(Message::Report(report)));
        }
        let applied = self.picture.take_applied();
        let versions = applied.iter().map(|(key, version)| resource_version(key, *version)).collect();
        (!applied.is_empty()).then(|| message(Message::Applied(pb::Applied { versions })))
    }
}

pub(super) fn message(message: Message) -> pb::WatchRequest {
    pb::WatchRequest { message: Some(message) }
}

fn resource_version(key: &Key, version: u64) -> pb::ResourceVersion {
    pb::ResourceVersion { key: Some(key.into()), version }
}
