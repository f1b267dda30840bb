//! The inbound policy of this proxy's own pod.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use tokio::{
    sync::watch,
    time::{Instant, timeout_at},
};
use weft_api::{AppProtocol, InboundRule, InboundView, ServiceName};

use crate::hash::QuickMap;

/// What is known about one port of the pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PortPolicy {
    /// What it speaks, as declared.
    pub protocol: AppProtocol,
    /// A Service that leads there, for metrics.
    pub service: Option<ServiceName>,
    /// Who may call it.
    pub rule: InboundRule,
}

/// Policy by port. Nothing is let in by default before the control plane has spoken once.
#[derive(Debug, Default)]
pub struct InboundPolicies {
    table: ArcSwapOption<Table>,
    updates: watch::Sender<u64>,
}

#[derive(Debug)]
struct Table {
    view: Arc<InboundView>,
    ports: QuickMap<u16, Arc<PortPolicy>>,
    default: Arc<PortPolicy>,
}

impl InboundPolicies {
    /// What is known about a port. None: nothing is known yet about any.
    pub fn port(&self, port: u16) -> Option<Arc<PortPolicy>> {
        let table = self.table.load();
        let table = table.as_ref()?;
        Some(Arc::clone(table.ports.get(&port).unwrap_or(&table.default)))
    }

    /// The same, waiting for the first answer until `deadline`. Cancel-safe.
    pub async fn port_by(&self, port: u16, deadline: Instant) -> Option<Arc<PortPolicy>> {
        let mut changes = self.changes();
        loop {
            if let Some(policy) = self.port(port) {
                return Some(policy);
            }
            timeout_at(deadline, changes.changed()).await.ok()?.ok()?;
        }
    }

    /// The whole, for `/config`.
    pub fn view(&self) -> Option<Arc<InboundView>> {
        self.table.load().as_ref().map(|table| Arc::clone(&table.view))
    }

    /// Sees every change after this call: connections that are open may no longer be allowed.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.updates.subscribe()
    }

    /// Takes what the control plane says.
    pub fn update(&self, view: InboundView) {
        let port = |port: &weft_api::InboundPort| {
            let (service, rule) = (port.service.clone(), port.rule.clone());
            (port.port, Arc::new(PortPolicy { protocol: port.protocol, service, rule }))
        };
        let table = Table {
            ports: view.ports.iter().map(port).collect(),
            default: Arc::new(PortPolicy { rule: view.default_rule.clone(), ..Default::default() }),
            view: Arc::new(view),
        };
        self.table.store(Some(Arc::new(table)));
        self.updates.send_modify(|count| *count += 1);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn view(port: u16) -> InboundView {
        let rule = InboundRule { require_mtls: true, ..Default::default() };
        let port = weft_api::InboundPort { port, protocol: AppProtocol::Http1, service: None, rule };
        InboundView { ports: vec![port], ..InboundView::default() }
    }

    #[test]
    fn nothing_is_known_before_the_first_answer() {
        assert_eq!(InboundPolicies::default().port(80), None);
    }

    #[test]
    fn a_port_that_is_not_named_follows_the_default_rule() {
        let policies = InboundPolicies::default();
        policies.update(view(80));
        assert!(policies.port(80).unwrap().rule.require_mtls);
        assert!(!policies.port(81).unwrap().rule.require_mtls);
    }

    #[tokio::test(start_paused = true)]
    async fn the_first_answer_is_waited_for_within_a_bound() {
        let policies = InboundPolicies::default();
        let deadline = Instant::now() + Duration::from_secs(1);
        assert_eq!(policies.port_by(80, deadline).await, None);
        let deadline = Instant::now() + Duration::from_secs(1);
        let (policy, ()) = tokio::join!(policies.port_by(80, deadline), async { policies.update(view(80)) });
        assert!(policy.is_some());
    }
}
