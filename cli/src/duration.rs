//! Durations as arguments.

use std::time::Duration;

/// `90s`, `10m` or `24h`; between a second and a year.
///
/// # Errors
/// It is none; what to write.
pub fn duration(text: &str) -> Result<Duration, String> {
    let unit = match text.as_bytes().last() {
        Some(b's') => 1,
        Some(b'm') => 60,
        Some(b'h') => 3600,
        _ => return Err("write a number with s, m or h".into()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| "write a number with s, m or h")?;
    let seconds = number.checked_mul(unit).filter(|seconds| (1..=365 * 86_400).contains(seconds));
    seconds.map(Duration::from_secs).ok_or_else(|| "between 1s and a year".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_needs_its_unit_and_a_bound() {
        assert_eq!(duration("10m"), Ok(Duration::from_secs(600)));
        for wrong in ["10", "m", "", "0s", "1e3s", "999999999999999999h"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
