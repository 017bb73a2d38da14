//! The proof: a finished program is checked byte by byte, by rules of its own and without the maker's code.
//!
//! For every byte of the arenas the verifier remembers which buffer last wrote it and in which interval between two
//! barriers it was last written and read:
//!
//! ```text
//!  offset ─►  0        256       512                 a run of bytes: owner, last write, last read
//!  dispatch 0 [a  w0 ══════════]                     writes a
//!  barrier    ─────────────────────────              interval 1 begins
//!  dispatch 1 [a  r1 ══════════][b  w1 ═══]          reads a, writes b
//!  dispatch 2           [c  w2 ✗                     refused: a was read in this interval by another dispatch
//! ```
//!
//! A program passes only if
//! * the blocks of an arena are its bytes, none larger than the device allocates, and no buffer lies in two;
//! * every buffer lies in the arena of its kind and every window in its buffer, at offsets the device can bind;
//! * windows, parameters and grid are what the kernel and the device ask for;
//! * every byte read was last written by the buffer it is read as (nothing alive was overwritten), or was given to an
//!   input or weight by the host;
//! * between any two dispatches that touch a byte, at least one of them writing, there is a barrier;
//! * a buffer that is given at each run is one input, which no dispatch writes, or one output, and shares no byte;
//! * no dispatch touches a byte that it writes through another window too;
//! * a late part of a buffer is touched only from its first use on, and whatever lies there before is dead by then;
//! * every buffer is touched only within its lifespan, and outputs hold what was written to them at the end.

mod bytes;
mod external;
mod late;
mod violation;

use bayplan_shaders::{Access, Repr};

use self::bytes::{Bytes, Misuse, Who};
pub use self::violation::{Place, Violation};
use crate::program::{Arena, Buffer, BufferKind, Contents, Dispatch, Port, Program, Upload, Window};

/// Checks a program.
///
/// # Errors
/// The first rule that is broken, with the dispatch and the buffer.
pub fn verify(program: &Program) -> Result<(), Violation> {
    for arena in Arena::ALL {
        cut(program, arena).map_err(|problem| Violation { place: Place::Buffers, buffer: None, problem })?;
    }
    for buffer in &program.buffers {
        placed(program, buffer).map_err(|problem| Violation {
            place: Place::Buffers,
            buffer: Some(buffer.name.to_string()),
            problem,
        })?;
    }
    external::check(program)?;
    let mut walk = Walk { program, arenas: Arena::ALL.map(|_| Bytes::default()), stage: Stage::Load };
    walk.load()?;
    // A run begins when everything before it has finished, and may follow another: whatever lies beside the weights
    // before it is void.
    walk.barrier();
    for arena in [Arena::Activations, Arena::Load, Arena::External] {
        walk.arenas[arena.index()] = Bytes::default();
    }
    walk.stage = Stage::Run;
    walk.run()
}

/// Whether the blocks of an arena are what the device can allocate, and the whole of it.
fn cut(program: &Program, arena: Arena) -> Result<(), String> {
    let (ends, bytes) = (&program.blocks[arena.index()], program.arena_bytes[arena.index()]);
    let (name, most) = (arena.name(), program.target.max_allocation);
    if ends.last().copied().unwrap_or(0) != bytes || !ends.is_sorted_by(|a, b| a < b) {
        return Err(format!("blocks that end at {ends:?} are not the {bytes} bytes of the {name} arena"));
    }
    let alignment = program.target.storage_alignment;
    for block in program.blocks(arena) {
        if block.end - block.start > most && arena != Arena::External {
            return Err(format!("the block {block:?} of the {name} arena has more than {most} bytes"));
        }
        if !block.start.is_multiple_of(alignment) {
            return Err(format!(
                "the block {block:?} of the {name} arena begins at no multiple of {alignment}"
            ));
        }
    }
    Ok(())
}

/// Where a buffer lies.
fn placed(program: &Program, buffer: &Buffer) -> Result<(), String> {
    let arena = program.arena_bytes[buffer.arena.index()];
    let name = buffer.arena.name();
    let home = match buffer.kind {
        BufferKind::Weight => Arena::Weights,
        BufferKind::Load => Arena::Load,
        BufferKind::Input | BufferKind::Output if buffer.arena == Arena::External => Arena::External,
        BufferKind::Input | BufferKind::Output | BufferKind::Activation => Arena::Activations,
    };
    if buffer.arena != home {
        return Err(format!("it is of kind {:?}, which does not lie in the {name} arena", buffer.kind));
    }
    let end = buffer.offset.checked_add(buffer.size).filter(|&end| end <= arena);
    if end.is_none() && buffer.size > 0 {
        let (offset, size) = (buffer.offset, buffer.size);
        return Err(format!("its bytes {offset}+{size} leave the {name} arena, which has {arena}"));
    }
    if let Some(end) = program.blocks[buffer.arena.index()]
        .iter()
        .find(|&&end| end > buffer.offset && end < buffer.offset + buffer.size)
    {
        return Err(format!("the {name} arena is cut at {end}, which lies in its bytes"));
    }
    if buffer.size > 0 && !buffer.offset.is_multiple_of(program.target.storage_alignment) {
        let alignment = program.target.storage_alignment;
        return Err(format!("its offset {} is no multiple of {alignment}", buffer.offset));
    }
    let stage = if buffer.kind == BufferKind::Load { &program.load } else { &program.run };
    let (life, ops) = (&buffer.lifespan, stage.dispatches.len().max(1));
    if life.is_empty() || life.end as usize > ops {
        return Err(format!("its lifespan {}..{} does not lie in {ops} dispatches", life.start, life.end));
    }
    late::check(program, buffer)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Load,
    Run,
}

/// The walk through a program.
struct Walk<'a> {
    program: &'a Program,
    arenas: [Bytes; 4],
    stage: Stage,
}

impl Walk<'_> {
    /// The load stage: uploads come between dispatches.
    fn load(&mut self) -> Result<(), Violation> {
        let program = self.program;
        let mut uploads = program.uploads.iter().peekable();
        for (index, dispatch) in program.load.dispatches.iter().enumerate() {
            while let Some(upload) = uploads.next_if(|upload| upload.before as usize <= index) {
                self.upload(upload, index)?;
            }
            self.dispatch(index, dispatch)?;
        }
        let end = program.load.dispatches.len();
        uploads.try_for_each(|upload| self.upload(upload, end))
    }

    /// The run stage, inputs given and outputs taken.
    fn run(&mut self) -> Result<(), Violation> {
        let program = self.program;
        for port in &program.inputs {
            self.port(port, Place::Input)?;
            self.arenas[port.window.arena.index()].given(&port.window);
        }
        for contents in &program.contents {
            self.contents(contents)?;
        }
        for (index, dispatch) in program.run.dispatches.iter().enumerate() {
            self.dispatch(index, dispatch)?;
        }
        self.barrier();
        let end = program.run.dispatches.len();
        for port in &program.outputs {
            self.port(port, Place::Output)?;
            let read = self.arenas[port.window.arena.index()].read(&port.window, end);
            read.map_err(|misuse| {
                self.violation(Place::Output(port.name.clone()), &port.window, self.tell(misuse))
            })?;
        }
        Ok(())
    }

    fn barrier(&mut self) {
        self.arenas.iter_mut().for_each(Bytes::barrier);
    }

    fn violation(&self, place: Place, window: &Window, problem: String) -> Violation {
        let buffer = self.program.buffers.get(window.buffer.0 as usize);
        Violation { place, buffer: buffer.map(|buffer| buffer.name.to_string()), problem }
    }

    fn upload(&mut self, upload: &Upload, at: Who) -> Result<(), Violation> {
        let Upload { window, data, skip, bytes, .. } = upload;
        let (data, end) = (data.len(), skip.checked_add(*bytes));
        // Windows are whole granules, and words.
        let all = bytes.checked_next_multiple_of(self.program.target.storage_granule.max(4));
        let check = self.inside(window).and_then(|buffer| match buffer.kind {
            _ if end.is_none_or(|end| end > data) => {
                Err(format!("{bytes} bytes from byte {skip} on are not in its {data}"))
            }
            _ if all != Some(window.len) => {
                Err(format!("{bytes} bytes are not what the window of {} bytes is for", window.len))
            }
            BufferKind::Weight => Ok(()),
            BufferKind::Load if buffer.lifespan.contains(&(at as u32)) => Ok(()),
            kind => Err(format!("a buffer of kind {kind:?} is not there to be uploaded to here")),
        });
        let place = || Place::Upload(upload.name.clone());
        check.map_err(|problem| self.violation(place(), window, problem))?;
        self.arenas[window.arena.index()].given(window);
        Ok(())
    }

    /// The window of an input or output.
    fn port(&self, port: &Port, place: fn(String) -> Place) -> Result<(), Violation> {
        let dims = port.shape.iter().try_fold(1u64, |product, &size| product.checked_mul(size));
        let bytes = Repr::of(port.dtype).and_then(|repr| dims?.checked_mul(repr.bytes()));
        let check = self.inside(&port.window).and_then(|buffer| match buffer.kind {
            _ if bytes.is_none_or(|bytes| bytes > port.window.len) => {
                Err(format!("its elements do not fit the window's {} bytes", port.window.len))
            }
            BufferKind::Weight | BufferKind::Load => Err(format!("it is of kind {:?}", buffer.kind)),
            _ => Ok(()),
        });
        check.map_err(|problem| self.violation(place(port.name.clone()), &port.window, problem))
    }

    /// What the host writes before a run, beside the inputs.
    fn contents(&mut self, contents: &Contents) -> Result<(), Violation> {
        let (window, size) = (&contents.window, contents.dtype.size());
        let elements = (contents.bytes.len() / size.max(1)) as u64;
        let device = Repr::of(contents.dtype).and_then(|repr| elements.checked_mul(repr.bytes()));
        let check = self.inside(window).and_then(|buffer| match buffer.kind {
            _ if device.is_none_or(|bytes| bytes > window.len) => {
                Err(format!("{elements} elements do not fit the window's {} bytes", window.len))
            }
            BufferKind::Input if buffer.arena == Arena::Activations => Ok(()),
            kind => Err(format!("a buffer of kind {kind:?} is not written before a run")),
        });
        check.map_err(|problem| self.violation(Place::Upload(contents.name.clone()), window, problem))?;
        self.arenas[window.arena.index()].given(window);
        Ok(())
    }

    /// The buffer that a window lies in.
    fn inside(&self, window: &Window) -> Result<&Buffer, String> {
        let buffer = self.program.buffers.get(window.buffer.0 as usize).ok_or("there is no such buffer")?;
        let end = window.offset.checked_add(window.len);
        if window.arena == buffer.arena
            && window.offset >= buffer.offset
            && end.is_some_and(|end| end <= buffer.offset + buffer.size)
        {
            return Ok(buffer);
        }
        let (offset, len, size) = (window.offset, window.len, buffer.size);
        Err(format!("the window {offset}+{len} leaves its bytes {}+{size}", buffer.offset))
    }

    fn dispatch(&mut self, index: usize, dispatch: &Dispatch) -> Result<(), Violation> {
        let place = || match self.stage {
            Stage::Load => Place::Load(index, dispatch.name.to_string()),
            Stage::Run => Place::Run(index, dispatch.name.to_string()),
        };
        let place = place();
        self.fits(dispatch).map_err(|problem| Violation { place: place.clone(), buffer: None, problem })?;
        for window in &dispatch.windows {
            self.bound(index as u32, dispatch, window)
                .map_err(|problem| self.violation(place.clone(), window, problem))?;
        }
        if dispatch.barrier_before {
            self.barrier();
        }
        // All reads of a dispatch come before its writes: an operand overwritten in place is read as what it was.
        for (own, pass) in [(Access::Read, Bytes::read as Touch), (Access::Write, Bytes::write)] {
            for window in &dispatch.windows {
                if window.access == own || window.access == Access::ReadWrite {
                    pass(&mut self.arenas[window.arena.index()], window, index)
                        .map_err(|misuse| self.violation(place.clone(), window, self.tell(misuse)))?;
                }
            }
        }
        Ok(())
    }

    /// Whether a dispatch is what its kernel and the device ask for.
    fn fits(&self, dispatch: &Dispatch) -> Result<(), String> {
        let (program, target) = (self.program, &self.program.target);
        let kernel = program.kernels.get(dispatch.kernel.0 as usize).ok_or("its kernel is missing")?;
        let (windows, bindings) = (dispatch.windows.len(), kernel.bindings.len());
        if windows != bindings {
            return Err(format!("{windows} windows for the {bindings} bindings of kernel {}", kernel.name));
        }
        let access = dispatch.windows.iter().zip(&kernel.bindings);
        if let Some((index, (window, binding))) =
            access.enumerate().find(|(_, (window, binding))| window.access != binding.access)
        {
            return Err(format!(
                "window {index} is said to {:?}, but the kernel's binding does {:?}",
                window.access, binding.access
            ));
        }
        let params = &dispatch.params;
        let inside = params.start <= params.end && params.end <= program.params.len() as u64;
        let aligned = params.start.is_multiple_of(target.uniform_alignment.max(1));
        if kernel.has_params == params.is_empty() || !inside || !params.is_empty() && !aligned {
            return Err(format!("its parameters {params:?} are not there or not aligned"));
        }
        if (0..3).any(|axis| dispatch.grid[axis] > target.max_workgroup_count[axis]) {
            return Err(format!("its grid {:?} is larger than the device's", dispatch.grid));
        }
        Ok(())
    }

    /// Whether a window of a dispatch can be bound there.
    fn bound(&self, index: u32, dispatch: &Dispatch, window: &Window) -> Result<(), String> {
        let (buffer, target) = (self.inside(window)?, &self.program.target);
        if window.len == 0 || window.len > target.max_storage_range {
            return Err(format!("a window of {} bytes cannot be bound", window.len));
        }
        if !window.offset.is_multiple_of(target.storage_alignment) {
            let alignment = target.storage_alignment;
            return Err(format!("the window's offset {} is no multiple of {alignment}", window.offset));
        }
        let (alive, may_write) = match (buffer.kind, self.stage) {
            (BufferKind::Weight, stage) => (true, stage == Stage::Load),
            (BufferKind::Load, stage) => (stage == Stage::Load && buffer.lifespan.contains(&index), true),
            (_, stage) => (stage == Stage::Run && buffer.lifespan.contains(&index), true),
        };
        if !alive {
            let life = &buffer.lifespan;
            return Err(format!("it is not alive here, but in {}..{} of its stage", life.start, life.end));
        }
        late::early(buffer, window, index)?;
        if window.access == Access::Read {
            return Ok(());
        }
        if !may_write {
            return Err("a weight is written by the run".into());
        }
        if buffer.kind == BufferKind::Input && buffer.arena == Arena::External {
            return Err("an input of the caller's is written".into());
        }
        let meets = |other: &&Window| {
            !std::ptr::eq(*other, window)
                && other.arena == window.arena
                && other.offset < window.offset + window.len
                && window.offset < other.offset.saturating_add(other.len)
        };
        match dispatch.windows.iter().find(meets) {
            Some(other) => {
                Err(format!("it is written while {} is used in the same bytes", self.name(other.buffer)))
            }
            None => Ok(()),
        }
    }

    fn name(&self, buffer: crate::BufferId) -> &str {
        self.program.buffers.get(buffer.0 as usize).map_or("an unknown buffer", |buffer| &buffer.name)
    }

    fn tell(&self, misuse: Misuse) -> String {
        let by = |who: Option<Who>| who.map_or("several dispatches".into(), |who| format!("dispatch {who}"));
        match misuse {
            Misuse::Overwritten { start, end, by } => {
                format!(
                    "its bytes {start}..{end} are read, but buffer {} was written over them",
                    self.name(by)
                )
            }
            Misuse::Unwritten { at } => format!("its byte {at} is read, which nothing has written"),
            Misuse::ReadAfterWrite { start, end, with } => {
                format!(
                    "its bytes {start}..{end} are read, written by dispatch {with} without a barrier between"
                )
            }
            Misuse::WriteAfterWrite { start, end, with } => {
                format!(
                    "its bytes {start}..{end} are written, written by dispatch {with} without a barrier between"
                )
            }
            Misuse::WriteAfterRead { start, end, with } => {
                format!(
                    "its bytes {start}..{end} are written, read by {} without a barrier between",
                    by(with)
                )
            }
        }
    }
}

/// A use of bytes by a dispatch.
type Touch = fn(&mut Bytes, &Window, Who) -> Result<(), Misuse>;
