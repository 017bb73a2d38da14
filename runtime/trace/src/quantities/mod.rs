//! Every figure that is told of a session, by name: reports, checks, metrics and comparisons read this table, and none of
//! them computes a figure of its own.
//!
//! ```text
//! Timeline ──► Reading ──► Figure   a row of the table, what it is told of, and its value
//!                │
//!                └─ QUANTITIES      name · unit · scope · how parts make a whole · whose loss makes it uncertain
//! ```
//! A figure of a plan, arena, heap, op or tensor is also told of the whole session: [`Join`] says how the parts make it.
//! Where records are lost or damaged a value that can only have grown is told as "at least", others as unknown.

mod filter;
mod join;
mod plan_figures;
mod read;
mod table;
#[cfg(test)]
mod tests;
mod value;

pub use filter::{Filter, Key, Match, Subject};
pub use read::{Reading, RegretOf, figures};
pub use table::{QUANTITIES, quantity};
pub use value::{Number, Unknown, Value};

pub(crate) use plan_figures::PlanFigures;

use crate::schema::event::EventKind;

/// One row of the table of figures.
#[derive(Debug)]
pub struct Quantity {
    /// Its name: what checks, reports and metrics call it.
    pub name: &'static str,
    /// What it is counted in.
    pub unit: Unit,
    /// What it is told of.
    pub scope: Scope,
    /// How the figures of several subjects make one.
    pub join: Join,
    /// Which way it gets worse, where a comparison with a baseline should look at it.
    pub worse: Option<Worse>,
    /// Whether it only ever grows while a session goes on: a counter, not a gauge.
    pub cumulative: bool,
    /// What it says, in one sentence.
    pub help: &'static str,
    /// Where it is defined: the item of this crate that computes it.
    pub source: &'static str,
    /// Events that it is made of: where some of them were lost it is not certain.
    pub(crate) made_of: &'static [EventKind],
    /// Whether further records could only have made it larger.
    pub(crate) grows: bool,
    pub(crate) read: read::Read,
}

impl Quantity {
    /// Whether it is a distribution, of which [`Statistic`]s are told.
    pub fn is_distribution(&self) -> bool {
        matches!(self.read, read::Read::Distribution(_))
    }
}

/// What a figure is counted in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Bytes.
    Bytes,
    /// Things.
    Count,
    /// Nanoseconds.
    Nanos,
    /// A share: 1 is all of it.
    Ratio,
    /// Bytes in a second.
    BytesPerSecond,
}

impl Unit {
    /// Its name, as reports write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Count => "count",
            Self::Nanos => "ns",
            Self::Ratio => "ratio",
            Self::BytesPerSecond => "bytes/s",
        }
    }
}

/// What a figure is told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// The session.
    Session,
    /// A plan of it.
    Plan,
    /// An arena of a plan.
    Arena,
    /// A heap of the device.
    Heap,
    /// A dynamic pool.
    Pool,
    /// An op of a plan.
    Op,
    /// A tensor of a plan.
    Tensor,
}

impl Scope {
    /// Its name, as reports write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Session => "session",
            Self::Plan => "plan",
            Self::Arena => "arena",
            Self::Heap => "heap",
            Self::Pool => "pool",
            Self::Op => "op",
            Self::Tensor => "tensor",
        }
    }

    /// By what a figure of this scope can be chosen.
    pub fn keys(self) -> &'static [Key] {
        match self {
            Self::Session => &[],
            Self::Plan => &[Key::Plan],
            Self::Arena => &[Key::Arena, Key::Plan],
            Self::Heap => &[Key::Heap],
            Self::Pool => &[Key::Pool],
            Self::Op => &[Key::Op, Key::Plan],
            Self::Tensor => &[Key::Tensor, Key::Arena, Key::Plan],
        }
    }
}

/// How the figures of several subjects make one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Join {
    /// They are added.
    Sum,
    /// The largest counts.
    Max,
    /// The smallest counts.
    Min,
    /// Those of one plan are added; of several plans, which never run at once, the largest counts.
    MaxOfSums,
    /// They do not make one: one subject must be chosen.
    Choose,
}

/// Which way a figure gets worse.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Worse {
    /// More is worse.
    More,
    /// Less is worse.
    Less,
}

/// What is told of a distribution, such as the times of all runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Statistic {
    /// How many samples there are.
    Count,
    /// Their sum.
    Sum,
    /// The smallest.
    Min,
    /// The largest.
    Max,
    /// Their mean.
    Mean,
    /// Half of them are not larger.
    P50,
    /// 90 % of them are not larger.
    P90,
    /// 95 % of them are not larger.
    P95,
    /// 99 % of them are not larger.
    P99,
}

impl Statistic {
    /// Every statistic.
    pub const ALL: [Self; 9] = [
        Self::Count,
        Self::Sum,
        Self::Min,
        Self::Max,
        Self::Mean,
        Self::P50,
        Self::P90,
        Self::P95,
        Self::P99,
    ];

    /// Its name in expressions and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Sum => "sum",
            Self::Min => "min",
            Self::Max => "max",
            Self::Mean => "mean",
            Self::P50 => "p50",
            Self::P90 => "p90",
            Self::P95 => "p95",
            Self::P99 => "p99",
        }
    }
}

/// A figure: a row of the table, what it is told of, and its value there.
#[derive(Clone, Debug, PartialEq)]
pub struct Figure<'a> {
    /// The row.
    pub quantity: &'static Quantity,
    /// Which statistic of it, where it is a distribution.
    pub statistic: Option<Statistic>,
    /// What it is told of.
    pub subject: Subject<'a>,
    /// Its value.
    pub value: Value,
}

/// Rows are the same if they have the same name: names are unique in the table.
impl PartialEq for Quantity {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}
