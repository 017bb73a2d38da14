//! The arguments of `bayplan plan`.

use clap::{Args, ValueEnum};

use super::common::ModelOptions;

/// What `plan` takes instead of a model.
pub(super) const INSTANCE: &str = "The ONNX file, or an instance: a .csv file with the columns id, lower, upper, size and, where \
    wanted, alignment, fixed, offset; a buffer lives in [lower, upper), fixed is where it must lie, offset where \
    another planner put it";

/// The example of `plan`, and what its JSON holds.
pub(super) const PLAN: &str = "\
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
    /// For a pull request or an issue: arenas, and what lives at the peak.
    Markdown,
    /// The map of memory as a picture.
    Svg,
    /// One page with the map to zoom and to search, for a browser.
    Html,
}
