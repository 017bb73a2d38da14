//! The static plan as a recording carries it: where every buffer lies, when it lives, and which op touches it.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

/// The plan of one program: arenas, buffers with their offsets and lifespans, and ops in the order in which they run.
///
/// Indices are positions in these lists: `BufferRecord::arena` in `arenas`, `OpRecord::reads` in `buffers`.
/// A record that came through [`PlanRecord::validate`] (every decoder calls it) has all indices in range.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PlanRecord {
    /// Name of the model.
    pub model: String,
    /// Name of the target the program was compiled for.
    pub target: String,
    /// The values the symbolic dimensions were bound to, by name; empty for a static model.
    pub dims: Vec<DimBinding>,
    /// Device buffers whose inside the plan lays out.
    pub arenas: Vec<ArenaRecord>,
    /// Planned buffers.
    pub buffers: Vec<BufferRecord>,
    /// Ops (dispatches) of the run program, in order.
    pub ops: Vec<OpRecord>,
    /// Name of the planning strategy that was taken.
    pub strategy: String,
    /// Remarks of the planner, for people.
    pub notes: Vec<String>,
}

/// One symbolic dimension and the value it was bound to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DimBinding {
    /// Name of the symbol in the model.
    pub name: String,
    /// Its value in this plan.
    pub value: i64,
}

/// One arena: a device buffer whose inside the plan lays out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ArenaRecord {
    /// Name, unique in the plan.
    pub name: String,
    /// What it holds.
    pub kind: ArenaKind,
    /// Size in bytes.
    pub size: u64,
    /// Alignment of every offset in it, in bytes.
    pub alignment: u64,
    /// No plan for this order of ops can be smaller than this, in bytes.
    pub lower_bound: u64,
    /// The op at which the buffers live together reach `lower_bound`; none where the bound is not a moment.
    pub witness_op: Option<u32>,
}

/// What an arena holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ArenaKind {
    /// Intermediate values of a run.
    #[default]
    Activations,
    /// Weights, resident for the session.
    Weights,
    /// Constants and what was computed from weights at load time.
    Constants,
    /// Inputs of a run.
    Inputs,
    /// Outputs of a run.
    Outputs,
    /// Memory the host writes and reads.
    Staging,
    /// Keys and values of attention, kept between runs.
    Kv,
    /// Anything else.
    Other,
}

/// One planned buffer: a byte range of an arena during a lifespan.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BufferRecord {
    /// Name of the value it holds, as the model calls it.
    pub name: String,
    /// Index of its arena.
    pub arena: u32,
    /// What it holds.
    pub kind: BufferKind,
    /// Element type, such as `f32`.
    pub dtype: String,
    /// Type and shape for people, such as `f32[1,12,128,128]`.
    pub shape: String,
    /// Size in bytes, without padding.
    pub size: u64,
    /// The size as an expression over the symbols of the model; the number itself where it is constant.
    pub size_expr: String,
    /// Alignment of `offset`, in bytes.
    pub alignment: u64,
    /// Byte offset in the arena.
    pub offset: u64,
    /// First op of the lifespan.
    pub first: u32,
    /// One past the last op of the lifespan: the buffer lives during `first..last`.
    pub last: u32,
    /// The buffer whose bytes this one took over when it died, computed in place.
    pub in_place_of: Option<u32>,
    /// The buffer this one is a view of.
    pub alias_of: Option<u32>,
}

/// What a buffer holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BufferKind {
    /// A graph input.
    Input,
    /// A graph output.
    Output,
    /// A value between ops.
    #[default]
    Activation,
    /// A weight of the model.
    Weight,
    /// A constant, or a value computed from weights when the model was loaded.
    Constant,
    /// Scratch space of one op.
    Scratch,
}

/// One op (dispatch) of the run program.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct OpRecord {
    /// Name, for people.
    pub name: String,
    /// Name of the node of the model it came from; of the first one where several were fused.
    pub source_node: String,
    /// Operator of that node, such as `MatMul`.
    pub source_op: String,
    /// Name of the kernel.
    pub kernel: String,
    /// Indices of the buffers it reads.
    pub reads: Vec<u32>,
    /// Indices of the buffers it writes.
    pub writes: Vec<u32>,
    /// Bytes moved: the sizes of what it reads and writes.
    pub bytes: u64,
    /// Floating-point operations.
    pub flops: u64,
    /// Whether a barrier stands before it.
    pub barrier_before: bool,
    /// Whether the host computes it, between two submissions to the device.
    pub host: bool,
}

impl BufferRecord {
    /// One past its last byte in the arena.
    pub fn end(&self) -> u64 {
        self.offset.saturating_add(self.size)
    }

    /// Whether it lives during `op`.
    pub fn lives_at(&self, op: u32) -> bool {
        self.first <= op && op < self.last
    }
}

/// Most arenas, buffers and ops a plan may have. A million tensors is the largest plan the viewers are built for;
/// the limit leaves room and still fits indices in 32 bits.
pub const MAX_PLAN_ITEMS: usize = 1 << 24;

/// What is wrong in a plan record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PlanRecordError {
    /// More arenas, buffers or ops than [`MAX_PLAN_ITEMS`].
    TooMany {
        /// Which list.
        what: &'static str,
        /// Its length.
        count: usize,
    },
    /// An index points past its list.
    Index {
        /// The item that holds the index, such as `buffer 3`.
        holder: (&'static str, usize),
        /// Which list it points into.
        list: &'static str,
        /// The index.
        index: u64,
        /// The length of that list.
        len: usize,
    },
    /// A buffer does not lie inside its arena.
    OutsideArena {
        /// Index of the buffer.
        buffer: usize,
        /// Its offset in bytes.
        offset: u64,
        /// Its size in bytes.
        size: u64,
        /// The arena's size in bytes.
        arena_size: u64,
    },
    /// A lifespan ends before it begins.
    Lifespan {
        /// Index of the buffer.
        buffer: usize,
        /// First op.
        first: u32,
        /// One past the last op.
        last: u32,
    },
}

impl fmt::Display for PlanRecordError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooMany { what, count } => {
                write!(f, "the plan has {count} {what}; at most {MAX_PLAN_ITEMS} are possible")
            }
            Self::Index { holder: (what, at), list, index, len } => {
                write!(f, "{what} {at} of the plan names {list} {index}, but the plan has {len}")
            }
            Self::OutsideArena { buffer, offset, size, arena_size } => write!(
                f,
                "buffer {buffer} of the plan ({size} bytes at {offset}) ends past its arena of {arena_size} bytes"
            ),
            Self::Lifespan { buffer, first, last } => {
                write!(f, "the lifespan {first}..{last} of buffer {buffer} of the plan ends before it begins")
            }
        }
    }
}

impl core::error::Error for PlanRecordError {}

impl PlanRecord {
    /// The arena that people want to see first: the largest one of activations that has bytes, else the largest. `None` where
    /// there is no arena.
    pub fn main_arena(&self) -> Option<u32> {
        let wanted =
            |arena: &ArenaRecord| (arena.size > 0 && arena.kind == ArenaKind::Activations, arena.size);
        // Of equals the last is found: the first, from behind.
        let all = self.arenas.iter().enumerate().rev();
        all.max_by_key(|(_, arena)| wanted(arena)).map(|(at, _)| at as u32)
    }

    /// Checks that every index is in range, every buffer lies inside its arena and no lifespan is reversed.
    ///
    /// # Errors
    /// The first fault found.
    pub fn validate(&self) -> Result<(), PlanRecordError> {
        let lists = [("arenas", self.arenas.len()), ("buffers", self.buffers.len()), ("ops", self.ops.len())];
        for (what, count) in lists {
            if count > MAX_PLAN_ITEMS {
                return Err(PlanRecordError::TooMany { what, count });
            }
        }
        for (at, arena) in self.arenas.iter().enumerate() {
            if let Some(op) = arena.witness_op {
                check_index(("arena", at), "op", op, self.ops.len())?;
            }
        }
        for (at, buffer) in self.buffers.iter().enumerate() {
            self.validate_buffer(at, buffer)?;
        }
        for (at, op) in self.ops.iter().enumerate() {
            for &buffer in op.reads.iter().chain(&op.writes) {
                check_index(("op", at), "buffer", buffer, self.buffers.len())?;
            }
        }
        Ok(())
    }

    fn validate_buffer(&self, at: usize, buffer: &BufferRecord) -> Result<(), PlanRecordError> {
        check_index(("buffer", at), "arena", buffer.arena, self.arenas.len())?;
        for other in buffer.in_place_of.iter().chain(&buffer.alias_of) {
            check_index(("buffer", at), "buffer", *other, self.buffers.len())?;
        }
        if buffer.first > buffer.last {
            return Err(PlanRecordError::Lifespan { buffer: at, first: buffer.first, last: buffer.last });
        }
        // One past the end is allowed: a half-open lifespan ends there.
        if buffer.last as usize > self.ops.len() {
            let index = u64::from(buffer.last);
            return Err(PlanRecordError::Index {
                holder: ("buffer", at),
                list: "op",
                index,
                len: self.ops.len(),
            });
        }
        let arena_size = self.arenas[buffer.arena as usize].size;
        match buffer.offset.checked_add(buffer.size) {
            Some(end) if end <= arena_size => Ok(()),
            _ => Err(PlanRecordError::OutsideArena {
                buffer: at,
                offset: buffer.offset,
                size: buffer.size,
                arena_size,
            }),
        }
    }
}

fn check_index(
    holder: (&'static str, usize),
    list: &'static str,
    index: u32,
    len: usize,
) -> Result<(), PlanRecordError> {
    if (index as usize) < len {
        return Ok(());
    }
    Err(PlanRecordError::Index { holder, list, index: u64::from(index), len })
}
