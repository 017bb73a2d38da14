//! What differs, in words: the same in reports and on the screen.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use bayplan_text::{Percent, Rate};

use super::{OpDiff, PlanDiff, TensorCounts, TensorDiff};
use crate::schema::roofs::Roofs;

/// The share of its own time that an op's must differ by, at least.
const OF_OP: f64 = 0.1;
/// The share of all ops' time that an op's must differ by.
const OF_ALL: f64 = 0.01;

impl TensorDiff {
    /// What happened to it, a word for each: `resized, moved`.
    pub fn what(&self) -> String {
        let words = [
            (self.is_added(), "added"),
            (self.is_removed(), "removed"),
            (self.renamed, "renamed"),
            (self.resized, "resized"),
            (self.moved, "moved"),
            (self.relived, "other life"),
        ];
        words.iter().filter(|(there, _)| *there).map(|(_, word)| *word).collect::<Vec<_>>().join(", ")
    }
}

impl TensorCounts {
    /// How many there are of each, with a word.
    pub fn named(&self) -> [(usize, &'static str); 7] {
        [
            (self.added, "added"),
            (self.removed, "removed"),
            (self.renamed, "renamed"),
            (self.resized, "resized"),
            (self.moved, "moved"),
            (self.relived, "with another life"),
            (self.unchanged, "the same"),
        ]
    }
}

/// What the device does at best in two sessions, where that differs: the times of their ops are then of other circumstances.
pub fn roofs_change(a: Option<&Roofs>, b: Option<&Roofs>) -> Option<String> {
    let (a, b) = (a?, b?);
    let figures = [
        ("memory", "B", a.bytes_per_second, b.bytes_per_second),
        ("arithmetic", "flop", a.flops_per_second, b.flops_per_second),
    ];
    let other = figures.into_iter().filter(|(_, _, a, b)| a != b);
    let words = other.map(|(word, unit, a, b)| format!("{word} {} → {}", Rate(a, unit), Rate(b, unit)));
    Some(words.collect::<Vec<_>>().join(", ")).filter(|words| !words.is_empty())
}

impl OpDiff {
    /// What happened to it beside its time; nothing where it is the same op.
    pub fn what(&self) -> &'static str {
        match self {
            _ if self.is_added() => "added",
            _ if self.is_removed() => "removed",
            _ if self.other_kernel => "other kernel",
            _ => "",
        }
    }

    /// Whether it is the same op in both, and its times differ by no more than from run to run.
    pub fn is_noise(&self, plan: &PlanDiff) -> bool {
        let all = plan.op_time.0.max(plan.op_time.1).unwrap_or(0) as f64;
        let own = self.mean.0.max(self.mean.1).unwrap_or(0) as f64;
        let growth = self.growth().map_or(0.0, |growth| growth.unsigned_abs() as f64);
        self.what().is_empty() && !(growth > plan.noise() * own && growth > OF_ALL * all)
    }
}

impl PlanDiff {
    /// The share of an op's time that it must differ by to be told: the spread of the runs of both, but at least a tenth.
    pub fn noise(&self) -> f64 {
        self.spread.max(OF_OP)
    }

    /// What an op's time must differ by to be told: `10.0 % of its own time and 1.0 % of the time of all ops`.
    pub fn noise_words(&self) -> String {
        format!("{} of its own time and {} of the time of all ops", Percent(self.noise()), Percent(OF_ALL))
    }

    /// How many ops became slower, and how many faster, by more than noise.
    pub fn slower_and_faster(&self) -> (usize, usize) {
        let told = self.ops.iter().filter(|op| !op.is_noise(self)).filter_map(OpDiff::growth);
        told.fold((0, 0), |(slower, faster), growth| match growth {
            1.. => (slower + 1, faster),
            0 => (slower, faster),
            _ => (slower, faster + 1),
        })
    }
}
