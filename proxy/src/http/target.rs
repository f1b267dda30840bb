//! A request's target and host: which forms there are and which method takes which (RFC 9112 section 3.2).

use memchr::{memchr, memchr2};

use super::{Flaw, Scheme};

/// Holds the target against the forms that the method takes. Gives the scheme of the absolute form.
pub(crate) fn check_target(method: &[u8], target: &[u8]) -> Result<Option<Scheme>, Flaw> {
    if target.is_empty() || !target.iter().all(|b| *b > b' ' && *b != 0x7f && *b != b'#') {
        return Err(Flaw::Target);
    }
    if method == b"CONNECT" {
        let port = target.rsplit(|b| *b == b':').next().unwrap_or_default();
        let named = port.len() + 1 < target.len() && !port.is_empty() && port.iter().all(u8::is_ascii_digit);
        return if named && check_host(target).is_ok() { Ok(None) } else { Err(Flaw::Target) };
    }
    if target[0] == b'/' || (target == b"*" && method == b"OPTIONS") {
        return Ok(None);
    }
    let (scheme, authority) = absolute(target).ok_or(Flaw::Target)?;
    match check_host(authority) {
        Ok(()) if !authority.is_empty() => Ok(Some(scheme)),
        _ => Err(Flaw::Target),
    }
}

/// The authority of a target in the absolute form.
pub(crate) fn authority(target: &[u8]) -> Option<&[u8]> {
    absolute(target).map(|(_, authority)| authority)
}

/// What follows the authority of a target in the absolute form; any other target as it is.
pub(crate) fn origin(target: &[u8]) -> &[u8] {
    match absolute(target) {
        Some((scheme, authority)) => &target[scheme_length(scheme) + authority.len()..],
        None => target,
    }
}

/// Path and query of a target in whichever form.
pub(super) fn split<'a>(method: &[u8], target: &'a [u8]) -> (&'a [u8], Option<&'a [u8]>) {
    if method == b"CONNECT" && !target.starts_with(b"/") {
        return (b"", None);
    }
    let rest = origin(target);
    let (path, query) = match memchr(b'?', rest) {
        Some(at) => (&rest[..at], Some(&rest[at + 1..])),
        None => (rest, None),
    };
    (if path.is_empty() { b"/" } else { path }, query)
}

/// Longer than any name that resolves, with its port; it bounds what an absolute target can add to a payload.
const LONGEST_HOST: usize = 512;

/// Holds a Host value against `host [":" port]`. Userinfo, spaces and lists are refused; an empty value is not.
pub(crate) fn check_host(host: &[u8]) -> Result<(), Flaw> {
    if host.len() > LONGEST_HOST {
        return Err(Flaw::Host);
    }
    let (name, port) = match host {
        [b'[', rest @ ..] => {
            let end = memchr(b']', rest).ok_or(Flaw::Host)?;
            let (address, port) = (&rest[..end], &rest[end + 1..]);
            if address.is_empty() || !address.iter().all(|b| b.is_ascii_alphanumeric() || b":.%-_~".contains(b)) {
                return Err(Flaw::Host);
            }
            (&b""[..], port)
        }
        _ => host.split_at(memchr(b':', host).unwrap_or(host.len())),
    };
    let port = match port {
        [] => port,
        [b':', digits @ ..] => digits,
        _ => return Err(Flaw::Host),
    };
    let named = name.iter().all(|b| b.is_ascii_alphanumeric() || b"-._~%!$&'()*+=".contains(b));
    if named && port.len() <= 5 && port.iter().all(u8::is_ascii_digit) { Ok(()) } else { Err(Flaw::Host) }
}

fn absolute(target: &[u8]) -> Option<(Scheme, &[u8])> {
    if target.first() == Some(&b'/') {
        return None;
    }
    let scheme = [Scheme::Http, Scheme::Https].into_iter().find(|scheme| {
        let text: &[u8] = match scheme {
            Scheme::Http => b"http://",
            Scheme::Https => b"https://",
        };
        target.get(..text.len()).is_some_and(|start| start.eq_ignore_ascii_case(text))
    })?;
    let rest = &target[scheme_length(scheme)..];
    Some((scheme, &rest[..memchr2(b'/', b'?', rest).unwrap_or(rest.len())]))
}

fn scheme_length(scheme: Scheme) -> usize {
    match scheme {
        Scheme::Http => "http://".len(),
        Scheme::Https => "https://".len(),
    }
}
