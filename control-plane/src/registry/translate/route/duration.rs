//! Durations of the Gateway API (GEP-2257): `1h30m`, `500ms`, `0s`.

use std::time::Duration;

/// Reads `([0-9]{1,5}(h|m|s|ms)){1,4}`. None: it is not one.
pub(super) fn duration(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    let mut parts = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, after) = rest.split_at(digits);
        if !(1..=5).contains(&number.len()) || parts == 4 {
            return None;
        }
        let number: u64 = number.parse().ok()?;
        let unit = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit);
        total += match unit {
            "h" => Duration::from_secs(number * 3600),
            "m" => Duration::from_secs(number * 60),
            "s" => Duration::from_secs(number),
            "ms" => Duration::from_millis(number),
            _ => return None,
        };
        parts += 1;
        rest = after;
    }
    (parts > 0).then_some(total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_gep_2257_writes_them() {
        for (text, milliseconds) in
            [("0s", 0), ("500ms", 500), ("1s500ms", 1500), ("1h30m", 5_400_000), ("10s", 10_000)]
        {
            assert_eq!(duration(text), Some(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in ["", "1", "s", "1.5s", "-1s", "123456s", "1us", "1s1s1s1s1s", "1 s"] {
            assert_eq!(duration(text), None, "{text}");
        }
    }
}
