//! What a misspelt name was meant to be.

/// The candidate with the fewest letters put in, taken out or exchanged; empty where there is none.
pub(super) fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> &'a str {
    candidates.min_by_key(|candidate| distance(name, candidate)).unwrap_or_default()
}

/// Levenshtein's distance, a row at a time.
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, a) in one.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for (column, b) in other.bytes().enumerate() {
            let exchanged = diagonal + usize::from(a != b);
            diagonal = row[column + 1];
            row[column + 1] = exchanged.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_finds_the_one_that_was_meant() {
        let names = ["log-level", "skip-inbound-ports", "skip-outbound-ports", "cpu-limit"];
        for (wrong, right) in
            [("loglevel", "log-level"), ("skip-outbound-port", "skip-outbound-ports"), ("cpu-limits", "cpu-limit")]
        {
            assert_eq!(nearest(wrong, names.into_iter()), right);
        }
        assert_eq!((distance("", "abc"), distance("kitten", "sitting")), (3, 3));
    }
}
