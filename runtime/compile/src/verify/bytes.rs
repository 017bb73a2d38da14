//! What is known of every byte of an arena while a program is walked through.

use std::collections::BTreeMap;

use crate::program::{BufferId, Window};

/// A dispatch, by its number within its stage.
pub(super) type Who = usize;

/// What is wrong with a use of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Misuse {
    /// Another buffer has been written over the bytes that are read.
    Overwritten { start: u64, end: u64, by: BufferId },
    /// Nothing has been written to a byte that is read.
    Unwritten { at: u64 },
    /// The bytes that are read were written by that dispatch, with no barrier since.
    ReadAfterWrite { start: u64, end: u64, with: Who },
    /// The bytes that are written were written by that dispatch, with no barrier since.
    WriteAfterWrite { start: u64, end: u64, with: Who },
    /// The bytes that are written were read by another dispatch (that one, if it was one), with no barrier since.
    WriteAfterRead { start: u64, end: u64, with: Option<Who> },
}

/// Who used bytes last, and in which interval between two barriers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Use {
    interval: u64,
    /// `None`: several dispatches, or the host.
    by: Option<Who>,
}

/// What is known of a run of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    owner: BufferId,
    written: Use,
    read: Option<Use>,
}

/// The bytes of one arena as runs with one state each: start → (end, state). Bytes in no run hold nothing.
#[derive(Debug, Default)]
pub(super) struct Bytes {
    runs: BTreeMap<u64, (u64, State)>,
    /// Counts barriers.
    interval: u64,
}

impl Bytes {
    /// Everything before is finished and visible.
    pub(super) fn barrier(&mut self) {
        self.interval += 1;
    }

    /// Written by the host, which orders its writes with everything else.
    pub(super) fn given(&mut self, window: &Window) {
        self.barrier();
        let written = Use { interval: self.interval, by: None };
        self.set(window, State { owner: window.buffer, written, read: None });
        self.barrier();
    }

    /// Read by a dispatch as what the window's buffer holds.
    pub(super) fn read(&mut self, window: &Window, who: Who) -> Result<(), Misuse> {
        let end_of_window = window.offset + window.len;
        self.cut(window.offset);
        self.cut(end_of_window);
        let (interval, mut next) = (self.interval, window.offset);
        for (&start, (end, state)) in self.runs.range_mut(window.offset..end_of_window) {
            if start != next {
                break;
            }
            if state.owner != window.buffer {
                return Err(Misuse::Overwritten { start, end: *end, by: state.owner });
            }
            if let Use { interval: when, by: Some(with) } = state.written
                && when == interval
                && with != who
            {
                return Err(Misuse::ReadAfterWrite { start, end: *end, with });
            }
            let same = |last: Use| last.interval != interval || last.by == Some(who);
            let by = state.read.is_none_or(same).then_some(who);
            state.read = Some(Use { interval, by });
            next = *end;
        }
        if next < end_of_window { Err(Misuse::Unwritten { at: next }) } else { Ok(()) }
    }

    /// Written by a dispatch as the window's buffer.
    pub(super) fn write(&mut self, window: &Window, who: Who) -> Result<(), Misuse> {
        self.cut(window.offset);
        self.cut(window.offset + window.len);
        for (&start, &(end, state)) in self.runs.range(window.offset..window.offset + window.len) {
            if state.written.interval == self.interval
                && let Some(with) = state.written.by.filter(|&by| by != who)
            {
                return Err(Misuse::WriteAfterWrite { start, end, with });
            }
            let other = |read: &Use| read.interval == self.interval && read.by != Some(who);
            if let Some(read) = state.read.filter(other) {
                return Err(Misuse::WriteAfterRead { start, end, with: read.by });
            }
        }
        let written = Use { interval: self.interval, by: Some(who) };
        self.set(window, State { owner: window.buffer, written, read: None });
        Ok(())
    }

    fn set(&mut self, window: &Window, state: State) {
        let end = window.offset + window.len;
        if window.len == 0 {
            return;
        }
        self.cut(window.offset);
        self.cut(end);
        while let Some((&start, _)) = self.runs.range(window.offset..end).next() {
            self.runs.remove(&start);
        }
        self.runs.insert(window.offset, (end, state));
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
