//! Reading constants in batches, for whoever loads them: pieces of at most a slot's bytes, past the page cache or through it.
//!
//! ```text
//!   what is wanted ── cut ──► batches ── Store::fill ──► slots, from which each part is put where it belongs
//!                                        └ Store::read_ahead does so in threads of its own, and hands slots out in order
//! ```

mod ahead;
mod batch;
mod fill;
mod slot;

pub use ahead::{Ahead, Filled};
pub use batch::{Batch, Part, Wanted, cut, slot_bytes};
pub use fill::{Manner, Unread};
pub use slot::{Slot, aligned, first_block, room};
