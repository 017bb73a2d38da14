//! A program as its plan record: what traces, reports and viewers show.

use std::ops::Range;

use bayplan_shaders::{Access, Spec};
use bayplan_trace::{ArenaKind, ArenaRecord, BufferRecord, DimBinding, OpRecord, PlanRecord};

use crate::program::{Arena, Buffer, BufferKind, Dispatch, Order, Piece, Program, Schedule, Window};

/// The record of a program's run stage. Buffers that exist only while weights are loaded are left out, and one with late
/// parts is recorded as its pieces, each with its own life; buffer and op indices of the record are those that
/// [`RecordIndex`] gives, and dispatch numbers for ops.
pub fn record(program: &Program) -> PlanRecord {
    let index = RecordIndex::new(program);
    let kept = program.buffers.iter().filter(|buffer| shown(buffer));
    let pieces = kept.flat_map(|buffer| buffer.pieces(0).into_iter().map(move |piece| (buffer, piece)));
    PlanRecord {
        model: program.name.clone(),
        target: program.target.name.clone(),
        dims: program.dims.iter().map(|(name, value)| DimBinding { name: name.to_string(), value }).collect(),
        arenas: run_arenas(program).map(|arena| arena_record(program, arena)).collect(),
        buffers: pieces.map(|(buffer, piece)| buffer_record(program, buffer, piece)).collect(),
        ops: program.run.dispatches.iter().map(|dispatch| op_record(program, &index, dispatch)).collect(),
        strategy: program.run.plan.strategy.into(),
        notes: order_note(&program.schedule).into_iter().collect(),
    }
}

/// What another order than the model's saves; nothing where the model's was taken.
fn order_note(schedule: &Schedule) -> Option<String> {
    let Schedule { candidate, given_peak, given_barriers, peak, barriers, .. } = schedule;
    (schedule.order != Order::Given).then(|| {
        format!(
            "operators run in another order than the model's ({candidate}): {peak} bytes of activations instead of \
             {given_peak}, {barriers} barriers instead of {given_barriers}"
        )
    })
}

/// Where a program's buffers stand in its record.
#[derive(Clone, Debug)]
pub struct RecordIndex(Vec<Vec<(u32, Range<u64>)>>);

impl RecordIndex {
    /// The index of a program.
    pub fn new(program: &Program) -> Self {
        let mut next = 0;
        let mut place = |piece: Piece| {
            next += 1;
            (next - 1, piece.offset..piece.offset + piece.size)
        };
        let place = |buffer: &Buffer| match shown(buffer) {
            true => buffer.pieces(0).into_iter().map(&mut place).collect(),
            false => Vec::new(),
        };
        Self(program.buffers.iter().map(place).collect())
    }

    /// The record's number for an arena. The load program's has none; it comes after all others.
    pub const fn arena(arena: Arena) -> u32 {
        match arena {
            Arena::Activations => 0,
            Arena::Weights => 1,
            Arena::External => 2,
            Arena::Load => 3,
        }
    }

    /// What was seen of a window, for each piece of the buffer that it was meant for: one, unless the buffer has late
    /// parts. Where the window lies and how long it is are as seen, whatever was meant.
    pub fn seen(&self, meant: &Window, seen: bayplan_trace::Window) -> Vec<bayplan_trace::Window> {
        let mut parts = self.parts(meant);
        if let Some((_, bytes)) = parts.last_mut() {
            bytes.end = seen.len.max(bytes.start);
        }
        let part = |(buffer, bytes): (u32, Range<u64>)| bayplan_trace::Window {
            buffer,
            offset: seen.offset.saturating_add(bytes.start),
            len: bytes.end - bytes.start,
            ..seen
        };
        match parts.is_empty() {
            true => vec![seen],
            false => parts.into_iter().map(part).collect(),
        }
    }

    /// The record's numbers of the pieces that a window touches, with the bytes of each from the window's first one on.
    fn parts(&self, window: &Window) -> Vec<(u32, Range<u64>)> {
        let pieces = self.0.get(window.buffer.0 as usize).map_or(&[][..], Vec::as_slice);
        if let [(number, _)] = pieces {
            return vec![(*number, 0..window.len)];
        }
        let end = window.offset.saturating_add(window.len);
        let shared = |(number, bytes): &(u32, Range<u64>)| {
            let both = bytes.start.max(window.offset)..bytes.end.min(end);
            (both.start < both.end).then(|| (*number, both.start - window.offset..both.end - window.offset))
        };
        pieces.iter().filter_map(shared).collect()
    }
}

/// The arenas that a run uses, in the order of the record: those of each program, and the buffers given at each run if
/// there are any.
fn run_arenas(program: &Program) -> impl Iterator<Item = Arena> {
    let given = program.arena_bytes[Arena::External.index()] > 0;
    [Arena::Activations, Arena::Weights].into_iter().chain(given.then_some(Arena::External))
}

fn shown(buffer: &Buffer) -> bool {
    buffer.kind != BufferKind::Load
}

fn arena_record(program: &Program, arena: Arena) -> ArenaRecord {
    let size = program.arena_bytes[arena.index()];
    let plan = &program.run.plan;
    let (kind, lower_bound, witness_op) = match arena {
        Arena::Activations => {
            (ArenaKind::Activations, plan.lower_bound.bytes, Some(plan.lower_bound.witness))
        }
        Arena::Weights => (ArenaKind::Weights, size, None),
        Arena::External => (ArenaKind::Other, size, None),
        Arena::Load => (ArenaKind::Other, program.load.plan.lower_bound.bytes, None),
    };
    // A program that computes nothing has no op to name.
    let witness_op = witness_op.filter(|&op| (op as usize) < program.run.dispatches.len());
    ArenaRecord {
        name: arena.name().into(),
        kind,
        size,
        alignment: program.target.storage_alignment,
        lower_bound,
        witness_op,
    }
}

fn buffer_record(program: &Program, buffer: &Buffer, piece: Piece) -> BufferRecord {
    let ops = program.run.dispatches.len() as u32;
    let whole = piece.size == buffer.size;
    let size_expr = if whole { buffer.size_expr.to_string() } else { piece.size.to_string() };
    BufferRecord {
        name: piece.name,
        arena: RecordIndex::arena(buffer.arena),
        kind: match buffer.kind {
            BufferKind::Input => bayplan_trace::BufferKind::Input,
            BufferKind::Output => bayplan_trace::BufferKind::Output,
            BufferKind::Activation | BufferKind::Load => bayplan_trace::BufferKind::Activation,
            BufferKind::Weight => bayplan_trace::BufferKind::Weight,
        },
        dtype: buffer.dtype.name().into(),
        shape: shape(buffer),
        size: piece.size,
        size_expr,
        alignment: piece.align,
        offset: piece.offset,
        first: piece.lifespan.start.min(ops),
        last: piece.lifespan.end.min(ops),
        in_place_of: None,
        alias_of: None,
    }
}

/// `f32[1,12,128,128]`.
fn shape(buffer: &Buffer) -> String {
    let dims: Vec<String> = buffer.shape.iter().map(u64::to_string).collect();
    format!("{}[{}]", buffer.dtype, dims.join(","))
}

fn op_record(program: &Program, index: &RecordIndex, dispatch: &Dispatch) -> OpRecord {
    let touched = |wanted: fn(Access) -> bool| {
        let mut list: Vec<u32> = dispatch
            .windows
            .iter()
            .filter(|window| wanted(window.access))
            .flat_map(|window| index.parts(window).into_iter().map(|(number, _)| number))
            .collect();
        list.sort_unstable();
        list.dedup();
        list
    };
    OpRecord {
        name: dispatch.name.to_string(),
        source_node: dispatch.source_node.to_string(),
        source_op: dispatch.source_op.to_string(),
        kernel: program
            .kernels
            .get(dispatch.kernel.0 as usize)
            .map(|kernel| kernel.name.clone())
            .unwrap_or_default(),
        reads: touched(|access| access != Access::Write),
        writes: touched(|access| access != Access::Read),
        bytes: dispatch.bytes,
        flops: dispatch.flops,
        barrier_before: dispatch.barrier_before,
        host: matches!(*dispatch.spec, Spec::Host(_)),
    }
}
