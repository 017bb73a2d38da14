//! Operations and lifespans to a program at one shape: launches, placement, windows, parameters.

use std::ops::Range;
use std::sync::Arc;

use bayplan_expr::{Bindings, Expr};
use bayplan_graph::{ConstData, Graph, Tensor as HostTensor, ValueId};
use bayplan_plan::arenas::{Arena, BlockPlan, NoFit, plan_blocks, sequence, validate_blocks};
use bayplan_plan::{Lifespan, Plan, Problem};
use bayplan_shaders::{Access, Kernel, Refusal, Slot, Spec, Target};

use crate::Options;
use crate::alike::{Alike, Launch, Launches};
use crate::barrier;
use crate::cell::Phase;
use crate::copies;
use crate::error::{CompileError, Refused};
use crate::late::Late;
use crate::liveness::{Liveness, Place, Stages, Storage};
use crate::lowered::{Lowered, Operation, Origin, Tensor, TensorId};
use crate::point::Point;
use crate::program::{
    self, Buffer, BufferId, Contents, Dispatch, KernelId, LatePart, Piece, Port, Program, Schedule, Stage,
    Upload, Window,
};
use crate::size::{Size, Values};
use crate::widen::widen;

/// Where all storages lie.
#[derive(Clone, Debug)]
pub(crate) struct Placement {
    pub(crate) load: BlockPlan,
    pub(crate) run: BlockPlan,
    /// Of the weights, in their order: offsets and ends of blocks.
    pub(crate) weights: (Vec<u64>, Vec<u64>),
    /// Of what lies in buffers given at each run, in their order: offsets that tell them apart.
    pub(crate) external: (Vec<u64>, Vec<u64>),
    /// Bytes kept free after each storage.
    pub(crate) guard: u64,
}

/// The shape that a program is for.
#[derive(Clone, Copy)]
pub(crate) struct Shape<'a> {
    pub(crate) values: &'a Values,
    pub(crate) dims: &'a Bindings,
    pub(crate) target: &'a Target,
    /// The operations by what they do.
    pub(crate) alike: &'a Alike,
    /// The program at the reference point, if that is another one: what does not depend on the shape is shared with it.
    pub(crate) reference: Option<&'a Program>,
}

/// Plans the storages of both stages.
pub(crate) fn place(
    lowered: &Lowered,
    live: &Liveness,
    values: &Values,
    target: &Target,
    options: &Options,
) -> Result<Placement, CompileError> {
    let guard = guard(options, target);
    let in_arena = |arena: program::Arena| -> Vec<&Storage> {
        live.storages.iter().filter(|storage| storage.is_planned_in(arena)).collect()
    };
    let laid = |storages: &[&Storage]| {
        let size = |storage: &&Storage| bytes(lowered, &storage.tensors, values, target) + guard;
        let sizes: Vec<u64> = storages.iter().map(size).collect();
        sequence(&sizes, &arena(target)).map_err(|why| no_fit(lowered, storages, target, &why))
    };
    let plan = |storages: &[&Storage]| plan(lowered, storages, values, target, options, guard);
    Ok(Placement {
        load: plan(&in_arena(program::Arena::Load))?,
        run: plan(&in_arena(program::Arena::Activations))?,
        weights: laid(&in_arena(program::Arena::Weights))?,
        external: outside(lowered, live, values, target, guard)?,
        guard,
    })
}

/// Lays out what is given at each run.
pub(crate) fn outside(
    lowered: &Lowered,
    live: &Liveness,
    values: &Values,
    target: &Target,
    guard: u64,
) -> Result<(Vec<u64>, Vec<u64>), CompileError> {
    let storages = live.storages.iter().filter(|storage| storage.arena() == program::Arena::External);
    apart(lowered, &storages.collect::<Vec<_>>(), values, target, guard)
}

/// Lays out what is given at each run: one after the other, since the offsets only tell buffers apart.
fn apart(
    lowered: &Lowered,
    storages: &[&Storage],
    values: &Values,
    target: &Target,
    guard: u64,
) -> Result<(Vec<u64>, Vec<u64>), CompileError> {
    let sizes: Vec<u64> =
        storages.iter().map(|storage| bytes(lowered, &storage.tensors, values, target) + guard).collect();
    if let Some((buffer, &size)) = sizes.iter().enumerate().find(|(_, size)| **size > target.max_allocation) {
        let why = NoFit::TooLarge { buffer, size };
        return Err(no_fit(lowered, storages, target, &why));
    }
    let unlimited = Arena::UNLIMITED.in_blocks(u64::MAX, target.storage_alignment);
    sequence(&sizes, &unlimited).map_err(|why| no_fit(lowered, storages, target, &why))
}

/// Bytes kept free after each storage: whole `vec4`s, or what the target has instead.
pub(crate) fn guard(options: &Options, target: &Target) -> u64 {
    options.guard.next_multiple_of(target.storage_granule)
}

/// What the device allocates at once; how much in all is seen when the session is built.
fn arena(target: &Target) -> Arena {
    Arena::UNLIMITED.in_blocks(target.max_allocation, target.storage_alignment)
}

/// Why storages have no place: one that no allocation of the device can hold.
fn no_fit(lowered: &Lowered, storages: &[&Storage], target: &Target, why: &NoFit) -> CompileError {
    let NoFit::TooLarge { buffer, size: bytes } = *why else {
        return CompileError::Plan(why.to_string());
    };
    let name = &lowered.tensor(storages[buffer].tensors[0]).name;
    CompileError::Unsupported(vec![refused(name, bytes, target)])
}

fn refused(name: &str, bytes: u64, target: &Target) -> Refused {
    let reason = format!(
        "it needs {bytes} bytes, and {} allocates at most {} bytes at once (maxMemoryAllocationSize)",
        target.name, target.max_allocation
    );
    Refused::new(name, "tensor", reason)
}

/// The first result of an operation with more bytes than the target allocates at once, or than `most`. That the target
/// allocates the others is decided for all shapes.
pub(crate) fn too_large(lowered: &Lowered, target: &Target, most: u64) -> Option<Refused> {
    let results = lowered.operations.iter().map(|operation| lowered.tensor(operation.output));
    for (tensor, bytes) in results.map(|tensor| (tensor, tensor.bytes())) {
        let (refused, limit) = if i64::try_from(target.max_allocation).is_ok_and(|max| bytes > max) {
            (refused(&tensor.name, bytes.here(), target), target.max_allocation)
        } else if bytes.here() > most {
            let reason = format!("it needs {} bytes, and at most {most} are to be used", bytes.here());
            (Refused::new(&tensor.name, "tensor", reason), most)
        } else {
            continue;
        };
        return Some(Refused { bytes: Some((bytes.expr(), limit)), ..refused });
    }
    None
}

/// Puts a program together.
pub(crate) fn assemble(
    graph: &Graph,
    lowered: &Lowered,
    stages: &Stages,
    live: &Liveness,
    placement: Placement,
    shape: Shape<'_>,
    done: &mut dyn FnMut(Phase),
) -> Result<Program, CompileError> {
    let Shape { values, dims, target, alike, reference } = shape;
    let specs = alike.specs(lowered, values);
    done(Phase::Specs);
    let launches = launches(lowered, alike, values, target)?;
    done(Phase::Launches);
    let buffers = buffers(lowered, live, shape, &placement);
    let plan = pieced(&buffers, placement.guard, placement.run.plan)?;
    let mut maker = Maker {
        lowered,
        values,
        live,
        target,
        buffers: &buffers,
        launches: &launches,
        kernels: Vec::new(),
        params: Vec::new(),
    };
    let (load, uploads) = match reference {
        Some(reference) => maker.loaded_as(reference),
        None => maker.loaded(stages, alike, &specs, placement.load.plan),
    };
    let mut run = maker.stage(&stages.run, alike, &specs);
    let contents = maker.contents();
    let (inputs, outputs) = maker.ports(graph, dims);
    let blocks = [placement.run.blocks, placement.weights.1, placement.load.blocks, placement.external.1];
    let (kernels, params) = (maker.kernels, maker.params);
    let copies = copies::list(lowered, &stages.run, alike, &specs);
    let direct = copies::spared(lowered, &stages.run, alike, &specs, values);
    done(Phase::Windows);
    barrier::place(&mut run);
    done(Phase::Barriers);
    let run = Stage { dispatches: run, plan };
    Ok(Program {
        name: graph.name.to_string(),
        target: target.clone(),
        dims: dims.clone(),
        kernels,
        buffers,
        arena_bytes: blocks.each_ref().map(|ends| ends.last().copied().unwrap_or(0)),
        blocks,
        guard: placement.guard,
        params,
        files: graph.files.clone(),
        uploads,
        load,
        schedule: Schedule::given(&run),
        copies,
        direct,
        run,
        contents,
        inputs,
        prologue: graph.prologue.clone(),
        specialised: graph.specialised.clone(),
        outputs,
        extents: graph.extents.clone(),
        output_policies: live.policies.clone(),
    })
}

fn launches(
    lowered: &Lowered,
    alike: &Alike,
    values: &Values,
    target: &Target,
) -> Result<Launches, CompileError> {
    let refused = |(operation, why): (usize, Refusal)| {
        let Operation { source_node, source_op, .. } = &lowered.operations[operation];
        Refused::new(source_node, source_op, why.to_string())
    };
    let launches = alike.launches(lowered, values, target);
    launches.map_err(|list| CompileError::Unsupported(list.into_iter().map(refused).collect()))
}

/// Bytes a storage needs: the largest of its tensors, rounded up to the target's granule.
pub(crate) fn bytes(lowered: &Lowered, tensors: &[TensorId], values: &Values, target: &Target) -> u64 {
    let largest = tensors.iter().map(|&tensor| values.bytes(lowered.tensor(tensor))).max().unwrap_or(0);
    largest.next_multiple_of(target.storage_granule)
}

/// Plans storages, in their order; the plan is validated by the planner's independent judge.
fn plan(
    lowered: &Lowered,
    storages: &[&Storage],
    values: &Values,
    target: &Target,
    options: &Options,
    guard: u64,
) -> Result<BlockPlan, CompileError> {
    let end = storages.iter().map(|storage| storage.lifespan.end).max().unwrap_or(1);
    let buffers = storages.iter().map(|storage| bayplan_plan::Buffer {
        size: bytes(lowered, &storage.tensors, values, target) + guard,
        align: target.storage_alignment,
        lifespan: match &storage.lifespan {
            life if options.share => Lifespan::new(life.start, life.end),
            _ => Lifespan::new(0, end),
        },
        fixed: None,
    });
    let problem = Problem::new(buffers.collect()).map_err(|e| CompileError::Plan(e.to_string()))?;
    let blocked = match options.known.plan(&problem, &arena(target)) {
        Some(known) => known,
        None => plan_blocks(&problem, &arena(target), options.effort)
            .map_err(|why| no_fit(lowered, storages, target, &why))?,
    };
    validate_blocks(&problem, &arena(target), &blocked)
        .map_err(|flaw| CompileError::Verify(flaw.to_string()))?;
    Ok(blocked)
}

/// The buffers in the order of the storages.
fn buffers(
    lowered: &Lowered,
    live: &Liveness,
    Shape { values, target, reference, .. }: Shape<'_>,
    placement: &Placement,
) -> Vec<Buffer> {
    let (mut load, mut run) = (placement.load.plan.offsets.iter(), placement.run.plan.offsets.iter());
    let (mut weights, mut external) = (placement.weights.0.iter(), placement.external.0.iter());
    let offset = |storage: &Storage| match storage.arena() {
        _ if storage.within.is_some() => None,
        program::Arena::Activations => run.next(),
        program::Arena::Weights => weights.next(),
        program::Arena::Load => load.next(),
        program::Arena::External => external.next(),
    };
    let own: Vec<Option<u64>> = live.storages.iter().map(offset).map(Option::<&u64>::copied).collect();
    let buffer = |(index, storage): (usize, &Storage)| {
        let size = bytes(lowered, &storage.tensors, values, target);
        let late = |part: &Late| LatePart {
            bytes: values.of(part.bytes.start).min(size)..values.of(part.bytes.end).min(size),
            first: part.first,
        };
        let first = lowered.tensor(storage.tensors[0]);
        let aliases = || storage.tensors[1..].iter().map(|&tensor| lowered.tensor(tensor).name.clone());
        let same = reference.and_then(|program| program.buffers.get(index));
        let size_expr = match same {
            Some(buffer) => buffer.size_expr.clone(),
            None => first.elements_expr.clone() * Expr::from(first.repr.bytes() as i64),
        };
        Buffer {
            name: first.name.clone(),
            kind: storage.kind,
            dtype: first.dtype,
            shape: values.shape(&first.shape),
            size,
            size_expr,
            align: target.storage_alignment,
            arena: storage.arena(),
            offset: offset_of(live, &own, values, index),
            lifespan: storage.lifespan.clone(),
            within: storage.within.map(|place| BufferId(place.storage as u32)),
            late: storage.late.iter().map(late).collect(),
            aliases: same.map_or_else(|| aliases().collect(), |same| same.aliases.clone()),
        }
    };
    live.storages.iter().enumerate().map(buffer).collect()
}

/// Where a storage lies: what it lies in has the plan's offset.
fn offset_of(live: &Liveness, own: &[Option<u64>], values: &Values, index: usize) -> u64 {
    let (mut storage, mut offset) = (index, 0u64);
    // Each lives longer than those within it.
    while let Some(place) = live.storages[storage].within {
        offset = offset.saturating_add(values.of(place.offset));
        storage = place.storage;
    }
    // Each plan has one offset per storage of its kinds.
    own[storage].map_or(u64::MAX, |first| first.saturating_add(offset))
}

/// A plan with guests in late parts: what is proved of it is proved of the parts, each with its own life.
fn pieced(buffers: &[Buffer], guard: u64, plan: Plan) -> Result<Plan, CompileError> {
    let planned = || buffers.iter().filter(|buffer| buffer.arena == program::Arena::Activations);
    if planned().all(|buffer| buffer.late.is_empty()) {
        return Ok(plan);
    }
    let pieces: Vec<Piece> = planned().flat_map(|buffer| buffer.pieces(guard)).collect();
    let problem = Problem::new(pieces.iter().map(Piece::planned).collect())
        .map_err(|e| CompileError::Plan(e.to_string()))?;
    let offsets = pieces.iter().map(|piece| piece.offset).collect();
    Plan::from_offsets(&problem, offsets, plan.strategy)
        .map_err(|flaw| CompileError::Verify(flaw.to_string()))
}

struct Maker<'a> {
    lowered: &'a Lowered,
    values: &'a Values,
    live: &'a Liveness,
    target: &'a Target,
    buffers: &'a [Buffer],
    launches: &'a Launches,
    kernels: Vec<Arc<Kernel>>,
    params: Vec<u8>,
}

impl Maker<'_> {
    /// What is loaded as another program of the same compile does, with the kernels and parameters of it, which come first.
    fn loaded_as(&mut self, other: &Program) -> (Arc<Stage>, Arc<Vec<Upload>>) {
        let dispatches = &other.load.dispatches;
        let kernels = dispatches.iter().map(|dispatch| dispatch.kernel.0 as usize + 1).max().unwrap_or(0);
        let params = dispatches.iter().map(|dispatch| dispatch.params.end as usize).max().unwrap_or(0);
        self.kernels.extend_from_slice(&other.kernels[..kernels]);
        self.params.extend_from_slice(&other.params[..params]);
        (other.load.clone(), other.uploads.clone())
    }

    /// What is loaded, and how.
    fn loaded(
        &mut self,
        stages: &Stages,
        alike: &Alike,
        specs: &[Arc<Spec>],
        plan: Plan,
    ) -> (Arc<Stage>, Arc<Vec<Upload>>) {
        let mut dispatches = self.stage(&stages.load, alike, specs);
        barrier::place(&mut dispatches);
        (Arc::new(Stage { dispatches, plan }), Arc::new(self.uploads(stages)))
    }

    /// The inputs and the outputs, in the model's order.
    fn ports(&self, graph: &Graph, dims: &Bindings) -> (Vec<Port>, Vec<Port>) {
        let of = |list: &[TensorId], values: &[ValueId]| -> Vec<Port> {
            let both = list.iter().zip(values);
            both.map(|(&tensor, &value)| self.port(graph, tensor, value, dims)).collect()
        };
        let inputs = of(&self.lowered.inputs, &graph.inputs);
        let mut outputs = of(&self.lowered.outputs, &graph.outputs);
        for (index, output) in outputs.iter_mut().enumerate() {
            output.name = graph.output_name(index).to_string();
        }
        (inputs, outputs)
    }

    fn stage(&mut self, operations: &[usize], alike: &Alike, specs: &[Arc<Spec>]) -> Vec<Dispatch> {
        // Equal work has one kernel, which is looked for once.
        let mut kernels: Vec<Option<KernelId>> = vec![None; specs.len()];
        let launches = self.launches;
        let mut dispatch = |&index: &usize| {
            let work = alike.work(index);
            let launch = &launches.of_work[work];
            let kernel = *kernels[work].get_or_insert_with(|| self.kernel(&launch.kernel));
            self.dispatch(&self.lowered.operations[index], &specs[work], launch, kernel)
        };
        operations.iter().map(&mut dispatch).collect()
    }

    fn dispatch(
        &mut self,
        operation: &Operation,
        spec: &Arc<Spec>,
        launch: &Launch,
        kernel: KernelId,
    ) -> Dispatch {
        let windows: Vec<Window> = launch
            .kernel
            .bindings
            .iter()
            .map(|binding| match binding.slot {
                Slot::Operand(index) => self.operand(operation, index as usize, binding.access),
                Slot::Output => self.result(operation, binding.access),
            })
            .collect();
        Dispatch {
            spec: spec.clone(),
            kernel,
            params: self.store(&self.launches.params[launch.numbers.params.clone()]),
            grid: launch.numbers.grid,
            barrier_before: false,
            name: self.lowered.tensor(operation.output).name.clone(),
            source_node: operation.source_node.clone(),
            source_op: operation.source_op.clone(),
            flops: launch.numbers.flops,
            bytes: windows.iter().map(|window| window.len).sum(),
            windows,
        }
    }

    fn kernel(&mut self, kernel: &Arc<Kernel>) -> KernelId {
        let known = self.kernels.iter().position(|known| Arc::ptr_eq(known, kernel));
        let place = known.unwrap_or_else(|| {
            self.kernels.push(kernel.clone());
            self.kernels.len() - 1
        });
        KernelId(place as u32)
    }

    /// Appends parameters at a multiple of the target's alignment; equal ones are not shared, so that a new shape can
    /// rewrite them one by one.
    fn store(&mut self, words: &[u32]) -> Range<u64> {
        if words.is_empty() {
            return 0..0;
        }
        let start = (self.params.len() as u64)
            .next_multiple_of(self.target.uniform_alignment.max(self.target.storage_granule));
        self.params.resize(start as usize, 0);
        self.params.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        start..self.params.len() as u64
    }

    /// The window on what an operand's view touches.
    fn operand(&self, operation: &Operation, index: usize, access: Access) -> Window {
        let bytes = self.values.operand(self.lowered, operation, index, self.target.storage_granule);
        self.part(operation.operands[index].tensor, &bytes, access)
    }

    /// The window on what an operation is given to write.
    fn result(&self, operation: &Operation, access: Access) -> Window {
        let bytes = self.values.result(self.lowered, operation, self.target.storage_granule);
        self.part(operation.output, &bytes, access)
    }

    /// The window on some bytes of a tensor.
    fn part(&self, tensor: TensorId, bytes: &Range<u64>, access: Access) -> Window {
        let whole = self.whole(tensor, access);
        Window { offset: whole.offset + bytes.start, len: bytes.end - bytes.start, ..whole }
    }

    fn whole(&self, tensor: TensorId, access: Access) -> Window {
        // Inputs, outputs and every tensor that an operation touches have a place: liveness made it from the same lists.
        let place = self.live.of[tensor.index()].unwrap_or(Place { storage: usize::MAX, offset: Size::ZERO });
        let buffer = &self.buffers[place.storage];
        Window {
            buffer: BufferId(place.storage as u32),
            arena: buffer.arena,
            offset: buffer.offset + self.values.of(place.offset),
            len: self.values.bytes(self.lowered.tensor(tensor)).next_multiple_of(self.target.storage_granule),
            access,
        }
    }

    fn uploads(&self, stages: &Stages) -> Vec<Upload> {
        let mut first = vec![stages.load.len() as u32; self.lowered.tensors.len()];
        for (position, &index) in stages.load.iter().enumerate().rev() {
            for view in &self.lowered.operations[index].operands {
                first[view.tensor.index()] = position as u32;
            }
        }
        let mut uploads = Vec::new();
        for (index, tensor) in self.lowered.tensors.iter().enumerate() {
            let (data, bytes) = match &tensor.origin {
                // What is small and narrow is held here already.
                Origin::Constant(ConstData::Inline(bytes)) => {
                    let bytes = widen(tensor.dtype, bytes);
                    (ConstData::Inline(bytes.as_ref().into()), 0..bytes.len() as u64)
                }
                Origin::Constant(data) => (data.clone(), 0..data.len()),
                Origin::Bytes(data, bytes) => (data.clone(), bytes.clone()),
                Origin::Input | Origin::Contents(_) | Origin::Computed => continue,
            };
            if self.live.of[index].is_none() || self.values.bytes(tensor) == 0 {
                continue;
            }
            uploads.push(Upload {
                before: first[index],
                name: tensor.name.to_string(),
                data,
                skip: bytes.start,
                bytes: bytes.end - bytes.start,
                window: self.whole(TensorId(index as u32), Access::Write),
            });
        }
        uploads.sort_by_key(|upload| upload.before);
        uploads
    }

    /// What the host writes before each run.
    fn contents(&self) -> Vec<Contents> {
        let made = |(index, tensor): (usize, &Tensor)| {
            let Origin::Contents(elements) = &tensor.origin else { return None };
            self.live.of[index]?;
            let elements: Vec<i128> = elements.iter().map(|&size| self.values.signed(size).into()).collect();
            let host = HostTensor::from_ints(tensor.dtype, vec![elements.len()], &elements).ok()?;
            Some(Contents {
                name: tensor.name.to_string(),
                dtype: tensor.dtype,
                bytes: host.bytes().to_vec(),
                window: self.whole(TensorId(index as u32), Access::Write),
            })
        };
        let all = self.lowered.tensors.iter().enumerate().filter_map(made);
        all.filter(|contents| !contents.bytes.is_empty()).collect()
    }

    fn port(&self, graph: &Graph, tensor: TensorId, value: ValueId, dims: &Bindings) -> Port {
        let (own, value) = (self.lowered.tensor(tensor), graph.value(value));
        // The value's shape: the tensor it lies in may have another one, since a reshape is no operation.
        let size = |dim: &Expr| u64::try_from(dim.eval(dims).ok()?).ok();
        let shape = value.ty.as_ref().and_then(|ty| ty.shape.iter().map(size).collect());
        Port {
            name: value.name.to_string(),
            dtype: own.dtype,
            shape: shape.unwrap_or_else(|| self.values.shape(&own.shape)),
            window: self.whole(tensor, Access::Read),
        }
    }
}
