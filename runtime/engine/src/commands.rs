//! A stage recorded as commands.

use bayplan_compile::{Arena, Dispatch, Program};
use bayplan_vulkan::{Barrier, Buffer, Commands, Device, Pipeline, Recorder, Window};

use crate::arena::Arenas;
use crate::error::EngineError;
use crate::external::Placement;
use crate::instruments::{Instruments, Places};

/// What the dispatches of a program refer to on the device.
#[derive(Clone, Copy)]
pub(crate) struct Objects<'a> {
    pub(crate) program: &'a Program,
    /// One for each of the program's kernels.
    pub(crate) pipelines: &'a [Option<Pipeline>],
    pub(crate) arenas: &'a Arenas,
    /// The buffer with the program's parameters, and where they begin in it.
    pub(crate) params: (&'a Buffer, u64),
    /// Where the buffers lie that are given at each run. Without it, they have an arena like the others.
    pub(crate) external: Option<&'a Placement>,
}

/// Records dispatches; into `reused`, if there are commands whose memory can be used again.
pub(crate) fn record(
    device: &Device,
    name: &str,
    objects: Objects<'_>,
    dispatches: &[Dispatch],
    instruments: (&Instruments, &Places),
    reused: Option<Commands>,
) -> Result<Commands, EngineError> {
    record_part(device, name, objects, (dispatches, 0), instruments, reused)
}

/// The same of a part of a run program, whose first dispatch has the number `first` there.
pub(crate) fn record_part(
    device: &Device,
    name: &str,
    objects: Objects<'_>,
    (dispatches, first): (&[Dispatch], usize),
    (instruments, places): (&Instruments, &Places),
    reused: Option<Commands>,
) -> Result<Commands, EngineError> {
    let mut recorder = device.record(name);
    instruments.before(&mut recorder, &(first as u32..(first + dispatches.len()) as u32))?;
    for (index, dispatch) in (first..).zip(dispatches) {
        if dispatch.barrier_before {
            recorder.barrier(Barrier::ComputeToCompute);
        }
        objects.bind(&mut recorder, dispatch)?;
        instruments.after(&mut recorder, places, index as u32)?;
    }
    match reused {
        Some(mut commands) => {
            recorder.finish_into(&mut commands)?;
            Ok(commands)
        }
        None => Ok(recorder.finish()?),
    }
}

impl Objects<'_> {
    fn bind(&self, recorder: &mut Recorder, dispatch: &Dispatch) -> Result<(), EngineError> {
        let mut windows = Vec::with_capacity(dispatch.windows.len() + 1);
        for window in &dispatch.windows {
            let (buffer, offset) = self.place(window)?;
            windows.push(Window { buffer, offset, len: window.len });
        }
        if !dispatch.params.is_empty() {
            let (buffer, start) = self.params;
            let len = dispatch.params.end - dispatch.params.start;
            windows.push(Window { buffer, offset: start + dispatch.params.start, len });
        }
        let pipeline = self.pipelines.get(dispatch.kernel.0 as usize).and_then(Option::as_ref);
        let missing = || EngineError::Kernel {
            name: dispatch.name.to_string(),
            reason: "it is computed by the host, and cannot be recorded".into(),
        };
        recorder.dispatch(pipeline.ok_or_else(missing)?, &windows, dispatch.grid)?;
        Ok(())
    }

    /// The buffer that a window begins in, and where in it.
    pub(crate) fn place(&self, window: &bayplan_compile::Window) -> Result<(&Buffer, u64), EngineError> {
        match self.external.filter(|_| window.arena == Arena::External) {
            Some(placement) => placement.place(self.program, window),
            None => self.arenas.place(window.arena, window.offset),
        }
    }
}
