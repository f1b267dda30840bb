//! Variables that look like settings and are none: without a word about them, a misspelt setting would just not work.
//!
//! Both programs have a table of settings of their own; which of the names around them are in no row is told alike.

/// What settings begin with.
const PREFIX: &str = "WEFT_";

/// A variable that begins like a setting and is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownSetting {
    /// The variable.
    pub name: String,
    /// The setting whose name is most like it; None: none is half alike.
    pub nearest: Option<&'static str>,
}

/// Those of `variables` that are not among `known`, by name. What Kubernetes sets for Services whose names begin with
/// `weft` is left out.
pub fn unknown_settings(variables: &[String], known: &[&'static str]) -> Vec<UnknownSetting> {
    let mut unknown: Vec<_> = variables
        .iter()
        .filter(|name| name.starts_with(PREFIX) && !known.contains(&name.as_str()) && !is_of_a_service(name, variables))
        .map(|name| UnknownSetting { name: name.clone(), nearest: nearest(name, known) })
        .collect();
    unknown.sort_by(|one, other| one.name.cmp(&other.name));
    unknown
}

/// The kubelet tells every pod of the Services in its namespace: `X_SERVICE_HOST`, `X_SERVICE_PORT`,
/// `X_SERVICE_PORT_NAME`, `X_PORT`, and `X_PORT_8443_TCP` with three more that begin so.
fn is_of_a_service(name: &str, variables: &[String]) -> bool {
    let services = variables.iter().filter_map(|variable| variable.strip_suffix("_SERVICE_HOST"));
    services.filter_map(|service| name.strip_prefix(service)).any(|rest| {
        let numbered = rest.strip_prefix("_PORT_").is_some_and(|port| port.starts_with(|c: char| c.is_ascii_digit()));
        matches!(rest, "_SERVICE_HOST" | "_PORT") || rest.starts_with("_SERVICE_PORT") || numbered
    })
}

/// By letters that are wrong, missing, too many or swapped.
fn nearest(name: &str, known: &[&'static str]) -> Option<&'static str> {
    let distance = |known: &&&str| strsim::osa_distance(name, known);
    let nearest = known.iter().min_by_key(distance)?;
    let differing = distance(&nearest);
    (differing * 2 <= name.len() - PREFIX.len()).then_some(nearest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 4] = ["WEFT_ADMIN_PORT", "WEFT_CONTROL_PLANE_ADDRESS", "WEFT_LOG", "WEFT_RETRY_RATIO"];

    fn unknown(variables: &[&str]) -> Vec<(String, Option<&'static str>)> {
        let variables: Vec<String> = variables.iter().map(|name| (*name).to_owned()).collect();
        unknown_settings(&variables, &KNOWN).into_iter().map(|unknown| (unknown.name, unknown.nearest)).collect()
    }

    #[test]
    fn a_misspelt_setting_is_named_with_the_one_that_is_meant() {
        let found = unknown(&["WEFT_LOG", "WEFT_RETRY_RATOI", "WEFT_ADMINPORT", "PATH"]);
        let expected = [("WEFT_ADMINPORT", "WEFT_ADMIN_PORT"), ("WEFT_RETRY_RATOI", "WEFT_RETRY_RATIO")];
        assert_eq!(found, expected.map(|(name, nearest)| (name.to_owned(), Some(nearest))));
    }

    #[test]
    fn what_is_like_no_setting_is_named_alone() {
        assert_eq!(
            unknown(&["WEFT_SOMETHING_ELSE", "WEFT_"]),
            [("WEFT_".to_owned(), None), ("WEFT_SOMETHING_ELSE".to_owned(), None)]
        );
    }

    #[test]
    fn what_kubernetes_sets_for_a_service_is_no_setting() {
        let service = [
            "WEFT_CONTROL_PLANE_SERVICE_HOST",
            "WEFT_CONTROL_PLANE_SERVICE_PORT",
            "WEFT_CONTROL_PLANE_SERVICE_PORT_PROXIES",
            "WEFT_CONTROL_PLANE_PORT",
            "WEFT_CONTROL_PLANE_PORT_8443_TCP",
            "WEFT_CONTROL_PLANE_PORT_8443_TCP_PROTO",
            "WEFT_CONTROL_PLANE_PORT_8443_TCP_PORT",
            "WEFT_CONTROL_PLANE_PORT_8443_TCP_ADDR",
        ];
        assert_eq!(unknown(&service), []);
        let without_the_service = unknown(&["WEFT_CONTROL_PLANE_PORT"]);
        assert_eq!(without_the_service.len(), 1, "nothing says that Kubernetes has set it");
        let beside = unknown(&["WEFT_CONTROL_PLANE_SERVICE_HOST", "WEFT_CONTROL_PLANE_ADRESS"]);
        assert_eq!(beside, [("WEFT_CONTROL_PLANE_ADRESS".to_owned(), Some("WEFT_CONTROL_PLANE_ADDRESS"))]);
    }
}
