//! Search: which tensors are kept, and what was typed that says so.

mod eval;
mod parse;
mod terms;
#[cfg(test)]
mod tests;

use bayplan_trace::PlanState;

use super::index::PlanIndex;
use parse::Expr;

pub(crate) use parse::FilterError;
pub(crate) use terms::{HINTS, complete, hints};

/// A plan and what is known of it beforehand: what a search looks at.
pub(crate) type Searched<'a> = Option<(&'a PlanState, &'a PlanIndex)>;

/// A search, and the buffers it keeps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    text: String,
    expr: Option<Expr>,
    error: Option<FilterError>,
    kept: Vec<u32>,
    is_kept: Vec<bool>,
    version: u64,
    /// The windows that were there when it was searched last.
    windows: Windows,
}

/// Which windows there are, as numbers that differ where they may.
type Windows = (Option<u32>, usize);

fn windows_of(searched: Searched<'_>) -> Windows {
    searched.map_or((None, 0), |(plan, _)| (plan.recording, plan.windows.len()))
}

impl Filter {
    /// Searches a plan. Blank text keeps everything; text that is not understood leaves what is kept as it is, and the error
    /// says why.
    pub(crate) fn set(&mut self, text: &str, searched: Searched<'_>) {
        text.trim().clone_into(&mut self.text);
        match parse::parse(text) {
            Ok(expr) => {
                self.error = None;
                if self.expr != expr {
                    self.expr = expr;
                    self.changed(searched);
                }
            }
            Err(error) => self.error = Some(error),
        }
    }

    /// Searches again, in a plan that has changed.
    pub(crate) fn changed(&mut self, searched: Searched<'_>) {
        self.version += 1;
        self.windows = windows_of(searched);
        (self.kept, self.is_kept) = (Vec::new(), Vec::new());
        let (Some(expr), Some((plan, index))) = (&self.expr, searched) else { return };
        self.is_kept = eval::kept(expr, plan, index);
        let buffers = &plan.record.buffers;
        self.kept = (0..buffers.len() as u32).filter(|at| self.is_kept[*at as usize]).collect();
        self.kept.sort_by_key(|at| {
            let buffer = &buffers[*at as usize];
            (buffer.arena, buffer.first, *at)
        });
    }

    /// Searches again if windows have come and the search asks for what they show.
    pub(crate) fn see(&mut self, searched: Searched<'_>) {
        let asks = self.expr.as_ref().is_some_and(eval::asks_for_windows);
        if asks && self.windows != windows_of(searched) {
            self.changed(searched);
        }
    }

    /// What was typed.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Why what was typed is not understood.
    pub(crate) fn error(&self) -> Option<&FilterError> {
        self.error.as_ref()
    }

    /// Another number whenever it may keep something else.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// Whether anything is searched for.
    pub(crate) fn is_on(&self) -> bool {
        self.expr.is_some()
    }

    /// Whether the search keeps a buffer.
    pub(crate) fn keeps(&self, number: u32) -> bool {
        !self.is_on() || self.is_kept.get(number as usize).copied().unwrap_or(false)
    }

    /// Whether the search keeps something that is told in words: words are looked for in those; what is asked of tensors must
    /// hold for the one that is told of, if one is.
    pub(crate) fn keeps_told(&self, words: &str, buffers: &[u32]) -> bool {
        let Some(expr) = &self.expr else { return true };
        buffers.iter().any(|buffer| self.keeps(*buffer)) || eval::says(expr, words) == Some(true)
    }

    /// How many buffers the search keeps.
    pub(crate) fn count(&self) -> usize {
        self.kept.len()
    }

    /// The buffer after (or before) `here` among those kept, arena by arena and there by birth, round and round; the first (or
    /// the last) of the arena where none is kept here, if one is kept there.
    pub(crate) fn neighbour(
        &self,
        here: Option<u32>,
        forward: bool,
        in_arena: impl Fn(u32) -> bool,
    ) -> Option<u32> {
        let count = self.kept.len();
        let at = here.and_then(|here| self.position(here));
        let own = |at: &usize| in_arena(self.kept[*at]);
        let next = match (at, forward) {
            (Some(at), true) => (at + 1) % count,
            (Some(at), false) => (at + count - 1) % count,
            (None, true) => (0..count).find(own).unwrap_or(0),
            (None, false) => (0..count).rev().find(own).or(count.checked_sub(1))?,
        };
        self.kept.get(next).copied()
    }

    /// The place of a buffer among those kept, if it is one of them.
    pub(crate) fn position(&self, number: u32) -> Option<usize> {
        self.kept.iter().position(|kept| *kept == number)
    }
}
