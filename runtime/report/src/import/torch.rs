//! A PyTorch memory snapshot as a recording: every event of the allocator is an op, every allocation a buffer.
//!
//! A device's segments lie anywhere in 64 bits of addresses, and come and go. What is drawn is one arena per device, in
//! which each island of segments has a range of its own for as long as it lives: the planner places them, so that the
//! arena is hardly larger than what was reserved at once. Within an island offsets are differences of addresses.

use std::collections::BTreeMap;

use bayplan_plan::{Buffer, Effort, Problem, lower_bound, solve};
use bayplan_text::{Bytes, Count};
use bayplan_trace::{
    ArenaKind, ArenaRecord, BufferKind, BufferRecord, Event, MAX_PLAN_ITEMS, Nanos, OpRecord, PlanRecord,
    Severity, Window,
};

use super::Imported;
use super::history::{History, Island, Life};
use super::sites::Sites;
use super::snapshot::{Action, Device, Step, devices};
use crate::pickle::Data;

/// Allocators round to this many bytes; offsets of islands are multiples of it.
const ALIGNMENT: u64 = 512;

/// Makes a recording of a snapshot's data.
pub(super) fn import(data: &Data) -> Result<Imported, String> {
    let devices = devices(data)?;
    let order = Order::new(&devices)?;
    let mut sites = Sites::new(data);
    let mut plan = PlanRecord {
        target: names(&devices),
        strategy: "PyTorch caching allocator".into(),
        ops: order.ops(&devices, &mut sites),
        ..PlanRecord::default()
    };
    let mut events = Vec::new();
    let (mut mended, mut pieces) = (0, 0);
    for ((number, device), points) in devices.iter().zip(&order.points) {
        let mut history = History::new(device, points, order.count);
        mended += history.mended;
        let (islands, of_piece) = history.islands();
        let arena = place(*number, &islands, &history, order.count)?;
        let base: Vec<u64> = of_piece.iter().map(|island| arena.offsets[*island as usize]).collect();
        let at = plan.arenas.len() as u32;
        plan.notes.push(arena.note);
        plan.arenas.push(arena.record);
        for (life, offset) in history.blocks.iter().map(|life| (life, base[life.piece as usize])) {
            let island = &islands[of_piece[life.piece as usize] as usize];
            plan.buffers.push(buffer(life, at, offset + (life.addr - island.addr), order.count, &mut sites));
        }
        // Pieces of all devices are told apart by their numbers.
        events.extend(memory_events(&history, pieces, device, points, &order));
        pieces += history.pieces.len() as u64;
    }
    if mended > 0 {
        plan.notes.push(format!(
            "the trace lacks {}: their lives are taken from what follows",
            match mended {
                1 => "the beginning or end of one allocation".to_owned(),
                more => format!("the beginnings or ends of {} allocations", Count(more)),
            }
        ));
    }
    if plan.buffers.len() > MAX_PLAN_ITEMS {
        return Err(too_many("allocations", plan.buffers.len()));
    }
    born(&mut plan);
    events.sort_by_key(|(at, _)| *at);
    let windows = windows(&plan);
    let device = plan.target.clone();
    Ok(Imported {
        what: "PyTorch memory snapshot",
        device,
        start_unix_ns: order.start_us.unwrap_or(0).saturating_mul(1000),
        plan,
        windows,
        ran: true,
        times: order.times(),
        events,
    })
}

fn too_many(what: &str, count: usize) -> String {
    format!(
        "the snapshot has {} {what}; at most {} are drawn",
        Count(count as u64),
        Count(MAX_PLAN_ITEMS as u64)
    )
}

/// `device 0`, `devices 0, 1`.
fn names(devices: &BTreeMap<u64, Device>) -> String {
    let numbers: Vec<String> = devices.keys().take(16).map(u64::to_string).collect();
    format!("{} {}", if devices.len() == 1 { "device" } else { "devices" }, numbers.join(", "))
}

/// All events of all devices in one order: by their times where every one has one, else one device after the other.
struct Order {
    /// Device and event of each point but the last, which is the snapshot itself.
    events: Vec<(u64, u32)>,
    /// The points of each device's events.
    points: Vec<Vec<u32>>,
    /// Points in all.
    count: u32,
    start_us: Option<u64>,
    /// Microseconds since the start, by point; empty where times are not known.
    times_us: Vec<u64>,
}

impl Order {
    fn new(devices: &BTreeMap<u64, Device>) -> Result<Self, String> {
        let total: usize = devices.values().map(|device| device.steps.len()).sum();
        if total >= MAX_PLAN_ITEMS {
            return Err(too_many("events", total));
        }
        let mut events: Vec<(u64, u32, Option<u64>)> = Vec::with_capacity(total);
        for (number, device) in devices {
            let mut latest = Some(0);
            for (at, step) in (0..).zip(&device.steps) {
                // Events of one device stay in their order, whatever their clock did.
                latest = step.time_us.map(|time| time.max(latest.unwrap_or(0)));
                events.push((*number, at, latest));
            }
        }
        let timed = !events.is_empty() && events.iter().all(|(.., time)| time.is_some());
        if timed {
            events.sort_by_key(|(.., time)| *time);
        }
        let start_us = events.first().and_then(|(.., time)| *time).filter(|_| timed);
        let since = |time: Option<u64>| time.unwrap_or(0).saturating_sub(start_us.unwrap_or(0));
        let times_us = events.iter().filter(|_| timed).map(|(.., time)| since(*time)).collect();
        let places: BTreeMap<u64, usize> = devices.keys().copied().zip(0..).collect();
        let mut points: Vec<Vec<u32>> = devices.values().map(|device| vec![0; device.steps.len()]).collect();
        for (point, (number, at, _)) in (0..).zip(&events) {
            points[places[number]][*at as usize] = point;
        }
        let events: Vec<(u64, u32)> = events.into_iter().map(|(number, at, _)| (number, at)).collect();
        let count = events.len() as u32 + 1;
        Ok(Self { events, points, count, start_us, times_us })
    }

    fn ops(&self, devices: &BTreeMap<u64, Device>, sites: &mut Sites<'_>) -> Vec<OpRecord> {
        let several = devices.len() > 1;
        let op = |(number, at): &(u64, u32)| {
            let step = &devices[number].steps[*at as usize];
            let source_node = sites.name(step.frames);
            let device = if several { format!(" on device {number}") } else { String::new() };
            let name = format!("{} {}{device}", step.action.name(), Bytes(step.size));
            OpRecord { name, source_node, source_op: step.action.name().into(), ..OpRecord::default() }
        };
        let end = OpRecord { name: "snapshot".into(), source_op: "snapshot".into(), ..OpRecord::default() };
        self.events.iter().map(op).chain([end]).collect()
    }

    /// When each op begins and ends: an event lasts until the next one.
    fn times(&self) -> Vec<(Nanos, Nanos)> {
        let begins: Vec<Nanos> = self.times_us.iter().map(|time| time.saturating_mul(1000)).collect();
        let Some(&last) = begins.last() else { return Vec::new() };
        let ends = begins.iter().skip(1).chain([&last, &last]);
        begins.iter().chain([&last]).zip(ends).map(|(begin, end)| (*begin, *end)).collect()
    }

    fn time(&self, point: u32) -> Nanos {
        self.times_us.get(point as usize).map_or(0, |time| time.saturating_mul(1000))
    }
}

/// A device's arena, and the offset of each of its islands.
struct Placed {
    record: ArenaRecord,
    offsets: Vec<u64>,
    note: String,
}

fn place(device: u64, islands: &[Island], history: &History, count: u32) -> Result<Placed, String> {
    let mut next = 0;
    let mut order: Vec<usize> = (0..islands.len()).collect();
    order.sort_by_key(|&at| islands[at].addr);
    let mut buffers: Vec<Buffer> = islands
        .iter()
        .map(|island| Buffer::new(island.end - island.addr, island.first, island.last).aligned(ALIGNMENT))
        .collect();
    // What is there all the time lies at the bottom, in the order of addresses.
    for at in order.into_iter().filter(|&at| islands[at].first == 0 && islands[at].last == count) {
        let size = buffers[at].size.checked_next_multiple_of(ALIGNMENT);
        buffers[at].fixed = Some(next);
        // Islands that live all the time are disjoint ranges of addresses below 2^63.
        next = size.and_then(|size| size.checked_add(next)).unwrap_or(u64::MAX);
    }
    let problem = |buffers| Problem::new(buffers).map_err(|error| format!("device {device}: {error}"));
    let plan = solve(&problem(buffers)?, Effort::Normal);
    let bound = lower_bound(&problem(lives(&history.blocks))?);
    let reserved = lower_bound(&problem(lives(&history.pieces))?);
    let record = ArenaRecord {
        name: format!("device {device}"),
        kind: ArenaKind::Other,
        size: plan.peak,
        alignment: ALIGNMENT,
        lower_bound: bound.bytes,
        witness_op: Some(bound.witness).filter(|_| bound.bytes > 0),
    };
    let note = format!(
        "device {device}: {} reserved at most, at op {}, in {} pieces over time; {} allocated at most, at op {}",
        Bytes(reserved.bytes),
        reserved.witness,
        Count(history.pieces.len() as u64),
        Bytes(bound.bytes),
        bound.witness
    );
    Ok(Placed { record, offsets: plan.offsets, note })
}

fn lives(of: &[Life]) -> Vec<Buffer> {
    let lived = of.iter().filter(|life| life.first < life.last);
    lived.map(|life| Buffer::new(life.size, life.first, life.last)).collect()
}

fn buffer(life: &Life, arena: u32, offset: u64, count: u32, sites: &mut Sites<'_>) -> BufferRecord {
    BufferRecord {
        name: sites.block(life),
        arena,
        // Weights and constants are what is there all the time.
        kind: match sites.kind(life.category) {
            BufferKind::Weight | BufferKind::Constant if life.first > 0 || life.last < count => {
                BufferKind::Activation
            }
            kind => kind,
        },
        dtype: "u8".into(),
        shape: format!("u8[{}]", life.size),
        size: life.size,
        size_expr: life.size.to_string(),
        alignment: 1,
        offset,
        first: life.first,
        last: life.last,
        in_place_of: None,
        alias_of: None,
    }
}

/// An op that allocates writes what it allocates.
fn born(plan: &mut PlanRecord) {
    let alloc = Action::Alloc.name();
    for (number, buffer) in (0..).zip(&plan.buffers) {
        if let Some(op) = plan.ops.get_mut(buffer.first as usize).filter(|op| op.source_op == alloc) {
            op.writes.push(number);
        }
    }
}

/// The allocator was seen to hold these bytes at the first and the last op of each life.
fn windows(plan: &PlanRecord) -> Vec<Window> {
    let window = |buffer: u32, record: &BufferRecord, op: u32| Window {
        op,
        binding: 0,
        buffer,
        arena: record.arena,
        offset: record.offset,
        len: record.size,
        write: op == record.first,
    };
    let lives = (0..).zip(&plan.buffers).filter(|(_, record)| record.first < record.last);
    lives
        .flat_map(|(number, record)| {
            let last = Some(record.last - 1).filter(|last| *last != record.first);
            [Some(record.first), last].into_iter().flatten().map(move |op| window(number, record, op))
        })
        .collect()
}

/// What the device gave and took back, and where it had nothing left; each with the op it came with.
fn memory_events(
    history: &History,
    first_id: u64,
    device: &Device,
    points: &[u32],
    order: &Order,
) -> Vec<(u32, Event)> {
    let mut found = Vec::new();
    for (id, piece) in (first_id..).zip(&history.pieces) {
        let t = order.time(piece.first);
        let (bytes, purpose) = (piece.size, "segment".into());
        found.push((
            piece.first,
            Event::DeviceAllocated { t, id, bytes, memory_type: 0, purpose, planned: true },
        ));
        if piece.last < order.count {
            found.push((piece.last, Event::DeviceFreed { t: order.time(piece.last), id }));
        }
    }
    for (step, &at) in device.steps.iter().zip(points) {
        if let Step { action: Action::OutOfMemory, addr: free, size, .. } = *step {
            let text =
                format!("out of memory: {} asked for, {} free on the device", Bytes(size), Bytes(free));
            found.push((at, Event::Message { t: order.time(at), level: Severity::Error, text }));
        }
    }
    found
}
