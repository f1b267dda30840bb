//! `weft sandbox ls`: pods and Services, as a table or as JSON.

use clap::Args;
use weft_sandbox::{Listing, Pod, Sandbox, Service};

use super::Target;
use crate::form::Form;
use crate::print;

/// The arguments of `ls`.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    target: Target,
    /// Form of the list
    #[arg(short, long, value_enum, default_value_t = Form::Table)]
    output: Form,
}

/// Prints the list.
pub async fn run(sandbox: &Sandbox, arguments: Arguments) -> anyhow::Result<()> {
    let mut listing = sandbox.list().await?;
    if let Some(namespace) = &arguments.target.namespace {
        listing.pods.retain(|pod| pod.namespace == *namespace);
        listing.services.retain(|service| service.namespace == *namespace);
    }
    match arguments.output {
        Form::Json => print(&serde_json::to_string_pretty(&listing)?)?,
        Form::Table => print(table(&listing).trim_end())?,
    }
    Ok(())
}

fn table(listing: &Listing) -> String {
    let mut pods =
        vec![["NAMESPACE", "POD", "ADDRESS", "READY", "MESHED", "RESTARTS", "PIDS"].map(str::to_owned).to_vec()];
    pods.extend(listing.pods.iter().chain(&listing.control_plane).map(pod));
    let mut services = vec![["NAMESPACE", "SERVICE", "ADDRESS", "PORT", "URL"].map(str::to_owned).to_vec()];
    services.extend(listing.services.iter().flat_map(service));
    format!("{}\n{}", columns(&pods), columns(&services))
}

fn pod(pod: &Pod) -> Vec<String> {
    let yes = |value: bool| if value { "yes" } else { "no" }.to_owned();
    let restarts: u32 = pod.containers.iter().map(|container| container.restarts).sum();
    let pids: Vec<String> = pod.pids.iter().map(ToString::to_string).collect();
    vec![
        pod.namespace.clone(),
        pod.name.clone(),
        pod.address.to_string(),
        yes(pod.ready),
        yes(pod.meshed),
        restarts.to_string(),
        pids.join(","),
    ]
}

fn service(service: &Service) -> Vec<Vec<String>> {
    let address = service.address.map_or_else(|| "None".to_owned(), |address| address.to_string());
    let row = |port: &u16| {
        let url = service.urls.iter().find(|url| url.port == *port).map(|url| url.url.clone());
        let (namespace, name) = (service.namespace.clone(), service.name.clone());
        vec![namespace, name, address.clone(), port.to_string(), url.unwrap_or_default()]
    };
    service.ports.iter().map(row).collect()
}

fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].len()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..count).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [vec!["A".into(), "B".into()], vec!["long".into(), "x".into()]];
        assert_eq!(columns(&rows), "A     B\nlong  x\n");
    }
}
