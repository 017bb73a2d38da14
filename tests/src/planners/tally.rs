//! What became of many problems, by kind.

use std::fmt;

use bayplan_plan::{Plan, Status};

use super::REFERENCES;
use super::instances::KINDS;

/// Gaps are summed in billionths, so that the sum does not depend on its order.
const BILLION: f64 = 1e9;

/// Peaks of one kind of problem, as shares above the bound that counts alignment and fixed buffers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Problems.
    pub problems: u64,
    /// Planned at the bound.
    pub at_bound: u64,
    /// Above the bound, with the proof that no plan is smaller.
    pub by_search: u64,
    /// Sum of the gaps, in billionths.
    gaps: u64,
    /// The largest gap in billionths, and the seed of its problem.
    worst: (u64, u64),
    /// Sum of the gaps to what is proved, in billionths.
    open: u64,
    /// Problems that each reference answered, and the sum of its gaps.
    references: [(u64, u64); REFERENCES.len()],
    /// Problems on which the plan is smaller than that of every reference.
    won: u64,
}

impl Row {
    pub(super) fn add(&mut self, seed: u64, plan: &Plan, peaks: &[Option<u64>]) {
        let gap = |peak: u64, bound: u64| match bound {
            0 => 0,
            bound => (peak.saturating_sub(bound) as f64 / bound as f64 * BILLION) as u64,
        };
        let bound = plan.aligned_bound.bytes;
        self.problems += 1;
        self.at_bound += u64::from(plan.status == Status::Optimal);
        self.by_search += u64::from(plan.status == Status::OptimalBySearch);
        self.gaps += gap(plan.peak, bound);
        self.worst = self.worst.max((gap(plan.peak, bound), seed));
        self.open += gap(plan.peak, plan.proved_bound);
        self.won += u64::from(peaks.iter().flatten().all(|&peak| plan.peak < peak));
        for (reference, peak) in self.references.iter_mut().zip(peaks) {
            if let Some(peak) = peak {
                *reference = (reference.0 + 1, reference.1 + gap(*peak, bound));
            }
        }
    }

    fn join(&mut self, other: &Self) {
        self.problems += other.problems;
        self.at_bound += other.at_bound;
        self.by_search += other.by_search;
        self.gaps += other.gaps;
        self.worst = self.worst.max(other.worst);
        self.open += other.open;
        self.won += other.won;
        for (mine, theirs) in self.references.iter_mut().zip(&other.references) {
            *mine = (mine.0 + theirs.0, mine.1 + theirs.1);
        }
    }
}

/// A row per kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// In the order of the table of kinds.
    pub rows: Vec<Row>,
}

impl Default for Tally {
    fn default() -> Self {
        Self { rows: vec![Row::default(); KINDS.len()] }
    }
}

impl Tally {
    pub(super) fn join(&mut self, other: &Self) {
        self.rows.iter_mut().zip(&other.rows).for_each(|(mine, theirs)| mine.join(theirs));
    }

    /// The rows as one.
    pub fn sum(&self) -> Row {
        let mut sum = Row::default();
        self.rows.iter().for_each(|row| sum.join(row));
        sum
    }
}

/// A table in Markdown.
impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = REFERENCES.map(|reference| reference.name).join(" | ");
        writeln!(
            f,
            "| kind | problems | at the bound | proved best | mean gap | worst | not closed | {names} | better than all |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|---|{}---|", "---|".repeat(REFERENCES.len()))?;
        for (&(name, _), row) in KINDS.iter().zip(&self.rows) {
            writeln!(f, "| {name} {row}")?;
        }
        writeln!(f, "| all {}", self.sum())
    }
}

/// The rest of a line behind the name of the kind.
impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |sum: u64, count: u64| sum as f64 / BILLION / count.max(1) as f64 * 100.0;
        let share = |part: u64| part as f64 / self.problems.max(1) as f64 * 100.0;
        write!(f, "| {} | {:.1} % ", self.problems, share(self.at_bound))?;
        write!(f, "| {:.1} % ", share(self.at_bound + self.by_search))?;
        write!(f, "| {:.3} % ", percent(self.gaps, self.problems))?;
        write!(f, "| {:.2} % ", percent(self.worst.0, 1))?;
        write!(f, "| {:.3} % ", percent(self.open, self.problems))?;
        for &(count, gaps) in &self.references {
            if count == 0 { write!(f, "| – ")? } else { write!(f, "| {:.2} % ", percent(gaps, count))? }
        }
        write!(f, "| {:.1} % |", share(self.won))
    }
}
