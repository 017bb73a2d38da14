//! Why buffers do not fit.

use alloc::vec::Vec;
use core::fmt;

/// What shows that a need is real.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// So many bytes are live at this program point.
    Bound {
        /// The program point.
        point: u32,
    },
    /// An exhaustive search found no smaller plan.
    Search,
}

/// Why there is no plan. Buffers and arenas are named by their positions.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoFit {
    /// An arena's blocks begin at multiples of something that is no power of two, or none of them can have a byte.
    BadArena {
        /// Which arena.
        arena: usize,
    },
    /// A buffer names no arena, one that does not exist, or one twice.
    BadWish {
        /// Which buffer.
        buffer: usize,
    },
    /// A buffer has a fixed offset, and it is open in which of several arenas.
    FixedInSeveral {
        /// Which buffer.
        buffer: usize,
    },
    /// No block of any arena that it may lie in can hold this buffer.
    TooLarge {
        /// Which buffer.
        buffer: usize,
        /// Its size in bytes.
        size: u64,
    },
    /// The fixed place of a buffer lies in two blocks.
    AcrossBlocks {
        /// Which buffer.
        buffer: usize,
        /// The offset at which a block ends.
        edge: u64,
    },
    /// What may lie in these arenas only needs more than they have: proved.
    NeedsMore {
        /// The arenas.
        arenas: Vec<usize>,
        /// Bytes needed.
        bytes: u64,
        /// Bytes that the arenas have together.
        capacity: u64,
        /// What shows the need.
        proof: Proof,
    },
    /// The smallest plan found needs more than there is; a smaller one may exist.
    NotFound {
        /// The arena.
        arena: usize,
        /// Bytes that it needs.
        bytes: u64,
        /// Bytes of the arena.
        capacity: u64,
    },
}

impl fmt::Display for NoFit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadArena { arena } => {
                write!(
                    f,
                    "arena {arena}: blocks must begin at multiples of a power of two and have room for one"
                )
            }
            Self::BadWish { buffer } => {
                write!(
                    f,
                    "buffer {buffer}: it must name at least one arena, each at most once, of those there are"
                )
            }
            Self::FixedInSeveral { buffer } => {
                write!(
                    f,
                    "buffer {buffer}: it is fixed at an offset and must name the one arena that this is in"
                )
            }
            Self::TooLarge { buffer, size } => {
                write!(f, "buffer {buffer}: its {size} bytes are more than a block or a buffer may have")
            }
            Self::AcrossBlocks { buffer, edge } => {
                write!(f, "buffer {buffer}: its fixed place crosses offset {edge}, where a block ends")
            }
            Self::NeedsMore { arenas, bytes, capacity, proof } => {
                write!(f, "{bytes} bytes are needed in {}, which have {capacity}: ", Names(arenas))?;
                match proof {
                    Proof::Bound { point } => write!(f, "so many are live at point {point}"),
                    Proof::Search => write!(f, "an exhaustive search found no smaller plan"),
                }
            }
            Self::NotFound { arena, bytes, capacity } => {
                write!(
                    f,
                    "arena {arena}: the smallest plan found needs {bytes} bytes of {capacity}; a smaller one may exist"
                )
            }
        }
    }
}

/// Arenas by their numbers.
struct Names<'a>(&'a [usize]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.len() == 1 { "arena" } else { "arenas" })?;
        for (at, arena) in self.0.iter().enumerate() {
            write!(f, "{}{arena}", if at == 0 { " " } else { ", " })?;
        }
        Ok(())
    }
}

impl core::error::Error for NoFit {}
