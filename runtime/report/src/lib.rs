//! Reports on a recording for people and programs.
//!
//! Reports are made from a [`Timeline`](bayplan_trace::Timeline): [`text`] for people, [`markdown`] for pull requests and
//! issues, [`json`] for programs, [`map`], the picture of an arena in characters, [`svg`], the same as a vector picture, and
//! [`html`], one page with all of it that needs no network. All text that comes from the recording is escaped.
//!
//! A recording has one report, to the byte: that of a process that runs, of its folder or file, of the stream that `tail`
//! makes of it, and of its export for Perfetto, all read up to the same record. `live` and `state` alone say which it was, and `damage`
//! names the file or folder that it was found in.
//!
//! # The JSON report
//! An object with these keys. Keys may be added; a change of meaning raises `version`. Sizes are bytes, times
//! nanoseconds since the session began unless said otherwise, lifespans half-open ranges of op numbers, and what is not
//! known is `null`.
//!
//! | key | value |
//! |---|---|
//! | `format`, `version` | `"bayplan-report"`, `1` |
//! | `live` | whether the recorded process was still running |
//! | `state` | `"running"`, `"ended"`, or `"killed"`: the process is gone and the recording has no end, because it was killed or could not write any more |
//! | `session` | `id`, `model`, `device`, `driver`, `api`, `version`, `level`, `pid`, `start_unix_ns`, `origin` (what it was imported from; empty for a run) |
//! | `deviation`, `overlap`, `unplanned` | how many alarms of each sort there are |
//! | `alarms` | the alarms, at most 1,000 of each sort per plan: `kind`, `plan`, `text`, and what the sort has: `op`, `binding`, `buffer`, `buffers`, `arena`, `planned_arena`, `planned`, `actual`, `bytes`, `ops`, `block` |
//! | `figures` | every figure that [`bayplan_trace::quantities`] names, by name: `unit`, `value` (the session's), and where it is told of plans, arenas, heaps or pools `of` (each with `plan`, `arena`, `heap`, `pool`, `name`, `value`); of a distribution `count`, `sum`, `min`, `max`, `mean`, `p50`, `p90`, `p95`, `p99` instead; where a value is `null`, `why`, and `at_least` or `at_most` if that much is known; `live`, `padding`, `holes` and `tail` are bytes at the peak: what lives at the moment of the report is `plans[].arenas[].live_now` |
//! | `runs` | `started`, `ok`, `failed`, `latest_ns`, `median_ns`, `p99_ns`, `recent` (runs that the times are taken from), `current` (`run`, `plan`, `playhead`) |
//! | `current_plan` | the number of the plan of the run in progress, else of the latest run, else of the newest plan |
//! | `plans` | `number`, `model`, `target`, `strategy`, `notes`, `dims` (an object), `ops`, `buffers`, `runs`, `windows_seen`, `windows_incomplete`, `arenas`, `deviations`, `op_times` |
//! | `plans[].arenas` | `name`, `kind`, `size`, `alignment`, `lower_bound`, `witness_op`, `witness_node`, `gap`, `optimal`, `waste`, `peak_op`, `peak_live`, `utilisation` (live / size at the peak), `live_now` (bytes that live where the plan has come to; `null` in a run of which no op was seen complete), `least_op`, `least_live`, `least_utilisation`, `area_efficiency` (Σ size · life / (size · ops)), `loss`, `live_at_peak` |
//! | `…loss` | `live`, `padding`, `holes`, `tail` (their sum is `size`), `hole_count`, `largest_hole`, `largest_fit` (the most bytes that one more buffer could have at that op) |
//! | `…live_at_peak` | the largest 20, with `buffer`, `name`, `shape`, `kind`, `size`, `size_expr`, `offset`, `first` and `last` (ops of its life, half-open: `last` is the op after the last one; the viewer says "ops 5 to 8" of 5 and 9); `live_at_peak_count` counts all |
//! | `plans[].deviations` | `null` before windows were seen; else `max_excess` (most bytes at one op that the plan does not have), `largest_op`, `largest_bytes` (the largest symmetric difference of live sets), `reserved_unused`, `late` (`buffer`, `name`, `planned`, `seen`) |
//! | `plans[].op_times` | ops that were timed, the slowest first: `op`, `name`, `kernel`, `source_node`, `source_op`, `count`, `mean_ns` (of `averaged` runs: without the first, where others followed), `first_ns`, `latest_ns`, `share`, `bytes`, `flops` |
//! | `blocks` | live blocks of device memory: `id`, `bytes`, `memory_type`, `purpose`, `planned`, `t` |
//! | `unplanned_blocks` | every block allocated outside the plan, freed or not |
//! | `heaps` | `heap`, `size`, `usage`, `budget`, `others` (what the budget leaves out of the heap) |
//! | `memory` | `total` (bytes of live blocks; what the plan needs where none was `seen`), `parts`: bytes by what they are held for, which sum to it |
//! | `forecasts` | what grows into its limit, the soonest first: `kind` (`heap` or `pool`), `number`, `bytes_per_second`, `used`, `limit`, `budget` (whether the limit is one; else a size), `left_ns` |
//! | `dropped` | events lost, by kind |
//! | `trace_cost` | `ns`, `run_ns`, `share` |
//! | `messages` | the latest: `t`, `level`, `text` |
//! | `damage` | what is damaged in the recording, in words |
#![forbid(unsafe_code)]

pub mod check;
pub mod diff;
mod export;
mod figures;
mod html;
mod import;
mod instance;
mod json;
mod map;
mod markdown;
mod markup;
mod page;
#[cfg(test)]
mod pages_tests;
mod pickle;
mod picture;
mod regret;
mod roofline;
mod summary;
#[cfg(test)]
mod tests;
mod text;

pub use export::{Exporter, FORMATS, Format, export_format};
pub use html::html;
pub use import::{ImportError, Imported, import};
pub use instance::instance_plan;
pub use json::json;
pub use map::map;
pub use markdown::markdown;
pub use markup::{code as markdown_code, plain as markdown_text};
pub use picture::svg;
pub use text::text;
