//! A dispatch's windows as the operands of its spec, checked before anything is computed.

use std::ops::Range;

use bayplan_compile::{Arena, BufferKind, Dispatch, Program, Window};
use bayplan_shaders::{Access, Slot};

use crate::error::{HostError, Place};
use crate::machine::Phase;
use crate::memory::Memory;
use crate::view::View;
use crate::work;

/// Where the operands and the result of a dispatch lie.
pub(crate) struct Bound {
    pub(crate) operands: Vec<(Arena, Range<usize>)>,
    pub(crate) output: (Arena, Range<usize>),
}

/// Looks at one dispatch.
pub(crate) struct Checker<'a> {
    pub(crate) program: &'a Program,
    pub(crate) memory: &'a Memory,
    pub(crate) phase: Phase,
    pub(crate) index: usize,
    pub(crate) dispatch: &'a Dispatch,
}

impl Checker<'_> {
    /// The dispatch, for messages.
    pub(crate) fn place(&self) -> Place {
        Place { phase: self.phase, index: self.index, name: self.dispatch.name.to_string() }
    }

    /// Checks every window and every element read.
    pub(crate) fn bound(&self) -> Result<Bound, HostError> {
        for window in &self.dispatch.windows {
            self.window(window)?;
        }
        self.hazards()?;
        let reads = work::reads(&self.dispatch.spec, &self.program.target);
        let output = self.window_of(Slot::Output)?;
        let writes = work::writes(&self.dispatch.spec);
        self.holds(output, &writes)?;
        if work::keeps(&self.dispatch.spec) {
            self.written(output, &writes)?;
        }
        let mut operands = Vec::with_capacity(reads.len());
        for (number, views) in (0_u32..).zip(&reads) {
            let over = work::in_place(&self.dispatch.spec) == Some(number);
            if views.iter().all(View::is_empty) && !self.binds(Slot::Operand(number)) {
                operands.push((output.arena, 0..0));
                continue;
            }
            let window = if over { output } else { self.window_of(Slot::Operand(number))? };
            for view in views {
                self.holds(window, view)?;
                self.written(window, view)?;
            }
            operands.push((window.arena, words(window)));
        }
        Ok(Bound { operands, output: (output.arena, words(output)) })
    }

    /// The window of the result, inside its buffer.
    pub(crate) fn output(&self) -> Result<&Window, HostError> {
        let window = self.window_of(Slot::Output)?;
        self.window(window)?;
        Ok(window)
    }

    fn buffer_name(&self, window: &Window) -> String {
        let buffer = self.program.buffers.get(window.buffer.0 as usize);
        buffer.map_or_else(|| format!("buffer {}", window.buffer.0), |buffer| buffer.name.to_string())
    }

    fn wrong(&self, window: &Window, problem: String) -> HostError {
        HostError::Window { place: self.place(), buffer: self.buffer_name(window), problem }
    }

    /// Whether the kernel has a window for a slot.
    fn binds(&self, slot: Slot) -> bool {
        let kernel = self.program.kernels.get(self.dispatch.kernel.0 as usize);
        kernel.is_some_and(|kernel| kernel.bindings.iter().any(|binding| binding.slot == slot))
    }

    /// The window that the kernel binds for a slot.
    fn window_of(&self, slot: Slot) -> Result<&Window, HostError> {
        let kernel = self.program.kernels.get(self.dispatch.kernel.0 as usize);
        let bindings = kernel.map_or(&[][..], |kernel| &kernel.bindings);
        let at = bindings.iter().position(|binding| binding.slot == slot);
        at.and_then(|at| self.dispatch.windows.get(at)).ok_or_else(|| HostError::Spec {
            place: self.place(),
            problem: format!("its kernel has no window for {slot:?}"),
        })
    }

    /// Whether a window lies in its arena and its buffer, which must be alive.
    fn window(&self, window: &Window) -> Result<(), HostError> {
        let Window { offset, len, .. } = *window;
        let end = offset.checked_add(len);
        let words = offset / 4..end.unwrap_or(u64::MAX) / 4;
        if end.is_none() || self.memory.get(window.arena, words.start as usize..words.end as usize).is_none()
        {
            let arena = self.memory.bytes(window.arena);
            let name = window.arena.name();
            return Err(self
                .wrong(window, format!("{offset}+{len} leaves the {name} arena, which has {arena} bytes")));
        }
        let Some(buffer) = self.program.buffers.get(window.buffer.0 as usize) else {
            return Err(self.wrong(window, "there is no such buffer".into()));
        };
        let inside = window.arena == buffer.arena
            && offset >= buffer.offset
            && end.is_some_and(|end| end <= buffer.offset.saturating_add(buffer.size));
        if !inside {
            let (start, size) = (buffer.offset, buffer.size);
            return Err(self.wrong(window, format!("{offset}+{len} leaves its bytes {start}+{size}")));
        }
        if !offset.is_multiple_of(4) || !len.is_multiple_of(4) {
            return Err(self.wrong(window, format!("{offset}+{len} are no whole words")));
        }
        let now = self.index as u32;
        let (alive, writable) = match (buffer.kind, self.phase) {
            (BufferKind::Weight, phase) => (true, phase == Phase::Load),
            (BufferKind::Load, phase) => (phase == Phase::Load && buffer.lifespan.contains(&now), true),
            (_, phase) => (phase == Phase::Run && buffer.lifespan.contains(&now), true),
        };
        if !alive {
            let life = &buffer.lifespan;
            return Err(self.wrong(
                window,
                format!("it lives from {} to {} of its stage, not here", life.start, life.end),
            ));
        }
        if window.access != Access::Read && !writable {
            return Err(self.wrong(window, "a run must not write weights".into()));
        }
        Ok(())
    }

    /// Whether what is written is used through another window too.
    fn hazards(&self) -> Result<(), HostError> {
        let windows = &self.dispatch.windows;
        for (number, written) in windows.iter().enumerate().filter(|(_, w)| w.access != Access::Read) {
            let other = windows.iter().enumerate().find(|(other, window)| {
                *other != number
                    && window.arena == written.arena
                    && window.offset < written.offset + written.len
                    && written.offset < window.offset + window.len
            });
            if let Some((_, other)) = other {
                return Err(HostError::Hazard {
                    place: self.place(),
                    written: self.buffer_name(written),
                    other: self.buffer_name(other),
                    byte: written.offset.max(other.offset),
                });
            }
        }
        Ok(())
    }

    /// Whether a view fits its window.
    fn holds(&self, window: &Window, view: &View) -> Result<(), HostError> {
        let end = view.end();
        if end.is_some_and(|end| end as u64 <= window.len / 4) {
            return Ok(());
        }
        let needs = end.map_or("more than there can be".into(), |end| format!("{} bytes", end * 4));
        Err(self.wrong(window, format!("it has {} bytes, but the spec touches {needs}", window.len)))
    }

    /// Whether every element of a view was written.
    fn written(&self, window: &Window, view: &View) -> Result<(), HostError> {
        let start = words(window).start;
        let unwritten =
            |run: Range<usize>| self.memory.unwritten(window.arena, start + run.start..start + run.end);
        match view.find(unwritten) {
            None => Ok(()),
            Some(word) => Err(HostError::Unwritten {
                place: Some(self.place()),
                buffer: self.buffer_name(window),
                byte: word as u64 * 4,
            }),
        }
    }
}

/// A window's words in its arena.
pub(crate) fn words(window: &Window) -> Range<usize> {
    let start = (window.offset / 4) as usize;
    start..start + (window.len / 4) as usize
}
