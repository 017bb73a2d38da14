//! The judge of plans. It shares no code with the strategies or the bounds: it works on the problem's own
//! program points, with sorted events and an ordered map of the intervals that are live.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use core::fmt;

use crate::plan::{Plan, Status};
use crate::problem::Problem;

/// The first thing found wrong with a plan. Buffers are named by their position in the problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// The plan has not one offset per buffer.
    WrongLength {
        /// Buffers in the problem.
        buffers: usize,
        /// Offsets in the plan.
        offsets: usize,
    },
    /// An offset is no multiple of the buffer's alignment.
    Misaligned {
        /// Which buffer.
        buffer: u32,
        /// Its offset.
        offset: u64,
        /// Its alignment.
        align: u64,
    },
    /// A fixed buffer lies elsewhere.
    Moved {
        /// Which buffer.
        buffer: u32,
        /// Its offset.
        offset: u64,
        /// The offset the caller has chosen for it.
        fixed: u64,
    },
    /// Offset + size passes the range of 64 bits.
    OffsetTooLarge {
        /// Which buffer.
        buffer: u32,
        /// Its offset.
        offset: u64,
    },
    /// Two buffers that are live together share bytes.
    Overlap {
        /// The buffer placed there first in time (the lower number when both start together).
        a: u32,
        /// The other one.
        b: u32,
        /// First byte they share.
        from: u64,
        /// First byte after the shared ones.
        to: u64,
        /// A program point at which both are live.
        point: u32,
    },
    /// The stated peak is not the largest end of any buffer.
    WrongPeak {
        /// What the plan says.
        stated: u64,
        /// What the offsets give.
        actual: u64,
    },
    /// The stated lower bound is not max-live, or not first reached at its witness.
    WrongBound {
        /// Bytes and witness the plan says.
        stated: (u64, u32),
        /// Bytes and witness as they are.
        actual: (u64, u32),
    },
    /// The stated bound with padding is not what sizes and alignments give.
    WrongAlignedBound {
        /// Bytes and witness the plan says.
        stated: (u64, u32),
        /// Bytes and witness as they are.
        actual: (u64, u32),
    },
    /// A bound is above the peak of a valid plan: the bound is unsound.
    BoundAbovePeak {
        /// The bound.
        bound: u64,
        /// The peak.
        peak: u64,
    },
    /// What a search is said to have proved lies below the bound or above the peak.
    WrongProvedBound {
        /// What the plan says.
        stated: u64,
        /// The bound.
        bound: u64,
        /// The peak.
        peak: u64,
    },
    /// The plan claims to be optimal without meeting its bound.
    NotProved {
        /// The bound.
        bound: u64,
        /// The peak.
        peak: u64,
    },
    /// The plan claims less than its bound, or what is proved, says of its peak.
    Understated {
        /// What the plan says.
        status: Status,
        /// The peak.
        peak: u64,
    },
}

/// Checks a plan against its problem: one aligned offset per buffer, fixed ones where they are fixed, no byte shared
/// by two buffers that live together, and peak, bounds and status as stated. O(n log n) for each alignment that occurs.
///
/// # Errors
/// The first [`Violation`], in the order of the enum; the earliest in time among overlaps.
pub fn validate(problem: &Problem, plan: &Plan) -> Result<(), Violation> {
    let buffers = problem.buffers();
    if buffers.len() != plan.offsets.len() {
        return Err(Violation::WrongLength { buffers: buffers.len(), offsets: plan.offsets.len() });
    }
    let mut actual = 0;
    for (i, (buffer, &offset)) in buffers.iter().zip(&plan.offsets).enumerate() {
        if offset % buffer.align != 0 {
            return Err(Violation::Misaligned { buffer: i as u32, offset, align: buffer.align });
        }
        if let Some(fixed) = buffer.fixed.filter(|&fixed| fixed != offset) {
            return Err(Violation::Moved { buffer: i as u32, offset, fixed });
        }
        let end =
            offset.checked_add(buffer.size).ok_or(Violation::OffsetTooLarge { buffer: i as u32, offset })?;
        if buffer.size > 0 {
            actual = actual.max(end);
        }
    }
    let sweep = sweep(problem, &plan.offsets)?;
    if plan.peak != actual {
        return Err(Violation::WrongPeak { stated: plan.peak, actual });
    }
    let stated = (plan.lower_bound.bytes, plan.lower_bound.witness);
    if stated != sweep.max_live {
        return Err(Violation::WrongBound { stated, actual: sweep.max_live });
    }
    let stated = (plan.aligned_bound.bytes, plan.aligned_bound.witness);
    if stated != sweep.max_padded {
        return Err(Violation::WrongAlignedBound { stated, actual: sweep.max_padded });
    }
    let (peak, bound) = (plan.peak, stated.0.max(sweep.max_live.0));
    if bound > peak {
        return Err(Violation::BoundAbovePeak { bound, peak });
    }
    if plan.proved_bound < bound || plan.proved_bound > peak {
        return Err(Violation::WrongProvedBound { stated: plan.proved_bound, bound, peak });
    }
    let claimed = match plan.status {
        Status::Optimal => bound,
        Status::OptimalBySearch => plan.proved_bound,
        Status::BestFound | Status::BoundNotReached => peak,
    };
    if claimed < peak {
        return Err(Violation::NotProved { bound: claimed, peak });
    }
    let least = match plan.status {
        Status::Optimal => false,
        Status::OptimalBySearch => bound == peak,
        Status::BestFound | Status::BoundNotReached => plan.proved_bound == peak,
    };
    if least {
        return Err(Violation::Understated { status: plan.status, peak });
    }
    Ok(())
}

/// What one walk over time finds: `(bytes, first point)` of the largest load without and with padding.
struct Sweep {
    max_live: (u64, u32),
    max_padded: (u64, u32),
}

/// The live buffers that have at least one certain alignment, with sizes rounded up to it.
#[derive(Default)]
struct Padding {
    /// Sum of the rounded sizes.
    bytes: u64,
    /// How many have been rounded up by how much.
    roundings: BTreeMap<u64, u32>,
}

impl Padding {
    fn count(&mut self, size: u64, align: u64, starts: bool) {
        let rounding = (align - size % align) % align;
        let count = self.roundings.entry(rounding).or_insert(0);
        if starts {
            *count += 1;
            self.bytes += size + rounding;
        } else {
            *count -= 1;
            if *count == 0 {
                self.roundings.remove(&rounding);
            }
            self.bytes -= size + rounding;
        }
    }

    /// What they need at least: nothing lies upon the topmost, which may be the one rounded up most.
    fn needed(&self) -> u64 {
        self.bytes - self.roundings.last_key_value().map_or(0, |(&rounding, _)| rounding)
    }
}

/// Walks the program points in order, ends before starts, keeping the live buffers by offset. As long as
/// no two of them overlap, a new one can only overlap its neighbours below and above.
fn sweep(problem: &Problem, offsets: &[u64]) -> Result<Sweep, Violation> {
    let buffers = problem.buffers();
    let mut paddings: BTreeMap<u64, Padding> =
        buffers.iter().filter(|b| b.size > 0).map(|b| (b.align, Padding::default())).collect();
    let mut events: Vec<(u32, bool, u32)> = Vec::new();
    for (i, buffer) in buffers.iter().enumerate().filter(|(_, b)| b.size > 0) {
        events.push((buffer.lifespan.first, true, i as u32));
        events.push((buffer.lifespan.last, false, i as u32));
    }
    events.sort_unstable();

    let mut live: BTreeMap<u64, u32> = BTreeMap::new();
    let mut fixed_ends: BTreeSet<(u64, u32)> = BTreeSet::new();
    let mut load = 0u64;
    let mut found = Sweep { max_live: (0, 0), max_padded: (0, 0) };
    for (at, &(point, starts, i)) in events.iter().enumerate() {
        let (size, offset) = (buffers[i as usize].size, offsets[i as usize]);
        if starts {
            let below = live.range(..=offset).next_back();
            let above = live.range(offset..).next();
            for &other in below.into_iter().chain(above).map(|(_, other)| other) {
                let other_offset = offsets[other as usize];
                let from = offset.max(other_offset);
                let to = (offset + size).min(other_offset + buffers[other as usize].size);
                if from < to {
                    return Err(Violation::Overlap { a: other, b: i, from, to, point });
                }
            }
            live.insert(offset, i);
            fixed_ends.extend(buffers[i as usize].fixed.map(|fixed| (fixed + size, i)));
            load += size;
        } else {
            live.remove(&offset);
            if let Some(fixed) = buffers[i as usize].fixed {
                fixed_ends.remove(&(fixed + size, i));
            }
            load -= size;
        }
        for (&align, padding) in paddings.range_mut(..=buffers[i as usize].align) {
            padding.count(size, align, starts);
        }
        // The load of a point counts once all of its events are in.
        if events.get(at + 1).is_some_and(|next| next.0 == point) {
            continue;
        }
        if load > found.max_live.0 {
            found.max_live = (load, point);
        }
        let fixed = fixed_ends.last().map_or(0, |&(end, _)| end);
        let needed = paddings.values().map(Padding::needed).fold(fixed, u64::max);
        if needed > found.max_padded.0 {
            found.max_padded = (needed, point);
        }
    }
    Ok(found)
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::WrongLength { buffers, offsets } => {
                write!(f, "{offsets} offsets for {buffers} buffers")
            }
            Self::Misaligned { buffer, offset, align } => {
                write!(f, "buffer {buffer}: offset {offset} is no multiple of its alignment {align}")
            }
            Self::Moved { buffer, offset, fixed } => {
                write!(f, "buffer {buffer}: offset {offset}, but it is fixed at {fixed}")
            }
            Self::OffsetTooLarge { buffer, offset } => {
                write!(f, "buffer {buffer}: offset {offset} plus its size passes 64 bits")
            }
            Self::Overlap { a, b, from, to, point } => {
                let bytes = to - from;
                write!(
                    f,
                    "buffers {a} and {b} are both live at point {point} and share {bytes} bytes, {from}..{to}"
                )
            }
            Self::WrongPeak { stated, actual } => {
                write!(f, "stated peak is {stated} bytes, the offsets give {actual}")
            }
            Self::WrongBound { stated, actual } => write!(
                f,
                "stated lower bound is {} bytes at point {}, max-live is {} at point {}",
                stated.0, stated.1, actual.0, actual.1
            ),
            Self::WrongAlignedBound { stated, actual } => write!(
                f,
                "stated bound with padding is {} bytes at point {}, it is {} at point {}",
                stated.0, stated.1, actual.0, actual.1
            ),
            Self::BoundAbovePeak { bound, peak } => {
                write!(f, "lower bound {bound} is above the peak {peak} of a valid plan")
            }
            Self::WrongProvedBound { stated, bound, peak } => {
                write!(f, "stated proved bound {stated} is not between the bound {bound} and the peak {peak}")
            }
            Self::NotProved { bound, peak } => {
                write!(f, "stated optimal, but the peak {peak} is above the bound {bound}")
            }
            Self::Understated { status, peak } => {
                write!(f, "stated {}, but no plan is below its peak {peak}", status.name())
            }
        }
    }
}

impl core::error::Error for Violation {}
