//! What fits a budget, as a table.

use super::solve::{Solution, SolveError};
use super::{MemoryError, MemoryFunction};
use crate::bindings::Bindings;
use crate::scope::Bounds;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

/// The most rows that are solved for a table.
const MAX_ROWS: usize = 4096;

/// What fits for some values of the symbols: the largest value of one of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The values of all symbols, that of the symbol which was solved for included.
    pub point: Bindings,
    /// What was found.
    pub solution: Solution,
}

/// Values of a symbol to make rows of: the least one that is not zero, its doubles within the bounds, and their end. Zero
/// only where the bounds leave nothing else.
pub fn steps(bounds: Bounds) -> Vec<i64> {
    let high = bounds.upper.unwrap_or(i64::MAX).max(bounds.lower);
    let least = bounds.lower.max(1).min(high);
    let mut values: Vec<i64> = core::iter::successors(Some(least), |value| value.checked_mul(2))
        .take_while(|value| *value < high)
        .collect();
    if bounds.upper.is_some() {
        values.push(high);
    }
    values
}

impl MemoryFunction {
    /// The rows of what fits a budget: for each combination of the values in `axes` the largest value of `free`, the
    /// first axis changing last. Rows that do not fit are left out, as is each row that another one is nowhere below.
    /// An axis ends where nothing with its larger values would be in the table.
    ///
    /// # Errors
    /// A symbol without a value, or one that has no bound where every value fits; [`SolveError::Nothing`] if no row fits.
    pub fn table(
        &self,
        budget: u64,
        free: &str,
        axes: &[(String, Vec<i64>)],
        pinned: &Bindings,
    ) -> Result<Vec<Row>, SolveError> {
        let mut rows: Vec<Row> = Vec::new();
        let mut refused = None;
        for others in combinations(axes) {
            let mut point = pinned.clone();
            point.extend(others.iter());
            match self.solve(budget, free, &point) {
                Ok(solution) => {
                    let point = point.with(free, solution.value);
                    rows.push(Row { point, solution });
                }
                // Larger values may overflow, or have no number of bytes, where smaller ones fit.
                Err(
                    error @ (SolveError::Nothing { .. }
                    | SolveError::Memory(MemoryError::Range(_) | MemoryError::NoFunction(_))),
                ) => {
                    refused.get_or_insert(error);
                }
                Err(error) => return Err(error),
            }
        }
        let rows = maximal(rows, |row| &row.point);
        match refused {
            Some(error) if rows.is_empty() => Err(error),
            _ => Ok(rows),
        }
    }
}

/// Every combination of the values of the axes, the first axis changing last; at most as many as a table has rows. None
/// where an axis has no value.
pub fn combinations(axes: &[(String, Vec<i64>)]) -> Vec<Bindings> {
    let (mut all, mut at) = (Vec::new(), vec![0; axes.len()]);
    for _ in 0..MAX_ROWS {
        let values =
            axes.iter().zip(&at).map(|((name, values), &at)| Some((name.as_str(), *values.get(at)?)));
        let Some(point) = values.collect::<Option<Bindings>>() else { break };
        all.push(point);
        let Some(next) = (0..at.len()).rev().find(|&axis| at[axis] + 1 < axes[axis].1.len()) else { break };
        at[next] += 1;
        at[next + 1..].fill(0);
    }
    all
}

/// What lies at points that no other one is nowhere below; of equal points the first.
pub fn maximal<T>(rows: Vec<T>, point: impl Fn(&T) -> &Bindings) -> Vec<T> {
    let covers = |a: &T, b: &T| point(a).iter().zip(point(b).iter()).all(|((_, x), (_, y))| x >= y);
    let mut kept: Vec<T> = Vec::new();
    for row in rows {
        if kept.iter().any(|other| covers(other, &row)) {
            continue;
        }
        kept.retain(|other| !covers(&row, other));
        kept.push(row);
    }
    kept
}
