//! A stage recorded as commands.

use bayplan_compile::Dispatch;
use bayplan_vulkan::{Barrier, Buffer, Commands, Device, Pipeline, Recorder, Window};

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
