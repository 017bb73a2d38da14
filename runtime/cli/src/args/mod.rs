//! The command line. A test compares it with the table in the README. One file per command, and one for what they share.

mod bench;
mod check;
mod common;
mod conform;
mod devices;
mod diff;
mod export;
mod fit;
mod import;
mod pack;
mod plan;
mod recordings;
mod run;
mod tail;
#[cfg(test)]
mod tests;

use clap::{Parser, Subcommand};

use self::bench::BENCH;
use self::check::CHECK;
use self::conform::CONFORM;
use self::devices::DEVICES;
use self::diff::DIFF;
use self::export::EXPORT;
use self::fit::FIT;
use self::import::IMPORT;
use self::pack::{PACK, PLANNED_FOR};
use self::plan::{INSTANCE, PLAN};
use self::recordings::REPORT;
use self::run::RUN;
use self::tail::TAIL;

pub(crate) use self::bench::{BenchOptions, Benched};
pub(crate) use self::check::CheckOptions;
pub(crate) use self::common::{DeviceOption, FileOptions, ModelOptions, WeightOptions};
pub(crate) use self::conform::ConformOptions;
pub(crate) use self::devices::DevicesOptions;
pub(crate) use self::diff::{DiffFormat, DiffOptions};
pub(crate) use self::export::ExportOptions;
pub(crate) use self::fit::FitOptions;
pub(crate) use self::import::ImportOptions;
pub(crate) use self::pack::PackOptions;
pub(crate) use self::plan::{PlanFormat, PlanOptions};
pub(crate) use self::recordings::{ReportFormat, ReportOptions, TopOptions};
pub(crate) use self::run::RunOptions;
pub(crate) use self::tail::{From as TailFrom, TailOptions};

/// Run tensor graphs on Vulkan from a static memory plan, and see where every byte goes.
#[derive(Debug, Parser)]
#[command(
    name = "bayplan",
    version,
    about,
    max_term_width = 100,
    after_help = "Example: bayplan run model.onnx --dim batch=1 --runs 100\n\
                  Exit codes: 0 done, 1 error, 2 wrong usage, 3 the model is unsupported; of check: 1 an assertion failed, 4 \
                  one could not be judged"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The first line, for the short help.
fn example(text: &'static str) -> &'static str {
    text.lines().next().unwrap_or(text)
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a model.
    #[command(after_help = example(RUN), after_long_help = RUN)]
    Run(RunOptions),
    /// Plan the memory of a model, or of an instance in CSV (id,lower,upper,size), without running anything.
    #[command(
        after_help = example(PLAN),
        after_long_help = PLAN,
        mut_arg("model", |arg| arg.value_name("MODEL|INSTANCE.csv").help(INSTANCE))
    )]
    Plan(PlanOptions),
    /// Write a model anew for the fastest load: its weights in one file, in order of use, aligned, with digests and its plan.
    #[command(
        after_help = example(PACK),
        after_long_help = PACK,
        mut_arg("name", |arg| arg.help(PLANNED_FOR))
    )]
    Pack(PackOptions),
    /// Tell how much memory a model needs as a formula of its dimensions, and the largest ones that fit a budget.
    #[command(after_help = example(FIT), after_long_help = FIT)]
    Fit(FitOptions),
    /// Watch a live run, or open a recording, in the terminal.
    #[command(after_help = "Example: bayplan top 12345")]
    Top(TopOptions),
    /// Report on a recording.
    #[command(after_help = example(REPORT), after_long_help = REPORT)]
    Report(ReportOptions),
    /// Compare two recordings, plans or instances: tensors added, removed, moved and resized, and what makes the peak larger.
    #[command(after_help = example(DIFF), after_long_help = DIFF)]
    Diff(DiffOptions),
    /// Assert figures of a recording, for a gate in CI.
    #[command(after_help = example(CHECK), after_long_help = check::help())]
    Check(CheckOptions),
    /// Write the bytes of a recording to standard output, and follow it until the run ends.
    #[command(after_help = example(TAIL), after_long_help = TAIL)]
    Tail(TailOptions),
    /// Write a recording in the format of another program.
    #[command(after_help = example(EXPORT), after_long_help = EXPORT)]
    Export(ExportOptions),
    /// Make a recording of what another program wrote: a PyTorch memory snapshot, a plan in CSV.
    #[command(after_help = example(IMPORT), after_long_help = IMPORT)]
    Import(ImportOptions),
    /// Measure the planner on every instance in a folder and below: peaks, bounds and processor time.
    #[command(after_help = example(BENCH), after_long_help = BENCH)]
    Bench(BenchOptions),
    /// Run a list of models on given inputs, say the test sets of ONNX, and write their outputs.
    #[command(after_help = example(CONFORM), after_long_help = CONFORM)]
    Conform(ConformOptions),
    /// List the devices that programs can run on.
    #[command(after_help = example(DEVICES), after_long_help = DEVICES)]
    Devices(DevicesOptions),
}
