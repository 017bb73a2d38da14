//! What is asked: buffers whose sizes are expressions over bounded symbols, checked once for the whole box.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;

use bayplan_expr::{Bindings, Bounds, Expr, MaximumError, Scope, ScopeError, bounds, maximum};

use super::domain::Domain;
use crate::bound::LowerBound;
use crate::problem::{Buffer, Lifespan, Problem, ProblemError};
use crate::validate::Violation;

/// A storage whose size is known as an expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SymbolicBuffer {
    /// Bytes.
    pub size: Expr,
    /// Its offset must be a multiple of this power of two.
    pub align: u64,
    /// When it holds its bytes. Lifespans do not depend on the symbols.
    pub lifespan: Lifespan,
}

impl SymbolicBuffer {
    /// `size` bytes live in `[first, last)`, with alignment 1.
    pub fn new(size: impl Into<Expr>, first: u32, last: u32) -> Self {
        Self { size: size.into(), align: 1, lifespan: Lifespan::new(first, last) }
    }

    /// The same buffer with another alignment, in bytes.
    #[must_use]
    pub fn aligned(self, align: u64) -> Self {
        Self { align, ..self }
    }
}

/// Buffers with symbolic sizes and the box of their symbols. For every point of the box the sizes are known to be
/// no less than zero, and small enough for a [`Problem`].
#[derive(Clone, Debug)]
pub struct SymbolicProblem {
    buffers: Vec<SymbolicBuffer>,
    scope: Scope,
    pub(super) domain: Domain,
    /// The different sizes: a network of equal layers has a handful.
    pub(super) sizes: Vec<Expr>,
    /// The number of its size, per buffer.
    pub(super) size_of: Vec<u32>,
    /// No size is above this anywhere in the box, per different size.
    pub(super) largest: Vec<u64>,
    /// Starts and ends in time, ends before starts at the same point.
    events: Vec<Event>,
    /// The lifespans counted in points at which something starts or ends.
    pub(super) spans: Vec<Lifespan>,
}

/// Where symbols without an upper bound end: no dim of a tensor that exists is as large as the first; products of several
/// such symbols leave the 64 bits of a size sooner.
pub const HORIZONS: [i64; 4] = [1 << 40, 1 << 28, 1 << 18, 1 << 12];

#[derive(Clone, Copy, Debug)]
struct Event {
    point: u32,
    starts: bool,
    size: u32,
    /// Whether another event at the same point follows.
    more: bool,
}

impl SymbolicProblem {
    /// Checks the buffers for the whole box of `scope` and keeps them. A symbol that `scope` does not declare is a
    /// dim, which has no upper bound: every symbol that a size grows with must be declared.
    ///
    /// # Errors
    /// [`SymbolicError`]: a size without a maximum, one that may be negative, or what [`Problem::new`] says of the
    /// lifespans, the alignments and the greatest sizes.
    pub fn new(buffers: Vec<SymbolicBuffer>, scope: Scope) -> Result<Self, SymbolicError> {
        let (sizes, size_of) = different(&buffers);
        let mut first_with = alloc::vec![0; sizes.len()];
        for (buffer, &size) in size_of.iter().enumerate().rev() {
            first_with[size as usize] = buffer;
        }
        let mut largest = Vec::with_capacity(sizes.len());
        for (size, &buffer) in sizes.iter().zip(&first_with) {
            largest.push(greatest(size, &scope, buffer)?);
        }
        let at_most = |(b, &size): (&SymbolicBuffer, &u32)| Buffer {
            size: largest[size as usize],
            align: b.align,
            lifespan: b.lifespan,
            fixed: None,
        };
        Problem::new(buffers.iter().zip(&size_of).map(at_most).collect()).map_err(SymbolicError::Problem)?;
        let domain = Domain::of(&sizes, &scope).map_err(|symbol| {
            let uses = |b: &SymbolicBuffer| b.size.symbols().contains(&*symbol);
            SymbolicError::Unbounded { buffer: buffers.iter().position(uses).unwrap_or(0), symbol }
        })?;
        let (events, spans) = (events(&buffers, &size_of), spans(&buffers));
        Ok(Self { buffers, scope, domain, sizes, size_of, largest, events, spans })
    }

    /// The same where some symbols have no upper bound: they are taken to end where the sizes would be no numbers of
    /// bytes any more, at the highest power of two of [`HORIZONS`]. What is proved of the peak holds up to there; there
    /// is no size that could be reserved for all of it.
    ///
    /// # Errors
    /// As [`SymbolicProblem::new`] for the lowest horizon.
    pub fn open(buffers: &[SymbolicBuffer], scope: &Scope) -> Result<Self, SymbolicError> {
        let at = |horizon: i64| {
            let mut ended = scope.clone();
            for symbol in buffers.iter().flat_map(|buffer| buffer.size.symbols()) {
                let Bounds { lower, upper } = ended.get(symbol);
                if upper.is_none() {
                    // Never empty, so it is always taken.
                    let _ = ended.declare(symbol, Bounds::between(lower, lower.max(horizon)));
                }
            }
            Self::new(buffers.to_vec(), ended)
        };
        let [higher @ .., lowest] = HORIZONS;
        higher.into_iter().find_map(|horizon| at(horizon).ok()).map_or_else(|| at(lowest), Ok)
    }

    /// The buffers, in the order given.
    pub fn buffers(&self) -> &[SymbolicBuffer] {
        &self.buffers
    }

    /// The bounds of the symbols.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Number of buffers.
    pub fn len(&self) -> usize {
        self.buffers.len()
    }

    /// Whether there is nothing to place.
    pub fn is_empty(&self) -> bool {
        self.buffers.is_empty()
    }

    /// The problem at one point of the box.
    ///
    /// # Errors
    /// [`SymbolicError::Scope`] of a point outside the box, [`SymbolicError::Point`] of a symbol without a value or a
    /// size without one.
    pub fn at(&self, point: &Bindings) -> Result<Problem, SymbolicError> {
        self.with_sizes(&self.sizes_at(point)?).map_err(SymbolicError::Problem)
    }

    /// Max-live at one point of the box.
    ///
    /// # Errors
    /// As [`SymbolicProblem::at`].
    pub fn lower_bound(&self, point: &Bindings) -> Result<LowerBound, SymbolicError> {
        Ok(self.max_live(&self.sizes_at(point)?))
    }

    /// The value of each different size.
    pub(super) fn sizes_at(&self, point: &Bindings) -> Result<Vec<u64>, SymbolicError> {
        self.scope.check(point).map_err(SymbolicError::Scope)?;
        let value = |e: &Expr| {
            let value = e.eval(point).map_err(|error| error.to_string())?;
            u64::try_from(value).map_err(|_| alloc::format!("`{e}` is {value}"))
        };
        self.sizes.iter().map(value).collect::<Result<_, _>>().map_err(SymbolicError::Point)
    }

    /// The problem with a value for each different size.
    pub(super) fn with_sizes(&self, sizes: &[u64]) -> Result<Problem, ProblemError> {
        let buffer = |(b, &size): (&SymbolicBuffer, &u32)| Buffer {
            size: sizes[size as usize],
            align: b.align,
            lifespan: b.lifespan,
            fixed: None,
        };
        Problem::new(self.buffers.iter().zip(&self.size_of).map(buffer).collect())
    }

    /// The largest sum of live sizes, by one walk over time.
    pub(super) fn max_live(&self, sizes: &[u64]) -> LowerBound {
        let (mut load, mut best) = (0u64, LowerBound::default());
        for event in &self.events {
            let size = sizes[event.size as usize];
            load = if event.starts { load + size } else { load - size };
            if load > best.bytes && !event.more {
                best = LowerBound { bytes: load, witness: event.point };
            }
        }
        best
    }
}

/// The different sizes, in order of first use, and the number of each buffer's.
fn different(buffers: &[SymbolicBuffer]) -> (Vec<Expr>, Vec<u32>) {
    let mut sorted: Vec<usize> = (0..buffers.len()).collect();
    sorted.sort_by(|&a, &b| buffers[a].size.total_cmp(&buffers[b].size).then(a.cmp(&b)));
    let mut first_of: Vec<usize> = (0..buffers.len()).collect();
    for pair in sorted.windows(2) {
        if buffers[pair[0]].size == buffers[pair[1]].size {
            first_of[pair[1]] = first_of[pair[0]];
        }
    }
    let (mut sizes, mut size_of) = (Vec::new(), Vec::with_capacity(buffers.len()));
    for (buffer, &first) in first_of.iter().enumerate() {
        if first == buffer {
            size_of.push(sizes.len() as u32);
            sizes.push(buffers[buffer].size.clone());
        } else {
            size_of.push(size_of[first]);
        }
    }
    (sizes, size_of)
}

fn greatest(size: &Expr, scope: &Scope, buffer: usize) -> Result<u64, SymbolicError> {
    let refused = |error| match error {
        MaximumError::Unbounded { symbol } => SymbolicError::Unbounded { buffer, symbol },
        other => SymbolicError::NoMaximum { buffer, why: other.to_string() },
    };
    let most = maximum(size, scope).map_err(refused)?;
    if bounds(size, scope).lower.is_none_or(|lower| lower < 0) {
        let least = maximum(&-size, scope).map_err(refused)?;
        if least.value > 0 {
            return Err(SymbolicError::Negative { buffer, at: least.at, bytes: -least.attained });
        }
    }
    Ok(most.value.max(0).unsigned_abs())
}

fn events(buffers: &[SymbolicBuffer], size_of: &[u32]) -> Vec<Event> {
    let mut events = Vec::with_capacity(2 * buffers.len());
    for (buffer, &size) in buffers.iter().zip(size_of) {
        let Lifespan { first, last } = buffer.lifespan;
        events.push(Event { point: first, starts: true, size, more: false });
        events.push(Event { point: last, starts: false, size, more: false });
    }
    events.sort_unstable_by_key(|event| (event.point, event.starts, event.size));
    for at in 1..events.len() {
        events[at - 1].more = events[at - 1].point == events[at].point;
    }
    events
}

fn spans(buffers: &[SymbolicBuffer]) -> Vec<Lifespan> {
    let lifespans = || buffers.iter().map(|buffer| buffer.lifespan);
    let mut points: Vec<u32> = lifespans().flat_map(|life| [life.first, life.last]).collect();
    points.sort_unstable();
    points.dedup();
    let rank = |point: u32| points.partition_point(|&other| other < point) as u32;
    lifespans().map(|life| Lifespan::new(rank(life.first), rank(life.last))).collect()
}

/// Why there is no plan for a box, or none at a point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SymbolicError {
    /// The lifespans, alignments or greatest sizes make no problem.
    Problem(ProblemError),
    /// A symbol that the buffer's size needs has no upper bound.
    Unbounded {
        /// The first such buffer.
        buffer: usize,
        /// The symbol.
        symbol: String,
    },
    /// The buffer's size has no maximum over the box.
    NoMaximum {
        /// The first such buffer.
        buffer: usize,
        /// What is wrong with it.
        why: String,
    },
    /// The buffer's size is negative somewhere in the box, or could not be proved to be nowhere negative.
    Negative {
        /// The first such buffer.
        buffer: usize,
        /// Where the size is least, as far as was searched.
        at: Bindings,
        /// The size there.
        bytes: i64,
    },
    /// The point lies outside the box.
    Scope(ScopeError),
    /// A size has no value at the point.
    Point(String),
    /// The offsets make no valid plan: a defect of this library.
    Invalid(Violation),
    /// The order does not name every buffer once.
    NotAnOrder {
        /// The first position at which it is wrong: a number repeated or out of range, or the order's end.
        position: usize,
    },
}

impl fmt::Display for SymbolicError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Problem(error) => error.fmt(f),
            Self::Unbounded { buffer, symbol } => {
                let symbol = bayplan_text::ellipsis(symbol, 60);
                write!(f, "buffer {buffer}: `{symbol}` has no upper bound; declare one")
            }
            Self::NoMaximum { buffer, why } => write!(f, "buffer {buffer}: {why}"),
            Self::Negative { buffer, at, bytes } => {
                write!(f, "buffer {buffer}: the size may be negative; at {at} it is {bytes}")
            }
            Self::Scope(error) => error.fmt(f),
            Self::Point(why) => f.write_str(why),
            Self::Invalid(violation) => violation.fmt(f),
            Self::NotAnOrder { position } => {
                write!(f, "the order does not name every buffer once (see position {position})")
            }
        }
    }
}

impl core::error::Error for SymbolicError {}
