//! One file of the folder: its YAML documents as objects, and the line of everything that is wrong.
//!
//! No IO. A file is taken whole or not at all: one broken document makes the file broken.

use k8s_openapi::api::{
    core::v1::{Node, Pod, Service},
    discovery::v1::EndpointSlice,
};
use serde::{Deserialize, de::DeserializeOwned};

use super::line;
use crate::{
    index::Object,
    registry::translate::{Finding, HttpRoute, InboundPolicy, Kind, Problem},
};

/// What a file says.
#[derive(Debug, Default, PartialEq)]
pub struct Contents {
    /// Its objects and the lines on which they begin.
    pub objects: Vec<(Object, usize)>,
    /// What is not understood, and on which line.
    pub warnings: Vec<(usize, Finding)>,
}

/// Why a file is not taken.
#[derive(Debug, thiserror::Error)]
pub enum Broken {
    /// It cannot be read.
    #[error("the file cannot be read")]
    Unreadable(#[source] std::io::Error),
    /// It is not UTF-8.
    #[error("the file is not UTF-8")]
    NotUtf8,
    /// It is not YAML, or not of the kind's form.
    #[error("{message}")]
    Yaml {
        /// From 1.
        line: usize,
        /// The parser's word, without its own idea of the place.
        message: String,
    },
    /// A field does not hold what it must.
    #[error("{finding}")]
    Invalid {
        /// From 1.
        line: usize,
        /// Which field, and why.
        finding: Finding,
    },
}

impl Broken {
    /// The line, from 1; 1 when the whole file is meant.
    pub fn line(&self) -> usize {
        match self {
            Self::Unreadable(_) | Self::NotUtf8 => 1,
            Self::Yaml { line, .. } | Self::Invalid { line, .. } => *line,
        }
    }
}

/// Reads a file's documents.
///
/// # Errors
/// The first document that is broken.
pub fn read(bytes: &[u8]) -> Result<Contents, Broken> {
    let text = std::str::from_utf8(bytes).map_err(|_| Broken::NotUtf8)?;
    let mut contents = Contents::default();
    for document in documents(text.strip_prefix('\u{feff}').unwrap_or(text)) {
        document.read(&mut contents)?;
    }
    Ok(contents)
}

/// A document within a file.
struct Document<'a> {
    text: &'a str,
    /// How many lines of the file stand before it.
    before: usize,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Header {
    api_version: String,
    kind: String,
}

#[derive(Deserialize)]
struct List {
    #[serde(default)]
    items: Vec<serde_yaml_ng::Value>,
}

/// Splits at lines that begin with `---` (YAML 1.2, 9.2); the marker's line belongs to the document that it opens.
fn documents(text: &str) -> Vec<Document<'_>> {
    let mut found = Vec::new();
    let (mut start, mut at, mut before) = (0, 0, 0);
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let opens =
            line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']));
        if opens && at > start {
            found.push(Document { text: &text[start..at], before });
            (start, before) = (at, number);
        }
        at += line.len();
    }
    found.push(Document { text: &text[start..], before });
    found
}

impl Document<'_> {
    fn read(&self, contents: &mut Contents) -> Result<(), Broken> {
        let Some(header) = self.parse::<Option<Header>>()? else { return Ok(()) };
        if header.kind == "List" {
            return self.read_list(contents);
        }
        self.read_object(&header, contents)
    }

    fn read_object(&self, header: &Header, contents: &mut Contents) -> Result<(), Broken> {
        let mut warnings = Vec::new();
        let object = match &*header.kind {
            "EndpointSlice" => self.object::<EndpointSlice>(header, &mut warnings)?,
            "HTTPRoute" => self.object::<HttpRoute>(header, &mut warnings)?,
            "InboundPolicy" => self.object::<InboundPolicy>(header, &mut warnings)?,
            "Node" => self.object::<Node>(header, &mut warnings)?,
            "Pod" => self.object::<Pod>(header, &mut warnings)?,
            "Service" => self.object::<Service>(header, &mut warnings)?,
            "" => return Err(self.invalid(Finding::at("kind", Problem::Missing))),
            // Deployments and the like stand beside what is ours in many a file.
            _ => None,
        };
        let line = self.before + line::first(self.text);
        contents.objects.extend(object.map(|object| (object, line)));
        contents.warnings.extend(warnings.into_iter().map(|finding| (self.line_of(&finding), finding)));
        Ok(())
    }

    fn object<K: Kind>(&self, header: &Header, warnings: &mut Vec<Finding>) -> Result<Option<Object>, Broken> {
        if !K::has_version(&header.api_version) {
            warnings.push(Finding::at("apiVersion", Problem::ValueNotSupported(header.api_version.clone())));
            return Ok(None);
        }
        self.parse::<K>()?.object(warnings).map_err(|finding| self.invalid(finding))
    }

    /// Items of a list have lost their lines: what is wrong in one is reported on the list's.
    fn read_list(&self, contents: &mut Contents) -> Result<(), Broken> {
        for item in self.parse::<List>()?.items {
            let text = serde_yaml_ng::to_string(&item).map_err(|error| self.broken(&error))?;
            let mut of_item = Contents::default();
            let line = self.before + line::first(self.text);
            let moved = |broken: Broken| match broken {
                Broken::Yaml { message, .. } => Broken::Yaml { line, message },
                Broken::Invalid { finding, .. } => Broken::Invalid { line, finding },
                Broken::Unreadable(_) | Broken::NotUtf8 => broken,
            };
            Document { text: &text, before: 0 }.read(&mut of_item).map_err(moved)?;
            contents.objects.extend(of_item.objects.into_iter().map(|(object, _)| (object, line)));
            contents.warnings.extend(of_item.warnings.into_iter().map(|(_, finding)| (line, finding)));
        }
        Ok(())
    }

    fn parse<T: DeserializeOwned>(&self) -> Result<T, Broken> {
        serde_yaml_ng::from_str(self.text).map_err(|error| self.broken(&error))
    }

    fn broken(&self, error: &serde_yaml_ng::Error) -> Broken {
        // The parser counts other line ends of YAML's too, which no editor does; its index is one of characters.
        let line_at = |index| 1 + self.text.chars().take(index).filter(|c| *c == '\n').count();
        let line = error.location().map_or_else(|| line::first(self.text), |location| line_at(location.index()));
        let text = error.to_string();
        // The message ends in "at line L column C", counted from the document's start: it would mislead.
        let message = text.rsplit_once(" at line ").map_or(&*text, |(message, _)| message).to_owned();
        Broken::Yaml { line: self.before + line, message }
    }

    fn invalid(&self, finding: Finding) -> Broken {
        Broken::Invalid { line: self.line_of(&finding), finding }
    }

    fn line_of(&self, finding: &Finding) -> usize {
        self.before + line::of(self.text, finding.field.steps())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixture::SHOP;

    const TWO: &str = "# head\n---\napiVersion: v1\nkind: Service\nmetadata:\n  name: users\nspec:\n  clusterIP: 10.0.0.1\n\
                       ---\n# another\nkind: Deployment\nmetadata: {name: users}\n---\napiVersion: v1\nkind: Pod\n\
                       metadata: {name: users-1}\nstatus:\n  podIP: not-an-address\n";

    #[test]
    fn an_error_names_the_line_of_the_file_and_the_field() {
        let broken = read(TWO.as_bytes()).unwrap_err();
        assert_eq!(
            (broken.line(), &*broken.to_string()),
            (18, "status.podIP is not an IP address: \"not-an-address\"")
        );
    }

    #[test]
    fn several_documents_are_read_and_foreign_kinds_are_left_out() {
        let contents = read(TWO.replace("not-an-address", "10.1.0.1").as_bytes()).unwrap();
        let lines: Vec<_> = contents.objects.iter().map(|(object, line)| (object.key().kind.as_str(), *line)).collect();
        assert_eq!(lines, [("Service", 3), ("Pod", 14)]);
    }

    #[test]
    fn broken_yaml_names_its_line_within_the_file() {
        let broken = read(b"kind: Deployment\n---\napiVersion: v1\nkind: Pod\nmetadata: [\n").unwrap_err();
        assert!(broken.line() >= 5, "{broken:?}");
        let broken = read(b"kind: Deployment\n---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: [a]\n").unwrap_err();
        assert_eq!(broken.line(), 6, "{broken}");
        assert!(!broken.to_string().contains("at line"), "{broken}");
    }

    #[test]
    fn what_yaml_alone_takes_for_a_line_end_is_none() {
        for end in ["\r", "\u{85}", "\u{2028}"] {
            let broken = read(format!("kind: Pod\n# {end}{end}\nmetadata: [\n").as_bytes()).unwrap_err();
            assert!((3..=4).contains(&broken.line()), "{end:?}: {broken:?}");
        }
    }

    #[test]
    fn an_empty_file_and_a_list_are_understood() {
        assert_eq!(read(b"").unwrap(), Contents::default());
        assert_eq!(read(b"---\n# nothing\n---\n").unwrap(), Contents::default());
        let list = b"apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata: {name: a}\n";
        assert_eq!(read(list).unwrap().objects.len(), 1);
    }

    proptest! {
        #[test]
        fn a_file_that_is_cut_and_changed_anywhere_is_read_or_refused(at in 0..SHOP.len(), byte in any::<u8>(), end in 0..SHOP.len()) {
            let mut bytes = SHOP.as_bytes().to_vec();
            bytes[at] = byte;
            bytes.truncate(end);
            if let Err(broken) = read(&bytes) {
                prop_assert!(broken.line() >= 1 && broken.line() <= SHOP.lines().count() + 1, "{broken:?}");
            }
        }
    }

    #[test]
    fn a_part_that_is_not_supported_is_warned_of_by_line() {
        let route = b"apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r}\nspec:\n\
                      \x20 parentRefs:\n  - {group: '', kind: Service, name: users}\n  rules:\n  - backendRefs: []\n\
                      \x20 - matches:\n    - path:\n        type: RegularExpression\n        value: /a\n";
        let contents = read(route).unwrap();
        let warnings: Vec<_> = contents.warnings.iter().map(|(line, finding)| (*line, finding.to_string())).collect();
        let text = "spec.rules[1].matches[0].path.type has a value that is not supported: \"RegularExpression\"";
        assert_eq!(warnings, [(11, text.to_owned())]);
    }
}
