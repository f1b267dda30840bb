//! What runs in the demo: the manifest, and the programs that it names.

use std::path::Path;

use anyhow::{Context, bail};
use weft_sandbox::{Listing, Options};

use super::scenario::Kind;

const MANIFEST: &str = include_str!("demo.yaml");
/// What the table shows. A pod belongs to the Service that its own name begins with: demo.yaml keeps to that.
const SERVICES: [&str; 6] = ["users", "orders", "catalog", "inventory", "payments", "edge"];
const PROGRAMS: [&str; 4] = ["weft", "shop", "weft-proxy", "weft-control-plane"];
/// The pod that makes the load.
pub const CLIENT: &str = "client";

/// The sandbox of the demo. Its programs are those beside this one, whatever PATH has under these names; they work in
/// `folder`, where services keep their databases.
pub fn options(name: &str, scenario: Kind, folder: &Path) -> anyhow::Result<Options> {
    let program = std::env::current_exe().context("cannot find this program's own file")?;
    let build = program.parent().unwrap_or(Path::new("/"));
    let missing: Vec<_> = PROGRAMS.into_iter().filter(|name| !build.join(name).is_file()).collect();
    if !missing.is_empty() {
        bail!("{} not in {}: `make demo` builds everything that the demo runs", missing.join(", "), build.display());
    }
    let mut options = Options::from_text(name, MANIFEST)?;
    for container in options.manifests.workloads.iter_mut().flat_map(|workload| &mut workload.template.containers) {
        container.working_dir = Some(folder.to_owned());
        if let Some(program) = container.command.first_mut() {
            *program = build.join(&*program).display().to_string();
        }
    }
    if scenario == Kind::RotateCertificates {
        // So that renewals can be watched: they come after about 70 % of it.
        options.control_plane_env.push(("WEFT_LEAF_LIFETIME".into(), "10s".into()));
    }
    Ok(options)
}

/// The Services of the table with the number of their ready pods.
pub fn replicas(listing: &Listing) -> [(&'static str, usize); SERVICES.len()] {
    SERVICES.map(|service| {
        let belongs = |pod: &&weft_sandbox::Pod| pod.ready && pod.name.split('-').next() == Some(service);
        (service, listing.pods.iter().filter(belongs).count())
    })
}

/// Where this machine reaches a Service.
pub fn url<'a>(listing: &'a Listing, service: &str) -> Option<&'a str> {
    let service = listing.services.iter().find(|other| other.name == service)?;
    service.urls.first().map(|url| url.url.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_in_the_manifest_is_honoured_and_meshed() {
        let options = Options::from_text("test", MANIFEST).unwrap();
        assert_eq!(options.manifests.warnings, Vec::<String>::new());
        assert!(options.manifests.workloads.iter().all(|workload| options.manifests.injected(workload)));
    }

    #[test]
    fn the_users_have_three_replicas_and_the_orders_two() {
        let manifests = Options::from_text("test", MANIFEST).unwrap().manifests;
        let count = |service: &str| {
            let service = manifests.services.iter().find(|other| other.name == service).unwrap();
            let behind = manifests.workloads.iter().filter(|one| service.selects(&one.template.labels));
            behind.map(|one| one.replicas.unwrap_or(1)).sum::<u32>()
        };
        assert_eq!((count("users"), count("orders"), count("client-metrics")), (3, 2, 1));
    }
}
