//! The /etc/hosts of a pod: how it knows Services by name.

use std::fmt::Write as _;
use std::net::IpAddr;

/// A name with its addresses, as the hosts file needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) addresses: Vec<IpAddr>,
}

/// The file for a pod called `pod` in `namespace`. The short name of a Service stands only in its own namespace.
pub(crate) fn file(pod: &str, namespace: &str, own: &[IpAddr], services: &[Named]) -> String {
    let mut text = String::from("127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n");
    for address in own {
        line(&mut text, *address, &[pod.to_owned()]);
    }
    for service in services {
        let Named { namespace: space, name, addresses } = service;
        let mut names =
            vec![format!("{name}.{space}.svc.cluster.local"), format!("{name}.{space}.svc"), format!("{name}.{space}")];
        if space == namespace {
            names.push(name.clone());
        }
        for address in addresses {
            line(&mut text, *address, &names);
        }
    }
    text
}

fn line(text: &mut String, address: IpAddr, names: &[String]) {
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{address} {}", names.join(" "));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_name_is_known_only_within_its_namespace() {
        let users = Named {
            namespace: "shop".into(),
            name: "users".into(),
            addresses: vec!["10.96.0.1".parse().unwrap(), "fd00:96::1".parse().unwrap()],
        };
        let near = file("p", "shop", &[], std::slice::from_ref(&users));
        let full = "users.shop.svc.cluster.local users.shop.svc users.shop";
        assert!(near.contains(&format!("10.96.0.1 {full} users\nfd00:96::1 {full} users\n")), "{near}");
        let far = file("p", "other", &[], &[users]);
        assert!(far.contains(&format!("10.96.0.1 {full}\n")), "{far}");
    }

    #[test]
    fn a_pod_knows_its_own_name() {
        let text = file("users-x", "shop", &["10.244.0.2".parse().unwrap()], &[]);
        assert!(text.ends_with("10.244.0.2 users-x\n"), "{text}");
    }
}
