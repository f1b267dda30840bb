//! What the tests of several kinds share. The app that they judge by is the binary `weft-test-app`.

pub mod mesh;
pub mod prometheus;
pub mod queries;
