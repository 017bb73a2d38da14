//! Trace events, their encoding, and the timeline folded from them.
//!
//! A recording is a Perfetto trace: a sequence of `TracePacket` frames. Some of them Perfetto shows (who recorded, a
//! slice per run, counters); the others hold our own records, without loss, in a private field that Perfetto skips.
//!
//! ```text
//! file      ┌──────────────┬──────────────┬──────────────┬──────────────┬───
//!           │ frame        │ frame        │ frame        │ frame        │ …
//!           └──────────────┴──────────────┴──────────────┴──────────────┴───
//! frame     0a │ length (varint) │ TracePacket
//! packet    what Perfetto shows:  timestamp, sequence, track event or track descriptor
//!           ours:                 8a f9 2b │ length (varint) │ chunk             (field 90001, bytes)
//! chunk      0  "bayp"            magic
//!            4  u8                major version      another one than ours is refused by name
//!            5  u8                minor version      a higher one is read; what it added is skipped
//!            6  u8                kind               1 session · 2 plan · 3 keyframe · 4 events · 5 packed events
//!                                                    6 index; others are skipped and counted
//!            7  u8                flags              1 goes on in the next chunk · 2 restates earlier segments
//!            8  u64               sequence number of the chunk in the session
//!           16  u64               base time, ns since the session began
//!           24  u32               number of events; of the piece, for what is cut into pieces
//!           28  u32               length of the body
//!           32  u32               CRC-32C of the body
//!           36  u32               CRC-32C of bytes 0 to 36
//!           40                    body
//! session   protobuf message: id, model, device, driver, api, version, level, process, start, origin, and what
//!           the device does at most (since minor version 4)
//! plan      protobuf message: number, and the plan record
//! keyframe  protobuf message: counts, losses, sums, and the events that restate what holds
//! events    kind byte, then varints; times and runs as differences (written before minor version 2)
//! packed    the same in fewer bytes: what follows from the event before is left out, op times are packed bit by bit
//! index     where the chunks of the file lie; its last frame, without a number of the sequence
//! segment   packets · session · plan* · keyframe (from the second segment on) · (events · packets | plan)* [· index]
//! ```
//! Numbers in the header are little-endian. A segment decodes alone, and so does any concatenation of segments.
//! A reader finds its way past damage by the chunks' own magic and checksums, and notices what is missing by their
//! sequence numbers.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod diff;
mod format;
mod map;
mod metrics;
pub mod quantities;
mod schema;
mod timeline;

pub use diff::{
    ArenaDiff, ArenaSide, Averaged, Cause, Diff, LiveDiff, Moment, OpDiff, PlanDiff, TensorCounts,
    TensorDiff, diff, diff_plans, live_diff, models_change, roofs_change, run_spread,
};
pub use format::chunk::{FORMAT_MAJOR, FORMAT_MINOR};
pub use format::damage::{Damage, DamageCause};
pub use format::index::{Index, IndexEntry, IndexScan, last_segment};
pub use format::plan_codec::{PLAN_MAJOR, PlanDecodeError};
pub use format::reader::{Reader, Visitor};
pub use format::wire;
pub use format::writer::Writer;
pub use map::colour::colours;
pub use map::index::MapIndex;
pub use map::labels::{MapLabel, map_labels, map_name};
pub use map::raster::{Cell, CellState, Edges, Raster, RasterOptions, glyph, glyph_ascii};
pub use map::shapes::{MapDeviant, MapShape, Stretch, map_deviants, map_shapes, producers};
pub use map::sketch::{MapLine, MapState, Sketch, SketchCell, SketchPart};
pub use metrics::deviation::{Deviation, Lateness, deviation, reserved_unused};
pub use metrics::holdings::{Holdings, Purpose, holdings};
pub use metrics::live_curve::{live_curves, thin};
pub use metrics::live_now::lives_at;
pub use metrics::occupancy::{Holds, Occupancy, Part, occupancy_at};
pub use metrics::op_groups::{OpGroup, op_groups};
pub use metrics::roofline::{OpRoof, RoofBound, op_attainable, op_roof};
pub use metrics::timings::{OpShare, RecentRuns, WarmRuns, median, op_shares, recent_runs, warm_runs};
pub use metrics::trend::{Forecast, Growing, forecast, forecasts, growth};
pub use metrics::{
    ArenaMetrics, Fragmentation, Loss, Peak, WhyNotSmaller, arena_metrics, fragmentation, live_at, loss_at,
    waste, why_not_smaller, why_peak,
};
pub use schema::distribution::Distribution;
pub use schema::event::{Event, EventKind, Nanos, Severity, UNPLANNED, Window};
pub use schema::event_ref::EventRef;
pub use schema::loading::{Loading, ReadMode, WeightsPath, rate};
pub use schema::loads::{Load, Loads};
pub use schema::ops_words::{ops_range, ops_words};
pub use schema::plan_record::{
    ArenaKind, ArenaRecord, BufferKind, BufferRecord, DimBinding, MAX_PLAN_ITEMS, OpRecord, PlanRecord,
    PlanRecordError,
};
pub use schema::roofs::{RoofClock, RoofSource, Roofs};
pub use schema::session::{Keyframe, Level, Record, SessionInfo, UnknownLevel};
pub use schema::storage::{Storage, roots, storages};
pub use schema::totals::Totals;
pub use timeline::alarms::Alarm;
pub use timeline::plan_state::{Actual, OpTime, PlanState, Stray};
pub use timeline::plan_sums::PlanSums;
pub use timeline::playhead::Playhead;
pub use timeline::pool::{Pool, PoolRange, PoolTotals};
pub use timeline::pool_history::{PoolHistory, PoolSample};
pub use timeline::{AlarmCounts, Block, CurrentRun, FinishedRun, HISTORY, HeapState, RETIRED, Timeline};
