//! Which of a rule's backends a request goes to: by chance, in proportion to the weights.

use std::sync::Arc;

use weft_api::{Backend as BackendView, Destination};

use crate::balance::Backend;

/// The backends of a rule.
#[derive(Debug, Default)]
pub struct Split {
    /// Sum of the weights up to and with each backend; those of weight 0 are left out. None: it does not exist.
    shares: Vec<(u64, Option<Arc<Backend>>)>,
}

impl Split {
    pub(super) fn new(views: Vec<BackendView>, backend: &mut impl FnMut(&Destination) -> Arc<Backend>) -> Self {
        let mut sum = 0;
        let mut shares = Vec::with_capacity(views.len());
        for view in views {
            let (BackendView::Destination { weight, .. } | BackendView::Invalid { weight }) = &view;
            if *weight == 0 {
                continue;
            }
            sum += u64::from(*weight);
            let chosen = match &view {
                BackendView::Destination { destination, .. } => Some(backend(destination)),
                BackendView::Invalid { .. } => None,
            };
            shares.push((sum, chosen));
        }
        Self { shares }
    }

    /// A backend by weight. None: this request's share belongs to nobody, 500 (Gateway API).
    pub fn pick(&self) -> Option<&Arc<Backend>> {
        let (total, _) = self.shares.last()?;
        let point = fastrand::u64(..*total);
        let index = self.shares.partition_point(|(sum, _)| *sum <= point);
        self.shares.get(index)?.1.as_ref()
    }

    /// Every backend that exists and has a share.
    pub fn backends(&self) -> impl Iterator<Item = &Arc<Backend>> {
        self.shares.iter().filter_map(|(_, backend)| backend.as_ref())
    }
}
