//! The arguments of `bayplan diff`.

use std::ffi::OsString;

use clap::{Args, ValueEnum};

use super::common::FileOptions;

/// The example of `diff`, and what its JSON holds.
pub(super) const DIFF: &str = "\
Example: bayplan diff before.json after.json --format markdown

Tensors, ops and arenas are found again by their names; where most tensors are called otherwise, as in the exports of one \
    network by two programs, by shape, size and order (renamed). What makes a peak larger is told at one op of both: the peak of \
    the larger, and the same op of the other, or the last before it that both have; the differences add up.

JSON: format, version; same (whether nothing but times differs); a and b, each with name, plans (how many), session \
    (id, model, device, or null); run_time_ns (a, b: the median); \
    warm_run_ns (the median without the first run); only_a and only_b (numbers of plans that have no counterpart); plans, each with a and b \
    (its numbers), same, dims; arenas, each with name, same, a and b (arena, size, lower_bound, waste, peak_op, \
    peak_live, loss; null where it is not), moment (a and b: the op in each; peak_of, live_a, live_b) and causes (name, \
    a and b: numbers of the tensor, live_a and live_b: its bytes there; largest difference first); counts (added, \
    removed, renamed, resized, moved, relived, unchanged); tensors, all that differ, each with name, change, a and b \
    (buffer, name, arena, size, offset, first, last, shape, or null); ops (name, a, b, other_kernel, mean_ns_a, mean_ns_b, \
    noise: whether it is the same op and differs by no more than from run to run); noise_share (of an op's time); \
    op_time_ns (a, b: of all ops of a run, in the mean).";

#[derive(Args, Debug)]
pub(crate) struct DiffOptions {
    /// Before: a recording, a plan file (`bayplan plan --json` writes one), or an instance in CSV, whose offsets are taken,
    /// or else planned.
    #[arg(value_name = "A")]
    pub(crate) before: OsString,
    /// After: likewise. The two need not be of one sort.
    #[arg(value_name = "B")]
    pub(crate) after: OsString,
    /// What to print.
    #[arg(long, value_enum, default_value_t)]
    pub(crate) format: DiffFormat,
    /// Short for --format json.
    #[arg(long, conflicts_with = "format")]
    pub(crate) json: bool,
    /// Exits with 1 where anything but times differs; else the exit code is 0 either way.
    #[arg(long)]
    pub(crate) exit_code: bool,
    #[command(flatten)]
    pub(crate) file: FileOptions,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum DiffFormat {
    /// For people.
    #[default]
    Text,
    /// For programs.
    Json,
    /// For a pull request.
    Markdown,
    /// Both maps of memory as a picture, with what differs marked.
    Svg,
}
