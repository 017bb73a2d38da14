//! The command line. A test compares it with the table in the README.

use std::path::PathBuf;

use bayplan::Level;
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Run tensor graphs on Vulkan from a static memory plan, and see where every byte goes.
#[derive(Debug, Parser)]
#[command(
    name = "bayplan",
    version,
    about,
    after_help = "Example: bayplan run model.onnx --dim batch=1 --runs 100"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a model.
    #[command(
        after_help = "Example: bayplan run digits.onnx --dim batch=8 --input images=images.npy --runs 1000"
    )]
    Run(RunOptions),
    /// Plan the memory of a model, or of an instance in CSV (id,lower,upper,size), without running anything.
    #[command(after_help = "Example: bayplan plan encoder.onnx --dim batch=4 --dim seq=32 --json")]
    Plan(PlanOptions),
    /// Report on a recording.
    #[command(after_help = "Example: bayplan report 12345 --map")]
    Report(ReportOptions),
    /// Watch a live run, or open a recording, in the terminal.
    #[command(after_help = "Example: bayplan top")]
    Top(TopOptions),
    /// List the devices that programs can run on.
    #[command(after_help = "Example: bayplan devices --json")]
    Devices(DevicesOptions),
}

/// Which model, with which dimensions.
#[derive(Args, Debug)]
pub(crate) struct ModelOptions {
    /// The ONNX file.
    pub(crate) model: PathBuf,
    /// The value of a symbolic dimension (repeat for each).
    #[arg(long = "dim", value_name = "NAME=VALUE")]
    pub(crate) dims: Vec<String>,
    /// Which device: an index, part of a name, or a UUID; the best one by default.
    #[arg(long, value_name = "INDEX|NAME|UUID", env = "BAYPLAN_DEVICE")]
    pub(crate) device: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct RunOptions {
    #[command(flatten)]
    pub(crate) model: ModelOptions,
    /// An input from a file (repeat for each); others are drawn at random.
    #[arg(long = "input", value_name = "NAME=FILE.npy")]
    pub(crate) inputs: Vec<String>,
    /// Writes each output to NAME.npy in this folder.
    #[arg(long, value_name = "DIR")]
    pub(crate) outputs: Option<PathBuf>,
    /// Seed for the inputs that are drawn at random.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// How often to run.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) runs: u64,
    /// Records to one file instead of the folder of runs.
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// How much is recorded: nothing, runs, or every op. By default ops on a GPU, and runs on a CPU driver, where
    /// timestamps cost about as much as small ops.
    #[arg(long, value_name = "off|run|op")]
    pub(crate) trace_level: Option<Level>,
    /// Prints errors only.
    #[arg(long, short)]
    pub(crate) quiet: bool,
    /// Prints one JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct PlanOptions {
    #[command(flatten)]
    pub(crate) model: ModelOptions,
    /// What to print.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: PlanFormat,
    /// Short for --format json.
    #[arg(long, conflicts_with = "format")]
    pub(crate) json: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlanFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
    /// One line per buffer: id,lower,upper,size,offset.
    Csv,
}

#[derive(Args, Debug)]
pub(crate) struct ReportOptions {
    /// A file, a folder, a process id, or the name of a run (a unique beginning is enough).
    pub(crate) recording: String,
    /// What to print.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: ReportFormat,
    /// Short for --format json.
    #[arg(long, conflicts_with = "format")]
    pub(crate) json: bool,
    /// Draws the map of memory: offset against op.
    #[arg(long)]
    pub(crate) map: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReportFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
}

#[derive(Args, Debug)]
#[command(disable_help_flag = false)]
pub(crate) struct TopOptions {
    /// Passed to the viewer, bayplan-tui: a recording, and its options. Without one, pick from the live runs.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) arguments: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct DevicesOptions {
    /// Prints each device with what programs are compiled for.
    #[arg(long)]
    pub(crate) json: bool,
}
