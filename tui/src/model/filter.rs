//! Search by name.

use bayplan_trace::PlanState;

/// A search, and the buffers it keeps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    text: String,
    kept: Vec<u32>,
    is_kept: Vec<bool>,
    version: u64,
}

impl Filter {
    /// Searches a plan for names that hold `text`; capital letters do not matter. Empty text keeps everything.
    pub(crate) fn set(&mut self, text: &str, plan: Option<&PlanState>) {
        self.text = text.to_lowercase();
        self.changed(plan);
    }

    /// Searches again, in a plan that has changed.
    pub(crate) fn changed(&mut self, plan: Option<&PlanState>) {
        self.version += 1;
        let buffers = plan.map_or(&[][..], |plan| &plan.record.buffers);
        let keeps = |name: &str| !self.text.is_empty() && name.to_lowercase().contains(&self.text);
        self.is_kept = buffers.iter().map(|buffer| keeps(&buffer.name)).collect();
        self.kept = (0..buffers.len() as u32).filter(|at| self.is_kept[*at as usize]).collect();
        self.kept.sort_by_key(|at| (buffers[*at as usize].first, *at));
    }

    /// What is searched for, in small letters.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Another number whenever it may keep something else.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Whether anything is searched for.
    pub(crate) fn is_on(&self) -> bool {
        !self.text.is_empty()
    }

    /// Whether the search keeps a buffer.
    pub(crate) fn keeps(&self, number: u32) -> bool {
        !self.is_on() || self.is_kept.get(number as usize).copied().unwrap_or(false)
    }

    /// How many buffers the search keeps.
    pub(crate) fn count(&self) -> usize {
        self.kept.len()
    }

    /// The buffer after (or before) `here` among those kept, by birth, round and round.
    pub(crate) fn neighbour(&self, here: Option<u32>, forward: bool) -> Option<u32> {
        let count = self.kept.len();
        let at = here.and_then(|here| self.kept.iter().position(|kept| *kept == here));
        let next = match (at, forward) {
            (Some(at), true) => (at + 1) % count,
            (Some(at), false) => (at + count - 1) % count,
            (None, true) => 0,
            (None, false) => count.checked_sub(1)?,
        };
        self.kept.get(next).copied()
    }
}
