//! Rows on where the proxy stands: ports, threads, its pod, its control plane, and what is intercepted.

use std::{net::IpAddr, num::NonZeroUsize, path::PathBuf};

use weft_api::probe::Probes;

use super::{
    cgroup,
    parse::{
        HostPort, PortSet, addresses, dns_name, file, flag, host_port, mark, optional, port, ports, probes, word,
        workers,
    },
    setting::{Preset::Is, Preset::Required, Preset::Unset, settings},
};

settings! {
    /// Where the proxy listens. Each port is bound on every address of its list.
    pub struct Ports("Ports and addresses") {
        outbound: u16 = "WEFT_OUTBOUND_PORT" ("port") Is("4140"), port;
            "where the pod's own connections are redirected to"; "The field's habit";
        outbound_addresses: Vec<IpAddr> = "WEFT_OUTBOUND_ADDRESSES" ("addresses") Is("127.0.0.1,::1"), addresses;
            "where the outbound port is bound; a family that the kernel lacks is left out";
            "Loopback only, so that nothing outside the pod can speak as the pod";
        inbound: u16 = "WEFT_INBOUND_PORT" ("port") Is("4143"), port;
            "where other proxies connect, and where connections to the pod are redirected to"; "The field's habit";
        inbound_addresses: Vec<IpAddr> = "WEFT_INBOUND_ADDRESSES" ("addresses") Is("0.0.0.0,::"), addresses;
            "where the inbound port is bound; a family that the kernel lacks is left out";
            "A pod's addresses may come after the proxy starts";
        tap: u16 = "WEFT_TAP_PORT" ("port") Is("4190"), port;
            "where the control plane, and nobody else, looks on at requests (`weft tap`), on the addresses of the inbound port; calls that name it as their target are refused";
            "The field's habit";
        admin: u16 = "WEFT_ADMIN_PORT" ("port") Is("4191"), port;
            "probes, metrics and, on loopback only, control"; "The field's habit";
        admin_addresses: Vec<IpAddr> = "WEFT_ADMIN_ADDRESSES" ("addresses") Is("0.0.0.0,::"), addresses;
            "where the admin port is bound; a family that the kernel lacks is left out";
            "The kubelet and the scraper come from outside the pod";
    }
}

impl Ports {
    /// Weft's own ports: never a target of traffic.
    pub fn own(&self) -> [u16; 4] {
        [self.outbound, self.inbound, self.tap, self.admin]
    }
}

settings! {
    /// How many threads carry traffic; one more does everything else.
    pub struct Workers("Workers") {
        number: Option<NonZeroUsize> = "WEFT_WORKERS" ("threads") Is("auto"), workers;
            "threads that carry traffic; auto is the container's CPU limit rounded up, at most 2 where there is no limit";
            "A sidecar that takes every core of a node takes them from the app";
    }
}

impl Workers {
    /// The number to start, with `auto` decided by this machine.
    pub fn count(&self) -> NonZeroUsize {
        self.number.unwrap_or_else(cgroup::default_workers)
    }
}

settings! {
    /// Whom the proxy stands beside. On Kubernetes the injector sets these from the downward API.
    pub struct Pod("Pod") {
        namespace: String = "WEFT_POD_NAMESPACE" ("name") Required, dns_name;
            "the pod's namespace"; "Part of its identity";
        name: String = "WEFT_POD_NAME" ("name") Required, dns_name;
            "the pod's name"; "The control plane looks the pod up by it";
        service_account: String = "WEFT_POD_SERVICE_ACCOUNT" ("name") Is("default"), dns_name;
            "the pod's service account, the last part of its identity"; "What Kubernetes gives a pod that names none";
        addresses: Vec<IpAddr> = "WEFT_POD_ADDRESSES" ("addresses") Required, addresses;
            "the pod's own addresses, one of each family at most"; "The app is dialled there, never on loopback";
        probes: Probes = "WEFT_PROBES" ("JSON") Unset, probes;
            "the app's probes, as `{\"app\":{\"liveness\":{\"httpGet\":{\"path\":\"/live\",\"port\":8080},\"timeoutSeconds\":1}}}`, which the proxy makes when the kubelet asks for /probe/app/liveness";
            "Intercepted, the kubelet's own would be refused where mTLS is demanded, and elsewhere say nothing of a dead app";
        node: Option<String> = "WEFT_NODE" ("word") Unset, |text| optional(text, word);
            "the node that the pod runs on"; "Endpoints on the same node can be preferred only if it is known";
        zone: Option<String> = "WEFT_ZONE" ("word") Unset, |text| optional(text, word);
            "the zone that the pod runs in"; "Endpoints in the same zone can be preferred only if it is known";
    }
}

settings! {
    /// Where discovery, policy and certificates come from.
    pub struct ControlPlane("Control plane") {
        address: HostPort = "WEFT_CONTROL_PLANE_ADDRESS" ("host:port") Required, host_port;
            "where the control plane is reached, as weft-control-plane.weft.svc:8443";
            "There is no default that is right outside one cluster";
        namespace: String = "WEFT_CONTROL_PLANE_NAMESPACE" ("name") Is("weft"), dns_name;
            "the control plane's namespace: only the identity ns/NAMESPACE/sa/weft-control-plane is believed";
            "Where `weft install` puts it";
        trust_domain: String = "WEFT_TRUST_DOMAIN" ("name") Is("cluster.local"), dns_name;
            "the trust domain of every identity in this mesh"; "The usual domain of a cluster";
        trust_bundle_file: PathBuf = "WEFT_TRUST_BUNDLE_FILE" ("path") Is("/var/run/weft/bundle/ca.pem"), file;
            "the certificates (PEM) that the control plane is believed by at the first contact; later ones come by discovery";
            "Where the injector mounts the ConfigMap";
        join_token_file: Option<PathBuf> = "WEFT_JOIN_TOKEN_FILE" ("path") Unset, |text| optional(text, file);
            "a single-use join token (`weft token create`), the proof of identity where there is no Kubernetes";
            "One of the two proofs must be set";
        service_account_token_file: Option<PathBuf> = "WEFT_SERVICE_ACCOUNT_TOKEN_FILE" ("path") Unset,
            |text| optional(text, file);
            "a projected service-account token for the audience weft, read anew for each request, the proof of identity on Kubernetes";
            "One of the two proofs must be set";
    }
}

settings! {
    /// What is intercepted, and what is let through.
    pub struct Interception("Interception") {
        mark: Option<u32> = "WEFT_MARK" ("mark") Unset, |text| optional(text, mark);
            "the mark (SO_MARK) on the proxy's own sockets, by which the redirect rules let them pass";
            "Setting a mark needs CAP_NET_ADMIN; by default the rules go by the proxy's uid, which needs nothing";
        opaque_ports: PortSet = "WEFT_OPAQUE_PORTS" ("ports") Is("25,587,3306,4444,5432,6379,9300,11211"), ports;
            "ports whose bytes are carried as they come, without looking at them";
            "SMTP, MySQL, Galera, PostgreSQL, Redis, Elasticsearch and memcached: none is HTTP, and in the first the server speaks first";
        skipped_inbound_ports: PortSet = "WEFT_SKIP_INBOUND_PORTS" ("ports") Unset, ports;
            "ports that the redirect rules leave alone; calls that name one over the mesh are refused";
            "What is skipped has no policy, so nobody may reach it as if it had";
        foreign_allowed: bool = "WEFT_FOREIGN_ALLOWED" ("true|false") Is("true"), flag;
            "whether the pod may reach addresses outside the cluster that the mesh does not know";
            "A mesh that breaks calls to the world on the first day is taken out on the second";
    }
}
