//! A hasher for maps on the path of requests: a multiplication for each word, where SipHash takes some hundred instructions.
//!
//! It does not keep strangers from choosing keys that collide. Keys are ids that were given here, names that the control
//! plane or certificates give, ports and own addresses; or the map is small by a limit of its own.

use std::{
    collections::HashMap,
    hash::{BuildHasherDefault, Hasher},
};

/// A map with such keys.
pub type QuickMap<K, V> = HashMap<K, V, BuildHasherDefault<QuickHasher>>;

/// Hashes words as FxHash does (rustc's).
#[derive(Clone, Copy, Default)]
pub struct QuickHasher(u64);

impl QuickHasher {
    fn add(&mut self, word: u64) {
        self.0 = (self.0.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl Hasher for QuickHasher {
    fn finish(&self) -> u64 {
        self.0 ^ self.0 >> 32
    }

    fn write(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks();
        words.iter().for_each(|word| self.add(u64::from_le_bytes(*word)));
        if !rest.is_empty() {
            let mut last = [0; 8];
            last[..rest.len()].copy_from_slice(rest);
            self.add(u64::from_le_bytes(last));
        }
    }

    fn write_u8(&mut self, number: u8) {
        self.add(number.into());
    }

    fn write_u16(&mut self, number: u16) {
        self.add(number.into());
    }

    fn write_u32(&mut self, number: u32) {
        self.add(number.into());
    }

    fn write_u64(&mut self, number: u64) {
        self.add(number);
    }

    fn write_usize(&mut self, number: usize) {
        self.add(number as u64);
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, hash::BuildHasher};

    use super::*;

    #[test]
    fn keys_that_differ_little_are_spread_over_buckets_and_tags() {
        let hashes: Vec<u64> = (0..1_000_u64).map(|id| QuickMap::<u64, ()>::default().hasher().hash_one(id)).collect();
        let different = |part: fn(&u64) -> u64| hashes.iter().map(part).collect::<HashSet<_>>().len();
        assert!(different(|hash| hash & 0x3ff) > 500, "the low bits choose the bucket");
        assert!(different(|hash| hash >> 57) > 100, "the high bits are what is compared first");
    }

    #[test]
    fn texts_that_differ_in_any_byte_have_different_hashes() {
        let texts = (0..40).flat_map(|length| (0..length).map(move |at| (length, at)));
        let text = |(length, at)| {
            let mut text = "a".repeat(length);
            text.replace_range(at..=at, "b");
            QuickMap::<String, ()>::default().hasher().hash_one(&text)
        };
        let hashes: Vec<u64> = texts.map(text).collect();
        assert_eq!(hashes.iter().collect::<HashSet<_>>().len(), hashes.len());
    }
}
