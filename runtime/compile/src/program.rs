//! What compiling makes: everything a session needs, as plain data.

use core::fmt;
use std::ops::Range;
use std::sync::Arc;

use bayplan_expr::{Bindings, Expr};
use bayplan_graph::{ConstData, DType, Extent, FileRef, Prologue, Tensor};
use bayplan_plan::Plan;
use bayplan_shaders::{Access, Kernel, Spec, Target};

use crate::name::Name;
use crate::policy::{InputPolicy, OutputPolicy};

/// A storage of the plan, by its index in [`Program::buffers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct BufferId(pub u32);

/// A kernel, by its index in [`Program::kernels`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KernelId(pub u32);

/// The arenas of a program. Each is one range of device memory with offsets of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Arena {
    /// Activations and scratch of the run program, and the inputs and outputs that are not [`Arena::External`].
    Activations,
    /// Weights as the run program reads them; written once when the session is built.
    Weights,
    /// What the load program needs beside the weights. Freed before the activations are allocated, so that a session
    /// never holds both.
    Load,
    /// Inputs and outputs that lie in buffers which the executor is given for each run (see
    /// [`InputPolicy::Caller`](crate::InputPolicy::Caller), [`OutputPolicy::Own`] and [`OutputPolicy::Into`]). Nothing
    /// is allocated for it: its offsets only tell its buffers apart. Each has bytes of its own, and a window's offset
    /// less its buffer's is where the window begins in what the buffer is bound to.
    External,
}

impl Arena {
    /// All arenas, in the order of [`Program::arena_bytes`].
    pub const ALL: [Self; 4] = [Self::Activations, Self::Weights, Self::Load, Self::External];

    /// The name used in traces and reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Activations => "activations",
            Self::Weights => "weights",
            Self::Load => "load",
            Self::External => "external",
        }
    }

    /// Its position in [`Arena::ALL`].
    pub const fn index(self) -> usize {
        match self {
            Self::Activations => 0,
            Self::Weights => 1,
            Self::Load => 2,
            Self::External => 3,
        }
    }
}

/// What a buffer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum BufferKind {
    /// A graph input: written by the caller before each run.
    Input,
    /// A graph output: alive to the end of the run.
    Output,
    /// Anything between.
    Activation,
    /// Read by the run program, never written by it.
    Weight,
    /// Exists only while weights are loaded.
    Load,
}

impl BufferKind {
    /// The name used in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::Output => "output",
            Self::Activation => "activation",
            Self::Weight => "weight",
            Self::Load => "load",
        }
    }
}

/// A storage: a range of one arena for part of one stage.
#[derive(Clone, Debug, PartialEq)]
pub struct Buffer {
    /// Name of the value that gave it its size.
    pub name: Name,
    /// What it is for.
    pub kind: BufferKind,
    /// Element type of that value.
    pub dtype: DType,
    /// Shape of that value.
    pub shape: Vec<u64>,
    /// Bytes in device memory, rounded up to the target's granule (whole `vec4`s).
    pub size: u64,
    /// The bytes as an expression over the model's symbols, before that rounding.
    pub size_expr: Expr,
    /// Bytes that the offset is a multiple of.
    pub align: u64,
    /// Where it lies.
    pub arena: Arena,
    /// First byte within the arena.
    pub offset: u64,
    /// Half-open lifespan in dispatches of its stage (load for [`BufferKind::Load`], else run). Weights live throughout.
    pub lifespan: Range<u32>,
    /// The buffer in whose late parts it lies, if it lies in one.
    pub within: Option<BufferId>,
    /// Parts that are not used from the beginning, by their first byte; other buffers lie there before. Parts of which that
    /// is not made use of are not listed.
    pub late: Vec<LatePart>,
    /// Names of values that live in it after the first, by an in-place result or a view.
    pub aliases: Arc<[Name]>,
}

/// Bytes of a buffer that nothing touches before a dispatch: until then they are not the buffer's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LatePart {
    /// From the buffer's first byte on.
    pub bytes: Range<u64>,
    /// The dispatch of its stage from which on they are used.
    pub first: u32,
}

/// Bytes of a buffer with the time in which they are its own: the whole buffer, or one of its late parts, or what lies
/// between these.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// The buffer's name; those of further pieces are numbered: `x`, `x[1]`, `x[2]`.
    pub name: String,
    /// First byte within the arena.
    pub offset: u64,
    /// Bytes.
    pub size: u64,
    /// Bytes that the offset is a multiple of.
    pub align: u64,
    /// Half-open, in dispatches of the buffer's stage.
    pub lifespan: Range<u32>,
}

impl Piece {
    /// What a planner sees of it.
    pub fn planned(&self) -> bayplan_plan::Buffer {
        bayplan_plan::Buffer::new(self.size, self.lifespan.start, self.lifespan.end).aligned(self.align)
    }
}

impl Buffer {
    /// Its pieces in the order of their bytes, the last one with the bytes kept free after the buffer.
    pub fn pieces(&self, guard: u64) -> Vec<Piece> {
        let life = &self.lifespan;
        let mut all: Vec<(Range<u64>, u32)> = Vec::new();
        let mut end = 0;
        for LatePart { bytes, first } in &self.late {
            let (start, stop) = (bytes.start.clamp(end, self.size), bytes.end.clamp(end, self.size));
            all.extend([(end..start, life.start), (start..stop, (*first).max(life.start))]);
            end = stop;
        }
        all.push((end..self.size, life.start));
        // What has no bytes, or is never used at this shape, is no piece, unless the buffer has none at all.
        all.retain(|(bytes, first)| !bytes.is_empty() && *first < life.end);
        let mut kept = if all.is_empty() { vec![(0..self.size, life.start)] } else { all };
        // Nothing is kept free after no bytes within another buffer.
        let guarded = self.size > 0 || self.within.is_none();
        if let Some((bytes, _)) = kept.last_mut().filter(|(bytes, _)| guarded && bytes.end == self.size) {
            bytes.end += guard;
        }
        let piece = |(number, (bytes, first)): (usize, (Range<u64>, u32))| Piece {
            name: if number == 0 { self.name.to_string() } else { format!("{}[{number}]", self.name) },
            offset: self.offset.saturating_add(bytes.start),
            size: bytes.end - bytes.start,
            // Later pieces begin where the bytes before them end.
            align: if bytes.start.is_multiple_of(self.align.max(1)) { self.align } else { 1 },
            lifespan: first..life.end,
        };
        kept.into_iter().enumerate().map(piece).collect()
    }
}

/// A byte range bound to a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Window {
    /// The buffer whose bytes these are.
    pub buffer: BufferId,
    /// The buffer's arena.
    pub arena: Arena,
    /// First byte within the arena.
    pub offset: u64,
    /// Bytes, rounded up to the target's granule.
    pub len: u64,
    /// How the kernel uses it.
    pub access: Access,
}

/// One dispatch.
#[derive(Clone, Debug, PartialEq)]
pub struct Dispatch {
    /// What it computes, shared by dispatches that do the same. The kernel says how on its target; another executor may
    /// do it in its own way.
    pub spec: Arc<Spec>,
    /// The kernel.
    pub kernel: KernelId,
    /// One window per storage binding, in order.
    pub windows: Vec<Window>,
    /// Where its parameters lie in [`Program::params`]; empty if the kernel has none.
    pub params: Range<u64>,
    /// Workgroups.
    pub grid: [u32; 3],
    /// Whether everything before must be finished and visible first.
    pub barrier_before: bool,
    /// Name of the first value it makes.
    pub name: Name,
    /// Name of the model's node it came from; of the first, if several were fused.
    pub source_node: Name,
    /// Operator types it came from, joined by `+` where several were fused.
    pub source_op: Name,
    /// Arithmetic operations.
    pub flops: u64,
    /// Bytes read and written, each window counted once.
    pub bytes: u64,
}

/// A sequence of dispatches.
#[derive(Clone, Debug, PartialEq)]
pub struct Stage {
    /// In order.
    pub dispatches: Vec<Dispatch>,
    /// The plan of its buffers: in [`Arena::Load`] while loading, in [`Arena::Activations`] at every run.
    pub plan: Plan,
}

/// Bytes of the model that go to device memory before a dispatch of the load program (or, with the number of its
/// dispatches, after them all).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Uploaded before the load dispatch with this index.
    pub before: u32,
    /// The constant's name.
    pub name: String,
    /// All its bytes in the model. They go to the device as they lie.
    pub data: ConstData,
    /// The first of them that goes there: a constant that is unpacked there goes in several pieces, in their order.
    pub skip: u64,
    /// How many do.
    pub bytes: u64,
    /// Where they go, from its first byte on. Up to three bytes of the last word may be anything.
    pub window: Window,
}

/// A dispatch of the run stage that only moves elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Its index in the run stage.
    pub dispatch: u32,
    /// Bytes that it moves.
    pub bytes: u64,
    /// Why nobody writes these elements straight to where it puts them, in words.
    pub why: String,
}

/// Results that a dispatch of the run stage writes where a copy would have put them: the copy is spared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Direct {
    /// The dispatch's index in the run stage.
    pub dispatch: u32,
    /// Bytes of the results.
    pub bytes: u64,
    /// How many of them lie side by side: all, or what goes from one stride to the next. That is what it costs.
    pub run: u64,
    /// The operator whose copy is spared, by its type in the model; empty where an output alone asked for it.
    pub op: String,
}

/// A graph input or output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Its name in the model.
    pub name: String,
    /// Its element type in the model (host side).
    pub dtype: DType,
    /// Its shape for the program's dims.
    pub shape: Vec<u64>,
    /// Where its elements lie, in the representation of its type.
    pub window: Window,
}

/// A tensor that follows from the shape alone (positions, say). Whoever runs the program writes it before each run, as it
/// writes inputs: its bytes may be overwritten like theirs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contents {
    /// Its name in the model.
    pub name: String,
    /// Its element type in the model.
    pub dtype: DType,
    /// Its elements as the model has them, little-endian: [`widen`](crate::widen()) makes of them what the window holds.
    pub bytes: Vec<u8>,
    /// Where it goes.
    pub window: Window,
}

/// Whether operators may run in another order than the model has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Order {
    /// As the model has them.
    Given,
    /// In the order found to need the smallest arena; as given where none needs less, or none saves enough for the
    /// barriers it adds: at least as large a part of the arena as it adds to the barriers.
    #[default]
    Search,
    /// In an order that the operators allow, drawn from this seed. It saves nothing: it shows that results do not depend on the
    /// order.
    Drawn(u64),
}

/// An order with a smaller arena that was not taken, as it adds too many barriers. The figures are those of the search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Declined {
    /// How it was found.
    pub candidate: &'static str,
    /// Bytes of its plan.
    pub peak: u64,
    /// Its barriers.
    pub barriers: u32,
}

/// In which order the run stage's dispatches are, and what that saves. The figures are those of finished programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The order taken: `Given`, one that was drawn because it was asked for, or `Search` where another one has a smaller arena and adds no barriers that are not
    /// worth it.
    pub order: Order,
    /// How the order was found, by the planner's name for it.
    pub candidate: &'static str,
    /// Bytes of the run stage's plan in the given order.
    pub given_peak: u64,
    /// Its barriers.
    pub given_barriers: u32,
    /// Bytes of the plan in the order taken.
    pub peak: u64,
    /// Its barriers.
    pub barriers: u32,
    /// No plan in any order is smaller, in bytes; 0 if no order was searched for.
    pub bound: u64,
    /// The order found to need the least memory, where it was not worth its barriers.
    pub declined: Option<Declined>,
}

impl Schedule {
    /// The given order's, of which this is the run stage.
    pub(crate) fn given(run: &Stage) -> Self {
        let (order, candidate, peak) = (Order::Given, "given", run.plan.peak);
        let barriers = run.dispatches.iter().filter(|dispatch| dispatch.barrier_before).count() as u32;
        let (given_peak, given_barriers) = (peak, barriers);
        Self { order, candidate, given_peak, given_barriers, peak, barriers, bound: 0, declined: None }
    }
}

/// A compiled program: kernels, buffers with offsets, a load stage and a run stage.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// The model's name.
    pub name: String,
    /// What it was compiled for.
    pub target: Target,
    /// The values its symbols were bound to.
    pub dims: Bindings,
    /// Distinct kernels.
    pub kernels: Vec<Arc<Kernel>>,
    /// Buffers of both stages.
    pub buffers: Vec<Buffer>,
    /// Bytes of each arena, in the order of [`Arena::ALL`]. Those of [`Arena::External`] are never allocated.
    pub arena_bytes: [u64; 4],
    /// The blocks of each arena, in the order of [`Arena::ALL`]: where each ends, ascending; the last ends with the
    /// arena, and each begins at a multiple of the target's storage alignment. A block is one device allocation, and no buffer lies in two. An empty arena has none.
    pub blocks: [Vec<u64>; 4],
    /// Bytes after each buffer that belong to no buffer alive at the same time.
    pub guard: u64,
    /// Parameters of all dispatches, each at a multiple of the target's uniform alignment.
    pub params: Vec<u8>,
    /// Files that uploads refer to.
    pub files: Vec<FileRef>,
    /// What is uploaded when; shared by all shapes of a family.
    pub uploads: Arc<Vec<Upload>>,
    /// Runs once, when the session is built; shared by all shapes of a family.
    pub load: Arc<Stage>,
    /// Runs at every run.
    pub run: Stage,
    /// Tensors that follow from the shape, written before each run.
    pub contents: Vec<Contents>,
    /// Inputs, in the model's order.
    pub inputs: Vec<Port>,
    /// Symbols among its dims that follow from elements of inputs: at runs where they have other values it is not right.
    pub prologue: Vec<Prologue>,
    /// Inputs that it is right for these elements of alone, by name ([`Graph::specialised`](bayplan_graph::Graph)).
    pub specialised: Vec<(Arc<str>, Tensor)>,
    /// Outputs, in the model's order.
    pub outputs: Vec<Port>,
    /// Outputs whose size depends on data ([`Graph::extents`](bayplan_graph::Graph)): those of the model are before the
    /// counts.
    pub extents: Vec<Extent>,
    /// Where each output lies, in their order.
    pub output_policies: Vec<OutputPolicy>,
    /// The order of the run stage's dispatches.
    pub schedule: Schedule,
    /// The run stage's copies, in order.
    pub copies: Vec<Copied>,
    /// What the run stage writes straight to its place instead of copying it there, in order.
    pub direct: Vec<Direct>,
}

/// One line per buffer, upload, dispatch and port, for people who look for what differs.
///
/// ```text
/// buffer 3 activations+0..4096 Activation f32[32,32] 2..4 "hidden"
/// run 2 matmul.gpu.64x64 [2, 1, 1] | r 3+0 r 0+0 w 5+4096 "scores" (MatMul)
/// ```
impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let escape = bayplan_text::escape;
        writeln!(f, "program \"{}\" for {}", escape(&self.name), escape(&self.target.name))?;
        for (index, buffer) in self.buffers.iter().enumerate() {
            let Buffer { kind, dtype, shape, offset, size, lifespan, .. } = buffer;
            write!(f, "buffer {index} {}+{offset}..{} {kind:?} {dtype}", buffer.arena.name(), offset + size)?;
            write!(f, "{shape:?} {}..{} \"{}\"", lifespan.start, lifespan.end, escape(&buffer.name))?;
            for LatePart { bytes, first } in &buffer.late {
                write!(f, " {}..{} from {first}", bytes.start, bytes.end)?;
            }
            writeln!(f)?;
        }
        for upload in &*self.uploads {
            let Window { buffer, offset, .. } = upload.window;
            writeln!(
                f,
                "upload before {} to {}+{offset} \"{}\"",
                upload.before,
                buffer.0,
                escape(&upload.name)
            )?;
        }
        for (name, stage) in [("load", &*self.load), ("run", &self.run)] {
            for (index, dispatch) in stage.dispatches.iter().enumerate() {
                self.fmt_dispatch(f, name, index, dispatch)?;
            }
        }
        for (name, ports) in [("input", &self.inputs), ("output", &self.outputs)] {
            for port in ports {
                let Window { buffer, offset, .. } = port.window;
                let (dtype, shape) = (port.dtype, &port.shape);
                writeln!(f, "{name} {dtype}{shape:?} {}+{offset} \"{}\"", buffer.0, escape(&port.name))?;
            }
        }
        Ok(())
    }
}

impl Program {
    /// The blocks of an arena as ranges of its bytes, in order.
    pub fn blocks(&self, arena: Arena) -> impl ExactSizeIterator<Item = Range<u64>> {
        let ends = &self.blocks[arena.index()];
        (0..ends.len()).map(|block| if block == 0 { 0..ends[0] } else { ends[block - 1]..ends[block] })
    }

    /// The block that a byte of an arena lies in; `None` beyond its end.
    pub fn block(&self, arena: Arena, offset: u64) -> Option<usize> {
        let ends = &self.blocks[arena.index()];
        let block = ends.partition_point(|&end| end <= offset);
        (block < ends.len()).then_some(block)
    }

    /// Bytes of all uploads, as they are stored.
    pub fn upload_bytes(&self) -> u64 {
        self.uploads.iter().fold(0, |sum, upload| sum.saturating_add(upload.bytes))
    }

    /// Where each input lies during a run, in their order.
    pub fn input_policies(&self) -> impl ExactSizeIterator<Item = InputPolicy> {
        self.inputs.iter().map(|port| match port.window.arena {
            Arena::External => InputPolicy::Caller,
            _ => InputPolicy::Planned,
        })
    }

    fn fmt_dispatch(
        &self,
        f: &mut fmt::Formatter<'_>,
        stage: &str,
        index: usize,
        dispatch: &Dispatch,
    ) -> fmt::Result {
        if dispatch.barrier_before {
            writeln!(f, "barrier")?;
        }
        let kernel = self.kernels.get(dispatch.kernel.0 as usize).map_or("?", |kernel| &kernel.name);
        write!(f, "{stage} {index} {kernel} {:?} |", dispatch.grid)?;
        for window in &dispatch.windows {
            let access = match window.access {
                Access::Read => "r",
                Access::Write => "w",
                Access::ReadWrite => "rw",
            };
            write!(f, " {access} {}+{}", window.buffer.0, window.offset)?;
        }
        let (name, op) = (bayplan_text::escape(&dispatch.name), bayplan_text::escape(&dispatch.source_op));
        writeln!(f, " \"{name}\" ({op})")
    }
}
