//! What is asked and answered, in words.

use bayplan_text::{Bytes, Percent, ellipsis, escape};
use bayplan_trace::PlanRecord;

use super::asked::highest;
use super::{Asked, Brief, Edit, Proof};
use crate::model::explain;

/// In fewer columns a change is told by its difference alone.
const NARROW: usize = 50;

impl Brief {
    /// How much smaller, or larger, the arena is: `7.00 KiB, −2.00 KiB (−22.2 %)`.
    pub(crate) fn words(&self) -> String {
        self.words_from(self.arena.0)
    }

    /// The same against an arena of so many bytes.
    pub(crate) fn words_from(&self, before: u64) -> String {
        let after = self.arena.1;
        let change = self.change(before);
        let Some((sign, bytes)) = difference(before, after) else {
            return format!("{}, {change}", self.size());
        };
        format!("{}, {change} ({})", self.size(), share(before, (sign, bytes)))
    }

    /// How large the arena is then: `7.00 KiB`, and `at least 7.00 KiB` where only its bound is known.
    pub(crate) fn size(&self) -> String {
        let least = if self.proof == Proof::Unplaced { "at least " } else { "" };
        format!("{least}{}", Bytes(self.arena.1))
    }

    /// How it differs from so many bytes: `−2.00 KiB`; where only the bound of the arena is known, as far as that tells.
    pub(crate) fn change(&self, before: u64) -> String {
        let unplaced = self.proof == Proof::Unplaced;
        match difference(before, self.arena.1) {
            None if unplaced => "no smaller than now".to_owned(),
            None => "as now".to_owned(),
            Some((sign @ "−", bytes)) if unplaced => format!("{sign}{} at most", Bytes(bytes)),
            Some((sign, bytes)) if unplaced => format!("{sign}{} or more", Bytes(bytes)),
            Some((sign, bytes)) => format!("{sign}{}", Bytes(bytes)),
        }
    }

    /// What is known of it: that nothing smaller is possible, or how much smaller it might be.
    pub(crate) fn proof_words(&self) -> String {
        match self.proof {
            Proof::Least => "no plan for that is smaller".to_owned(),
            Proof::Open(bytes) => format!("a better plan might save {} more at most", Bytes(bytes)),
            Proof::Unplaced => "how much more it needs is not known".to_owned(),
        }
    }
}

/// How much smaller or larger bytes have become: `−2.00 KiB (−22.2 %)`; nothing where they have not.
pub(crate) fn change(before: u64, after: u64) -> Option<String> {
    let (sign, bytes) = difference(before, after)?;
    Some(format!("{sign}{} ({})", Bytes(bytes), share(before, (sign, bytes))))
}

/// What share of some bytes a difference is; one that is only known to be small has no sign.
fn share(before: u64, (sign, bytes): (&str, u64)) -> String {
    let share = Percent(bytes as f64 / before.max(1) as f64).to_string();
    let sign = if share.starts_with('<') { "" } else { sign };
    format!("{sign}{share}")
}

fn difference(before: u64, after: u64) -> Option<(&'static str, u64)> {
    match before.cmp(&after) {
        std::cmp::Ordering::Equal => None,
        std::cmp::Ordering::Greater => Some(("−", before - after)),
        std::cmp::Ordering::Less => Some(("+", after - before)),
    }
}

impl Asked {
    /// What is changed now and what comes of it, in so many columns: names give way to figures.
    pub(crate) fn changed_words(&self, record: &PlanRecord, columns: usize) -> String {
        let found = match self.answer(&self.edits) {
            Some(Ok(brief)) if brief.arena.1 > 0 => {
                let (before, after) = brief.arena;
                let change = match brief.proof {
                    Proof::Unplaced if before == after => "no smaller than recorded".to_owned(),
                    _ if before == after => "as recorded".to_owned(),
                    _ => brief.change(before),
                };
                if columns < NARROW { format!(": {change}") } else { format!(": {}, {change}", brief.size()) }
            }
            _ => String::new(),
        };
        let rest = columns.saturating_sub("changed: ".len() + bayplan_text::columns(&found));
        format!("changed: {}{found}", ellipsis(&all_words(&self.edits, record), rest.max(8)))
    }
}

/// An edit as the answer to "what if": `without block/up`.
pub(crate) fn words(edit: &Edit, record: &PlanRecord) -> String {
    let name = |buffer: u32| explain::short_name(record, buffer);
    match edit {
        Edit::Drop(buffer) => format!("without {}", name(*buffer)),
        Edit::Halve(buffer) => format!("half of {}", name(*buffer)),
        Edit::Late(buffer) => format!("{} made as late as can be", name(*buffer)),
        Edit::At(buffer, offset) => {
            let place = match *offset {
                0 => "to the bottom".to_owned(),
                at if at == highest(record, *buffer) => format!("to the top, offset {}", Bytes(at)),
                at => format!("to offset {}", Bytes(at)),
            };
            format!("{} moved {place}", name(*buffer))
        }
        Edit::Order => "another order of operators".to_owned(),
        Edit::Dim(dim, value) => {
            let now = record.dims.iter().find(|known| known.name == *dim).map_or(0, |dim| dim.value);
            format!("{} {value} instead of {now}", escape(dim))
        }
    }
}

/// Several edits in words.
pub(crate) fn all_words(edits: &[Edit], record: &PlanRecord) -> String {
    if edits.is_empty() {
        return "everything placed anew".to_owned();
    }
    edits.iter().map(|edit| words(edit, record)).collect::<Vec<_>>().join(", ")
}
