//! Why a copy stays.

use core::fmt;

/// The reason why nobody writes straight to where a copy puts its elements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// The caller writes its source, a graph input.
    Input,
    /// Its source is a constant.
    Constant,
    /// Its source is a graph output by itself.
    Output,
    /// It takes only part of its source, or some elements more than once.
    Part,
    /// Its source's maker, an operation of that family, writes its results in a row.
    Maker(&'static str),
    /// The operation of that name reads its source as well, and cannot read it where it would lie.
    Reader(String),
    /// The source's maker, or a reader, would read what it writes through another window.
    Meets,
    /// Others write the same elements.
    Covered,
    /// A part would begin at that byte, and windows begin at multiples of the second number.
    Begins(u64, u64),
    /// Nothing stands against it, but nobody asked for it.
    Kept,
    /// The window would have more bytes than the device binds.
    Large(u64),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input => f.write_str("it takes a graph input, which lies where the caller writes it"),
            Self::Constant => f.write_str("it takes a constant, which lies with the weights"),
            Self::Output => f.write_str("it takes a graph output, which the caller reads by itself"),
            Self::Part => f.write_str("it takes part of what is made, or repeats it"),
            Self::Maker(family) => {
                write!(f, "it takes what a {family} makes, which has its results in a row")
            }
            Self::Reader(name) => {
                write!(f, "what it takes is read to make {} too, as it lies", bayplan_text::escape(name))
            }
            Self::Meets => f.write_str("whoever makes what it takes reads from where it would be written"),
            Self::Covered => f.write_str("others write to the same place"),
            Self::Kept => f.write_str("it was compiled as it is written"),
            Self::Begins(byte, align) => {
                write!(f, "the part begins at byte {byte}, and windows begin at multiples of {align}")
            }
            Self::Large(bytes) => {
                write!(f, "its maker would bind {bytes} bytes, more than the device does at once")
            }
        }
    }
}
