//! How each part of a request is compared, as the Gateway API wants it. Pure functions over bytes.

/// What of a request the rules look at.
pub(super) struct Request<'a> {
    pub(super) method: &'a [u8],
    /// Without the query.
    pub(super) path: &'a [u8],
    pub(super) query: Option<&'a [u8]>,
    pub(super) host: Option<&'a [u8]>,
    /// The first field of a name, whatever its case.
    pub(super) field: &'a dyn Fn(&str) -> Option<&'a [u8]>,
}

/// Whether `prefix` ends on a border of a segment of `path`: `/v2` fits `/v2`, `/v2/` and `/v2/x`, not `/v2x`. A slash at
/// the end of the prefix counts for nothing (HTTPPathMatch).
pub(super) fn path_prefix(prefix: &[u8], path: &[u8]) -> bool {
    let prefix = prefix.strip_suffix(b"/").unwrap_or(prefix);
    path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.first() == Some(&b'/'))
}

/// Whether a Host field (its port does not count) is `pattern`, which may begin with `*.` for one or more labels.
pub(super) fn host_matches(pattern: &str, host: &[u8]) -> bool {
    let host = without_port(host);
    match pattern.strip_prefix('*') {
        None => host.eq_ignore_ascii_case(pattern.as_bytes()),
        Some(suffix) => host
            .len()
            .checked_sub(suffix.len())
            .filter(|labels| *labels > 0)
            .and_then(|labels| host.get(labels..))
            .is_some_and(|end| end.eq_ignore_ascii_case(suffix.as_bytes())),
    }
}

fn without_port(host: &[u8]) -> &[u8] {
    if host.first() == Some(&b'[') {
        let end = host.iter().position(|byte| *byte == b']').map_or(host.len(), |bracket| bracket + 1);
        return host.get(..end).unwrap_or(host);
    }
    host.split(|byte| *byte == b':').next().unwrap_or(host)
}

/// Whether the first parameter of this name has this value; both are taken as a form encodes them.
pub(super) fn query_matches(query: &[u8], name: &str, value: &str) -> bool {
    let first = query.split(|byte| *byte == b'&').find_map(|pair| {
        let mut parts = pair.splitn(2, |byte| *byte == b'=');
        let key = parts.next().unwrap_or_default();
        Decoded(key).eq(name.bytes()).then(|| parts.next().unwrap_or_default())
    });
    first.is_some_and(|encoded| Decoded(encoded).eq(value.bytes()))
}

/// The bytes that percent-encoding and `+` stand for. What is not an escape stands for itself.
struct Decoded<'a>(&'a [u8]);

impl Iterator for Decoded<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let (byte, rest) = self.0.split_first()?;
        if *byte == b'%'
            && let [high, low, rest @ ..] = rest
            && let (Some(high), Some(low)) = (digit(*high), digit(*low))
        {
            self.0 = rest;
            return Some(high << 4 | low);
        }
        self.0 = rest;
        Some(if *byte == b'+' { b' ' } else { *byte })
    }
}

fn digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_prefix_ends_on_the_border_of_a_segment() {
        for (prefix, path, fits) in [
            ("/", "/", true),
            ("/", "/any/thing", true),
            ("/v2", "/v2", true),
            ("/v2", "/v2/", true),
            ("/v2/", "/v2", true),
            ("/v2/", "/v2/x", true),
            ("/v2", "/v2x", false),
            ("/v2", "/", false),
            ("/v2/x", "/v2", false),
        ] {
            assert_eq!(path_prefix(prefix.as_bytes(), path.as_bytes()), fits, "{prefix} {path}");
        }
    }

    #[test]
    fn hosts_match_without_case_and_port_and_by_wildcard() {
        for (pattern, host, fits) in [
            ("users.shop", "Users.SHOP:8080", true),
            ("users.shop", "users", false),
            ("*.shop", "users.shop", true),
            ("*.shop", "a.users.shop:80", true),
            ("*.shop", "shop", false),
            ("*.shop", ".shop", false),
            ("*.shop", "usersshop", false),
            ("[::1]", "[::1]:80", true),
        ] {
            assert_eq!(host_matches(pattern, host.as_bytes()), fits, "{pattern} {host}");
        }
    }

    #[test]
    fn the_first_query_parameter_of_a_name_counts_decoded() {
        for (query, fits) in [
            ("user=a%20b", true),
            ("x=1&us%65r=a+b&user=c", true),
            ("user=c&user=a+b", false),
            ("user", false),
            ("user=a%2", false),
        ] {
            assert_eq!(query_matches(query.as_bytes(), "user", "a b"), fits, "{query}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_are_too_odd(host in prop::collection::vec(any::<u8>(), 0..40), query in prop::collection::vec(any::<u8>(), 0..40)) {
            host_matches("*.shop", &host);
            host_matches("[", &host);
            query_matches(&query, "", "");
            path_prefix(&host, &query);
        }
    }
}
