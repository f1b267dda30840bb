//! The environment of a container: its own variables over a few of the machine's.

use std::path::Path;

use crate::manifest::{Container, EnvValue, FieldRef};

/// What every program may need of the machine; nothing else is passed on, so that pods are alike everywhere.
const PASSED_ON: &[&str] =
    &["PATH", "HOME", "USER", "LANG", "LC_ALL", "TZ", "TMPDIR", "TERM", "LD_LIBRARY_PATH", "RUST_BACKTRACE"];

/// All variables of `container` in the pod whose fields `field` gives.
///
/// The build folder stands first in PATH, whatever programs of the same names the machine has.
pub(crate) fn of(field: impl Fn(&FieldRef) -> String, container: &Container, build: &Path) -> Vec<(String, String)> {
    let mut env: Vec<(String, String)> = Vec::new();
    for name in PASSED_ON {
        if let Ok(value) = std::env::var(name) {
            env.push(((*name).to_owned(), value));
        }
    }
    env.push(("HOSTNAME".into(), field(&FieldRef::Name)));
    for (name, value) in &container.env {
        let value = match value {
            EnvValue::Text(text) => expand(text, &env),
            EnvValue::Field(name) => field(name),
        };
        env.retain(|(other, _)| other != name);
        env.push((name.clone(), value));
    }
    let build = build.display();
    match env.iter_mut().find(|(name, _)| name == "PATH") {
        Some((_, path)) => *path = format!("{build}:{path}"),
        None => env.push(("PATH".into(), format!("{build}:/usr/local/bin:/usr/bin:/bin"))),
    }
    env
}

/// Replaces `$(NAME)` by the variable, as Kubernetes does: an unknown name stays as it is, `$$` is one dollar.
pub(crate) fn expand(text: &str, env: &[(String, String)]) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let name = rest.strip_prefix("$(").and_then(|inner| inner.split_once(')')).map(|(name, _)| name);
        let value = name.and_then(|name| env.iter().rev().find(|(key, _)| key == name));
        if let (Some(name), Some((_, value))) = (name, value) {
            out.push_str(value);
            rest = &rest[name.len() + 3..];
        } else {
            out.push('$');
            rest = rest.strip_prefix("$$").unwrap_or(&rest[1..]);
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_build_folder_stands_before_the_machines_programs() {
        let own = ("PATH".to_owned(), EnvValue::Text("/bin".to_owned()));
        let container = Container {
            name: "users".into(),
            command: vec!["users".into()],
            env: vec![own],
            working_dir: None,
            ports: Default::default(),
            readiness: None,
        };
        let env = of(|_| String::new(), &container, Path::new("/build"));
        let path = env.iter().find(|(name, _)| name == "PATH").unwrap();
        assert_eq!(path.1, "/build:/bin");
    }

    #[test]
    fn names_in_parentheses_are_expanded_and_unknown_ones_stay() {
        let env = [("A".to_owned(), "1".to_owned())];
        assert_eq!(expand("x$(A)y $(B) $A $$(A) $", &env), "x1y $(B) $A $(A) $");
    }
}
