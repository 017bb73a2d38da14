//! What differs, in words: the same in reports and on the screen.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use bayplan_text::{Count, Percent, Rate};

use super::{Averaged, OpDiff, PlanDiff, TensorCounts, TensorDiff};
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

/// What the device does at best in two sessions, where that differs, and what follows for the times of their ops.
pub fn roofs_change(a: Option<&Roofs>, b: Option<&Roofs>) -> Option<String> {
    let (a, b) = (a?, b?);
    let figures = [
        ("memory", "B", a.bytes_per_second, b.bytes_per_second),
        ("arithmetic", "flop", a.flops_per_second, b.flops_per_second),
    ];
    let other = figures.into_iter().filter(|(_, _, a, b)| a != b);
    let words = other.map(|(word, unit, a, b)| format!("{word} {} → {}", Rate(a, unit), Rate(b, unit)));
    let words = Some(words.collect::<Vec<_>>().join(", ")).filter(|words| !words.is_empty())?;
    Some(format!("{words}: times of ops are not of equal circumstances"))
}

impl Averaged {
    fn words(self) -> String {
        match self {
            Self { warm: true, runs: 1, .. } => "one run behind the first".into(),
            Self { warm: true, runs, .. } => format!("the mean of {} runs, the first aside", Count(runs)),
            Self { of_first: true, .. } => "the first run alone".into(),
            Self { runs, .. } => format!("the mean of all {} runs", Count(runs)),
        }
    }
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
        self.what().is_empty() && !self.is_told(plan)
    }

    /// Whether its times differ by more than from run to run.
    fn is_told(&self, plan: &PlanDiff) -> bool {
        let all = plan.op_time.0.max(plan.op_time.1).unwrap_or(0) as f64;
        let own = self.mean.0.max(self.mean.1).unwrap_or(0) as f64;
        let growth = self.growth().map_or(0.0, |growth| growth.unsigned_abs() as f64);
        growth > plan.noise() * own && growth > OF_ALL * all
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

    /// What the mean times of ops are of: `mean of 2 and 1 runs, the first aside`.
    pub fn averaged_words(&self) -> String {
        match self.averaged {
            (Some(a @ Averaged { warm: true, .. }), Some(b @ Averaged { warm: true, .. })) => {
                format!("mean of {} and {} runs, the first aside", Count(a.runs), Count(b.runs))
            }
            (Some(a), Some(b)) if a == b => format!("{} of each", a.words()),
            (Some(a), Some(b)) => format!("{} → {}", a.words(), b.words()),
            (a, b) => a.or(b).map_or_else(String::new, Averaged::words),
        }
    }

    /// How many ops that are in both became slower, and how many faster, by more than noise.
    pub fn slower_and_faster(&self) -> (usize, usize) {
        let both = self.ops.iter().filter(|op| !op.is_added() && !op.is_removed());
        let told = both.filter(|op| op.is_told(self)).filter_map(OpDiff::growth);
        told.fold((0, 0), |(slower, faster), growth| match growth {
            1.. => (slower + 1, faster),
            0 => (slower, faster),
            _ => (slower, faster + 1),
        })
    }
}
