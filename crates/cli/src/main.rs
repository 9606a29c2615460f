//! The `helpmate` binary.
fn main() {}
