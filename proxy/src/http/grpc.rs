//! What the proxy knows of gRPC: the content type, the status in head or trailers, the timeout.

use std::time::Duration;

use super::{Fields, put_decimal};

/// Whether a content type is gRPC's. gRPC-Web is not: its trailers are in the body.
pub fn is_grpc(content_type: &[u8]) -> bool {
    const TYPE: &[u8] = b"application/grpc";
    content_type.get(..TYPE.len()).is_some_and(|start| start.eq_ignore_ascii_case(TYPE))
        && matches!(content_type.get(TYPE.len()), None | Some(b'+' | b';' | b' '))
}

/// The `grpc-status` in the field lines of a response's head or of its trailers.
pub fn grpc_status(lines: &[u8]) -> Option<u8> {
    let value = Fields::new(lines).find(b"grpc-status")?;
    std::str::from_utf8(value).ok()?.parse().ok()
}

/// The time limit that a `grpc-timeout` value asks for. None: not one to eight digits and a unit.
pub fn grpc_timeout(value: &[u8]) -> Option<Duration> {
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > 8 || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number = digits.iter().fold(0u64, |number, digit| number * 10 + u64::from(digit - b'0'));
    match unit {
        b'H' => Some(Duration::from_secs(number * 3600)),
        b'M' => Some(Duration::from_secs(number * 60)),
        b'S' => Some(Duration::from_secs(number)),
        b'm' => Some(Duration::from_millis(number)),
        b'u' => Some(Duration::from_micros(number)),
        b'n' => Some(Duration::from_nanos(number)),
        _ => None,
    }
}

/// Appends a `grpc-timeout` value: the finest unit that holds it in eight digits, never more than `limit`.
pub fn write_grpc_timeout(limit: Duration, out: &mut Vec<u8>) {
    const UNITS: [(u128, u8); 6] = [
        (1, b'n'),
        (1_000, b'u'),
        (1_000_000, b'm'),
        (1_000_000_000, b'S'),
        (60_000_000_000, b'M'),
        (3_600_000_000_000, b'H'),
    ];
    const MOST: u128 = 99_999_999;
    let nanos = limit.as_nanos();
    let (size, unit) = UNITS.into_iter().find(|(size, _)| nanos / size <= MOST).unwrap_or(UNITS[5]);
    put_decimal((nanos / size).min(MOST) as u64, out);
    out.push(unit);
}
