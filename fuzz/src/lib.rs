//! What several fuzz targets need. Each target is a file of `targets/`; CONTRIBUTING.md says how to run them.

pub mod crossing;
pub mod judge;
pub mod request;

use libfuzzer_sys::arbitrary::Unstructured;

/// Parts the bytes into pieces as a connection might: the first byte says how, the rest is parted.
pub fn pieces(bytes: &[u8]) -> (impl Iterator<Item = &[u8]>, &[u8]) {
    let (sizes, whole) = bytes.split_first().map_or((0, bytes), |(first, rest)| (*first, rest));
    let (mut rest, mut turn) = (whole, 0);
    let pieces = std::iter::from_fn(move || {
        let size = if turn % 2 == 0 { sizes & 15 } else { sizes >> 4 };
        turn += 1;
        let (piece, left) = rest.split_at(rest.len().min(usize::from(size) + 1));
        rest = left;
        (!piece.is_empty()).then_some(piece)
    });
    (pieces, whole)
}

/// One of them, by the fuzzer's choice.
pub fn one_of<'a, T: ?Sized>(u: &mut Unstructured<'_>, choices: &[&'a T]) -> &'a T {
    u.choose(choices).copied().unwrap_or(choices[0])
}
