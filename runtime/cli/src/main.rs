//! The `bayplan` binary: arguments, files, printing.
#![forbid(unsafe_code)]

mod args;
mod bar;
mod commands;
mod dims;
mod exit;
mod fresh_file;
mod inputs;
mod latencies;
mod npy;
mod out;
mod output_file;
mod outputs;
mod shapes;
mod tensor_file;
mod weights;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;

use crate::args::{Arguments, Command};
use crate::exit::{Failure, Outcome};

fn main() -> ExitCode {
    // A file that becomes larger than this process may write is an error of that write, not the end of the process.
    let _ = signal_hook::flag::register(signal_hook::consts::SIGXFSZ, Arc::default());
    let result = match Arguments::try_parse() {
        Ok(arguments) => done(&arguments.command),
        Err(told) => out::print_told(&told),
    };
    result.unwrap_or_else(Failure::report)
}

fn done(command: &Command) -> Outcome {
    match command {
        Command::Run(options) => commands::run::run(options),
        Command::Plan(options) => commands::plan::plan(options),
        Command::Fit(options) => commands::fit::fit(options),
        Command::Report(options) => commands::report::report(options),
        Command::Diff(options) => commands::diff::diff(options),
        Command::Check(options) => commands::check::check(options),
        Command::Top(options) => commands::top::top(options),
        Command::Tail(options) => commands::tail::tail(options),
        Command::Export(options) => commands::export::export(options),
        Command::Import(options) => commands::import::import(options),
        Command::Bench(options) => commands::bench::bench(options),
        Command::Conform(options) => commands::conform::conform(options),
        Command::Pack(options) => commands::pack::pack(options),
        Command::Devices(options) => commands::devices::devices(options),
    }
}
