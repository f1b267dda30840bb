//! A tap's lines for people.

use weft_control_plane::tap::{Line, Party, Tapped};

/// Writes lines; callers keep their column, as wide as the widest so far.
#[derive(Default)]
pub(super) struct Text {
    widest: usize,
}

impl Text {
    pub(super) fn line(&mut self, line: &Line) -> String {
        match line {
            Line::Request(request) => self.request(request),
            Line::Tapping { pods, left_out: 0 } => format!("looking at {}", proxies(*pods)),
            Line::Tapping { pods, left_out } => {
                format!(
                    "looking at {}; {left_out} more pods are left out, without a sidecar or beyond the most",
                    proxies(*pods)
                )
            }
            Line::Dropped { requests } => format!("{requests} requests were not shown: there were too many"),
            Line::Lost { pod, error } => format!("{pod} does not tell: {error}"),
        }
    }

    fn request(&mut self, request: &Tapped) -> String {
        let parties = format!("{} -> {}", name(&request.from), callee(request));
        self.widest = self.widest.max(parties.chars().count());
        let status = request.status.map_or_else(|| "none".to_owned(), |status| status.to_string());
        let grpc = request.grpc_status.map(|status| format!(" grpc={status}")).unwrap_or_default();
        let error = if request.error.is_empty() { String::new() } else { format!(" {}", request.error) };
        let mtls = if request.from.identity.is_empty() || request.to.identity.is_empty() { " plaintext" } else { "" };
        let took = request.duration_seconds * 1000.0;
        let (width, method, path) = (self.widest, clean(&request.method), clean(&request.path));
        format!("{parties:width$} {status}{grpc} {took:.1}ms{mtls}{error} {method} {path}")
    }
}

fn proxies(count: usize) -> String {
    if count == 1 { "1 pod".to_owned() } else { format!("{count} pods") }
}

fn callee(request: &Tapped) -> &str {
    match name(&request.to) {
        // Nobody was chosen.
        "" => &request.service,
        name => name,
    }
}

/// The pod if it is known, or else the address.
fn name(party: &Party) -> &str {
    if party.pod.is_empty() { &party.address } else { &party.pod }
}

/// What a client chose must not move the cursor of a terminal.
fn clean(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    fn party(pod: &str, identity: &str) -> Party {
        Party { pod: pod.into(), identity: identity.into(), address: "10.0.0.1".into(), ..Party::default() }
    }

    #[test]
    fn a_request_is_one_line_whatever_its_client_chose() {
        let request = Tapped {
            from: party("shop/orders-1", "a"),
            to: party("shop/users-1", "b"),
            method: "GET".into(),
            path: "/a\u{1b}[2J\n".into(),
            status: Some(200),
            duration_seconds: 0.0123,
            ..Tapped::default()
        };
        let mut text = Text::default();
        let line = |text: &mut Text, request: &Tapped| text.line(&Line::Request(Box::new(request.clone())));
        assert_eq!(line(&mut text, &request), "shop/orders-1 -> shop/users-1 200 12.3ms GET /a\\u{1b}[2J\\n");
        let outside = Tapped {
            from: party("", ""),
            to: Party::default(),
            service: "shop/users".into(),
            status: None,
            grpc_status: Some(14),
            error: "no-endpoints".into(),
            path: "/".into(),
            ..request
        };
        let expected = "10.0.0.1 -> shop/users        none grpc=14 12.3ms plaintext no-endpoints GET /";
        assert_eq!(line(&mut text, &outside), expected);
    }

    #[test]
    fn what_was_not_shown_is_told() {
        let mut text = Text::default();
        assert_eq!(text.line(&Line::Dropped { requests: 3 }), "3 requests were not shown: there were too many");
        assert_eq!(text.line(&Line::Tapping { pods: 1, left_out: 0 }), "looking at 1 pod");
        assert!(text.line(&Line::Tapping { pods: 2, left_out: 5 }).contains("5 more pods"));
        let lost = Line::Lost { pod: "shop/a".into(), error: "it has ended".into() };
        assert_eq!(text.line(&lost), "shop/a does not tell: it has ended");
    }
}
