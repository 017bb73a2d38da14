//! What if: a tensor gone, halved, placed or made elsewhere; other dims; another order of operators. All of it planned anew.
//!
//! ```text
//!  PlanRecord ─► Subject ──── edits ────► sizes, lives ─► Problem ─► solve ─► Answer ─► Ghost on the map
//!    one arena    what is placed,         (dims, shrink,   loose:  what no plan can be smaller than
//!                 what lies together       order, fixed)   tied:   what is placed
//! ```
//!
//! Some buffers of a record must lie together: a result computed in place on its operand, and the pieces of one whose later
//! parts are used only later. Each such *bundle* is placed as one, for as long as any of it lives. A plan that lets others
//! into its dead bytes may still be smaller, so that what no plan can go below is told of the buffers one by one.

mod answer;
mod asked;
mod because;
mod bundle;
mod dims;
mod network;
mod said;
mod subject;
#[cfg(test)]
mod tests;

pub(crate) use answer::{Answer, Proof};
pub(crate) use asked::{Asked, Brief, Part, Row, SHOWN};
pub(crate) use because::{Because, Reason};
pub(crate) use dims::{typed, typed_offset};
pub(crate) use said::{all_words, change, words};
pub(crate) use subject::Subject;

/// One change of a plan. Several may be made at once; their order does not matter.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Edit {
    /// Without this buffer.
    Drop(u32),
    /// With half of its bytes.
    Halve(u32),
    /// Its operator runs as late as those that read it allow.
    Late(u32),
    /// It begins at this byte, wherever the others go.
    At(u32, u64),
    /// The operators run in the order whose plan is smallest.
    Order,
    /// A symbol of the model's shapes has this value.
    Dim(String, i64),
}

impl Edit {
    /// The tensor that it is about, if it is about one.
    pub(crate) fn tensor(&self) -> Option<u32> {
        match self {
            Self::Drop(tensor) | Self::Halve(tensor) | Self::Late(tensor) | Self::At(tensor, _) => {
                Some(*tensor)
            }
            Self::Order | Self::Dim(..) => None,
        }
    }
}

/// Buffers up to which an arena is placed anew; of more, bounds are told.
pub(crate) const MOST_PLACED: usize = 100_000;
/// Operators up to which another order is looked for.
pub(crate) const MOST_ORDERED: usize = 20_000;
