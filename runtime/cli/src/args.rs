//! The command line. A test compares it with the table in the README.

use std::path::PathBuf;

use bayplan::Level;
use clap::{Args, Parser, Subcommand, ValueEnum};

/// The example of `run`, and what its JSON holds.
const RUN: &str = "\
Example: bayplan run assets/digits.onnx --dim batch=8 --runs 1000

JSON: version, model, device, dims, budget (bytes or null), seed; inputs and outputs (each with name, dtype, shape, and \
    outputs with file or null); in bytes arena_bytes, weight_bytes, peak, lower_bound; waste as a \
    share of the lower_bound; dispatches, kernels, host_nodes (what the processor computes at each run, as \
    in the JSON of plan); functions (each with name, arena_bytes, dispatches, kernels; \
    where inputs or data decide Ifs there are several, the arena is the largest of theirs, and the plan told of is the \
    largest one's) and function, which ran last; build_ns, runs, interrupted; run_ns with \
    first, and median, p95 and min of the runs after it; recording (a path or null), \
    recording_error (why some of it is missing, or null) and events_lost (how many).";

/// The example of `fit`, and what its JSON holds.
const FIT: &str = "\
Example: bayplan fit decoder.onnx --budget 6GiB --dim batch=1 --dim-max seq=2048

JSON: version, model, target, budget (bytes, or null); memory, the bytes as a function of the dimensions: weights \
    and constant (bytes), symbols (each with name, lower, upper or null), kv (or null), and functions, each \
    with name, when (conditions), proved and terms (each with name, the tensors, and bytes, an expression): \
    weights + constant + kv + the largest of the terms; solved (the dimension of which each row has the \
    largest value that fits); rows, each with dims, bytes, next (bytes at the next value, or null) and binds \
    (function, term and bytes of the term that decides); crossings, each with terms and where these two are \
    equal; fits.";

/// What `plan` takes instead of a model.
const INSTANCE: &str = "The ONNX file, or an instance: a .csv file with the columns id, lower, upper, size and, where \
    wanted, alignment, fixed, offset; a buffer lives in [lower, upper), fixed is where it must lie, offset where \
    another planner put it";

/// The example of `plan`, and what its JSON holds.
const PLAN: &str = "\
Example: bayplan plan encoder.onnx --dim batch=4 --dim seq=32 --effort high --json

JSON: version, kind (model or instance), name; in bytes peak, lower_bound, proved_bound (no plan is \
    smaller) and gap (peak less lower_bound); witness (a point, and the ids live there, whose sizes \
    add up to the lower_bound); waste as a share of the lower_bound; status, strategy. Of an \
    instance: given_peak (that of the offsets in the file, null without them). Of a model: dims, \
    values (inputs that decide shapes: name, dtype, shape, and elements that it is planned for), \
    inputs and outputs (each with name and policy), times (medians in nanoseconds of processor time: \
    liveness_and_plan_ns; new_shape_ns and new_shape with its parts, null if there is one shape; barriers_ns, \
    verification_ns), shapes (null, or where \
    dimensions have bounds the plan of every shape, as a file that the library reads back), target, arena_bytes, weight_bytes, load_peak, dispatches, kernels, order (taken, candidate; peak \
    and barriers, given_peak and given_barriers those of the model's own order; bound: no order \
    needs less, 0 if none was looked for), copies (bytes per run; list, each with dispatch, name, op, \
    bytes and why it stays; direct, each a result that is written where a copy would put it, with \
    dispatch, name, op that the copy would be for, bytes, and row_bytes that lie side by side), \
    host_nodes (what the processor computes at each run: dispatch, name, op, why, bytes_read and \
    bytes_written), and plan with all buffers and ops as a recording keeps \
    them.
    buffers (one whose parts are used from different points on as its pieces, x and x[1]): each with \
    id, lower, upper, size, alignment, fixed (or null), offset; ground (floor, \
    fixed, buffers, loose or empty), rests_on (those beneath it, by their place in the list) and \
    slack (bytes it could sink); regret (how much the arena would shrink without it, at least and \
    at most).
    why_not_smaller: verdict (empty, bound met, excluded by search or open), text, open (bytes that \
    may be to be had); bound (kind: live, padded or fixed; bytes, point, live, padding, and the \
    fixed buffer or null); loss at the witness (live, padding, holes, tail: they add up to the \
    peak); reliefs (the bound without a buffer, and with half of it); regrets, the largest; \
    regrets_untried; settled_peak (each buffer as low as those beneath it permit); chain (what \
    carries the peak, from its top) and chain_length. Lists end after 64 rows.";

/// The example of `bench`, and what its JSON holds.
const BENCH: &str = "\
Example: bayplan bench plan instances --effort high --runs 3

JSON: version, folder, effort; instances, each with name (its path in the folder), buffers; in bytes \
    peak, lower_bound, proved_bound (no plan is smaller) and gap (peak less lower_bound); ratio (peak \
    by lower_bound), status, strategy, runs, cpu_ns (the median of the runs) and cpu_ns_min; \
    failures, each with name and message; cpu_ns (the sum of the medians), memory_bytes (the most \
    that the process had, or null), interrupted.";

/// The example of `conform`, and what its lines hold.
const CONFORM: &str = "\
Example: bayplan conform cases.jsonl --device host

LIST holds one JSON object per line, each a case: id; model, an ONNX file; inputs, a folder with \
    input_0.pb and so on, one TensorProto for each input of the graph that is no initializer, in its \
    order; outputs, a folder, made if it is missing, that gets output_0.pb and so on, in the order of \
    the graph.
One line of JSON per case, printed when it is done: id; status (ok, unsupported: the model uses \
    what bayplan or the device does not have, or error); error, why; ms, milliseconds from opening the \
    model to its outputs; and where it ran dispatches, host_nodes (how many nodes the host \
    computed instead of the device), host (which, and why) and kernels. Ends with 0 when the list was worked through.";

/// The example of `devices`, and what its JSON holds.
const DEVICES: &str = "\
Example: bayplan devices --json

JSON: version; devices, each with index, name, kind, driver, vulkan, uuid, heaps (bytes, \
    device_local) and target, what programs are compiled for; the last is the host, whose index, \
    vulkan and uuid are null.";

/// Run tensor graphs on Vulkan from a static memory plan, and see where every byte goes.
#[derive(Debug, Parser)]
#[command(
    name = "bayplan",
    version,
    about,
    max_term_width = 100,
    after_help = "Example: bayplan run model.onnx --dim batch=1 --runs 100\n\
                  Exit codes: 0 done, 1 error, 2 wrong usage, 3 the model is unsupported"
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
    /// Tell how much memory a model needs as a formula of its dimensions, and the largest ones that fit a budget.
    #[command(after_help = example(FIT), after_long_help = FIT)]
    Fit(FitOptions),
    /// Report on a recording.
    #[command(after_help = "Example: bayplan report 12345 --map")]
    Report(ReportOptions),
    /// Watch a live run, or open a recording, in the terminal.
    #[command(after_help = "Example: bayplan top 12345")]
    Top(TopOptions),
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

/// Which model, with which dimensions.
#[derive(Args, Debug)]
pub(crate) struct ModelOptions {
    /// The ONNX file.
    pub(crate) model: PathBuf,
    /// The value of a symbolic dimension (repeat for each).
    #[arg(long = "dim", value_name = "NAME=VALUE")]
    pub(crate) dims: Vec<String>,
    /// The most that a symbolic dimension may be (repeat for each). One program then serves every size up to it.
    #[arg(long = "dim-max", value_name = "NAME=N")]
    pub(crate) dim_max: Vec<String>,
    /// The least that a symbolic dimension may be (repeat for each); 0 unless the model says more.
    #[arg(long = "dim-min", value_name = "NAME=N")]
    pub(crate) dim_min: Vec<String>,
    #[command(flatten)]
    pub(crate) device: DeviceOption,
    /// In which order operators run: as the model has them, or, by default, in an order whose plan needs less memory, where
    /// one saves enough for the barriers it adds.
    #[arg(long, value_enum)]
    pub(crate) order: Option<OperatorOrder>,
}

/// On what it runs, or for what it is compiled.
#[derive(Args, Debug)]
pub(crate) struct DeviceOption {
    /// Which device: an index, part of a name, a UUID, or host, the CPU without any driver; the best Vulkan device by
    /// default.
    #[arg(long = "device", value_name = "INDEX|NAME|UUID|host", env = "BAYPLAN_DEVICE")]
    pub(crate) name: Option<String>,
}

/// In which order operators run. Results do not depend on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum OperatorOrder {
    /// As the model has them.
    Given,
    /// In the order whose plan needs the least memory; as the model has them where none saves as large a part of the memory
    /// as it adds to the barriers.
    Search,
}

impl From<OperatorOrder> for bayplan_compile::Order {
    fn from(order: OperatorOrder) -> Self {
        match order {
            OperatorOrder::Given => Self::Given,
            OperatorOrder::Search => Self::Search,
        }
    }
}

/// What to print, where there is only text and JSON.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct FormatOptions {
    /// What to print.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Short for --format json.
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

impl FormatOptions {
    /// Whether JSON is asked for, in whichever way.
    pub(crate) fn is_json(self) -> bool {
        self.json || self.format == Format::Json
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum Format {
    /// For people.
    #[default]
    Text,
    /// For programs: one object, whose `version` changes when a key changes its meaning.
    Json,
}

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
    /// Shows the run in the viewer; quitting the viewer ends the run.
    #[arg(long)]
    pub(crate) watch: bool,
    /// Records to one file instead of the folder of runs.
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// How much is recorded: nothing, runs, or every op. By default ops on a GPU, and runs on a CPU driver, where
    /// timestamps cost about as much as small ops.
    #[arg(long, value_name = "off|run|op")]
    pub(crate) trace_level: Option<Level>,
    /// Prints errors only.
    #[arg(long, short, conflicts_with_all = ["format", "json"])]
    pub(crate) quiet: bool,
    #[command(flatten)]
    pub(crate) format: FormatOptions,
}

#[derive(Args, Debug)]
pub(crate) struct PlanOptions {
    #[command(flatten)]
    pub(crate) model: ModelOptions,
    /// Whose bytes an input has (repeat for each): the arena's, or the caller's, where it is read as it lies.
    #[arg(long = "input", value_name = "NAME=planned|caller")]
    pub(crate) inputs: Vec<String>,
    /// Whose bytes an output has (repeat for each): the arena's until the next run, its owner's, or the caller's.
    #[arg(long = "output", value_name = "NAME=borrow|own|into")]
    pub(crate) outputs: Vec<String>,
    /// The elements of an input that decides shapes (repeat for each): the plan is for these alone.
    #[arg(long = "value", value_name = "NAME=FILE.npy|.pb")]
    pub(crate) values: Vec<String>,
    /// What weights and activations may take, for instance 6GiB. With dimensions without a value or an upper bound, the plan
    /// is that of the largest that fit, the first row of `bayplan fit`; else exits with 1 if it takes more.
    #[arg(long, value_name = "BYTES", value_parser = bayplan_text::parse_bytes)]
    pub(crate) budget: Option<u64>,
    /// How long to search for a smaller plan.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) effort: PlanEffort,
    /// What to print.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: PlanFormat,
    /// Short for --format json.
    #[arg(long, conflicts_with = "format")]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct FitOptions {
    #[command(flatten)]
    pub(crate) model: ModelOptions,
    /// The elements of an input that decides shapes (repeat for each): what fits is told for these alone.
    #[arg(long = "value", value_name = "NAME=FILE.npy|.pb")]
    pub(crate) values: Vec<String>,
    /// What weights and activations may take, for instance 6GiB: also tells what fits. Exits with 1 if nothing does.
    /// Dimensions without a bound are tried up to what their inputs leave room for, at most 4,096, the one that is solved
    /// for up to 1,048,576.
    #[arg(long, value_name = "BYTES", value_parser = bayplan_text::parse_bytes)]
    pub(crate) budget: Option<u64>,
    /// The dimension to find the largest value of, for values of the others; by default the last without a bound.
    #[arg(long, value_name = "NAME")]
    pub(crate) solve: Option<String>,
    #[command(flatten)]
    pub(crate) format: FormatOptions,
}

/// How long the planner may search.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlanEffort {
    /// Milliseconds on the graphs of today's models.
    #[default]
    Normal,
    /// Seconds, where a gap to the bound is left.
    High,
}

impl From<PlanEffort> for bayplan::Effort {
    fn from(effort: PlanEffort) -> Self {
        match effort {
            PlanEffort::Normal => Self::Normal,
            PlanEffort::High => Self::High,
        }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum PlanFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
    /// One line per buffer: id,lower,upper,size and, where there are any, alignment,fixed,offset.
    Csv,
}

#[derive(Args, Debug)]
pub(crate) struct ReportOptions {
    /// A file, a folder, a process id, the name of a model (its newest run), or the name of a run (a unique beginning is
    /// enough).
    pub(crate) recording: String,
    #[command(flatten)]
    pub(crate) format: FormatOptions,
    /// Draws the map of memory instead: offset against op.
    #[arg(long, conflicts_with_all = ["format", "json"])]
    pub(crate) map: bool,
}

#[derive(Args, Debug)]
pub(crate) struct TopOptions {
    /// Passed to the viewer, bayplan-tui: a recording (a file, a folder, a process id, the name of a model or
    /// of a run) and the viewer's options, which `bayplan top -- --help` lists. Without a recording, pick from the live runs.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGUMENTS")]
    pub(crate) arguments: Vec<std::ffi::OsString>,
}

#[derive(Args, Debug)]
pub(crate) struct BenchOptions {
    /// What to measure.
    #[arg(value_enum, value_name = "plan")]
    pub(crate) what: Benched,
    /// A folder with instances in CSV (id,lower,upper,size), in it or below.
    #[arg(value_name = "DIR")]
    pub(crate) folder: PathBuf,
    /// How long to search for a smaller plan.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) effort: PlanEffort,
    /// How often to plan each instance. SIGINT and SIGTERM end it after the plan in progress, a second one at once.
    #[arg(long, default_value_t = 5, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) runs: u64,
    #[command(flatten)]
    pub(crate) format: FormatOptions,
}

/// What can be measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Benched {
    /// Memory plans.
    Plan,
}

#[derive(Args, Debug)]
pub(crate) struct ConformOptions {
    /// A file with one JSON object per line: id, model, inputs, outputs.
    #[arg(value_name = "LIST")]
    pub(crate) list: PathBuf,
    #[command(flatten)]
    pub(crate) device: DeviceOption,
}

#[derive(Args, Debug)]
pub(crate) struct DevicesOptions {
    #[command(flatten)]
    pub(crate) format: FormatOptions,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use clap::{ArgAction, CommandFactory};

    use super::*;

    fn subcommands() -> Vec<clap::Command> {
        let mut program = Arguments::command();
        program.build();
        program.get_subcommands().filter(|command| command.get_name() != "help").cloned().collect()
    }

    #[test]
    fn the_definition_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_command_shows_an_example_that_it_understands() {
        for mut command in subcommands() {
            let name = command.get_name().to_owned();
            let help = command.render_long_help().to_string();
            let example = help.lines().find_map(|line| line.strip_prefix("Example: "));
            let example = example.unwrap_or_else(|| panic!("{name}: no example in\n{help}"));
            assert!(example.starts_with(&format!("bayplan {name} ")), "{example}");
            if let Err(e) = Arguments::try_parse_from(example.split_whitespace()) {
                panic!("{example}: {e}");
            }
        }
    }

    #[test]
    fn help_fits_a_hundred_columns() {
        for mut command in subcommands() {
            for help in [command.render_help(), command.render_long_help()] {
                let help = help.to_string();
                let long = help.lines().find(|line| bayplan_text::columns(line) > 100);
                assert_eq!(long, None, "{}", command.get_name());
            }
        }
    }

    /// The options of a command as the README writes them: `--dim NAME=VALUE…`.
    fn options(command: &clap::Command) -> BTreeSet<String> {
        let option = |arg: &clap::Arg| {
            let mut text = format!("--{}", arg.get_long()?);
            if arg.get_action().takes_values() {
                let listed: Vec<String> =
                    arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
                let names = arg.get_value_names().unwrap_or_default();
                let value = if listed.is_empty() { names.concat() } else { listed.join("|") };
                text += &format!(" {value}");
            }
            let repeats = matches!(arg.get_action(), ArgAction::Append);
            Some(text + if repeats { "…" } else { "" })
        };
        let own = command.get_arguments().filter(|arg| !matches!(arg.get_id().as_str(), "help" | "version"));
        own.filter_map(option).collect()
    }

    /// The options of each line in the README's table: `[--dim NAME=VALUE]…`.
    fn documented(line: &str) -> BTreeSet<String> {
        let parts = line.split('[').filter(|part| part.starts_with("--"));
        parts.map(|part| part.trim_end().replacen(']', "", 1)).collect()
    }

    #[test]
    fn the_readme_lists_every_option_and_no_other() {
        let readme = include_str!("../../../README.md");
        let table = readme.split("```usage\n").nth(1).and_then(|rest| rest.split("```").next());
        let lines: Vec<&str> = table.expect("a block of usage in the README").lines().collect();
        let named = |name: &str| lines.iter().find(|line| line.split(' ').nth(1) == Some(name));
        assert_eq!(lines.len(), subcommands().len(), "{lines:?}");
        for command in subcommands() {
            let name = command.get_name();
            let line = named(name).unwrap_or_else(|| panic!("the README does not list {name}"));
            // What follows `top` belongs to the viewer.
            if name != "top" {
                assert_eq!(documented(line), options(&command), "{name}");
            }
        }
    }
}
