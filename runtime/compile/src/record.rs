//! A program as its plan record: what traces, reports and viewers show.

use bayplan_shaders::Access;
use bayplan_trace::{ArenaKind, ArenaRecord, BufferRecord, DimBinding, OpRecord, PlanRecord};

use crate::program::{Arena, Buffer, BufferKind, Dispatch, Order, Program, Schedule};

/// The record of a program's run stage. Buffers that exist only while weights are loaded are left out; buffer and op
/// indices of the record are those that [`RecordIndex`] gives for buffers, and dispatch numbers for ops.
pub fn record(program: &Program) -> PlanRecord {
    let index = RecordIndex::new(program);
    let kept = program.buffers.iter().filter(|buffer| shown(buffer));
    PlanRecord {
        model: program.name.clone(),
        target: program.target.name.clone(),
        dims: program.dims.iter().map(|(name, value)| DimBinding { name: name.to_string(), value }).collect(),
        arenas: run_arenas(program).map(|arena| arena_record(program, arena)).collect(),
        buffers: kept.map(|buffer| buffer_record(program, buffer)).collect(),
        ops: program.run.dispatches.iter().map(|dispatch| op_record(program, &index, dispatch)).collect(),
        strategy: program.run.plan.strategy.into(),
        notes: order_note(&program.schedule).into_iter().collect(),
    }
}

/// What another order than the model's saves; nothing where the model's was taken.
fn order_note(schedule: &Schedule) -> Option<String> {
    let Schedule { candidate, given_peak, given_barriers, peak, barriers, .. } = schedule;
    (schedule.order == Order::Search).then(|| {
        format!(
            "operators run in another order than the model's ({candidate}): {peak} bytes of activations instead of \
             {given_peak}, {barriers} barriers instead of {given_barriers}"
        )
    })
}

/// Where a program's buffers stand in its record.
#[derive(Clone, Debug)]
pub struct RecordIndex(Vec<Option<u32>>);

impl RecordIndex {
    /// The index of a program.
    pub fn new(program: &Program) -> Self {
        let mut next = 0;
        let place = |buffer: &Buffer| {
            shown(buffer).then(|| {
                next += 1;
                next - 1
            })
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

    /// The record's number for a buffer; `None` if it exists only while weights are loaded.
    pub fn get(&self, buffer: crate::BufferId) -> Option<u32> {
        self.0.get(buffer.0 as usize).copied().flatten()
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
    ArenaRecord {
        name: arena.name().into(),
        kind,
        size,
        alignment: program.target.storage_alignment,
        lower_bound,
        witness_op,
    }
}

fn buffer_record(program: &Program, buffer: &Buffer) -> BufferRecord {
    let ops = program.run.dispatches.len() as u32;
    BufferRecord {
        name: buffer.name.clone(),
        arena: RecordIndex::arena(buffer.arena),
        kind: match buffer.kind {
            BufferKind::Input => bayplan_trace::BufferKind::Input,
            BufferKind::Output => bayplan_trace::BufferKind::Output,
            BufferKind::Activation | BufferKind::Load => bayplan_trace::BufferKind::Activation,
            BufferKind::Weight => bayplan_trace::BufferKind::Weight,
        },
        dtype: buffer.dtype.name().into(),
        shape: shape(buffer),
        size: buffer.size,
        size_expr: buffer.size_expr.to_string(),
        alignment: buffer.align,
        offset: buffer.offset,
        first: buffer.lifespan.start.min(ops),
        last: buffer.lifespan.end.min(ops),
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
            .filter_map(|window| index.get(window.buffer))
            .collect();
        list.sort_unstable();
        list.dedup();
        list
    };
    OpRecord {
        name: dispatch.name.clone(),
        source_node: dispatch.source_node.clone(),
        source_op: dispatch.source_op.clone(),
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
    }
}
