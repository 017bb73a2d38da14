//! The proof: a finished program is checked byte by byte, by rules of its own and without the maker's code.
//!
//! For every byte of the arenas the verifier remembers which buffer last wrote it and in which interval between two
//! barriers it was last written and read. A program passes only if
//! * every window lies in its buffer, every buffer in its arena, at offsets the device can bind;
//! * every byte read was last written by the buffer it is read as (nothing alive was overwritten), or belongs to an
//!   input or weight;
//! * between any two dispatches that touch a byte, at least one of them writing, there is a barrier;
//! * every buffer is touched only within its lifespan.

use std::collections::BTreeMap;

use bayplan_shaders::Access;

use crate::program::{Arena, BufferId, BufferKind, Dispatch, Program, Window};

/// Checks a program.
///
/// # Errors
/// The first rule that is broken, with the dispatch, the buffer and the bytes.
pub fn verify(program: &Program) -> Result<(), String> {
    let places = places(program)?;
    let mut arenas = Arena::ALL.map(|_| Bytes::default());
    // Before the first load dispatch memory holds nothing; uploads write as they come.
    let mut upload = program.uploads.iter().peekable();
    for (index, dispatch) in program.load.dispatches.iter().enumerate() {
        while let Some(next) = upload.next_if(|next| next.before as usize <= index) {
            // The host writes between submissions, which order everything.
            arenas.iter_mut().for_each(Bytes::barrier);
            arenas[next.window.arena.index()].given(&next.window);
            arenas.iter_mut().for_each(Bytes::barrier);
        }
        step(program, &places, &mut arenas, "load", index, dispatch)?;
    }
    for next in upload {
        arenas[next.window.arena.index()].given(&next.window);
    }
    // A run begins after everything before it; what loading left among the activations is void.
    let mut arenas = {
        let [_, mut weights] = arenas;
        weights.barrier();
        [Bytes::default(), weights]
    };
    for port in &program.inputs {
        arenas[port.window.arena.index()].given(&port.window);
    }
    arenas.iter_mut().for_each(Bytes::barrier);
    for (index, dispatch) in program.run.dispatches.iter().enumerate() {
        step(program, &places, &mut arenas, "run", index, dispatch)?;
    }
    arenas.iter_mut().for_each(Bytes::barrier);
    for port in &program.outputs {
        let read = arenas[port.window.arena.index()].touch(&port.window, Access::Read, 0);
        read.map_err(|reason| format!("output {}: {reason}", port.name))?;
    }
    Ok(())
}

/// The byte range of every buffer, checked against its arena.
fn places(program: &Program) -> Result<Vec<(Arena, u64, u64)>, String> {
    let alignment = program.target.storage_alignment;
    let place = |(index, buffer): (usize, &crate::program::Buffer)| {
        let end =
            buffer.offset.checked_add(buffer.size).ok_or_else(|| format!("buffer {index} ends past 2^64"))?;
        let arena = program.arena_bytes[buffer.arena.index()];
        if end > arena {
            return Err(format!(
                "buffer {} ends at byte {end} of the {} arena, which has {arena} bytes",
                buffer.name,
                buffer.arena.name()
            ));
        }
        if buffer.size > 0 && !buffer.offset.is_multiple_of(alignment) {
            return Err(format!(
                "buffer {} at byte {} is not aligned to {alignment}",
                buffer.name, buffer.offset
            ));
        }
        Ok((buffer.arena, buffer.offset, end))
    };
    program.buffers.iter().enumerate().map(place).collect()
}

fn step(
    program: &Program,
    places: &[(Arena, u64, u64)],
    arenas: &mut [Bytes; 2],
    stage: &str,
    index: usize,
    dispatch: &Dispatch,
) -> Result<(), String> {
    let fail = |reason: String| format!("{stage} dispatch {index} ({}): {reason}", dispatch.name);
    if dispatch.barrier_before {
        arenas.iter_mut().for_each(Bytes::barrier);
    }
    let kernel = program
        .kernels
        .get(dispatch.kernel.0 as usize)
        .ok_or_else(|| fail("its kernel is missing".into()))?;
    if kernel.bindings.len() != dispatch.windows.len() {
        return Err(fail(format!(
            "{} windows for {} bindings",
            dispatch.windows.len(),
            kernel.bindings.len()
        )));
    }
    if dispatch.params.end > program.params.len() as u64 || kernel.has_params == dispatch.params.is_empty() {
        return Err(fail("its parameters are missing".into()));
    }
    for window in &dispatch.windows {
        bounds(program, places, stage, index as u32, window).map_err(fail)?;
    }
    // All reads of a dispatch come before its writes: an operand overwritten in place is read as what it was.
    for pass in [Access::Read, Access::Write] {
        for window in &dispatch.windows {
            let applies = window.access == pass || window.access == Access::ReadWrite;
            if applies {
                arenas[window.arena.index()].touch(window, pass, index + 1).map_err(fail)?;
            }
        }
    }
    Ok(())
}

fn bounds(
    program: &Program,
    places: &[(Arena, u64, u64)],
    stage: &str,
    index: u32,
    window: &Window,
) -> Result<(), String> {
    let buffer = program.buffers.get(window.buffer.0 as usize).ok_or("a window's buffer does not exist")?;
    let (arena, start, end) = places[window.buffer.0 as usize];
    let inside = window.arena == arena
        && window.offset >= start
        && window.offset.checked_add(window.len).is_some_and(|last| last <= end);
    if !inside {
        return Err(format!("the window at {}+{} leaves buffer {}", window.offset, window.len, buffer.name));
    }
    if window.len == 0 || window.len > program.target.max_storage_range {
        return Err(format!("the window on {} has {} bytes, which cannot be bound", buffer.name, window.len));
    }
    if !window.offset.is_multiple_of(program.target.storage_alignment) {
        return Err(format!("the window on {} at byte {} is not aligned", buffer.name, window.offset));
    }
    let alive = match buffer.kind {
        BufferKind::Weight => stage == "load" || window.access == Access::Read,
        BufferKind::Load => stage == "load" && buffer.lifespan.contains(&index),
        _ => stage == "run" && buffer.lifespan.contains(&index),
    };
    if alive {
        Ok(())
    } else {
        Err(format!("buffer {} is not alive here, or must not be written", buffer.name))
    }
}

/// Stands for more than one reader in an interval.
const SEVERAL: usize = usize::MAX;

/// What is known of a run of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    owner: BufferId,
    /// The interval between barriers in which they were last written, and by which dispatch (0: before all).
    written: (u64, usize),
    /// The same for the last read.
    read: Option<(u64, usize)>,
}

/// The bytes of one arena as runs with one state each: start → (end, state). Bytes in no run hold nothing.
#[derive(Debug, Default)]
struct Bytes {
    runs: BTreeMap<u64, (u64, State)>,
    /// Counts barriers.
    interval: u64,
}

impl Bytes {
    fn barrier(&mut self) {
        self.interval += 1;
    }

    /// Written from outside.
    fn given(&mut self, window: &Window) {
        self.set(window, State { owner: window.buffer, written: (self.interval, 0), read: None });
    }

    fn touch(&mut self, window: &Window, access: Access, who: usize) -> Result<(), String> {
        self.cut(window.offset);
        self.cut(window.offset + window.len);
        match access {
            Access::Read => self.read(window, who),
            _ => self.write(window, who),
        }
    }

    fn read(&mut self, window: &Window, who: usize) -> Result<(), String> {
        let (interval, mut next) = (self.interval, window.offset);
        for (&start, (end, state)) in self.runs.range_mut(window.offset..window.offset + window.len) {
            if start != next {
                break;
            }
            if state.owner != window.buffer {
                return Err(format!(
                    "it reads bytes {start}..{end} as buffer {}, but buffer {} has overwritten them",
                    window.buffer.0, state.owner.0
                ));
            }
            if state.written.0 == interval && state.written.1 != who {
                return Err(format!(
                    "it reads bytes {start}..{end}, written by dispatch {} without a barrier between",
                    state.written.1.saturating_sub(1)
                ));
            }
            state.read = Some(match state.read {
                Some((when, by)) if when == interval && by != who => (interval, SEVERAL),
                _ => (interval, who),
            });
            next = *end;
        }
        if next < window.offset + window.len {
            return Err(format!("it reads byte {next}, which nothing has written"));
        }
        Ok(())
    }

    fn write(&mut self, window: &Window, who: usize) -> Result<(), String> {
        for (start, (end, state)) in self.runs.range(window.offset..window.offset + window.len) {
            let other = |(interval, by): (u64, usize)| interval == self.interval && by != who;
            if other(state.written) || state.read.is_some_and(other) {
                return Err(format!(
                    "it writes bytes {start}..{end}, in use by an earlier dispatch, without a barrier between"
                ));
            }
        }
        self.set(window, State { owner: window.buffer, written: (self.interval, who), read: None });
        Ok(())
    }

    fn set(&mut self, window: &Window, state: State) {
        // A tensor without elements (a cache before the first token) owns no byte, not even the one where it lies.
        if window.len == 0 {
            return;
        }
        self.cut(window.offset);
        self.cut(window.offset + window.len);
        let gone: Vec<u64> =
            self.runs.range(window.offset..window.offset + window.len).map(|(&start, _)| start).collect();
        for start in gone {
            self.runs.remove(&start);
        }
        self.runs.insert(window.offset, (window.offset + window.len, state));
    }

    /// Makes `at` a boundary between runs.
    fn cut(&mut self, at: u64) {
        let Some((_, (end, state))) = self.runs.range_mut(..at).next_back() else { return };
        if *end > at {
            let (rest, state) = (*end, *state);
            *end = at;
            self.runs.insert(at, (rest, state));
        }
    }
}
