//! The arguments of `bayplan run`.

use std::path::PathBuf;

use bayplan::{Io, Level};
use clap::Args;

use super::common::{FormatOptions, ModelOptions};

/// The example of `run`, and what its JSON holds.
pub(super) const RUN: &str = "\
Example: bayplan run assets/digits.onnx --dim batch=8 --runs 1000

JSON: version, model, device, dims, budget (bytes or null), seed; inputs and outputs (each with name, dtype, shape, and \
    outputs with file or null); in bytes arena_bytes, weight_bytes, peak, lower_bound; waste as a \
    share of the lower_bound; packed_plan (null, or of the plan that a packed model brings along whether it holds, whether it is \
    used, its bytes, and the reason where it does not hold); weights (null, or of --weights file and how many tensors are bound, small ones of the \
    model's own that are kept, which of those are floats of more than one element, so doubtful, and tensors left_out); \
    imported (null without --io import, or bytes that are read in their files, and left, each with bytes and why); \
    dispatches, kernels, host_nodes (what the processor computes at each run, as \
    in the JSON of plan); functions (each with name, arena_bytes, dispatches, kernels; \
    where inputs or data decide Ifs there are several, the arena is the largest of theirs, and the plan told of is the \
    largest one's) and function, which ran last; build_ns, runs, interrupted; run_ns with \
    first, and median, p95 and min of the runs after it; recording (a path or null), \
    recording_error (why some of it is missing, or null), events_lost (how many) and recording_gap (what a full disk \
    refused, or null: file, error, from_ns and until_ns since the session began, until_ns null where nothing was written \
    any more, and events).";

#[derive(Args, Debug)]
pub(crate) struct RunOptions {
    #[command(flatten)]
    pub(crate) model: ModelOptions,
    /// An input from a file (repeat for each); others are drawn at random.
    #[arg(long = "input", value_name = "NAME=FILE.npy|.pb")]
    pub(crate) inputs: Vec<String>,
    /// All inputs from a folder: input_0.pb and so on, a TensorProto file for each input of the graph that is no
    /// initializer, in its order. Outputs are then written likewise, as output_0.pb and so on.
    #[arg(long = "inputs", value_name = "DIR", conflicts_with = "inputs")]
    pub(crate) folder: Option<PathBuf>,
    /// What weights and activations may take, for instance 6GiB. Dimensions without a value or an upper bound become the
    /// largest that fit: the first row of `bayplan fit`.
    #[arg(long, value_name = "BYTES", value_parser = bayplan_text::parse_bytes)]
    pub(crate) budget: Option<u64>,
    /// Writes each output of the last run to NAME.npy in this folder, or to output_0.pb and so on with --inputs.
    #[arg(long, value_name = "DIR")]
    pub(crate) outputs: Option<PathBuf>,
    /// Seed for the inputs that are drawn at random.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// How often to run. SIGINT and SIGTERM end it after the run in progress, a second one at once.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) runs: u64,
    /// How weights are read: past the page cache (direct, where the file system lets), through it (buffered), or through it
    /// where they are in it already (auto). With import the device reads them in their files, without any copy, where it can
    /// and they are aligned, as `bayplan pack` aligns them; the rest comes as with auto. The files must then stay as they
    /// are: whoever makes one shorter ends the process.
    #[arg(long, default_value_t, value_name = "auto|direct|buffered|import")]
    pub(crate) io: Io,
    /// Begins the first run while weights still arrive, each op when what it reads is there. What is wrong with a weight is
    /// told by that run then, which gives no outputs.
    #[arg(long)]
    pub(crate) early: bool,
    /// Shows the run in the viewer; quitting the viewer ends the run.
    #[arg(long)]
    pub(crate) watch: bool,
    /// Says nothing of how far it is: --watch starts its run so, whose terminal the viewer has.
    #[arg(long, hide = true)]
    pub(crate) watched: bool,
    /// Records to one file instead of the folder of runs.
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// How much is recorded: nothing, runs, or every op. By default ops on a GPU, and runs on a CPU driver, where
    /// timestamps cost about as much as small ops.
    #[arg(long, value_name = "off|run|op")]
    pub(crate) trace_level: Option<Level>,
    /// Serves the run's figures to Prometheus on a port of this machine while it goes on; port 0 takes a free one, which
    /// standard error tells.
    #[arg(long, value_name = "127.0.0.1:PORT")]
    pub(crate) metrics: Option<String>,
    /// Lets --metrics listen where other machines reach it. There is no password and no encryption.
    #[arg(long, requires = "metrics")]
    pub(crate) metrics_open: bool,
    /// Sends the run's figures to an OpenTelemetry receiver (OTLP, protobuf over HTTP) every 10 seconds and at the end, for
    /// instance http://127.0.0.1:4318.
    #[cfg(feature = "otlp")]
    #[arg(long, value_name = "URL")]
    pub(crate) otlp: Option<String>,
    /// Prints errors only.
    #[arg(long, short, conflicts_with_all = ["format", "json"])]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) format: FormatOptions,
}
