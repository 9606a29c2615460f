//! Chores of the project: `cargo xtask test`, `bench`, `tidy`.
fn main() {}
