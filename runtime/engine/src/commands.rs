//! A stage recorded as commands.

use std::sync::Arc;

use bayplan_compile::{Arena, Dispatch, Program};
use bayplan_shaders::compile_wgsl;
use bayplan_vulkan::{
    Barrier, BindingKind, Buffer, Commands, Device, Pipeline, PipelineDesc, QueryPool, Recorder, Window,
};

use crate::error::EngineError;

/// The device objects that dispatches of a program refer to.
pub(crate) struct Objects {
    pub(crate) pipelines: Vec<Pipeline>,
    pub(crate) arenas: [Option<Buffer>; 2],
    pub(crate) params: Option<Buffer>,
}

/// Where timestamps are written: one before the first dispatch, then one after every `stride`-th and after the last.
#[derive(Clone)]
pub(crate) struct Timestamps {
    pub(crate) pool: Arc<QueryPool>,
    /// The dispatch that each query from number 1 on follows.
    pub(crate) after: Vec<u32>,
}

impl Timestamps {
    /// Queries for `count` dispatches, one after every `stride`-th.
    pub(crate) fn new(device: &Device, count: u32, stride: u32) -> Result<Self, EngineError> {
        let after: Vec<u32> =
            (0..count).filter(|&op| (op + 1).is_multiple_of(stride.max(1)) || op + 1 == count).collect();
        let pool = device.create_query_pool("op timestamps", after.len() as u32 + 1)?;
        Ok(Self { pool: Arc::new(pool), after })
    }
}

/// Compiles the program's kernels.
pub(crate) fn pipelines(device: &Device, program: &Program) -> Result<Vec<Pipeline>, EngineError> {
    let compile = |kernel: &bayplan_shaders::Kernel| {
        let spirv = compile_wgsl(kernel)
            .map_err(|e| EngineError::Kernel { name: kernel.name.clone(), reason: e.to_string() })?;
        let mut bindings = vec![BindingKind::Storage; kernel.bindings.len()];
        bindings.extend(kernel.has_params.then_some(BindingKind::Uniform));
        let desc = PipelineDesc {
            name: &kernel.name,
            spirv: &spirv,
            entry: "main",
            bindings: &bindings,
            push_constants: 0,
            required_subgroup_size: kernel.subgroup,
        };
        Ok(device.create_pipeline(&desc)?)
    };
    program.kernels.iter().map(compile).collect()
}

/// Records dispatches, with timestamps if asked.
pub(crate) fn record(
    device: &Device,
    name: &str,
    objects: &Objects,
    dispatches: &[Dispatch],
    timestamps: Option<&Timestamps>,
) -> Result<Commands, EngineError> {
    let mut recorder = device.record(name);
    if let Some(times) = timestamps {
        recorder.reset_queries(&times.pool, 0..times.pool.count())?;
        recorder.timestamp(&times.pool, 0)?;
    }
    let mut next_query = 0;
    for (index, dispatch) in dispatches.iter().enumerate() {
        if dispatch.barrier_before {
            recorder.barrier(Barrier::ComputeToCompute);
        }
        bind(&mut recorder, objects, dispatch)?;
        if let Some(times) = timestamps
            && times.after.get(next_query) == Some(&(index as u32))
        {
            next_query += 1;
            recorder.timestamp(&times.pool, next_query as u32)?;
        }
    }
    Ok(recorder.finish()?)
}

fn bind(recorder: &mut Recorder, objects: &Objects, dispatch: &Dispatch) -> Result<(), EngineError> {
    let mut windows = Vec::with_capacity(dispatch.windows.len() + 1);
    for window in &dispatch.windows {
        windows.push(Window {
            buffer: arena(objects, window.arena)?,
            offset: window.offset,
            len: window.len,
        });
    }
    if let Some(params) = &objects.params
        && !dispatch.params.is_empty()
    {
        let len = dispatch.params.end - dispatch.params.start;
        windows.push(Window { buffer: params, offset: dispatch.params.start, len });
    }
    // Verified programs refer to kernels that exist.
    recorder.dispatch(&objects.pipelines[dispatch.kernel.0 as usize], &windows, dispatch.grid)?;
    Ok(())
}

/// The buffer of an arena that is in use.
pub(crate) fn arena(objects: &Objects, arena: Arena) -> Result<&Buffer, EngineError> {
    objects.arenas[arena.index()].as_ref().ok_or_else(|| {
        bayplan_vulkan::Error::InvalidRange { name: arena.name().into(), why: "an empty arena" }.into()
    })
}
