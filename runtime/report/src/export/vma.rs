//! A dump of device memory in the format of the Vulkan Memory Allocator, which its `GpuMemDumpVis.py` draws.
//!
//! A dump is one moment: each arena is a pool of one block with what lives in it at the peak of the plan that ran last, each
//! dynamic pool one with what is taken of it at the end of the recording, and every other block of device memory a
//! dedicated allocation. The recording does not tell which heap a memory type is of unless there is one heap.

use std::collections::BTreeMap;
use std::io::{self, Write};

use bayplan_text::escape;
use bayplan_trace::{Block, PlanRecord, Pool, Record, Timeline, arena_metrics, live_at, ops_words};
use serde_json::{Map, Value, json};

use super::Exporter;

/// `VK_BUFFER_USAGE_STORAGE_BUFFER_BIT`: what every arena is.
const STORAGE_BUFFER: u32 = 0x20;

/// Writes a dump.
#[derive(Default)]
pub(super) struct Dump;

impl Exporter for Dump {
    fn record(&mut self, _: &Record, _: &Timeline, _: &mut dyn Write) -> io::Result<()> {
        Ok(())
    }

    fn finish(&mut self, timeline: &Timeline, out: &mut dyn Write) -> io::Result<()> {
        serde_json::to_writer_pretty(&mut *out, &Memory::of(timeline).dump(timeline))?;
        out.write_all(b"\n")
    }
}

/// What lies in device memory, by memory type.
#[derive(Default)]
struct Memory {
    types: BTreeMap<u32, Contents>,
}

/// What lies in memory of one type.
#[derive(Default)]
struct Contents {
    blocks: Vec<Filled>,
    dedicated: Vec<Value>,
    dedicated_bytes: Vec<u64>,
}

/// A block, and what lies in it.
struct Filled {
    name: String,
    bytes: u64,
    /// By offset, without gaps and overlaps.
    ranges: Vec<Part>,
}

/// A part of a block.
struct Part {
    offset: u64,
    size: u64,
    /// Name, and what more there is to say; none where it is free.
    held: Option<(String, String)>,
}

/// Sums that the format has for every set of blocks.
#[derive(Default)]
struct Statistics {
    blocks: u64,
    block_bytes: u64,
    allocations: Vec<u64>,
    unused: Vec<u64>,
}

impl Memory {
    fn of(timeline: &Timeline) -> Self {
        let mut memory = Self::default();
        let mut blocks: Vec<&Block> = timeline.blocks.values().collect();
        // The memory type of a name is that of the device block made for it.
        let mut claim = |name: &str| {
            let mine =
                blocks.iter().find(|block| block.purpose.starts_with(name)).map(|block| block.memory_type);
            blocks.retain(|block| !block.purpose.starts_with(name));
            mine.unwrap_or(0)
        };
        if let Some((_, state)) = timeline.current_plan() {
            let metrics = arena_metrics(&state.record);
            for (number, arena) in (0u32..).zip(&state.record.arenas) {
                let at = metrics.get(number as usize).and_then(|metrics| metrics.peak_op).unwrap_or(0);
                let ranges = fill(arena.size, arena_parts(&state.record, number, at));
                let contents = memory.types.entry(claim(&arena.name)).or_default();
                let name = escape(&arena.name).to_string();
                contents.blocks.push(Filled { name, bytes: arena.size, ranges });
            }
        }
        for pool in timeline.pools.values() {
            let contents = memory.types.entry(claim(&pool.name)).or_default();
            let (name, ranges) = (escape(&pool.name).to_string(), fill(pool.bytes, pool_parts(pool)));
            contents.blocks.push(Filled { name, bytes: pool.bytes, ranges });
        }
        for block in blocks {
            let contents = memory.types.entry(block.memory_type).or_default();
            let name = escape(&block.purpose).to_string();
            let size = block.bytes;
            contents.dedicated_bytes.push(size);
            contents.dedicated.push(json!({"Type": "BUFFER", "Size": size, "Usage": 0, "Name": name}));
        }
        memory
    }

    fn dump(&self, timeline: &Timeline) -> Value {
        let session = timeline.session.as_ref();
        let text = |text: Option<&String>| text.map(|text| escape(text).to_string()).unwrap_or_default();
        let of_types = |make: fn(&Contents) -> Value| -> Map<String, Value> {
            let types = self.types.iter();
            types.map(|(number, contents)| (format!("Type {number}"), make(contents))).collect()
        };
        let mut total = Statistics::default();
        self.types.values().for_each(|contents| contents.count(&mut total));
        json!({
            "General": {
                "API": "Vulkan",
                "apiVersion": text(session.map(|session| &session.api)),
                "GPU": text(session.map(|session| &session.device)),
                "memoryHeapCount": timeline.heaps.len(),
                "memoryTypeCount": self.types.keys().next_back().map_or(0, |last| last + 1),
            },
            "Total": total.json(),
            "MemoryInfo": self.heaps(timeline),
            "DefaultPools": of_types(Contents::default_pool),
            "CustomPools": of_types(Contents::pools),
        })
    }

    fn heaps(&self, timeline: &Timeline) -> Value {
        let only = timeline.heaps.len() == 1;
        let heap = |(number, heap): (&u32, &bayplan_trace::HeapState)| {
            let mut statistics = Statistics::default();
            let mut types = Map::new();
            for (number, contents) in self.types.iter().filter(|_| only) {
                let mut own = Statistics::default();
                contents.count(&mut own);
                contents.count(&mut statistics);
                types.insert(format!("Type {number}"), json!({"Flags": [], "Stats": own.json()}));
            }
            let budget = json!({"BudgetBytes": heap.budget.unwrap_or(heap.size), "UsageBytes": heap.usage});
            let value = json!({
                "Flags": [], "Size": heap.size, "Budget": budget, "Stats": statistics.json(), "MemoryPools": types,
            });
            (format!("Heap {number}"), value)
        };
        Value::Object(timeline.heaps.iter().map(heap).collect())
    }
}

impl Contents {
    fn count(&self, statistics: &mut Statistics) {
        for block in &self.blocks {
            block.count(statistics);
        }
        for bytes in &self.dedicated_bytes {
            statistics.blocks += 1;
            statistics.block_bytes = statistics.block_bytes.saturating_add(*bytes);
            statistics.allocations.push(*bytes);
        }
    }

    /// What lies in no arena or pool.
    fn default_pool(&self) -> Value {
        json!({"PreferredBlockSize": 0, "Blocks": {}, "DedicatedAllocations": self.dedicated})
    }

    /// Arenas and pools.
    fn pools(&self) -> Value {
        let pool = |(at, block): (usize, &Filled)| {
            json!({
                "Name": format!("{at} - {}", block.name), "PreferredBlockSize": block.bytes,
                "Blocks": {"0": block.json()}, "DedicatedAllocations": [],
            })
        };
        self.blocks.iter().enumerate().map(pool).collect()
    }
}

impl Filled {
    fn count(&self, statistics: &mut Statistics) {
        statistics.blocks += 1;
        statistics.block_bytes = statistics.block_bytes.saturating_add(self.bytes);
        for part in &self.ranges {
            let sizes =
                if part.held.is_some() { &mut statistics.allocations } else { &mut statistics.unused };
            sizes.push(part.size);
        }
    }

    fn json(&self) -> Value {
        let mut own = Statistics::default();
        self.count(&mut own);
        let part = |part: &Part| match &part.held {
            Some((name, data)) => json!({
                "Offset": part.offset, "Type": "BUFFER", "Size": part.size, "Usage": STORAGE_BUFFER,
                "Name": name, "CustomData": data,
            }),
            None => json!({"Offset": part.offset, "Type": "FREE", "Size": part.size}),
        };
        json!({
            "MapRefCount": 0, "TotalBytes": self.bytes, "UnusedBytes": sum(&own.unused),
            "Allocations": own.allocations.len(), "UnusedRanges": own.unused.len(),
            "Suballocations": self.ranges.iter().map(part).collect::<Vec<_>>(),
        })
    }
}

impl Statistics {
    fn json(&self) -> Value {
        let mut value = json!({
            "BlockCount": self.blocks, "BlockBytes": self.block_bytes, "AllocationCount": self.allocations.len(),
            "AllocationBytes": sum(&self.allocations), "UnusedRangeCount": self.unused.len(),
        });
        for (what, sizes) in [("AllocationSize", &self.allocations), ("UnusedRangeSize", &self.unused)] {
            // The format has these where they say more than the sum.
            if let (2.., Some(least), Some(most)) = (sizes.len(), sizes.iter().min(), sizes.iter().max()) {
                value[format!("{what}Min")] = json!(least);
                value[format!("{what}Max")] = json!(most);
            }
        }
        value
    }
}

fn sum(sizes: &[u64]) -> u64 {
    sizes.iter().fold(0, |sum, size| sum.saturating_add(*size))
}

/// What lives in an arena at an op.
fn arena_parts(plan: &PlanRecord, arena: u32, op: u32) -> Vec<Part> {
    let part = |buffer: u32| {
        let buffer = &plan.buffers[buffer as usize];
        let (name, shape) = (escape(&buffer.name).to_string(), escape(&buffer.shape));
        let data = format!("{shape}, {}", ops_words(buffer.first, buffer.last));
        Part { offset: buffer.offset, size: buffer.size, held: Some((name, data)) }
    };
    live_at(plan, arena, op).into_iter().map(part).collect()
}

fn pool_parts(pool: &Pool) -> Vec<Part> {
    let part = |(id, range): (&u64, &bayplan_trace::PoolRange)| {
        let held = Some((format!("range {id}"), format!("taken at {} ns", range.t)));
        Part { offset: range.offset, size: range.bytes, held }
    };
    pool.live.iter().map(part).collect()
}

/// Puts parts in order and fills the gaps between them. Where parts overlap, which no sound plan has, the first is shown.
fn fill(bytes: u64, mut parts: Vec<Part>) -> Vec<Part> {
    parts.sort_by_key(|part| part.offset);
    let mut at = 0;
    let mut filled = Vec::with_capacity(2 * parts.len() + 1);
    for part in parts {
        let end = part.offset.saturating_add(part.size);
        if part.size == 0 || part.offset < at || end > bytes {
            continue;
        }
        if part.offset > at {
            filled.push(Part { offset: at, size: part.offset - at, held: None });
        }
        at = end;
        filled.push(part);
    }
    if at < bytes {
        filled.push(Part { offset: at, size: bytes - at, held: None });
    }
    filled
}
