//! The webhooks.

use super::*;

#[test]
fn a_webhook_that_is_not_registered_is_named() {
    let mut facts = well();
    facts.injector.as_mut().unwrap().as_mut().unwrap().webhooks.as_mut().unwrap().remove(0);
    // None is registered, and so nothing holds back a labelled pod.
    let complaints = complaints(&facts);
    assert_eq!(complaints.len(), 2, "{complaints:?}");
    for complaint in complaints {
        assert_eq!(complaint.verdict, Verdict::Failed, "{complaint:?}");
        assert!(complaint.detail.contains("no webhook namespace.injector.weft.dev"), "{complaint:?}");
    }
}

#[test]
fn without_webhooks_nothing_is_said_of_their_certificate() {
    let verdict = |facts: &Facts| {
        let found = after(facts).into_iter().find(|one| one.check.contains("trusts the webhook's certificate"));
        found.unwrap().verdict
    };
    assert_eq!(verdict(&Facts { injector: Ok(None), ..well() }), Verdict::Unknown);
    assert_eq!(verdict(&Facts { injector: Err(refused(403, "no")), ..well() }), Verdict::Unknown);
}

#[test]
fn a_webhook_that_fails_open_is_warned_of() {
    let mut facts = well();
    let webhooks = facts.injector.as_mut().unwrap().as_mut().unwrap().webhooks.as_mut().unwrap();
    webhooks[1].failure_policy = Some("Ignore".to_owned());
    warns(&facts, &["pod.injector.weft.dev is Ignore", "plaintext"]);
}

#[test]
fn a_serving_certificate_must_hold_under_the_webhooks_authority() {
    let (_, foreign) = certificates(now() - DAY, 365 * DAY);
    fails(&Facts { serving: Ok(Some(secret(&foreign))), ..well() }, &["under the caBundle", "kubectl rollout restart"]);
    let mut bare = well();
    let webhooks = bare.injector.as_mut().unwrap().as_mut().unwrap().webhooks.as_mut().unwrap();
    webhooks[0].client_config.ca_bundle = None;
    fails(&bare, &["no caBundle"]);
}

#[test]
fn a_webhook_that_is_not_reached_is_told_in_the_api_servers_words() {
    let message = "failed calling webhook \"pod.injector.weft.dev\": connection refused";
    let complaints = complaints(&Facts { trial: Err(refused(500, message)), ..well() });
    assert_eq!(complaints[0].verdict, Verdict::Failed);
    assert!(complaints[0].detail.contains("connection refused"), "{complaints:?}");
}

#[test]
fn a_refusal_by_pod_security_shows_that_the_webhook_answers() {
    let message = "pods \"weft-check-x\" is forbidden: violates PodSecurity \"baseline:latest\"";
    let complaints = complaints(&Facts { trial: Err(refused(403, message)), ..well() });
    assert!(complaints.iter().all(|finding| finding.check != "the API server reaches the webhook"), "{complaints:?}");
}

#[test]
fn a_labelled_pod_that_would_start_bare_fails() {
    let bare = object("{metadata: {name: trial, namespace: default}, spec: {containers: []}}");
    let complaints = complaints(&Facts { trial: Ok(bare), ..well() });
    assert!(complaints[0].detail.contains("would start without a sidecar"), "{complaints:?}");
}
