//! The schema of PyTorch's memory snapshots: from a pickle's data to segments and events.
//!
//! ```text
//! {"segments":      [{"device", "address", "total_size", "blocks": [{"address", "size", "requested_size", "state", "frames"}]}],
//!  "device_traces": [[{"action", "addr", "size", "time_us", "frames", "category"}]]}        one list for each device
//! ```
//! after the page of `torch.cuda.memory._snapshot`. What older versions wrote is read as well: a list of segments alone,
//! blocks without an address, frames under `history`.

use std::collections::BTreeMap;

use crate::pickle::{Data, Value};

/// What one device was seen to do, and what it held at the end.
#[derive(Debug, Default)]
pub(super) struct Device {
    pub(super) steps: Vec<Step>,
    pub(super) segments: Vec<Held>,
    pub(super) blocks: Vec<Held>,
}

/// An event of the allocator.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Step {
    pub(super) action: Action,
    pub(super) addr: u64,
    pub(super) size: u64,
    /// Microseconds since the Unix epoch.
    pub(super) time_us: Option<u64>,
    /// The stack that called: a list of frames.
    pub(super) frames: Value,
    pub(super) category: Value,
}

/// What an event does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Alloc,
    /// The bytes can be given to others. When that was only asked for, nothing has happened yet.
    Free,
    SegmentAlloc,
    SegmentFree,
    /// A part of an expandable segment gets memory.
    Map,
    Unmap,
    /// Memory was asked for that there was not; `addr` is what the device had free.
    OutOfMemory,
}

impl Action {
    const NAMES: [(&'static str, Self); 9] = [
        ("alloc", Self::Alloc),
        ("free_completed", Self::Free),
        ("free", Self::Free),
        ("segment_alloc", Self::SegmentAlloc),
        ("segment_free", Self::SegmentFree),
        ("segment_map", Self::Map),
        ("segment_unmap", Self::Unmap),
        ("oom", Self::OutOfMemory),
        ("out of memory", Self::OutOfMemory),
    ];

    fn named(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| *known == name).map(|(_, action)| *action)
    }

    /// What it is called in a recording.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Alloc => "alloc",
            Self::Free => "free",
            Self::SegmentAlloc => "segment_alloc",
            Self::SegmentFree => "segment_free",
            Self::Map => "segment_map",
            Self::Unmap => "segment_unmap",
            Self::OutOfMemory => "out of memory",
        }
    }
}

/// A range of addresses that was held when the snapshot was taken.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Held {
    pub(super) addr: u64,
    pub(super) size: u64,
    pub(super) frames: Value,
}

impl Held {
    /// One past the last byte.
    pub(super) fn end(&self) -> u64 {
        self.addr.saturating_add(self.size)
    }
}

/// Bytes of a pickle that an event, a segment or a block takes at least.
const ENTRY: u64 = 8;

/// What may still be read. A pickle can name one list a million times, each of which would be read anew: what was written
/// by an allocator takes room for each entry.
struct Budget(u64);

impl Budget {
    fn spend(&mut self) -> Result<(), String> {
        self.0 = self.0.checked_sub(1).ok_or_else(|| {
            ": the pickle has more entries than its length explains, it names the same ones again and again; it is \
             not read on"
                .to_owned()
        })?;
        Ok(())
    }
}

/// Reads a snapshot: its devices by their number.
pub(super) fn devices(data: &Data) -> Result<BTreeMap<u64, Device>, String> {
    let mut budget = Budget(data.len() / ENTRY);
    let root = data.root();
    let (segments, traces) = match data.list(root) {
        Some(_) => (root, None),
        None => (data.get(root, "segments").unwrap_or(Value::None), data.get(root, "device_traces")),
    };
    let (segments, traces) = (data.list(segments), traces.and_then(|traces| data.list(traces)));
    if segments.is_none() && traces.is_none() {
        return Err(
            "the pickle holds no memory snapshot: it has neither `segments` nor `device_traces`".into()
        );
    }
    let mut devices: BTreeMap<u64, Device> = BTreeMap::new();
    for (at, &segment) in segments.unwrap_or_default().iter().enumerate() {
        let number = data.number(segment, "device").unwrap_or(0);
        read_segment(data, segment, devices.entry(number).or_default(), &mut budget)
            .map_err(|what| format!("segments[{at}]{what}"))?;
    }
    for (number, &trace) in (0..).zip(traces.unwrap_or_default()) {
        let entries = data.list(trace).ok_or_else(|| format!("device_traces[{number}] is no list"))?;
        for (at, &entry) in entries.iter().enumerate() {
            let step = budget.spend().and_then(|()| read_step(data, entry));
            let step = step.map_err(|what| format!("device_traces[{number}][{at}]{what}"))?;
            if let Some(step) = step {
                devices.entry(number).or_default().steps.push(step);
            }
        }
    }
    Ok(devices)
}

fn read_segment(data: &Data, segment: Value, device: &mut Device, budget: &mut Budget) -> Result<(), String> {
    budget.spend()?;
    let frames = data.get(segment, "frames").unwrap_or(Value::None);
    // A profile without a device's memory has a segment without an address.
    let Some(start) = data.number(segment, "address") else {
        return match data.get(segment, "address") {
            Some(Value::None) => Ok(()),
            _ => Err(" has no `address`".into()),
        };
    };
    let size = data.number(segment, "total_size").ok_or(" has no `total_size`")?;
    device.segments.push(Held { addr: start, size: bounded(start, size)?, frames });
    let blocks = data.get(segment, "blocks").and_then(|blocks| data.list(blocks)).unwrap_or_default();
    let mut next = start;
    for (at, &block) in blocks.iter().enumerate() {
        let held = budget.spend().and_then(|()| read_block(data, block, next));
        let held = held.map_err(|what| format!(".blocks[{at}]{what}"))?;
        next = held.0;
        device.blocks.extend(held.1);
    }
    Ok(())
}

/// Reads a block: where the next one begins, and what of it is held.
fn read_block(data: &Data, block: Value, next: u64) -> Result<(u64, Option<Held>), String> {
    let addr = data.number(block, "address").unwrap_or(next);
    let size = bounded(addr, data.number(block, "size").ok_or(" has no `size`")?)?;
    let history = data.get(block, "history").and_then(|history| data.list(history)?.first().copied());
    let history = history.unwrap_or(Value::None);
    let asked = data.number(block, "requested_size").or_else(|| data.number(history, "real_size"));
    let frames = data.get(block, "frames").or_else(|| data.get(history, "frames")).unwrap_or(Value::None);
    let active = data.word(block, "state").is_some_and(|state| state.starts_with("active"));
    let held = Held { addr, size: asked.unwrap_or(size).min(size), frames };
    Ok((addr + size, active.then_some(held)))
}

/// Reads an event; `None` for one that changes nothing.
fn read_step(data: &Data, entry: Value) -> Result<Option<Step>, String> {
    let name = data.word(entry, "action").ok_or(" has no `action`")?;
    let Some(action) = Action::named(name) else { return Ok(None) };
    let key = if action == Action::OutOfMemory { "device_free" } else { "addr" };
    let addr = match data.number(entry, key) {
        Some(addr) => addr,
        None if action == Action::OutOfMemory => 0,
        None => return Err(format!(" ({name}) has no `{key}`")),
    };
    let size = data.number(entry, "size").ok_or_else(|| format!(" ({name}) has no `size`"))?;
    Ok(Some(Step {
        action,
        addr,
        size: if action == Action::OutOfMemory { size } else { bounded(addr, size)? },
        time_us: data.number(entry, "time_us"),
        frames: data.get(entry, "frames").unwrap_or(Value::None),
        category: data.get(entry, "category").unwrap_or(Value::None),
    }))
}

/// The size, if the range ends within 63 bits of address space.
fn bounded(addr: u64, size: u64) -> Result<u64, String> {
    match addr.checked_add(size) {
        Some(end) if end <= 1 << 63 => Ok(size),
        _ => Err(format!(" ends past the end of memory: {size} bytes at 0x{addr:x}")),
    }
}
