//! `weft tap`: live requests of a pod, a Service, or what makes pods.
//!
//! It asks the API server, by the user's kubeconfig; that names the user to the control plane, which decides.

mod show;
mod target;

use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, ValueEnum};
use futures_util::{AsyncBufReadExt, StreamExt, io::Lines};
use kube::Client;
use weft_control_plane::tap::{GROUP, Line, VERSION};

use crate::cluster::{Cluster, is_absent, reason};
use show::Text;
use target::{Statuses, Target};

/// The arguments of `weft tap`.
#[derive(Args)]
#[command(
    after_help = "It needs a cluster: only its API server can say who you are. In a sandbox, set WEFT_ACCESS_LOG=json and \
                        use `weft sandbox logs` instead."
)]
pub struct Arguments {
    /// Whose requests: deployment/NAME, pod/NAME, service/NAME, statefulset/NAME, daemonset/NAME, replicaset/NAME or job/NAME
    #[arg(value_name = "KIND/NAME")]
    target: Target,
    #[command(flatten)]
    cluster: Cluster,
    /// The target's namespace [default: the kubeconfig context's]
    #[arg(short, long)]
    namespace: Option<String>,
    /// Only requests with this method
    #[arg(long)]
    method: Option<String>,
    /// Only requests whose path begins so
    #[arg(long)]
    path: Option<String>,
    /// Only requests with such a status, as 503, 5xx or 400-599
    #[arg(long)]
    status: Option<Statuses>,
    /// Only requests of this pod or workload, as NAME or NAMESPACE/NAME
    #[arg(long, value_name = "NAME")]
    from: Option<String>,
    /// End after so many requests
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(u64).range(1..))]
    max: Option<u64>,
    /// How to print them
    #[arg(short, long, value_enum, default_value_t)]
    output: Output,
}

/// How requests are printed.
#[derive(Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
enum Output {
    /// A line each
    #[default]
    Text,
    /// A JSON object each, and one for whatever else there is to tell
    Json,
}

/// Prints requests until the tap ends, or as many as were asked for.
pub async fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let client = arguments.cluster.client().await?;
    let namespace = arguments.namespace.as_deref().unwrap_or(client.default_namespace()).to_owned();
    let request = http::Request::get(arguments.path_for(&namespace))
        .body(Vec::new())
        .context("no request can be made of this")?;
    let told = match client.request_stream(request).await {
        Ok(told) => told.lines(),
        Err(error) => anyhow::bail!("{}", explain(&client, &error).await),
    };
    follow(told, arguments.output, arguments.max.unwrap_or(u64::MAX)).await
}

impl Arguments {
    /// What is asked of the API server. `watch`: it lets the answer last.
    fn path_for(&self, namespace: &str) -> String {
        let Target { resource, name } = &self.target;
        let mut filter = form_urlencoded::Serializer::new(String::new());
        for (key, value) in [("method", &self.method), ("path", &self.path), ("from", &self.from)] {
            if let Some(value) = value {
                filter.append_pair(key, value);
            }
        }
        if let Some(Statuses { least, most }) = self.status {
            filter.append_pair("least_status", &least.to_string()).append_pair("most_status", &most.to_string());
        }
        let filter = filter.finish();
        format!("/apis/{GROUP}/{VERSION}/watch/namespaces/{namespace}/{resource}/{name}/tap?{filter}")
    }
}

async fn follow(
    mut told: Lines<impl futures_util::AsyncBufRead + Unpin>,
    output: Output,
    max: u64,
) -> anyhow::Result<ExitCode> {
    let (mut text, mut requests) = (Text::default(), 0);
    while let Some(line) = told.next().await {
        let line = line.context("the tap broke off: run it again")?;
        if line.is_empty() {
            continue;
        }
        let read: Line = serde_json::from_str(&line)
            .with_context(|| format!("the control plane is of another release than this weft: {line:?}"))?;
        let is_request = matches!(read, Line::Request(_));
        match (output, text.line(&read)) {
            (Output::Json, _) => crate::print(&line)?,
            (Output::Text, shown) if is_request => crate::print(&shown)?,
            (Output::Text, shown) => crate::tell(&shown),
        }
        requests += u64::from(is_request);
        if requests >= max {
            return Ok(ExitCode::SUCCESS);
        }
    }
    crate::tell("the tap has ended: no proxy is left that tells, or the control plane is going away");
    Ok(ExitCode::FAILURE)
}

/// What the API server's refusal means, and what to do.
async fn explain(client: &Client, error: &kube::Error) -> String {
    let said = reason(error);
    let kube::Error::Api(status) = error else { return format!("the API server does not answer: {said}") };
    match status.code {
        403 => format!("{said}\nbind the ClusterRole weft-tap to the user, in that namespace or for all of them"),
        404 if !is_served(client).await => {
            "tap is not installed: the same `weft install` again, with --tap (docs/kubernetes.md says what that costs)"
                .to_owned()
        }
        503 => format!("{said}\n`kubectl get apiservice {VERSION}.{GROUP}` says why the control plane cannot be asked"),
        _ => said,
    }
}

async fn is_served(client: &Client) -> bool {
    !matches!(client.list_api_group_resources(&format!("{GROUP}/{VERSION}")).await, Err(error) if is_absent(&error))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        tap: Arguments,
    }

    fn path(arguments: &[&str]) -> String {
        let cli = Cli::try_parse_from([&["weft"], arguments].concat()).unwrap();
        cli.tap.path_for("shop")
    }

    #[test]
    fn what_is_asked_for_is_in_the_path_and_the_filter_in_its_query() {
        let start = "/apis/tap.weft.dev/v1alpha1/watch/namespaces/shop";
        assert_eq!(path(&["deploy/users"]), format!("{start}/deployments/users/tap?"));
        let filtered =
            path(&["pod/users-1", "--path", "/a b&c", "--status", "5xx", "--method", "GET", "--from", "x/y"]);
        let filter = "method=GET&path=%2Fa+b%26c&from=x%2Fy&least_status=500&most_status=599";
        assert_eq!(filtered, format!("{start}/pods/users-1/tap?{filter}"));
    }

    #[tokio::test]
    async fn it_ends_after_as_many_requests_as_were_asked_for_and_fails_when_the_tap_ends_before() {
        let request = Line::Request(Box::default());
        let request = serde_json::to_string(&request).unwrap();
        let told = format!(
            "{{\"tapping\":{{\"pods\":1,\"left_out\":0}}}}\n\n{request}\n{{\"dropped\":{{\"requests\":2}}}}\n{request}\n"
        );
        let end = async |max| follow(told.as_bytes().lines(), Output::Json, max).await.unwrap();
        assert_eq!(end(2).await, ExitCode::SUCCESS);
        assert_eq!(end(3).await, ExitCode::FAILURE);
        assert!(follow(b"hello\n".as_slice().lines(), Output::Text, 1).await.is_err());
    }
}
