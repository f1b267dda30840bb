//! What only a kernel can show about interception. Each test makes network namespaces of its own, as root or, where the
//! kernel allows it, in a user namespace; one that cannot fails and says so.

mod namespace;
mod nft;
mod redirect;
