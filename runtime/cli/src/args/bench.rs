//! The arguments of `bayplan bench`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::common::FormatOptions;
use super::plan::PlanEffort;

/// The example of `bench`, and what its JSON holds.
pub(super) const BENCH: &str = "\
Example: bayplan bench plan instances --effort high --runs 3

JSON: version, folder, effort; instances, each with name (its path in the folder), buffers; in bytes \
    peak, lower_bound, proved_bound (no plan is smaller) and gap (peak less lower_bound); ratio (peak \
    by lower_bound), status, strategy, runs, cpu_ns (the median of the runs) and cpu_ns_min; \
    failures, each with name and message; cpu_ns (the sum of the medians), memory_bytes (the most \
    that the process had, or null), interrupted.";

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
