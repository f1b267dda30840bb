//! What starts when nobody answers the admission webhooks, and what does not.

use crate::harness::{Namespace, alone};

/// As restricted as the mesh's own namespace asks.
const POD: &str = r#"---
apiVersion: v1
kind: Pod
metadata: { name: weft-test-bystander, labels: { weft.dev/test: "" } }
spec:
  terminationGracePeriodSeconds: 1
  securityContext: { runAsNonRoot: true, seccompProfile: { type: RuntimeDefault } }
  containers:
  - name: app
    image: IMAGE
    args: ["serve"]
    securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: [ALL] } }
"#;

#[tokio::test]
async fn without_the_webhooks_only_pods_that_are_to_be_meshed_are_refused() {
    let (cluster, _turn) = alone().await;
    let (shop, plain) = (Namespace::meshed(cluster, "refused").await, Namespace::unmeshed(cluster, "bystander").await);
    cluster.stop_control_plane().await;
    for namespace in ["kube-system", "weft", &plain.name] {
        let pod = POD.replace("IMAGE", crate::harness::APP);
        let created = cluster.try_kubectl(&["--namespace", namespace, "create", "--filename", "-"], Some(&pod)).await;
        assert_eq!(created.code, 0, "{namespace}: {}", created.stderr);
        let pod = ["--namespace", namespace, "wait", "--for", "condition=Ready", "pod/weft-test-bystander"];
        cluster.kubectl(&[&pod[..], &["--timeout", "90s"]].concat()).await;
        let delete = ["delete", "pod", "weft-test-bystander", "--wait=false"];
        cluster.kubectl(&[&["--namespace", namespace], &delete[..]].concat()).await;
    }
    let refused = shop.try_apply(POD).await.output().await;
    assert_ne!(refused.code, 0, "a pod without a proxy was let into the mesh");
    assert!(refused.stderr.contains("injector.weft.dev"), "it does not say who refused: {}", refused.stderr);
    // The mesh's own pods need no webhook to start.
    cluster.start_control_plane().await;
    shop.apply(POD).await;
    shop.pod_ready("weft-test-bystander").await;
}
