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
        let least = if self.proof == Proof::Unplaced { "at least " } else { "" };
        match change(before, after) {
            None => format!("{least}{}, as now", Bytes(after)),
            Some(words) => format!("{least}{}, {words}", Bytes(after)),
        }
    }

    /// What is known of it: that nothing smaller is possible, or how much smaller it might be.
    pub(crate) fn proof_words(&self) -> String {
        match self.proof {
            Proof::Least => "no plan for that is smaller".to_owned(),
            Proof::Open(bytes) => format!("a better plan might save {} more at most", Bytes(bytes)),
            Proof::Unplaced => "how much more is not known".to_owned(),
        }
    }
}

/// How much smaller or larger bytes have become: `−2.00 KiB (−22.2 %)`; nothing where they have not.
pub(crate) fn change(before: u64, after: u64) -> Option<String> {
    let (sign, bytes) = difference(before, after)?;
    let share = Percent(bytes as f64 / before.max(1) as f64).to_string();
    // A share that is only known to be small has no sign.
    let sign_of_share = if share.starts_with('<') { "" } else { sign };
    Some(format!("{sign}{} ({sign_of_share}{share})", Bytes(bytes)))
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
        let (before, after) = match self.answer(&self.edits) {
            Some(Ok(brief)) => brief.arena,
            _ => (0, 0),
        };
        let least = matches!(self.answer(&self.edits), Some(Ok(brief)) if brief.proof == Proof::Unplaced);
        let least = if least { "at least " } else { "" };
        let found = match difference(before, after) {
            _ if after == 0 => String::new(),
            None if columns < NARROW => ": as recorded".to_owned(),
            None => format!(": {least}{}, as recorded", Bytes(after)),
            Some((sign, bytes)) if columns < NARROW => format!(": {sign}{}", Bytes(bytes)),
            Some((sign, bytes)) => format!(": {least}{}, {sign}{}", Bytes(after), Bytes(bytes)),
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
