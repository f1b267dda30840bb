//! How long the authorities hold, and whether what proxies trust is what signs.

use std::time::Duration;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};

use crate::check::certificate::{self, Life};
use crate::check::facts::{Facts, Known};
use crate::check::finding::{Check, Finding, Group, some};
use crate::check::pods;
use crate::install::{CONTROL_PLANE, NAMESPACE};

const DAY: Duration = Duration::from_secs(86_400);
/// The root is replaced by hand (`weft identity rotate`), so it is told of early.
const ROOT_WARNS: Duration = Duration::from_secs(60 * 86_400);
/// The others renew by themselves well before this part of their life.
const PART_WARNS: f64 = 0.1;
/// The key of the trust bundle.
const BUNDLE_KEY: &str = "ca.pem";

/// What a Secret holds under a key; nothing where it has no such key.
pub(super) fn pem<'a>(secret: &'a Secret, key: &str) -> &'a [u8] {
    secret.data.as_ref().and_then(|data| data.get(key)).map_or(&[], |bytes| &bytes.0)
}

/// The life of the certificate in a Secret, or what is wrong.
fn life(check: Check, secret: &Known<Option<Secret>>, name: &str) -> Result<Life, Finding> {
    let secret = match secret {
        Ok(Some(secret)) => secret,
        Ok(None) => {
            let next = format!("kubectl logs -n {NAMESPACE} deployment/{CONTROL_PLANE}");
            return Err(check.fail(format!("there is no Secret {name}: the control plane makes it"), next));
        }
        Err(unknown) => return Err(check.unknown(unknown)),
    };
    certificate::life(pem(secret, "tls.crt")).map_err(|error| {
        check.fail(format!("Secret {name}: {error}"), format!("kubectl get secret {name} -n {NAMESPACE} -o yaml"))
    })
}

fn days(left: Duration) -> String {
    if left < 2 * DAY {
        format!("{} more hours", left.as_secs() / 3600)
    } else {
        format!("{} more days", left.as_secs() / DAY.as_secs())
    }
}

pub(super) fn root(facts: &Facts) -> Finding {
    let check = Check(Group::Certificates, "the root holds");
    let life = match life(check, &facts.anchor, "weft-trust-anchor") {
        Ok(life) => life,
        Err(finding) => return finding,
    };
    match life.left(facts.now) {
        Duration::ZERO => check.fail("it has expired: no certificate holds any more", "weft identity rotate"),
        left if left < ROOT_WARNS => check.warn(days(left), "weft identity rotate"),
        left => check.pass(days(left)),
    }
}

pub(super) fn issuer(facts: &Facts) -> Finding {
    let check = Check(Group::Certificates, "the issuer holds");
    renewing(check, life(check, &facts.issuer, "weft-issuer"), facts)
}

pub(super) fn serving(facts: &Facts) -> Finding {
    let check = Check(Group::Certificates, "the webhook's certificate holds");
    renewing(check, life(check, &facts.serving, "weft-webhook-certificate"), facts)
}

fn renewing(check: Check, life: Result<Life, Finding>, facts: &Facts) -> Finding {
    let life = match life {
        Ok(life) => life,
        Err(finding) => return finding,
    };
    let next = format!("kubectl logs -n {NAMESPACE} deployment/{CONTROL_PLANE}");
    match life.left(facts.now) {
        Duration::ZERO => check.fail("it has expired and was not renewed", next),
        left if life.part_left(facts.now) < PART_WARNS => {
            check.warn(format!("{}: it should have been renewed by now", days(left)), next)
        }
        left => check.pass(days(left)),
    }
}

/// Every namespace whose pods are injected has the root in its bundle: a proxy starts from that.
pub(super) fn bundles(facts: &Facts) -> Finding {
    let check = Check(Group::Certificates, "injected namespaces trust the root");
    let (namespaces, bundles) = match (&facts.namespaces, &facts.bundles) {
        (Ok(namespaces), Ok(bundles)) => (namespaces, bundles),
        (Err(unknown), _) | (_, Err(unknown)) => return check.unknown(unknown),
    };
    let root = facts.anchor.as_ref().ok().and_then(Option::as_ref).map(|secret| pem(secret, "tls.crt"));
    let enabled = namespaces.iter().filter(|one| pods::is_enabled(one)).filter_map(|one| one.metadata.name.clone());
    let enabled: Vec<String> = enabled.collect();
    let bad: Vec<&String> = enabled.iter().filter(|name| !trusts(bundles, name, root)).collect();
    if bad.is_empty() {
        return check.pass(format!("{} namespaces", enabled.len()));
    }
    check.fail(
        format!("the ConfigMap weft-trust-bundle is missing, or lacks the root, in {}", some(bad)),
        format!("kubectl logs -n {NAMESPACE} deployment/{CONTROL_PLANE}"),
    )
}

/// Whether a namespace's bundle has the root; where the root may not be read, whether there is a bundle.
fn trusts(bundles: &[ConfigMap], namespace: &str, root: Option<&[u8]>) -> bool {
    let bundle = bundles.iter().find(|bundle| bundle.metadata.namespace.as_deref() == Some(namespace));
    let text = bundle.and_then(|bundle| bundle.data.as_ref()?.get(BUNDLE_KEY));
    let Some(trusted) = text.and_then(|text| certificate::all(text.as_bytes()).ok()) else { return false };
    let root = root.and_then(|pem| certificate::all(pem).ok());
    root.is_none_or(|root| trusted.contains(&root[0]))
}
