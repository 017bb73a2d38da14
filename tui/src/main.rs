//! The `bayplan-tui` binary.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    bayplan_tui::main()
}
