//! The webhooks: are they registered, do they hold back what they should, and does the API server reach them.

use k8s_openapi::api::admissionregistration::v1::MutatingWebhook;

use super::certificates::pem;
use super::install::again;
use crate::check::certificate;
use crate::check::facts::Facts;
use crate::check::finding::{Check, Finding, Group};
use crate::check::pods;
use crate::install::{CONTROL_PLANE, NAMESPACE};

const WEBHOOKS: [&str; 2] = ["namespace.injector.weft.dev", "pod.injector.weft.dev"];
/// The name by which the API server calls the webhook.
const SERVED_AS: &str = "weft-control-plane.weft.svc";

fn webhooks(facts: &Facts) -> &[MutatingWebhook] {
    let configuration = facts.injector.as_ref().ok().and_then(Option::as_ref);
    configuration.and_then(|configuration| configuration.webhooks.as_deref()).unwrap_or_default()
}

fn missing(facts: &Facts) -> Option<&'static str> {
    WEBHOOKS.into_iter().find(|name| !webhooks(facts).iter().any(|webhook| webhook.name == *name))
}

pub(super) fn configured(facts: &Facts) -> Finding {
    let check = Check(Group::Injector, "the webhooks are registered");
    if let Err(unknown) = &facts.injector {
        return check.unknown(unknown);
    }
    match missing(facts) {
        None => check.pass(WEBHOOKS.join(", ")),
        Some(name) => check.fail(format!("there is no webhook {name}: pods start without a sidecar"), again(facts)),
    }
}

pub(super) fn strict(facts: &Facts) -> Finding {
    let check = Check(Group::Injector, "a labelled pod never starts without a sidecar");
    if let Err(unknown) = &facts.injector {
        return check.unknown(unknown);
    }
    if let Some(name) = missing(facts) {
        return check.fail(format!("there is no webhook {name}"), again(facts));
    }
    match webhooks(facts).iter().find(|webhook| webhook.failure_policy.as_deref() == Some("Ignore")) {
        None => check.pass("failurePolicy Fail"),
        Some(webhook) => check.warn(
            format!("failurePolicy of {} is Ignore: a pod starts in plaintext while the webhook is away", webhook.name),
            again(facts),
        ),
    }
}

pub(super) fn trusted(facts: &Facts) -> Finding {
    let check = Check(Group::Injector, "the API server trusts the webhook's certificate");
    let serving = match (&facts.injector, &facts.serving) {
        (Ok(_), Ok(Some(secret))) => pem(secret, "tls.crt"),
        (Ok(_), Ok(None)) => return check.fail("there is no Secret weft-webhook-certificate", restart()),
        (Err(unknown), _) | (_, Err(unknown)) => return check.unknown(unknown),
    };
    if webhooks(facts).is_empty() {
        return check.untold("no webhook is registered", "see the check of the webhooks");
    }
    for webhook in webhooks(facts) {
        let Some(authority) = webhook.client_config.ca_bundle.as_ref().filter(|bundle| !bundle.0.is_empty()) else {
            return check.fail(format!("{} has no caBundle: the control plane writes it", webhook.name), restart());
        };
        if let Err(error) = certificate::serves(serving, &authority.0, SERVED_AS, facts.now) {
            return check.fail(format!("under the caBundle of {}, {error}", webhook.name), restart());
        }
    }
    check.pass(SERVED_AS)
}

fn restart() -> String {
    format!("kubectl rollout restart deployment {CONTROL_PLANE} -n {NAMESPACE}")
}

/// By a labelled pod that the API server takes through admission and does not keep.
pub(super) fn answers(facts: &Facts) -> Finding {
    let check = Check(Group::Injector, "the API server reaches the webhook");
    let unknown = match &facts.trial {
        Ok(pod) => {
            let injected = pods::sidecar_image(pod);
            return injected.map_or_else(
                || {
                    check.fail(
                        "a labelled pod would start without a sidecar",
                        "kubectl get mutatingwebhookconfiguration weft-injector -o yaml",
                    )
                },
                |image| check.pass(format!("it adds {image}")),
            );
        }
        Err(unknown) => unknown,
    };
    let refusal = unknown.to_string();
    if refusal.contains("violates PodSecurity") {
        return check.pass("it answers; namespace default itself admits no meshed pods");
    }
    if refusal.contains("failed calling webhook") {
        return check.fail(refusal, format!("kubectl get pods,endpointslices -n {NAMESPACE}"));
    }
    if unknown.is_outage() {
        return check.unknown(unknown);
    }
    check.untold(refusal, "run this as a user who may create pods in namespace default")
}
