//! What is deleted, in which order, and when nothing is.

use super::survey::{Kind, Survey};
use crate::install::Object;

const GATEWAY_API: &str = ".gateway.networking.k8s.io";
/// So many names are shown; more are counted.
const SHOWN: usize = 10;

/// What becomes of the Gateway API's kinds that Weft has brought: gateways of others may use them too.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GatewayApi {
    /// They stay.
    Keep,
    /// They stay while there is an object of any of them.
    KeepIfUsed,
    /// They go, and every object of them.
    Delete,
}

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
pub fn plan(survey: &Survey, forced: bool, gateway_api: GatewayApi) -> Result<Plan, Refusal> {
    if !survey.meshed.is_empty() && !forced {
        return Err(Refusal::Meshed(survey.meshed.clone()));
    }
    let in_use = |kind: &Kind| is_gateway_api(kind) && kind.objects > 0;
    let used: Vec<String> = survey.kinds.iter().filter(|kind| in_use(kind)).map(counted).collect();
    let keep = match gateway_api {
        GatewayApi::Keep => true,
        GatewayApi::Delete => false,
        GatewayApi::KeepIfUsed => !used.is_empty(),
    };
    let mut notes = Vec::new();
    if keep && gateway_api == GatewayApi::KeepIfUsed {
        notes.push(format!(
            "the Gateway API's kinds stay, because there are objects of them: {}; --delete-gateway-api deletes both",
            used.join(", ")
        ));
    }
    let kinds: Vec<&Kind> = survey.kinds.iter().filter(|kind| !(keep && is_gateway_api(kind))).collect();
    notes.extend(
        kinds.iter().filter(|kind| kind.objects > 0).map(|kind| format!("{} go with their kind", counted(kind))),
    );
    let kinds = kinds.into_iter().map(|kind| kind.definition.clone()).collect();
    let objects = [survey.rights.clone(), kinds, survey.namespace.clone(), survey.bundles.clone()].concat();
    if objects.is_empty() { Err(Refusal::Nothing) } else { Ok(Plan { objects, notes }) }
}

fn is_gateway_api(kind: &Kind) -> bool {
    kind.definition.name().ends_with(GATEWAY_API)
}

fn counted(kind: &Kind) -> String {
    format!("{} of kind {}", kind.objects, kind.name)
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

    fn kind(name: &str, definition: &str, objects: usize) -> Kind {
        Kind { name: name.to_owned(), definition: object("CustomResourceDefinition", definition), objects }
    }

    fn installed() -> Survey {
        Survey {
            rights: vec![
                object("MutatingWebhookConfiguration", "weft-injector"),
                object("ClusterRole", "weft-control-plane"),
            ],
            kinds: vec![
                kind("InboundPolicy", "inboundpolicies.weft.dev", 1),
                kind("HTTPRoute", "httproutes.gateway.networking.k8s.io", 0),
                kind("GRPCRoute", "grpcroutes.gateway.networking.k8s.io", 0),
            ],
            namespace: vec![object("Namespace", "weft")],
            bundles: vec![object("ConfigMap", "weft-trust-bundle")],
            ..Survey::default()
        }
    }

    fn names(plan: &Plan) -> Vec<&str> {
        plan.objects.iter().map(Object::name).collect()
    }

    #[test]
    fn the_webhooks_go_first_and_the_bundles_last() {
        let plan = plan(&installed(), false, GatewayApi::KeepIfUsed).unwrap();
        let names = names(&plan);
        assert_eq!((names.len(), names[0], names[6]), (7, "weft-injector", "weft-trust-bundle"));
        assert_eq!(plan.notes, ["1 of kind InboundPolicy go with their kind"]);
    }

    #[test]
    fn nothing_goes_while_pods_are_meshed_and_they_are_named() {
        let survey = Survey { meshed: (0..12).map(|n| format!("shop/users-{n}")).collect(), ..installed() };
        let refusal = plan(&survey, false, GatewayApi::KeepIfUsed).unwrap_err().to_string();
        assert!(refusal.contains("12 pods are still meshed: shop/users-0, "), "{refusal}");
        assert!(refusal.contains(" and 2 more."), "{refusal}");
        assert!(plan(&survey, true, GatewayApi::KeepIfUsed).is_ok());
    }

    #[test]
    fn the_gateway_apis_kinds_stay_while_there_is_an_object_of_any_of_them() {
        let mut used = installed();
        used.kinds[2].objects = 3;
        let kept = plan(&used, false, GatewayApi::KeepIfUsed).unwrap();
        assert!(names(&kept).iter().all(|name| !name.ends_with(GATEWAY_API)), "{:?}", names(&kept));
        assert!(names(&kept).contains(&"inboundpolicies.weft.dev"));
        assert!(kept.notes[0].contains("3 of kind GRPCRoute; --delete-gateway-api"), "{:?}", kept.notes);
        let deleted = plan(&used, false, GatewayApi::Delete).unwrap();
        assert!(names(&deleted).contains(&"grpcroutes.gateway.networking.k8s.io"));
        assert!(deleted.notes.contains(&"3 of kind GRPCRoute go with their kind".to_owned()), "{:?}", deleted.notes);
    }

    #[test]
    fn a_cluster_without_weft_is_told_from_an_empty_plan() {
        assert!(matches!(plan(&Survey::default(), false, GatewayApi::KeepIfUsed), Err(Refusal::Nothing)));
    }
}
