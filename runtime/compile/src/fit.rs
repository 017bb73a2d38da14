//! The largest shapes that fit a budget, exact over a box of which only what the answer needs is compiled.
//!
//! ```text
//!   bytes ^            .  part C: compiled since the answer may lie there
//!         |  - - - - .-x - - - - - - - - - budget
//!         |       .-' |
//!         |    .-'    part B: never compiled, nothing asked for it
//!         | .-' part A: the first compile; where its terms meet the budget the next one is made
//!         +-------------------------> past
//! ```
//!
//! A memory function covers the parts of a box that were compiled, and solving it tells no more than these do. So it is solved,
//! compiled where its answer could be exceeded, and solved again, until the next value is known not to fit.

use core::fmt;
use std::collections::BTreeMap;

use bayplan_expr::memory::{MemoryError, MemoryFunction, Row, Solution, SolveError, combinations, maximal};
use bayplan_expr::{Bindings, Bounds, Expr};
use bayplan_graph::Graph;
use bayplan_shaders::Target;

use crate::error::{CompileError, Refused};
use crate::family::{Dims, Family, Function};
use crate::fold::ReadConstant;
use crate::{Options, family};

/// Compiles for one table.
const MAX_COMPILES: usize = 256;

/// Shapes asked for in one table, those that the target cannot run included: they are refused early.
const MAX_ASKED: usize = 2 * MAX_COMPILES;

/// What is to fit.
#[derive(Clone, Copy, Debug)]
pub struct Budget<'a> {
    /// Bytes of device memory.
    pub bytes: u64,
    /// The symbol of which the largest value is looked for.
    pub free: &'a str,
    /// The other symbols, each with the values to make rows of, ascending.
    pub axes: &'a [(String, Vec<i64>)],
}

/// Why a row's value is the largest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The next value needs more than the budget.
    Budget,
    /// The bounds end there.
    Bounds,
    /// The next value cannot run, whatever memory there is.
    Refused(String),
    /// Unknown: so many parts of the box had to be compiled that the search was given up. Larger values may fit.
    GivenUp,
}

/// The largest value that fits beside values of the other symbols.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fit {
    /// The shape, and what it needs.
    pub row: Row,
    /// Why there is no larger one.
    pub end: End,
}

/// Why nothing fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Nothing {
    /// The least shape needs more than the budget, or has no number of bytes.
    Memory(SolveError),
    /// The least shape cannot run on the target.
    Refused(String),
    /// Unknown, as in [`End::GivenUp`].
    GivenUp,
}

impl fmt::Display for Nothing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(error) => error.fmt(f),
            Self::Refused(reason) => f.write_str(reason),
            Self::GivenUp => {
                write!(
                    f,
                    "no shape that fits was found in {MAX_COMPILES} compiles; give dims values (--dim NAME=VALUE)"
                )
            }
        }
    }
}

/// What fits a budget.
#[derive(Clone, Debug)]
pub struct Fitted {
    /// The shapes that no other one is nowhere below, the first axis changing last.
    pub rows: Vec<Fit>,
    /// Why there is no row.
    pub nothing: Option<Nothing>,
    /// The bytes of the parts of the box that the rows needed.
    pub memory: MemoryFunction,
    /// Compiled for these parts: [`Family::within`] serves each row with the very bytes it tells.
    pub family: Family,
}

/// Finds the largest shapes within `dims` that fit a budget: for each row M(value) ≤ budget < M(value + 1), or
/// [`Fit::end`] says what else ends there. Only parts of the box that could change the answer are compiled.
///
/// # Errors
/// As [`Family::new`]; [`CompileError::Unbounded`] where `free` or an axis has no upper bound; a symbol that is none of the
/// model's.
pub fn fit(
    graph: &Graph,
    dims: &Dims,
    budget: Budget<'_>,
    (target, options): (&Target, &Options),
    read: &ReadConstant<'_>,
) -> Result<Fitted, CompileError> {
    let mut also: Vec<Bindings> = Vec::new();
    let mut left = Left { compiles: MAX_COMPILES, asked: MAX_ASKED };
    loop {
        let function = Function { name: &graph.name, graph, dims };
        let family = |most: u64| Family::on_demand(&function, most, &also, target, options, read);
        let family = match family(budget.bytes) {
            // Nothing fits, and what the least shape needs is still to be told.
            Err(CompileError::Unsupported(_)) => family(u64::MAX)?,
            family => family?,
        };
        match table(family, budget, &mut left) {
            // Another part of the box loads something else: once more, with that in what all of them load.
            Err(CompileError::Weights { dims, .. }) if also.len() < family::MAX_UNIONS as usize => {
                also.push(dims);
            }
            done => return done,
        }
    }
}

/// What may still be done.
struct Left {
    compiles: usize,
    asked: usize,
}

fn table(family: Family, budget: Budget<'_>, left: &mut Left) -> Result<Fitted, CompileError> {
    let memory = family.memory_of_served()?;
    let mut search = Search { family, memory, budget, left, too_large: Vec::new() };
    let (mut rows, mut nothing) = (Vec::new(), None);
    for others in combinations(budget.axes) {
        match search.row(&others)? {
            Ok(fit) => rows.push(fit),
            Err(why) => {
                nothing.get_or_insert(why);
            }
        }
    }
    let rows = maximal(rows, |fit| &fit.row.point);
    let nothing = nothing.filter(|_| rows.is_empty());
    let Search { family, memory, .. } = search;
    Ok(Fitted { rows, nothing, memory, family })
}

struct Search<'a> {
    family: Family,
    memory: MemoryFunction,
    budget: Budget<'a>,
    left: &'a mut Left,
    /// Values of the others beside which nothing fits.
    too_large: Vec<Bindings>,
}

/// What asking for a shape gave.
enum Asked {
    /// The memory function has bytes for it now.
    Covered,
    Refused(Refusal),
    GivenUp,
}

/// Why a value cannot run.
struct Refusal {
    end: End,
    /// The tensor that is too large, with the most bytes that it may have.
    tensor: Option<(Expr, u64)>,
}

/// Values of the free symbol that cannot run, ascending, with why, and whether the one before is not refused for the same.
type Refusals = BTreeMap<i64, (End, bool)>;

impl Search<'_> {
    /// The largest value beside `others`, or why there is none.
    fn row(&mut self, others: &Bindings) -> Result<Result<Fit, Nothing>, CompileError> {
        let mut refused = Refusals::new();
        loop {
            let found = match self.memory.solve(self.budget.bytes, self.budget.free, others) {
                Ok(solution) => Ok(solution),
                // Where larger values overflow, or have no number of bytes, smaller ones may fit.
                Err(
                    error @ (SolveError::Nothing { .. }
                    | SolveError::Memory(MemoryError::Range(_) | MemoryError::NoFunction(_))),
                ) => Err(error),
                Err(error) => return Err(CompileError::Bind(error.to_string())),
            };
            let value = found.as_ref().ok().map(|solution| solution.value);
            let end = match self.open(others, value, &refused) {
                Err(end) => end,
                Ok(at) => match self.ask(&self.point(others, at))? {
                    Asked::Covered => continue,
                    Asked::Refused(Refusal { end, tensor }) => {
                        let from = value.map_or(i64::MIN, |value| value.saturating_add(1));
                        let first = tensor.and_then(|tensor| self.first_above(others, &tensor, from, at));
                        refused.insert(first.unwrap_or(at), (end, first.is_some()));
                        continue;
                    }
                    Asked::GivenUp => End::GivenUp,
                },
            };
            return Ok(self.answer(others, found, end));
        }
    }

    fn answer(
        &mut self,
        others: &Bindings,
        found: Result<Solution, SolveError>,
        end: End,
    ) -> Result<Fit, Nothing> {
        match found {
            Ok(solution) => {
                let point = self.point(others, solution.value);
                Ok(Fit { row: Row { point, solution }, end })
            }
            Err(error) => {
                if end != End::GivenUp {
                    self.too_large.push(others.clone());
                }
                Err(match end {
                    End::Refused(why) => Nothing::Refused(why),
                    End::GivenUp => Nothing::GivenUp,
                    End::Budget | End::Bounds => Nothing::Memory(error),
                })
            }
        }
    }

    /// A value above the largest known to fit that no compile serves yet and that may fit, or why there is none.
    fn open(&self, others: &Bindings, value: Option<i64>, refused: &Refusals) -> Result<i64, End> {
        let Bounds { lower, upper } = self.memory.scope.get(self.budget.free);
        let most = upper.unwrap_or(i64::MAX);
        let Some(from) = value.map_or(Some(lower), |value| value.checked_add(1)).filter(|&from| from <= most)
        else {
            return Err(End::Bounds);
        };
        let barrier = refused.range(from..).next();
        let last = barrier.map_or(most, |(&at, _)| at - 1);
        if let Some((_, (end, _))) = barrier.filter(|_| last < from) {
            return Err(end.clone());
        }
        let free = |at: &i64| (from..=last).contains(at) && !self.covers(others, *at);
        let mut guesses = self.guesses(others, &[value, Some(from)]);
        // A guess that is known by now is above the budget: what is needed there says where to look below.
        let known: Vec<Option<i64>> = guesses.iter().map(|&guess| Some(guess)).collect();
        guesses.extend(self.guesses(others, &known));
        guesses.sort_unstable();
        if let Some(&at) = guesses.iter().find(|at| free(at)) {
            return Ok(at);
        }
        if self.covers(others, from) {
            return Err(End::Budget);
        }
        let nothing_below =
            |less: &Bindings| less.iter().all(|(name, least)| others.get(name) >= Some(least));
        if value.is_none() && self.too_large.iter().any(nothing_below) {
            return Err(End::Budget);
        }
        // Below a value that cannot run, the one before if it may, else half of what there is.
        let below = barrier.map(|(_, (_, exact))| if *exact { last } else { from + (last - from) / 2 });
        Ok(below.filter(free).unwrap_or(from))
    }

    /// The least value from which on a tensor is too large, as far as its bytes grow with the symbol.
    fn first_above(&self, others: &Bindings, (bytes, most): &(Expr, u64), from: i64, at: i64) -> Option<i64> {
        let above = |value: i64| {
            let bytes = bytes.eval(&self.point(others, value)).ok()?;
            Some(u64::try_from(bytes).is_ok_and(|bytes| bytes > *most))
        };
        let (mut low, mut high) = (from.max(self.memory.scope.get(self.budget.free).lower), at);
        if above(low)? {
            return Some(low);
        }
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            *if above(middle)? { &mut high } else { &mut low } = middle;
        }
        Some(high)
    }

    /// Where the terms that hold at these values, or those of the first compile, would meet the budget.
    fn guesses(&self, others: &Bindings, at: &[Option<i64>]) -> Vec<i64> {
        let mut guesses: Vec<i64> = at
            .iter()
            .flatten()
            .filter_map(|&at| self.meets(self.memory.part(&self.point(others, at)), others))
            .chain(self.meets(self.memory.first_parts(), others))
            .collect();
        guesses.dedup();
        guesses
    }

    fn meets(&self, part: Option<MemoryFunction>, others: &Bindings) -> Option<i64> {
        part?.solve(self.budget.bytes, self.budget.free, others).ok().map(|solution| solution.value)
    }

    fn point(&self, others: &Bindings, value: i64) -> Bindings {
        others.clone().with(self.budget.free, value)
    }

    /// Whether it is known what a shape needs, be it that no number holds it.
    fn covers(&self, others: &Bindings, value: i64) -> bool {
        !matches!(self.memory.binding(&self.point(others, value)), Err(MemoryError::NoFunction(_)))
    }

    /// Compiles for a shape.
    fn ask(&mut self, point: &Bindings) -> Result<Asked, CompileError> {
        if self.left.compiles == 0 || self.left.asked == 0 {
            return Ok(Asked::GivenUp);
        }
        self.left.asked -= 1;
        match self.family.cover(self.budget.free, point) {
            Ok(covered) => {
                if covered {
                    self.left.compiles -= 1;
                    self.memory = self.family.memory_of_served()?;
                }
                let known = self.memory.binding(point).is_ok();
                let end = || End::Refused(format!("the model does not take {point}"));
                Ok(if covered && known {
                    Asked::Covered
                } else {
                    Asked::Refused(Refusal { end: end(), tensor: None })
                })
            }
            Err(CompileError::Unsupported(nodes)) => {
                let tensor = nodes.iter().find_map(|node| node.bytes.clone());
                let budget = tensor.as_ref().is_some_and(|(_, most)| *most == self.budget.bytes);
                let end = if budget {
                    End::Budget
                } else {
                    let why =
                        |node: &Refused| format!("{}: {}", bayplan_text::escape(&node.node), node.reason);
                    End::Refused(nodes.first().map_or_else(String::new, why))
                };
                Ok(Asked::Refused(Refusal { end, tensor }))
            }
            Err(CompileError::Plan(reason)) => {
                Ok(Asked::Refused(Refusal { end: End::Refused(reason), tensor: None }))
            }
            Err(error) => Err(error),
        }
    }
}
