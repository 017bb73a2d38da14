//! The table of figures.

use super::read::Read;
use super::value::{Unknown, Value};
use super::{Join, Quantity, Scope, Unit, Worse};
use crate::metrics::holdings::{Purpose, holdings};
use crate::metrics::roofline::{op_attainable, op_roof};
use crate::schema::distribution::Distribution;
use crate::schema::event::EventKind;
use crate::schema::loading::{WeightsPath, rate};
use crate::schema::plan_record::{BufferKind, BufferRecord, OpRecord};
use crate::schema::roofs::Roofs;
use crate::timeline::plan_state::{OpTime, PlanState};
use crate::timeline::pool::Pool;
use crate::timeline::{HeapState, Timeline};

use super::plan_figures::{ArenaFigures, PlanFigures, SeenFigures};
use Join::{Choose, Max, MaxOfSums, Min, Sum};
use Unit::{Bytes, BytesPerSecond, Count, Nanos, Ratio};

/// The figure of a name.
pub fn quantity(name: &str) -> Option<&'static Quantity> {
    QUANTITIES.iter().find(|quantity| quantity.name == name)
}

const WINDOWS: &[EventKind] = &[EventKind::Windows];
const BLOCKS: &[EventKind] = &[EventKind::DeviceAllocated, EventKind::DeviceFreed];
const POOLS: &[EventKind] = &[EventKind::PoolReady, EventKind::PoolAllocated, EventKind::PoolFreed];
const RUNS: &[EventKind] = &[EventKind::RunStart, EventKind::RunEnd];
const LOADS: &[EventKind] = &[EventKind::LoadStart, EventKind::LoadProgress, EventKind::LoadEnd];
const OP_TIMES: &[EventKind] = &[EventKind::OpTimes];

/// Every figure, by name: one row each.
pub static QUANTITIES: &[Quantity] = &[
    // What the plan needs.
    arena("peak", "BufferRecord::end", |arena| whole(arena.peak))
        .help("one past the highest byte that the plan gives to a tensor; arenas are added, of several plans the largest counts")
        .worse(Worse::More),
    arena("reserved", "ArenaRecord::size", |arena| whole(arena.reserved))
        .help("the size of the arena")
        .worse(Worse::More),
    arena("lower_bound", "ArenaRecord::lower_bound", |arena| whole(arena.lower_bound))
        .help("no plan for this order of ops is smaller"),
    arena("gap", "why_not_smaller", |arena| whole(arena.reserved.saturating_sub(arena.lower_bound)))
        .help("bytes of the arena above its lower bound"),
    arena("waste", "waste", |arena| ratio(arena.waste))
        .help("(size of the arena - lower bound) / lower bound; of several arenas the largest")
        .unit(Ratio)
        .join(Max),
    arena("utilisation", "ArenaMetrics::utilisation", |arena| Value::real(arena.utilisation))
        .help("bytes that live at the peak / size of the arena, 1 where it has none; of several arenas the smallest")
        .unit(Ratio)
        .join(Min)
        .may_shrink(),
    arena("utilisation_min", "ArenaMetrics::least_utilisation", |arena| ratio(arena.utilisation_min))
        .help("the smallest share of the arena that lives at any op; of several arenas the smallest")
        .unit(Ratio)
        .join(Min)
        .may_shrink(),
    arena("area_efficiency", "ArenaMetrics::area_efficiency", |arena| ratio(arena.area_efficiency))
        .help("sum of size x life of all tensors / (size of the arena x ops); of several arenas the smallest")
        .unit(Ratio)
        .join(Min)
        .may_shrink(),
    arena("peak_live", "ArenaMetrics::peak_live", |arena| whole(arena.peak_live))
        .help("bytes that live at the op at which the most do"),
    arena("live", "Loss::live", |arena| whole(arena.loss.live))
        .help("bytes at the peak that live tensors cover: reserved = live + padding + holes + tail"),
    arena("padding", "Loss::padding", |arena| whole(arena.loss.padding))
        .help("bytes at the peak between live tensors in which, by alignment, none can begin"),
    arena("holes", "Loss::holes", |arena| whole(arena.loss.holes))
        .help("the other bytes at the peak between and below live tensors"),
    arena("tail", "Loss::tail", |arena| whole(arena.loss.tail))
        .help("bytes at the peak above the topmost live tensor"),
    arena("hole_count", "Loss::hole_count", |arena| whole(arena.loss.hole_count))
        .help("stretches that the holes at the peak are made of")
        .unit(Count),
    arena("largest_hole", "Loss::largest_hole", |arena| whole(arena.loss.largest_hole))
        .help("the longest of them")
        .join(Max),
    arena("largest_fit", "Loss::largest_fit", |arena| whole(arena.loss.largest_fit))
        .help("the most bytes that one more tensor could have that lives at the peak op alone")
        .join(Max)
        .may_shrink(),
    plan("plan_ops", "PlanRecord::ops", |_, figures| whole(figures.ops))
        .help("ops (dispatches) of a plan; of several plans the most")
        .join(Max),
    plan("plan_tensors", "PlanRecord::buffers", |_, figures| whole(figures.buffers))
        .help("tensors that a plan places; of several plans the most")
        .join(Max),
    session("plans", "Timeline::plans", |timeline| whole(timeline.plans.len() as u64))
        .help("plans of the session: one for each shape that it met")
        .cumulative(),
    // What was seen, against the plan.
    plan("deviation", "PlanState::deviations", |state, _| whole(state.deviations()))
        .help("windows that are not where, or not when, the plan has their tensor")
        .made_of(WINDOWS)
        .worse(Worse::More),
    plan("overlap", "PlanState::overlaps", |state, _| whole(state.overlaps()))
        .help("pairs of tensors that share bytes while both live")
        .made_of(WINDOWS)
        .worse(Worse::More),
    session("unplanned", "Timeline::unplanned", |timeline| whole(timeline.unplanned.len() as u64))
        .help("blocks of device memory that were allocated outside the plan, freed ones too")
        .made_of(BLOCKS)
        .worse(Worse::More)
        .cumulative(),
    plan("deviation_bytes", "Deviation::largest", |_, figures| whole(seen(figures).deviation_bytes))
        .help("the most bytes at one op in which the live sets seen and planned differ")
        .made_of(WINDOWS)
        .unit(Bytes)
        .join(Max),
    plan("excess_bytes", "Deviation::max_excess", |_, figures| whole(seen(figures).excess))
        .help("the most bytes at one op that were seen and are not planned there")
        .made_of(WINDOWS)
        .unit(Bytes)
        .join(Max),
    plan("lateness", "Deviation::late", |_, figures| whole(seen(figures).lateness))
        .help("the most ops for which a tensor was held beyond its planned end")
        .made_of(WINDOWS)
        .join(Max),
    plan("reserved_unused", "reserved_unused", |_, figures| whole(seen(figures).unused))
        .help("bytes planned for tensors that no window reached; of several plans the most")
        .made_of(WINDOWS)
        .unit(Bytes)
        .join(Max)
        .may_shrink(),
    arena("reached", "PlanState::actual", |arena| arena.reached.map_or(Value::Unknown(Unknown::NoWindows), whole))
        .help("one past the highest byte of the arena that a window reached")
        .made_of(WINDOWS),
    // The session.
    session("runs", "Timeline::runs_ok", |timeline| whole(timeline.runs_ok))
        .help("runs that succeeded")
        .made_of(RUNS)
        .cumulative(),
    session("failed_runs", "Timeline::runs_failed", |timeline| whole(timeline.runs_failed))
        .help("runs that failed")
        .made_of(RUNS)
        .worse(Worse::More)
        .cumulative(),
    session("started_runs", "Timeline::runs_started", |timeline| whole(timeline.runs_started))
        .help("runs that were submitted")
        .made_of(RUNS)
        .cumulative(),
    distribution("run_time", "Totals::run_times", |timeline| &timeline.totals.run_times)
        .help("durations of the runs that succeeded, from submission to end")
        .made_of(RUNS)
        .worse(Worse::More),
    distribution("op_time", "Totals::op_times", |timeline| &timeline.totals.op_times)
        .help("device times of all ops of all runs")
        .made_of(OP_TIMES),
    session("ended", "Timeline::ended", |timeline| whole(u64::from(timeline.ended.is_some())))
        .help("1 if the session ended in order, 0 if it was killed or still runs")
        .made_of(&[EventKind::SessionEnd]),
    session("duration", "Timeline::now", |timeline| whole(timeline.now))
        .help("from the beginning of the session to the latest record")
        .unit(Nanos)
        .cumulative(),
    session("build_time", "Timeline::ready", |timeline| {
        timeline.ready.map_or(Value::Unknown(Unknown::NotReady), whole)
    })
    .help("from the beginning of the session until runs could begin")
    .made_of(&[EventKind::SessionReady])
    .unit(Nanos)
    .may_shrink(),
    session("dropped", "Timeline::dropped_total", |timeline| whole(timeline.dropped_total()))
        .help("events that were lost because a ring was full")
        .cumulative(),
    Quantity { read: Read::Damage, ..session("damage", "Damage", |_| whole(0)) }
        .help("places at which the recording is damaged")
        .cumulative(),
    session("trace_cost", "Timeline::trace_share", |timeline| match timeline.trace_share() {
        Some(share) => Value::real(share),
        None if timeline.trace_cost.is_some() => Value::Unknown(Unknown::NoRatio),
        None => Value::Unknown(Unknown::NoRuns),
    })
    .help("processor time of tracing / time of the runs")
    .made_of(&[EventKind::TraceCost])
    .unit(Ratio)
    .may_shrink(),
    // Weights.
    load("weights_bytes", "Loading::total", |timeline| timeline.totals.loads.sum().total)
        .help("bytes of weights to load, as they are stored; of several plans of a model the sum")
        .cumulative(),
    load("weights_arrived", "Loading::arrived", |timeline| timeline.totals.loads.sum().arrived())
        .help("bytes of weights that arrived where kernels read them")
        .cumulative(),
    load("weights_imported", "Loading::by_path", |timeline| by_path(timeline, WeightsPath::Imported))
        .help("bytes of weights that no one copied: their file's mapping is device memory")
        .cumulative(),
    load("weights_mapped", "Loading::by_path", |timeline| by_path(timeline, WeightsPath::Mapped))
        .help("bytes of weights that were read straight into device memory")
        .cumulative(),
    load("weights_staged", "Loading::by_path", |timeline| by_path(timeline, WeightsPath::Staged))
        .help("bytes of weights that went through staging buffers")
        .cumulative(),
    load("weights_host", "Loading::by_path", |timeline| by_path(timeline, WeightsPath::Host))
        .help("bytes of weights that were read into memory of the host, which computes itself")
        .cumulative(),
    load("weights_direct", "Loading::direct", |timeline| timeline.totals.loads.sum().direct)
        .help("bytes of weights that were read past the page cache (O_DIRECT)")
        .cumulative(),
    load("load_staging", "Loading::staging", |timeline| timeline.totals.loads.sum().staging)
        .help("the most bytes of staging buffers that loading held"),
    load("load_time", "Loads::took", |timeline| timeline.totals.loads.took(timeline.now))
        .help("from the beginning of loading until the last weight was in place; of several loads the sum")
        .unit(Nanos)
        .cumulative(),
    session("load_rate", "rate", |timeline| {
        let loads = &timeline.totals.loads;
        match rate(loads.sum().arrived(), loads.took(timeline.now)) {
            _ if loads.count == 0 => Value::Unknown(Unknown::NoLoad),
            Some(rate) => whole(rate as u64),
            None => Value::Unknown(Unknown::NoRatio),
        }
    })
    .help("bytes of weights that arrived / time of loading")
    .made_of(LOADS)
    .unit(BytesPerSecond)
    .may_shrink(),
    load("load_overlap", "Load::overlap", |timeline| {
        timeline.totals.loads.latest.map_or(0, |load| load.overlap())
    })
    .help("for how long the first run had been submitted when the last weight was in place; 0 where it came later")
    .unit(Nanos)
    .may_shrink(),
    load("loads", "Loads::count", |timeline| timeline.totals.loads.count)
        .help("how often weights were loaded: once for each plan of a model")
        .unit(Count)
        .cumulative(),
    load("failed_loads", "Loads::failed", |timeline| timeline.totals.loads.failed)
        .help("loads that failed")
        .unit(Count)
        .cumulative(),
    // Device memory.
    session("allocs_after_init", "Totals::allocs_after_ready", |timeline| whole(timeline.totals.allocs_after_ready))
        .help("blocks of device memory that were allocated after the session was ready to run")
        .made_of(BLOCKS)
        .worse(Worse::More)
        .cumulative(),
    session("device_blocks", "Timeline::blocks", |timeline| whole(timeline.blocks.len() as u64))
        .help("live blocks of device memory")
        .made_of(BLOCKS)
        .may_shrink(),
    session("device_bytes", "Timeline::device_bytes", |timeline| whole(timeline.device_bytes()))
        .help("bytes of the live blocks of device memory")
        .made_of(BLOCKS)
        .unit(Bytes)
        .may_shrink(),
    session("device_bytes_max", "Totals::device_bytes_max", |timeline| match timeline.totals.device_bytes_max {
        0 => Value::Unknown(Unknown::NoBlocks),
        most => whole(most),
    })
        .help("the most bytes that blocks of device memory held at once")
        .made_of(BLOCKS)
        .unit(Bytes)
        .worse(Worse::More),
    session("unaccounted", "holdings", |timeline| match holdings(timeline) {
        found if found.seen => whole(found.bytes(Purpose::Unaccounted)),
        _ => Value::Unknown(Unknown::NoBlocks),
    })
    .help("bytes of live blocks of device memory that neither the plan nor the runtime explains")
    .made_of(BLOCKS)
    .unit(Bytes)
    .may_shrink(),
    heap("heap_size", "HeapState::size", |_, _, heap| whole(heap.size)).help("the size of the heap"),
    heap("heap_usage", "HeapState::usage", |_, _, heap| whole(heap.usage))
        .help("bytes of the heap that this process uses, at the latest sample"),
    heap("heap_usage_max", "Totals::heap_usage_max", |timeline, number, heap| {
        whole(timeline.totals.heap_usage_max.get(&number).copied().unwrap_or(0).max(heap.usage))
    })
    .help("the most bytes of the heap that this process was seen to use"),
    heap("heap_budget", "HeapState::budget", |_, _, heap| told(heap.budget))
        .help("bytes of the heap that this process may use, as the driver estimates"),
    heap("heap_others", "HeapState::others", |_, _, heap| told(heap.others()))
        .help("bytes of the heap that its budget leaves out: other processes and the system hold them"),
    heap("heap_headroom", "HeapState::budget", |_, _, heap| {
        told(heap.budget.map(|budget| budget.saturating_sub(heap.usage)))
    })
    .help("bytes of the heap's budget that are left; 0 where more is in use"),
    // Dynamic pools.
    pool("pool_size", "Pool::bytes", |pool| whole(pool.bytes)).help("the size of the pool"),
    pool("pool_live", "Pool::live_bytes", |pool| whole(pool.live_bytes)).help("bytes of the pool that are taken"),
    pool("pool_ranges", "Pool::live", |pool| whole(pool.live.len() as u64))
        .help("ranges of the pool that are taken")
        .unit(Count),
    pool("pool_high_water", "PoolTotals::high_water", |pool| whole(pool.totals.high_water))
        .help("the most bytes of the pool that were taken at once")
        .only_grows(),
    pool("pool_top", "PoolTotals::top", |pool| whole(pool.totals.top))
        .help("the highest end that a range of the pool had")
        .only_grows(),
    pool("pool_allocations", "PoolTotals::allocated", |pool| whole(pool.totals.allocated))
        .help("ranges that were taken of the pool so far")
        .unit(Count)
        .cumulative(),
    pool("pool_free", "Fragmentation::free", |pool| whole(pool.fragmentation().free))
        .help("bytes of the pool that are free"),
    pool("pool_holes", "Fragmentation::holes", |pool| whole(pool.fragmentation().holes))
        .help("stretches that the free bytes of the pool are made of")
        .unit(Count),
    pool("pool_largest_free", "Fragmentation::largest", |pool| whole(pool.fragmentation().largest))
        .help("the longest of them")
        .join(Max),
    pool("fragmentation", "Fragmentation::external", |pool| Value::real(pool.fragmentation().external))
        .help("1 - longest free stretch / free bytes of the pool; of several pools the largest")
        .unit(Ratio)
        .join(Max),
    // Ops.
    op("op_mean", "OpTime::mean", |_, state, op| timed(state, op, |time| time.mean().unwrap_or(0)))
        .help("device time of an op, the mean over its runs but the first; of several ops of a plan their sum")
        .may_shrink()
        .worse(Worse::More),
    op("op_latest", "OpTime::latest", |_, state, op| timed(state, op, |time| time.latest))
        .help("device time of an op in its latest run; of several ops of a plan their sum")
        .may_shrink(),
    op("op_timings", "OpTime::count", |_, state, op| whole(op_time(state, op).count))
        .help("runs in which an op was timed; of several ops the most")
        .unit(Count)
        .join(Max),
    op("op_bytes", "OpRecord::bytes", |_, state, op| whole(state.record.ops.get(op).map_or(0, |op| op.bytes)))
        .help("bytes that an op moves; of several ops of a plan their sum")
        .made_of(&[])
        .unit(Bytes),
    op("op_flops", "OpRecord::flops", |_, state, op| whole(state.record.ops.get(op).map_or(0, |op| op.flops)))
        .help("floating-point operations of an op; of several ops of a plan their sum")
        .made_of(&[])
        .unit(Count),
    op("op_attainable", "op_attainable", |timeline, state, op| {
        roof(timeline, state, op, |record, roofs| op_attainable(record, roofs).map(|(ns, _)| ns))
    })
    .help("time of an op at the device's roof; of several ops of a plan their sum")
    .made_of(&[])
    .may_shrink(),
    op("op_roof_share", "OpRoof::share", |timeline, state, op| match op_time(state, op).mean() {
        None => Value::Unknown(Unknown::NotTimed),
        Some(mean) => roof(timeline, state, op, |record, roofs| {
            op_roof(record, mean, roofs).map(|roof| roof.share)
        }),
    })
        .help("time of an op at the device's roof / its mean time, above 1 where caches help; of several ops the smallest")
        .unit(Ratio)
        .join(Min)
        .may_shrink(),
    // Tensors.
    tensor("tensor_size", "BufferRecord::size", |_, _, tensor| whole(tensor.size))
        .help("the size of a tensor; of several the largest"),
    tensor("tensor_offset", "BufferRecord::offset", |_, _, tensor| whole(tensor.offset))
        .help("where a tensor begins in its arena; of several the highest"),
    tensor("tensor_life", "BufferRecord::first", |_, _, tensor| {
        whole(u64::from(tensor.last.saturating_sub(tensor.first)))
    })
    .help("ops during which a tensor is planned to live; of several the most")
    .unit(Count),
    tensor("tensor_lateness", "Lateness::ops", lateness)
        .help("ops for which a tensor was held beyond its planned end; of several the most")
        .made_of(WINDOWS)
        .unit(Count),
    Quantity { read: Read::Regret, ..tensor("regret", "bayplan_plan::explain::Regret", |_, _, _| whole(0)) }
        .help("how much its arena would shrink without a tensor; of several the most"),
];

const fn session(name: &'static str, source: &'static str, read: fn(&Timeline) -> Value) -> Quantity {
    row(name, source, Scope::Session, Read::Session(read))
}

/// Of how weights were loaded.
const fn load(name: &'static str, source: &'static str, read: fn(&Timeline) -> u64) -> Quantity {
    row(name, source, Scope::Session, Read::Load(read)).unit(Bytes).made_of(LOADS)
}

fn by_path(timeline: &Timeline, path: WeightsPath) -> u64 {
    timeline.totals.loads.sum().by_path[usize::from(path.number())]
}

const fn distribution(
    name: &'static str,
    source: &'static str,
    read: fn(&Timeline) -> &Distribution,
) -> Quantity {
    row(name, source, Scope::Session, Read::Distribution(read)).unit(Nanos)
}

const fn plan(
    name: &'static str,
    source: &'static str,
    read: fn(&PlanState, &PlanFigures) -> Value,
) -> Quantity {
    row(name, source, Scope::Plan, Read::Plan(read))
}

const fn arena(name: &'static str, source: &'static str, read: fn(&ArenaFigures) -> Value) -> Quantity {
    row(name, source, Scope::Arena, Read::Arena(read)).unit(Bytes).join(MaxOfSums)
}

const fn heap(
    name: &'static str,
    source: &'static str,
    read: fn(&Timeline, u32, &HeapState) -> Value,
) -> Quantity {
    row(name, source, Scope::Heap, Read::Heap(read))
        .unit(Bytes)
        .join(Choose)
        .may_shrink()
        .made_of(&[EventKind::HeapSample])
}

const fn pool(name: &'static str, source: &'static str, read: fn(&Pool) -> Value) -> Quantity {
    row(name, source, Scope::Pool, Read::Pool(read)).unit(Bytes).may_shrink().made_of(POOLS)
}

const fn op(
    name: &'static str,
    source: &'static str,
    read: fn(&Timeline, &PlanState, usize) -> Value,
) -> Quantity {
    row(name, source, Scope::Op, Read::Op(read)).unit(Nanos).join(MaxOfSums).made_of(OP_TIMES)
}

const fn tensor(
    name: &'static str,
    source: &'static str,
    read: fn(&PlanState, usize, &BufferRecord) -> Value,
) -> Quantity {
    row(name, source, Scope::Tensor, Read::Tensor(read)).unit(Bytes).join(Max)
}

const fn row(name: &'static str, source: &'static str, scope: Scope, read: Read) -> Quantity {
    Quantity {
        name,
        unit: Count,
        scope,
        join: Sum,
        worse: None,
        cumulative: false,
        help: "",
        source,
        made_of: &[],
        grows: true,
        read,
    }
}

/// What rows differ in.
impl Quantity {
    const fn help(self, help: &'static str) -> Self {
        Self { help, ..self }
    }

    const fn unit(self, unit: Unit) -> Self {
        Self { unit, ..self }
    }

    const fn join(self, join: Join) -> Self {
        Self { join, ..self }
    }

    const fn worse(self, worse: Worse) -> Self {
        Self { worse: Some(worse), ..self }
    }

    const fn made_of(self, made_of: &'static [EventKind]) -> Self {
        Self { made_of, ..self }
    }

    /// Records that are missing could have made it smaller, too.
    const fn may_shrink(self) -> Self {
        Self { grows: false, ..self }
    }

    const fn only_grows(self) -> Self {
        Self { grows: true, ..self }
    }

    const fn cumulative(self) -> Self {
        Self { cumulative: true, ..self }.only_grows()
    }
}

const fn whole(number: u64) -> Value {
    Value::Exact(super::Number::Whole(number))
}

fn ratio(share: Option<f64>) -> Value {
    share.map_or(Value::Unknown(Unknown::NoRatio), Value::real)
}

fn told(number: Option<u64>) -> Value {
    number.map_or(Value::Unknown(Unknown::NotTold), whole)
}

fn seen(figures: &PlanFigures) -> SeenFigures {
    figures.seen.unwrap_or_default()
}

fn op_time(state: &PlanState, op: usize) -> OpTime {
    state.op_times.get(op).copied().unwrap_or_default()
}

fn timed(state: &PlanState, op: usize, read: impl Fn(OpTime) -> u64) -> Value {
    match op_time(state, op) {
        OpTime { count: 0, .. } => Value::Unknown(Unknown::NotTimed),
        time => whole(read(time)),
    }
}

fn roof(
    timeline: &Timeline,
    state: &PlanState,
    op: usize,
    read: impl Fn(&OpRecord, &Roofs) -> Option<f64>,
) -> Value {
    let (Some(roofs), Some(record)) = (timeline.roofs(), state.record.ops.get(op)) else {
        return Value::Unknown(Unknown::NoRoofs);
    };
    read(record, roofs).map_or(Value::Unknown(Unknown::NoRoofOfOp), Value::real)
}

fn lateness(state: &PlanState, buffer: usize, record: &BufferRecord) -> Value {
    let resident = matches!(record.kind, BufferKind::Weight | BufferKind::Constant);
    let last = state.actual.get(buffer).copied().flatten().map_or(0, |seen| seen.last);
    whole(if resident { 0 } else { u64::from(last.saturating_sub(record.last)) })
}
