//! A stage recorded as commands.

use bayplan_compile::{Dispatch, Program};
use bayplan_shaders::compile_wgsl;
use bayplan_vulkan::{
    Barrier, BindingKind, Buffer, Commands, Device, Pipeline, PipelineDesc, Recorder, Window,
};

use crate::arena::Arenas;
use crate::error::EngineError;
use crate::instruments::Instruments;

/// The device objects that dispatches of a program refer to.
pub(crate) struct Objects {
    pub(crate) pipelines: Vec<Pipeline>,
    pub(crate) arenas: Arenas,
    pub(crate) params: Option<Buffer>,
}

impl Objects {
    /// All buffers.
    pub(crate) fn buffers(&self) -> impl Iterator<Item = &Buffer> + Clone {
        self.arenas.buffers().chain(&self.params)
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

/// Records dispatches with what follows them on the device.
pub(crate) fn record(
    device: &Device,
    name: &str,
    objects: &Objects,
    dispatches: &[Dispatch],
    instruments: &Instruments,
) -> Result<Commands, EngineError> {
    let mut recorder = device.record(name);
    instruments.before(&mut recorder)?;
    for (index, dispatch) in dispatches.iter().enumerate() {
        if dispatch.barrier_before {
            recorder.barrier(Barrier::ComputeToCompute);
        }
        bind(&mut recorder, objects, dispatch)?;
        instruments.after(&mut recorder, index as u32)?;
    }
    Ok(recorder.finish()?)
}

fn bind(recorder: &mut Recorder, objects: &Objects, dispatch: &Dispatch) -> Result<(), EngineError> {
    let mut windows = Vec::with_capacity(dispatch.windows.len() + 1);
    for window in &dispatch.windows {
        let (buffer, offset) = objects.arenas.place(window.arena, window.offset)?;
        windows.push(Window { buffer, offset, len: window.len });
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
