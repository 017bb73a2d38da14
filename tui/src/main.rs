//! The `bayplan-tui` binary.

fn main() {}
