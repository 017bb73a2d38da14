//! What the page's script draws: tensors and ops, column by column, names escaped for display.

use std::collections::HashMap;

use bayplan_text::escape;
use bayplan_trace::{
    ArenaMetrics, PlanState, Timeline, arena_metrics, colours, map_deviants, map_shapes, op_shares,
    producers, thin, why_peak,
};
use serde::Serialize;

use crate::map::drawn_arena;
use crate::picture::{Drawn, HUES, circumstances};
use crate::summary::bound_words;

/// Tensors of a page, of all of its plans: some 40 MB.
const MOST_TENSORS: usize = 300_000;

/// Ops of a page, of all of its plans.
const MOST_OPS: usize = 1 << 20;

/// Points of a curve of live bytes; of more ops, the most of each stretch is told.
const POINTS: usize = 1 << 14;

/// Places of an arena that are marked as not as planned.
const MOST_DEVIANTS: usize = 10_000;

/// Tensors that are listed at a peak.
const AT_PEAK: usize = 1000;

#[derive(Default, Serialize)]
pub(crate) struct Data {
    /// Shapes, operators, kernels: what many have.
    strings: Vec<String>,
    plans: Vec<Plan>,
    /// Plans that are not in the page, since it would be too large.
    left_out: usize,
}

#[derive(Serialize)]
struct Plan {
    number: u32,
    words: String,
    /// Whether it is only a plan: nothing ran.
    alone: bool,
    reached: Option<u32>,
    /// The arena to begin with.
    first: usize,
    arenas: Vec<Arena>,
    tensors: Tensors,
    ops: Ops,
}

#[derive(Serialize)]
struct Arena {
    name: String,
    words: String,
    size: u64,
    bound: u64,
    peak: Option<u32>,
    peak_live: u64,
    live: Vec<u64>,
    /// Ops of each entry of `live`.
    step: usize,
    at_peak: Vec<u32>,
    at_peak_count: usize,
    /// tensor (−1 for none), ops, bytes
    deviants: Vec<(i64, u32, u32, u64, u64)>,
}

#[derive(Default, Serialize)]
struct Tensors {
    name: Vec<String>,
    shape: Vec<u32>,
    kind: Vec<u32>,
    arena: Vec<u32>,
    size: Vec<u64>,
    offset: Vec<u64>,
    first: Vec<u32>,
    last: Vec<u32>,
    /// On the map: ops, or twice 0.
    from: Vec<u32>,
    to: Vec<u32>,
    /// Seen as planned and reached: ops and bytes, or four times 0.
    seen: Vec<(u32, u32, u64, u64)>,
    hue: Vec<u8>,
    /// The op that writes it, or −1.
    op: Vec<i64>,
    before: Vec<i64>,
    view_of: Vec<i64>,
}

#[derive(Default, Serialize)]
struct Ops {
    count: usize,
    name: Vec<String>,
    node: Vec<String>,
    source: Vec<u32>,
    kernel: Vec<u32>,
    /// Device time in the mean, where it is told.
    mean: Vec<Option<u64>>,
}

/// Strings that many things have, each once.
#[derive(Default)]
struct Strings {
    list: Vec<String>,
    known: HashMap<String, u32>,
}

impl Strings {
    fn at(&mut self, text: &str) -> u32 {
        if let Some(&at) = self.known.get(text) {
            return at;
        }
        let at = self.list.len() as u32;
        self.list.push(escape(text).to_string());
        self.known.insert(text.to_owned(), at);
        at
    }
}

impl Data {
    /// The current plan first, then the others as long as there is room. One that alone is too large is left out as well:
    /// its figure stands for it.
    pub(crate) fn new(timeline: &Timeline, ops: bool) -> Self {
        let current = timeline.current_plan().map(|(number, _)| number);
        let mut plans: Vec<(u32, &PlanState)> =
            (0..).zip(&timeline.plans).filter(|(_, plan)| !plan.forgotten).collect();
        plans.sort_by_key(|(number, _)| (Some(*number) != current, *number));
        let mut strings = Strings::default();
        let mut data = Self::default();
        let mut room = (MOST_TENSORS, MOST_OPS);
        for (number, state) in plans {
            let record = &state.record;
            let left = (room.0.checked_sub(record.buffers.len()), room.1.checked_sub(record.ops.len()));
            let (Some(tensors), Some(left_ops), Some(first)) = (left.0, left.1, drawn_arena(state)) else {
                data.left_out += 1;
                continue;
            };
            room = (tensors, left_ops);
            data.plans.push(plan(&Drawn::new(timeline, number, state), first, &mut strings, ops));
        }
        data.strings = strings.list;
        data
    }
}

fn plan(drawn: &Drawn<'_>, first: usize, strings: &mut Strings, ops: bool) -> Plan {
    let metrics = arena_metrics(&drawn.state.record);
    Plan {
        number: drawn.number,
        words: circumstances(drawn).join(" · "),
        alone: drawn.is_plan_alone(),
        reached: drawn.reached,
        first,
        arenas: metrics.iter().enumerate().map(|(at, metrics)| arena(drawn, at, metrics)).collect(),
        tensors: tensors(drawn, strings),
        ops: self::ops(drawn.state, strings, ops),
    }
}

fn arena(drawn: &Drawn<'_>, at: usize, metrics: &ArenaMetrics) -> Arena {
    let record = &drawn.state.record.arenas[at];
    let peak = why_peak(&drawn.state.record, at as u32, metrics).unwrap_or_default();
    let deviants = map_deviants(drawn.state, at as u32).into_iter().take(MOST_DEVIANTS).map(|place| {
        let tensor = place.buffer.map_or(-1, i64::from);
        (tensor, place.ops.start, place.ops.end, place.bytes.start, place.bytes.end)
    });
    Arena {
        name: escape(&record.name).to_string(),
        words: bound_words(record, metrics),
        size: record.size,
        bound: record.lower_bound,
        peak: metrics.peak_op,
        peak_live: metrics.peak_live,
        live: thin(&metrics.live, POINTS).map(|(_, live)| live).collect(),
        step: metrics.live.len().div_ceil(POINTS).max(1),
        at_peak_count: peak.buffers.len(),
        at_peak: peak.buffers.into_iter().take(AT_PEAK).collect(),
        deviants: deviants.collect(),
    }
}

fn tensors(drawn: &Drawn<'_>, strings: &mut Strings) -> Tensors {
    let record = &drawn.state.record;
    let mut found = Tensors { hue: colours(record, HUES), ..Tensors::default() };
    found.op = producers(record).into_iter().map(index).collect();
    for buffer in &record.buffers {
        found.name.push(escape(&buffer.name).to_string());
        found.shape.push(strings.at(&buffer.shape));
        found.kind.push(strings.at(&format!("{:?}", buffer.kind).to_lowercase()));
        found.arena.push(buffer.arena);
        found.size.push(buffer.size);
        found.offset.push(buffer.offset);
        found.first.push(buffer.first);
        found.last.push(buffer.last);
        found.before.push(index(buffer.in_place_of));
        found.view_of.push(index(buffer.alias_of));
    }
    found.from = vec![0; record.buffers.len()];
    found.to = found.from.clone();
    found.seen = vec![(0, 0, 0, 0); record.buffers.len()];
    for arena in 0..record.arenas.len() as u32 {
        for shape in map_shapes(drawn.state, arena, drawn.reached) {
            let at = shape.buffer as usize;
            (found.from[at], found.to[at]) = (shape.ops.start, shape.ops.end);
            if let Some((ops, bytes)) = shape.seen {
                found.seen[at] = (ops.start, ops.end, bytes.start, bytes.end);
            }
        }
    }
    found
}

fn index(at: Option<u32>) -> i64 {
    at.map_or(-1, i64::from)
}

fn ops(state: &PlanState, strings: &mut Strings, times: bool) -> Ops {
    let list = &state.record.ops;
    let mut found = Ops { count: list.len(), ..Ops::default() };
    for op in list {
        found.name.push(escape(&op.name).to_string());
        found.node.push(escape(&op.source_node).to_string());
        found.source.push(strings.at(&op.source_op));
        found.kernel.push(strings.at(&op.kernel));
    }
    if times {
        found.mean = vec![None; list.len()];
        op_shares(state, None).into_iter().for_each(|time| found.mean[time.op] = Some(time.mean));
    }
    found
}
