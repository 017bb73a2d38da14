//! Text for people: escaping, byte sizes, counts and durations.
//!
//! Names in a model file are chosen by strangers: [`escape`] and [`ellipsis`] make them safe to print on a
//! terminal, [`ascii`] and its kin give stand-ins for signs that are not ASCII. [`Bytes`], [`Count`] and [`plural`], [`Nanos`], [`Percent`] and [`Rate`] print quantities in one style everywhere;
//! [`parse_bytes`] and [`parse_duration`] read what people type on a command line.
//!
//! All quantity types honour width, fill and alignment of the format string (`{:>10}`).
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

mod ascii;
mod bytes;
mod duration;
mod error;
mod escape;
mod number;
mod quantity;
mod rate;
mod signed;
mod wrap;

pub use ascii::{ascii, ascii_row, ascii_text};
pub use bytes::{Bytes, parse_bytes};
pub use duration::{Nanos, parse_duration};
pub use error::{ParseError, Problem};
pub use escape::{Ellipsis, Escape, columns, ellipsis, escape, escape_lines};
pub use quantity::{Count, Percent, plural};
pub use rate::Rate;
pub use signed::Signed;
pub use wrap::wrap;
