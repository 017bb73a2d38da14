//! Pickles of plain data: what PyTorch's memory snapshots are kept in.
//!
//! ```text
//! 80 04                                protocol 4
//! } ( 8c 06 action 94 8c 05 alloc 94 … u        a dict: MARK, keys and values, SETITEMS; texts used again are MEMOIZEd
//! ] ( … e                                       a list: MARK, items, APPENDS, at most 1,000 at once
//! .                                             STOP
//! ```
//! [`writer`] writes the opcodes that every reader of snapshots knows; [`reader`] reads those of protocols 2 to 5 that
//! make plain data. Neither knows classes: a pickle that would run code is refused by name and nothing of it is run.

mod opcode;
mod reader;
mod value;
mod writer;

pub(crate) use reader::read;
pub(crate) use value::{Data, Value};
pub(crate) use writer::{Kept, Pickler};
