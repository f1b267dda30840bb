//! Interception: the rules that lead a pod's TCP connections into the proxy.

pub mod nft;
