//! Versions of resources: hashes of content, so that every replica and every restart agrees.

/// The version of a resource's content. Equal content has equal versions, wherever and whenever it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Version(pub u64);

impl Version {
    /// The version of these encoded bytes (XXH3-64; collisions are a matter of chance, not of security: content comes
    /// from the operator's own cluster).
    pub fn of(encoded: &[u8]) -> Self {
        Self(xxhash_rust::xxh3::xxh3_64(encoded))
    }
}
