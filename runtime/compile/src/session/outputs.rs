//! Outputs that belong to the caller: which slots of the output arena are held, and what can be wrong with buffers given
//! for outputs.

use core::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bayplan_graph::DType;
use bayplan_plan::pool::{Full, Pool, Slot, Usage};
use bayplan_text::{Bytes, escape};
use bayplan_trace::{Event, Nanos};

/// Why an output cannot go where it should. Nothing was written or dispatched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OutputError {
    /// The output arena has no room for the outputs that a run gives away. Sizes are bytes in device memory.
    OutputArenaFull {
        /// What all such outputs of the run need together.
        need: u64,
        /// What is free, in whatever pieces.
        free: u64,
        /// What callers hold.
        held: u64,
    },
    /// A buffer was given for an output that the model does not have.
    UnknownOutput {
        /// The name given.
        name: String,
        /// The names there are.
        outputs: Vec<String>,
    },
    /// A buffer was given for an output that does not go to the caller's buffer.
    NotInto {
        /// The output.
        name: String,
    },
    /// No buffer was given for an output that goes to the caller's.
    IntoMissing {
        /// The output.
        name: String,
    },
    /// Two buffers were given for one output.
    IntoRepeated {
        /// The output.
        name: String,
    },
    /// The buffer given for an output holds another type.
    IntoWrong {
        /// The output.
        name: String,
        /// Its element type.
        expected: DType,
        /// That of the buffer.
        actual: DType,
    },
    /// The buffer given for an output is too small.
    IntoTooSmall {
        /// The output.
        name: String,
        /// Bytes in device memory that the output needs.
        need: u64,
        /// Bytes of the buffer.
        bytes: u64,
    },
    /// The buffer given for an output lies on another device.
    IntoElsewhere {
        /// The output.
        name: String,
    },
}

impl fmt::Display for OutputError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OutputArenaFull { need, free, held } => {
                let full = Full { need: *need, free: *free, held: *held };
                write!(
                    f,
                    "the output arena is full: {full}; drop outputs, or build the session with more bytes for it"
                )
            }
            Self::UnknownOutput { name, outputs } => {
                write!(f, "the model has no output {}; its outputs are ", escape(name))?;
                for (index, output) in outputs.iter().enumerate() {
                    write!(f, "{}{}", if index > 0 { ", " } else { "" }, escape(output))?;
                }
                Ok(())
            }
            Self::NotInto { name } => write!(
                f,
                "output {} does not go to a buffer of the caller; give it the policy Into when compiling",
                escape(name)
            ),
            Self::IntoMissing { name } => {
                write!(f, "output {} goes to a buffer of the caller, but none is given", escape(name))
            }
            Self::IntoRepeated { name } => {
                write!(f, "output {} is given more than one buffer; give one", escape(name))
            }
            Self::IntoWrong { name, expected, actual } => {
                write!(f, "output {} is {expected}, but its buffer is for {actual}", escape(name))
            }
            Self::IntoTooSmall { name, need, bytes } => {
                let (need, bytes) = (Bytes(*need), Bytes(*bytes));
                write!(
                    f,
                    "output {} needs {need}, but its buffer has {bytes}; give a larger one",
                    escape(name)
                )
            }
            Self::IntoElsewhere { name } => write!(
                f,
                "the buffer given for output {} lies on another device than the session; make it on the session's",
                escape(name)
            ),
        }
    }
}

impl std::error::Error for OutputError {}

impl From<Full> for OutputError {
    fn from(full: Full) -> Self {
        let Full { need, free, held } = full;
        Self::OutputArenaFull { need, free, held }
    }
}

/// How large a session's output arena is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OutputArena {
    /// Bytes reserved when the session is built.
    pub bytes: u64,
    /// Whether it may take more memory when it is full: blocks as large as `bytes`, or as large as what is needed if that
    /// is more. What it grew by is counted apart. Without it, a full arena is an error.
    pub grow: bool,
}

/// What recordings call the pool.
const NAME: &str = "output arena";

/// Where outputs that callers keep lie, in exact sizes. A clone is the same arena: what callers hold keeps it alive.
///
/// It knows offsets only. Its memory is the executor's: one buffer per block.
#[derive(Clone, Debug)]
pub struct OutputPool(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    pool: Pool,
    options: OutputArena,
    /// Slots taken so far; those of no bytes are not counted.
    taken: u64,
    watched: Option<Watched>,
}

/// Who is told of slots, and by which number of the pool.
struct Watched {
    pool: u32,
    tell: Box<Tell>,
}

/// Told of an event of a pool as soon as it is known when that is.
type Tell = dyn FnMut(&dyn Fn(Nanos) -> Event) + Send;

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched").field("pool", &self.pool).finish_non_exhaustive()
    }
}

/// A slot of an output pool. Dropped, in whatever thread, it is free again.
#[derive(Debug)]
pub struct Lease {
    pool: OutputPool,
    slot: Slot,
    /// Its number among the slots taken so far.
    id: u64,
    block: usize,
    offset: u64,
}

impl OutputPool {
    /// An arena of one block, of which no byte is held. Slots lie at multiples of `align` bytes.
    pub fn new(align: u64, options: OutputArena) -> Self {
        let mut pool = Pool::new(align);
        // Cannot fail: the first block begins at 0.
        let grown = pool.grow(options.bytes);
        debug_assert_eq!(grown, Ok(0));
        Self(Arc::new(Mutex::new(State { pool, options, taken: 0, watched: None })))
    }

    /// Has every slot told as it is taken and freed, in whatever thread, under the given number of the pool; at once its size, and
    /// again when it grows. Who is told must not wait: the pool is locked for so long. Without bytes, now or later, there is
    /// nothing to tell.
    pub fn watch(&self, pool: u32, tell: impl FnMut(&dyn Fn(Nanos) -> Event) + Send + 'static) {
        let mut state = self.state();
        if state.options.bytes > 0 || state.options.grow {
            state.watched = Some(Watched { pool, tell: Box::new(tell) });
            state.tell_size();
        }
    }

    /// Takes slots of exactly these sizes, all or none. Where the arena is full and may grow, `grow` makes the memory of
    /// one more block of that many bytes first.
    ///
    /// # Errors
    /// [`OutputError::OutputArenaFull`], or that of `grow`. Nothing is held then.
    pub fn take<E: From<OutputError>>(
        &self,
        sizes: &[u64],
        grow: &mut dyn FnMut(u64) -> Result<(), E>,
    ) -> Result<Vec<Lease>, E> {
        let mut state = self.state();
        let slots = match state.pool.take_all(sizes) {
            Ok(slots) => slots,
            Err(full) => {
                let bytes = state.block_for(sizes).ok_or_else(|| E::from(full.into()))?;
                grow(bytes)?;
                state.pool.grow(bytes).map_err(|_| E::from(full.into()))?;
                state.tell_size();
                state.pool.take_all(sizes).map_err(|full| E::from(full.into()))?
            }
        };
        let lease = |slot: Slot| {
            let id = state.tell_taken(slot);
            let (block, offset) = state.pool.place(slot.offset).unwrap_or_default();
            Lease { pool: self.clone(), slot, id, block, offset }
        };
        Ok(slots.into_iter().map(lease).collect())
    }

    /// How full it is.
    pub fn usage(&self) -> Usage {
        self.state().pool.usage()
    }

    /// Bytes of the blocks that were added since the session was built.
    pub fn grown(&self) -> u64 {
        let state = self.state();
        state.pool.usage().capacity - state.options.bytes
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change of the state is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn tell(&mut self, event: &dyn Fn(Nanos, u32) -> Event) {
        if let Some(Watched { pool, tell }) = &mut self.watched {
            tell(&|t| event(t, *pool));
        }
    }

    fn tell_size(&mut self) {
        let bytes = self.pool.extent();
        self.tell(&|t, pool| Event::PoolReady { t, pool, bytes, name: NAME.to_owned() });
    }

    /// Answers the number of a slot that was taken.
    fn tell_taken(&mut self, Slot { offset, size: bytes }: Slot) -> u64 {
        let id = self.taken;
        if bytes > 0 {
            self.taken += 1;
            self.tell(&|t, pool| Event::PoolAllocated { t, pool, id, offset, bytes });
        }
        id
    }

    /// The bytes of a block that takes these sizes one after the other, if the arena may grow.
    fn block_for(&self, sizes: &[u64]) -> Option<u64> {
        if !self.options.grow {
            return None;
        }
        let padded =
            |sum: u64, &size: &u64| sum.checked_add(size)?.checked_next_multiple_of(self.pool.align());
        sizes.iter().try_fold(0, padded).map(|bytes| bytes.max(self.options.bytes))
    }
}

impl Lease {
    /// The block that it lies in, and how far from its start.
    pub fn place(&self) -> (usize, u64) {
        (self.block, self.offset)
    }

    /// Its bytes, exactly.
    pub fn bytes(&self) -> u64 {
        self.slot.size
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        let (mut state, id) = (self.pool.state(), self.id);
        let held = state.pool.free(self.slot);
        debug_assert!(held, "a lease is the only one that frees its slot");
        if self.slot.size > 0 {
            state.tell(&|t, pool| Event::PoolFreed { t, pool, id });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Taken = Result<Vec<Lease>, OutputError>;

    fn take(arena: &OutputPool, sizes: &[u64]) -> Taken {
        arena.take(sizes, &mut |_| Ok(()))
    }

    #[test]
    fn leases_free_their_slots_wherever_they_are_dropped() {
        let arena = OutputPool::new(16, OutputArena { bytes: 64, grow: false });
        let leases = take(&arena, &[20, 20]).expect("there is room");
        assert_eq!(leases.iter().map(Lease::place).collect::<Vec<_>>(), [(0, 0), (0, 32)]);
        let full = take(&arena, &[1]).expect_err("no hole is left");
        assert_eq!(full, OutputError::OutputArenaFull { need: 1, free: 0, held: 40 });
        std::thread::spawn(move || drop(leases)).join().expect("the thread ends");
        assert_eq!((arena.usage().held, arena.usage().free, arena.usage().high_water), (0, 64, 52));
    }

    #[test]
    fn a_full_arena_grows_only_where_it_may() {
        let arena = OutputPool::new(16, OutputArena { bytes: 64, grow: true });
        let mut asked = Vec::new();
        let mut grow = |bytes: u64| -> Result<(), OutputError> {
            asked.push(bytes);
            Ok(())
        };
        let first = arena.take(&[60], &mut grow).expect("it fits");
        let second = arena.take(&[10], &mut grow).expect("it grows by what it had");
        let third = arena.take(&[40, 70], &mut grow).expect("it grows by what is needed");
        assert_eq!(asked, [64, 128]);
        let places: Vec<_> = first.iter().chain(&second).chain(&third).map(Lease::place).collect();
        assert_eq!(places, [(0, 0), (1, 0), (1, 16), (2, 0)]);
        assert_eq!((arena.grown(), arena.usage().capacity), (192, 256));
    }

    #[test]
    fn who_watches_is_told_of_every_slot_in_order() {
        let arena = OutputPool::new(16, OutputArena { bytes: 64, grow: true });
        let (send, told) = std::sync::mpsc::channel();
        let mut now = 0;
        arena.watch(7, move |event| {
            now += 1;
            send.send(event(now)).expect("the test waits");
        });
        let first = take(&arena, &[20, 0]).expect("it fits");
        let second = take(&arena, &[40]).expect("it grows");
        drop(first);
        std::thread::spawn(move || drop(second)).join().expect("the thread ends");
        let name = || "output arena".to_owned();
        let expect = [
            Event::PoolReady { t: 1, pool: 7, bytes: 64, name: name() },
            Event::PoolAllocated { t: 2, pool: 7, id: 0, offset: 0, bytes: 20 },
            Event::PoolReady { t: 3, pool: 7, bytes: 128, name: name() },
            Event::PoolAllocated { t: 4, pool: 7, id: 1, offset: 64, bytes: 40 },
            Event::PoolFreed { t: 5, pool: 7, id: 0 },
            Event::PoolFreed { t: 6, pool: 7, id: 1 },
        ];
        assert_eq!(told.try_iter().collect::<Vec<_>>(), expect);
        let empty = OutputPool::new(16, OutputArena::default());
        empty.watch(8, |_| panic!("there is nothing to tell"));
        drop(take(&empty, &[0]).expect("no bytes"));
    }

    #[test]
    fn what_could_not_grow_holds_nothing() {
        let arena = OutputPool::new(16, OutputArena { bytes: 16, grow: true });
        let name = || "y".to_string();
        let refused = arena.take(&[32], &mut |_| Err(OutputError::IntoMissing { name: name() }));
        assert_eq!(refused.expect_err("no memory"), OutputError::IntoMissing { name: name() });
        assert_eq!((arena.usage().held, arena.grown()), (0, 0));
    }

    #[test]
    fn errors_say_what_to_do_and_escape_names() {
        let check = |error: OutputError, expect: &str| assert_eq!(error.to_string(), expect);
        let name = || "a\u{1b}".to_string();
        check(
            OutputError::OutputArenaFull { need: 2048, free: 1024, held: 4096 },
            "the output arena is full: 2.00 KiB are needed, 1.00 KiB are free and 4.00 KiB are held; \
             drop outputs, or build the session with more bytes for it",
        );
        check(
            OutputError::UnknownOutput { name: name(), outputs: vec!["y".into(), "z".into()] },
            "the model has no output a\\x1b; its outputs are y, z",
        );
        check(
            OutputError::IntoTooSmall { name: name(), need: 2048, bytes: 1024 },
            "output a\\x1b needs 2.00 KiB, but its buffer has 1.00 KiB; give a larger one",
        );
    }
}
