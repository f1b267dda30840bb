//! What is deleted, in which order, and when nothing is.

use super::survey::Survey;
use crate::install::Object;

const GATEWAY_API: &str = ".gateway.networking.k8s.io";
/// So many names are shown; more are counted.
const SHOWN: usize = 10;

/// What is to be deleted.
#[derive(Debug, Default)]
pub struct Plan {
    /// In the order of deletion.
    pub objects: Vec<Object>,
    /// What the user should know before.
    pub notes: Vec<String>,
}

/// Why nothing is to be deleted.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// There is nothing of Weft.
    #[error("this cluster has nothing of Weft: is it the right one? `kubectl config current-context` says which it is")]
    Nothing,
    /// Pods still count on the control plane.
    #[error(
        "{} pods are still meshed: {}. Take the label weft.dev/inject from their namespaces and restart them \
         (kubectl rollout restart deployment -n NAMESPACE), or use --force",
        .0.len(), some(.0)
    )]
    Meshed(Vec<String>),
}

/// Decides.
///
/// The webhooks go first, so that nothing waits for a control plane that ends; then its rights, so that it makes nothing
/// again; the trust bundles last, when it has surely seen that.
///
/// # Errors
/// There is nothing to delete, or pods are still meshed and it is not `forced`.
pub fn plan(survey: &Survey, forced: bool, keep_gateway_api: bool) -> Result<Plan, Refusal> {
    if !survey.meshed.is_empty() && !forced {
        return Err(Refusal::Meshed(survey.meshed.clone()));
    }
    let mut notes = Vec::new();
    let needed = !survey.gateway_classes.is_empty();
    let keep = keep_gateway_api || needed;
    let kinds = survey.kinds.iter().filter(|kind| !(keep && kind.name().ends_with(GATEWAY_API))).cloned();
    let kinds: Vec<Object> = kinds.collect();
    if needed && !keep_gateway_api {
        let classes = some(&survey.gateway_classes);
        notes.push(format!("the Gateway API's kinds stay: the gateways of GatewayClass {classes} need them"));
    }
    let goes = |kind: &str| kinds.iter().any(|one| one.name() == kind);
    for (kind, name, count) in [
        ("inboundpolicies.weft.dev", "InboundPolicies", survey.policies),
        ("httproutes.gateway.networking.k8s.io", "HTTPRoutes", survey.routes),
    ] {
        if count > 0 && goes(kind) {
            notes.push(format!("the cluster's {name} go with their kind: {count}"));
        }
    }
    let objects = [survey.rights.clone(), kinds, survey.namespace.clone(), survey.bundles.clone()].concat();
    if objects.is_empty() { Err(Refusal::Nothing) } else { Ok(Plan { objects, notes }) }
}

fn some(names: &[String]) -> String {
    let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    let more = names.len().saturating_sub(SHOWN);
    if more == 0 { shown } else { format!("{shown} and {more} more") }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(kind: &str, name: &str) -> Object {
        Object(json!({"kind": kind, "metadata": {"name": name}}))
    }

    fn installed() -> Survey {
        Survey {
            rights: vec![
                object("MutatingWebhookConfiguration", "weft-injector"),
                object("ClusterRole", "weft-control-plane"),
            ],
            kinds: vec![
                object("CustomResourceDefinition", "inboundpolicies.weft.dev"),
                object("CustomResourceDefinition", "httproutes.gateway.networking.k8s.io"),
            ],
            namespace: vec![object("Namespace", "weft")],
            bundles: vec![object("ConfigMap", "weft-trust-bundle")],
            policies: 1,
            routes: 2,
            ..Survey::default()
        }
    }

    fn names(plan: &Plan) -> Vec<&str> {
        plan.objects.iter().map(Object::name).collect()
    }

    #[test]
    fn the_webhooks_go_first_and_the_bundles_last() {
        let plan = plan(&installed(), false, false).unwrap();
        let names = names(&plan);
        assert_eq!((names.len(), names[0], names[5]), (6, "weft-injector", "weft-trust-bundle"));
        assert_eq!(plan.notes.len(), 2, "{:?}", plan.notes);
        assert!(plan.notes[1].contains("HTTPRoutes go with their kind: 2"), "{:?}", plan.notes);
    }

    #[test]
    fn nothing_goes_while_pods_are_meshed_and_they_are_named() {
        let survey = Survey { meshed: (0..12).map(|n| format!("shop/users-{n}")).collect(), ..installed() };
        let refusal = plan(&survey, false, false).unwrap_err().to_string();
        assert!(refusal.contains("12 pods are still meshed: shop/users-0, "), "{refusal}");
        assert!(refusal.contains(" and 2 more."), "{refusal}");
        assert!(plan(&survey, true, false).is_ok());
    }

    #[test]
    fn the_gateway_apis_kinds_stay_while_a_gateway_of_others_needs_them() {
        let survey = Survey { gateway_classes: vec!["envoy".to_owned()], ..installed() };
        let plan = plan(&survey, false, false).unwrap();
        assert!(!names(&plan).contains(&"httproutes.gateway.networking.k8s.io"));
        assert!(names(&plan).contains(&"inboundpolicies.weft.dev"));
        assert!(plan.notes[0].contains("envoy"), "{:?}", plan.notes);
    }

    #[test]
    fn a_cluster_without_weft_is_told_from_an_empty_plan() {
        assert!(matches!(plan(&Survey::default(), false, false), Err(Refusal::Nothing)));
    }
}
