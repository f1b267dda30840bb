//! Two distinct members of any sequence, by chance, in one pass and without allocating.

use super::set::Entry;

/// What a sample found.
pub(super) enum Pair<'a> {
    None,
    One(&'a Entry),
    Two(&'a Entry, &'a Entry),
}

/// Two by chance, each with a chance in proportion to its weight (Efraimidis and Spirakis: the greatest of
/// `ln(u) / weight`), first the likelier.
pub(super) fn sample<'a>(entries: impl Iterator<Item = &'a Entry>) -> Pair<'a> {
    let mut best: Option<(f64, &Entry)> = None;
    let mut next: Option<(f64, &Entry)> = None;
    for entry in entries {
        let key = fastrand::f64().max(f64::MIN_POSITIVE).ln() / entry.share;
        if best.is_none_or(|(top, _)| key > top) {
            next = best.replace((key, entry));
        } else if next.is_none_or(|(second, _)| key > second) {
            next = Some((key, entry));
        }
    }
    match (best, next) {
        (Some((_, first)), Some((_, second))) => Pair::Two(first, second),
        (Some((_, only)), None) => Pair::One(only),
        (None, _) => Pair::None,
    }
}
