//! What is wrong: windows that are not where the plan says, lives that overlap, memory nobody planned.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use crate::event::{UNPLANNED, Window};
use crate::plan_record::{BufferKind, PlanRecord};
use crate::timeline::Actual;

/// One thing that is not as planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alarm {
    /// A window lies outside the bytes that the plan gives its buffer.
    Moved {
        /// The op.
        op: u32,
        /// The binding.
        binding: u32,
        /// The buffer it is bound for.
        buffer: u32,
        /// Where the plan has the buffer.
        planned: (u64, u64),
        /// Where the window was bound: first byte and one past the last.
        actual: (u64, u64),
    },
    /// An op touches a buffer outside its planned life.
    Late {
        /// The op.
        op: u32,
        /// The buffer.
        buffer: u32,
        /// The planned life, half-open.
        planned: (u32, u32),
    },
    /// Two buffers share bytes while both are alive.
    Overlap {
        /// One buffer.
        a: u32,
        /// The other.
        b: u32,
        /// The shared bytes: first, and one past the last.
        bytes: (u64, u64),
        /// The ops at which both live, half-open.
        ops: (u32, u32),
    },
    /// Device memory was allocated that no plan knows of.
    Unplanned {
        /// Number of the block.
        block: u64,
        /// Its size.
        bytes: u64,
    },
}

impl Alarm {
    /// The sort of alarm, as reports and checks name it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Moved { .. } | Self::Late { .. } => "deviation",
            Self::Overlap { .. } => "overlap",
            Self::Unplanned { .. } => "unplanned",
        }
    }
}

impl fmt::Display for Alarm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Moved { op, binding, buffer, planned, actual } => write!(
                f,
                "op {op} binding {binding}: buffer {buffer} is bound at bytes {}..{}, planned at {}..{}",
                actual.0, actual.1, planned.0, planned.1
            ),
            Self::Late { op, buffer, planned } => {
                write!(
                    f,
                    "op {op} touches buffer {buffer}, planned to live during ops {}..{}",
                    planned.0, planned.1
                )
            }
            Self::Overlap { a, b, bytes, ops } => write!(
                f,
                "buffers {a} and {b} share bytes {}..{} while both live during ops {}..{}",
                bytes.0, bytes.1, ops.0, ops.1
            ),
            Self::Unplanned { block, bytes } => {
                write!(f, "block {block} of {bytes} bytes was allocated outside the plan")
            }
        }
    }
}

/// Alarms kept per plan: one broken buffer can break every window.
const MAX_ALARMS: usize = 1000;

/// Compares the windows of a plan with the plan.
pub(crate) fn alarms(plan: &PlanRecord, windows: &[Window], actual: &[Option<Actual>]) -> Vec<Alarm> {
    let mut found: Vec<Alarm> =
        windows.iter().flat_map(|window| deviations(plan, window)).take(MAX_ALARMS).collect();
    overlaps(plan, actual, &mut found);
    found.truncate(MAX_ALARMS);
    found
}

fn deviations(plan: &PlanRecord, window: &Window) -> impl Iterator<Item = Alarm> {
    let buffer = plan.buffers.get(window.buffer as usize);
    let end = window.offset.saturating_add(window.len);
    let moved = buffer.and_then(|buffer| {
        let inside = window.arena == buffer.arena && window.offset >= buffer.offset && end <= buffer.end();
        (!inside).then_some(Alarm::Moved {
            op: window.op,
            binding: window.binding,
            buffer: window.buffer,
            planned: (buffer.offset, buffer.end()),
            actual: (window.offset, end),
        })
    });
    let late = buffer.and_then(|buffer| {
        let resident = matches!(buffer.kind, BufferKind::Weight | BufferKind::Constant);
        (!resident && !buffer.lives_at(window.op)).then_some(Alarm::Late {
            op: window.op,
            buffer: window.buffer,
            planned: (buffer.first, buffer.last),
        })
    });
    // A window on memory that is no arena of the plan, for no buffer of it.
    let stray = (buffer.is_none() && window.arena != UNPLANNED).then_some(Alarm::Moved {
        op: window.op,
        binding: window.binding,
        buffer: window.buffer,
        planned: (0, 0),
        actual: (window.offset, end),
    });
    [moved, late, stray].into_iter().flatten()
}

/// A buffer as it was: seen bytes during its life.
#[derive(Clone, Copy)]
struct Life {
    buffer: u32,
    first: u32,
    last: u32,
    offset: u64,
    end: u64,
}

/// Sweeps over the ops with the live buffers ordered by offset: only neighbours need comparing while there is no
/// overlap, and every overlap is reported once per pair found.
fn overlaps(plan: &PlanRecord, actual: &[Option<Actual>], found: &mut Vec<Alarm>) {
    for arena in 0..plan.arenas.len() as u32 {
        let mut lives: Vec<Life> = actual
            .iter()
            .enumerate()
            .filter_map(|(index, seen)| Some((index, seen.filter(|seen| seen.arena == arena)?)))
            .map(|(index, seen)| life(plan, index as u32, seen))
            .collect();
        lives.sort_unstable_by_key(|life| (life.first, life.offset));
        let mut live: BTreeMap<(u64, u32), Life> = BTreeMap::new();
        for new in lives {
            live.retain(|_, old| old.last > new.first);
            for old in live.values().take_while(|old| old.offset < new.end).filter(|old| old.end > new.offset)
            {
                if found.len() >= MAX_ALARMS {
                    return;
                }
                if !in_place(plan, old.buffer, new.buffer) {
                    found.push(Alarm::Overlap {
                        a: old.buffer,
                        b: new.buffer,
                        bytes: (old.offset.max(new.offset), old.end.min(new.end)),
                        ops: (new.first, old.last.min(new.last)),
                    });
                }
            }
            live.insert((new.offset, new.buffer), new);
        }
    }
}

/// The life of a buffer as seen; what the caller gives or takes, and weights, live on beyond the ops that touch them.
fn life(plan: &PlanRecord, index: u32, seen: Actual) -> Life {
    let ops = plan.ops.len() as u32;
    let buffer = &plan.buffers[index as usize];
    let (first, last) = match buffer.kind {
        BufferKind::Input => (0, seen.last),
        BufferKind::Output => (seen.first, ops),
        BufferKind::Weight | BufferKind::Constant => (0, ops),
        BufferKind::Activation | BufferKind::Scratch => (seen.first, seen.last),
    };
    Life { buffer: index, first, last, offset: seen.offset, end: seen.end }
}

/// Whether two buffers are meant to share bytes: a view, or a result computed in place.
fn in_place(plan: &PlanRecord, a: u32, b: u32) -> bool {
    let linked = |from: u32, to: u32| {
        let buffer = &plan.buffers[from as usize];
        buffer.in_place_of == Some(to) || buffer.alias_of == Some(to)
    };
    linked(a, b) || linked(b, a)
}
