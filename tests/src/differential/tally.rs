//! What a run of comparisons has seen.

use core::fmt;
use std::collections::{BTreeMap, BTreeSet};

/// Counts of everything that was compared.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Graphs that ran.
    pub graphs: u64,
    /// Graphs compared with the reference evaluation as a whole.
    pub references: u64,
    /// Dispatches compared one by one.
    pub dispatches: u64,
    /// Of those, dispatches of load programs.
    pub loads: u64,
    /// Elements compared.
    pub elements: u64,
    /// Kernels by their text's name and hash.
    pub kernels: BTreeSet<(String, u64)>,
    /// By family.
    pub families: BTreeMap<&'static str, Family>,
    /// Graphs that the compiler refused, by reason.
    pub refused: BTreeMap<String, u64>,
}

/// What was seen of one family of dispatches.
#[derive(Clone, Debug, Default)]
pub struct Family {
    /// Dispatches.
    pub dispatches: u64,
    /// Elements.
    pub elements: u64,
    /// Elements of which nothing is known (their bound is infinite).
    pub unbound: u64,
    /// The largest distance as a share of the bound.
    pub worst: f64,
    /// The kernel that it came from.
    pub worst_kernel: String,
}

impl Tally {
    /// Adds another's counts.
    pub fn add(&mut self, other: Self) {
        self.graphs += other.graphs;
        self.references += other.references;
        self.dispatches += other.dispatches;
        self.loads += other.loads;
        self.elements += other.elements;
        self.kernels.extend(other.kernels);
        for (name, one) in other.families {
            let mine = self.families.entry(name).or_default();
            mine.dispatches += one.dispatches;
            mine.elements += one.elements;
            mine.unbound += one.unbound;
            if one.worst > mine.worst {
                (mine.worst, mine.worst_kernel) = (one.worst, one.worst_kernel);
            }
        }
        for (reason, count) in other.refused {
            *self.refused.entry(reason).or_default() += count;
        }
    }

    /// Graphs that the compiler refused.
    pub fn refusals(&self) -> u64 {
        self.refused.values().sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { graphs, references, dispatches, loads, elements, kernels, .. } = self;
        writeln!(
            f,
            "{graphs} graphs ({references} against the reference as a whole), {dispatches} dispatches compared ({loads} \
             of load programs), {elements} elements, {} kernels",
            kernels.len()
        )?;
        writeln!(
            f,
            "{:12} {:>10} {:>12} {:>10}  worst error / bound",
            "family", "dispatches", "elements", "unbound"
        )?;
        for (name, family) in &self.families {
            let Family { dispatches, elements, unbound, worst, worst_kernel } = family;
            writeln!(
                f,
                "{name:12} {dispatches:>10} {elements:>12} {unbound:>10}  {worst:.3} {worst_kernel}"
            )?;
        }
        writeln!(f, "{} graphs refused", self.refusals())?;
        for (reason, count) in &self.refused {
            writeln!(f, "  {count} × {reason}")?;
        }
        Ok(())
    }
}
