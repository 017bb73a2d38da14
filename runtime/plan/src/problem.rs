//! What is asked: buffers with sizes, alignments and lifespans, checked once.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

/// Most buffers one problem may have. Buffer numbers are `u32` and a planner keeps about 150 bytes for
/// each; the largest public instance has 62,185.
pub const MAX_BUFFERS: usize = 1 << 26;

/// Largest sum of all sizes and all alignment paddings, with the end of the highest fixed buffer. Any offset a
/// strategy can compute is at most this sum, so no offset arithmetic can overflow a `u64`.
pub const MAX_TOTAL_BYTES: u64 = 1 << 62;

/// The half-open range of program points `[first, last)` during which a buffer holds its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Lifespan {
    /// First program point at which the buffer is live.
    pub first: u32,
    /// First program point at which it is no longer live.
    pub last: u32,
}

impl Lifespan {
    /// The lifespan `[first, last)`.
    pub const fn new(first: u32, last: u32) -> Self {
        Self { first, last }
    }

    /// Number of program points covered.
    pub const fn len(self) -> u32 {
        self.last.saturating_sub(self.first)
    }

    /// Whether it covers no program point.
    pub const fn is_empty(self) -> bool {
        self.last <= self.first
    }

    /// Whether the buffer is live at `point`.
    pub const fn contains(self, point: u32) -> bool {
        self.first <= point && point < self.last
    }

    /// Whether two lifespans have a program point in common.
    pub const fn overlaps(self, other: Self) -> bool {
        self.first < other.last && other.first < self.last
    }
}

/// One storage to be placed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Buffer {
    /// Bytes. A buffer of size 0 gets an offset and takes no space.
    pub size: u64,
    /// Its offset must be a multiple of this power of two.
    pub align: u64,
    /// When it holds its bytes.
    pub lifespan: Lifespan,
    /// The offset the caller has chosen for it; the planner chooses where it is `None`.
    pub fixed: Option<u64>,
}

impl Buffer {
    /// `size` bytes live in `[first, last)`, with alignment 1, placed by the planner.
    pub const fn new(size: u64, first: u32, last: u32) -> Self {
        Self { size, align: 1, lifespan: Lifespan::new(first, last), fixed: None }
    }

    /// The same buffer with another alignment, in bytes.
    #[must_use]
    pub const fn aligned(self, align: u64) -> Self {
        Self { align, ..self }
    }

    /// The same buffer at an offset of the caller's choice, in bytes.
    #[must_use]
    pub const fn at(self, offset: u64) -> Self {
        Self { fixed: Some(offset), ..self }
    }
}

/// A list of buffers that has passed the checks of [`Problem::new`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problem {
    buffers: Vec<Buffer>,
}

impl Problem {
    /// Checks the buffers and keeps them; a buffer is known by its position from then on.
    ///
    /// # Errors
    /// The first buffer with an empty lifespan, an alignment that is no power of two or a fixed offset that
    /// is no multiple of it, or the buffer at which the sum of sizes and paddings passes [`MAX_TOTAL_BYTES`],
    /// or two fixed buffers that share bytes while both are live, or too many buffers.
    pub fn new(buffers: Vec<Buffer>) -> Result<Self, ProblemError> {
        if buffers.len() > MAX_BUFFERS {
            return Err(ProblemError::TooManyBuffers { count: buffers.len() });
        }
        let (mut total, mut highest) = (0u64, 0u64);
        for (buffer, item) in buffers.iter().enumerate() {
            let Lifespan { first, last } = item.lifespan;
            if item.lifespan.is_empty() {
                return Err(ProblemError::EmptyLifespan { buffer, first, last });
            }
            if !item.align.is_power_of_two() {
                return Err(ProblemError::BadAlignment { buffer, align: item.align });
            }
            total = item
                .size
                .checked_add(item.align - 1)
                .and_then(|padded| total.checked_add(padded))
                .filter(|&sum| sum <= MAX_TOTAL_BYTES - highest)
                .ok_or(ProblemError::TotalTooLarge { buffer })?;
            if let Some(offset) = item.fixed {
                if !offset.is_multiple_of(item.align) {
                    return Err(ProblemError::FixedMisaligned { buffer, offset, align: item.align });
                }
                let end = offset.checked_add(item.size).filter(|&end| end <= MAX_TOTAL_BYTES);
                highest = highest.max(end.ok_or(ProblemError::TotalTooLarge { buffer })?);
                if highest > MAX_TOTAL_BYTES - total {
                    return Err(ProblemError::TotalTooLarge { buffer });
                }
            }
        }
        fixed_apart(&buffers)?;
        Ok(Self { buffers })
    }

    /// The buffers, in the order given.
    pub fn buffers(&self) -> &[Buffer] {
        &self.buffers
    }

    /// Number of buffers.
    pub fn len(&self) -> usize {
        self.buffers.len()
    }

    /// Whether there is nothing to place.
    pub fn is_empty(&self) -> bool {
        self.buffers.is_empty()
    }

    /// The numbers of the buffers that are live at `point`, ascending, empty ones included.
    pub fn live_at(&self, point: u32) -> Vec<u32> {
        let live = |(i, b): (usize, &Buffer)| b.lifespan.contains(point).then_some(i as u32);
        self.buffers.iter().enumerate().filter_map(live).collect()
    }

    /// Sum of the sizes that are live at `point`, in bytes.
    pub fn bytes_at(&self, point: u32) -> u64 {
        self.buffers.iter().filter(|b| b.lifespan.contains(point)).map(|b| b.size).sum()
    }
}

/// Checks that fixed buffers which are live together share no byte: one walk over time with the live ones by
/// offset, where a new one can only meet its neighbours below and above.
fn fixed_apart(buffers: &[Buffer]) -> Result<(), ProblemError> {
    let mut events: Vec<(u32, bool, u64, usize)> = Vec::new();
    for (at, buffer) in buffers.iter().enumerate().filter(|(_, buffer)| buffer.size > 0) {
        if let Some(offset) = buffer.fixed {
            events.push((buffer.lifespan.first, true, offset, at));
            events.push((buffer.lifespan.last, false, offset, at));
        }
    }
    events.sort_unstable();
    let mut live: BTreeMap<u64, usize> = BTreeMap::new();
    for (_, starts, offset, at) in events {
        if !starts {
            live.remove(&offset);
            continue;
        }
        let end = offset + buffers[at].size;
        let below = live.range(..=offset).next_back();
        let below = below.filter(|&(&from, &other)| from + buffers[other].size > offset);
        let above = live.range(offset..end).next();
        if let Some((_, &other)) = below.or(above) {
            return Err(ProblemError::FixedOverlap { buffer: at.max(other), other: at.min(other) });
        }
        live.insert(offset, at);
    }
    Ok(())
}

/// Why a list of buffers is no problem to plan. Buffers are named by their position from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProblemError {
    /// The lifespan covers no program point.
    EmptyLifespan {
        /// Which buffer.
        buffer: usize,
        /// Its first point.
        first: u32,
        /// Its last point, not after the first.
        last: u32,
    },
    /// The alignment is zero or no power of two.
    BadAlignment {
        /// Which buffer.
        buffer: usize,
        /// The alignment given.
        align: u64,
    },
    /// The fixed offset is no multiple of the alignment.
    FixedMisaligned {
        /// Which buffer.
        buffer: usize,
        /// Its fixed offset.
        offset: u64,
        /// Its alignment.
        align: u64,
    },
    /// Two fixed buffers share bytes while both are live.
    FixedOverlap {
        /// The later of the two in the list.
        buffer: usize,
        /// The earlier one.
        other: usize,
    },
    /// The sizes and paddings up to this buffer, with the highest fixed end, add up to more than [`MAX_TOTAL_BYTES`].
    TotalTooLarge {
        /// The buffer that passes the limit.
        buffer: usize,
    },
    /// More than [`MAX_BUFFERS`] buffers.
    TooManyBuffers {
        /// How many were given.
        count: usize,
    },
}

impl ProblemError {
    /// The buffer at fault, unless it is the list as a whole.
    pub fn buffer(&self) -> Option<usize> {
        match *self {
            Self::EmptyLifespan { buffer, .. }
            | Self::BadAlignment { buffer, .. }
            | Self::FixedMisaligned { buffer, .. }
            | Self::FixedOverlap { buffer, .. }
            | Self::TotalTooLarge { buffer } => Some(buffer),
            Self::TooManyBuffers { .. } => None,
        }
    }

    /// What is wrong, without the buffer's number: for messages that name the buffer in another way.
    pub(crate) fn what(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::EmptyLifespan { first, last, .. } => {
                write!(f, "lifespan [{first}, {last}) is empty; the end must be greater than the start")
            }
            Self::BadAlignment { align, .. } => {
                write!(f, "alignment {align} is not a power of two (1, 2, 4, ...)")
            }
            Self::FixedMisaligned { offset, align, .. } => {
                write!(f, "the fixed offset {offset} is no multiple of the alignment {align}")
            }
            Self::FixedOverlap { other, .. } => {
                write!(f, "its fixed place shares bytes with that of buffer {other} while both are live")
            }
            Self::TotalTooLarge { .. } => {
                write!(
                    f,
                    "sizes, alignment paddings and fixed ends up to here exceed {MAX_TOTAL_BYTES} bytes in total"
                )
            }
            Self::TooManyBuffers { count } => {
                write!(f, "{count} buffers are more than the {MAX_BUFFERS} a plan can hold")
            }
        }
    }
}

impl fmt::Display for ProblemError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(buffer) = self.buffer() {
            write!(f, "buffer {buffer}: ")?;
        }
        self.what(f)
    }
}

impl core::error::Error for ProblemError {}
