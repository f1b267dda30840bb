//! Trailers, both ways.

use ::http::{HeaderMap, HeaderName, HeaderValue};

use crate::http::{Flaw, checked, is_no_trailer, put_field, put_trailers};

/// Appends trailers as field lines. What has no place in trailers, and `weft-` fields, are left out.
pub fn trailers_to_lines(trailers: &HeaderMap, out: &mut Vec<u8>) {
    for (name, value) in trailers {
        if !is_no_trailer(name.as_str().as_bytes()) {
            put_field(name.as_str().as_bytes(), value.as_bytes().trim_ascii(), out);
        }
    }
}

/// Makes trailers of field lines, under the same rule.
///
/// # Errors
/// A line is no field, or there are too many.
pub fn lines_to_trailers(lines: &[u8]) -> Result<HeaderMap, Flaw> {
    let mut cleaned = Vec::with_capacity(lines.len());
    put_trailers(lines, &mut cleaned)?;
    let mut trailers = HeaderMap::new();
    for field in checked(&cleaned) {
        let field = field?;
        let name = HeaderName::from_bytes(field.name).map_err(|_| Flaw::Field)?;
        trailers.append(name, HeaderValue::from_bytes(field.value).map_err(|_| Flaw::Field)?);
    }
    Ok(trailers)
}
