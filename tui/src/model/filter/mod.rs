//! Search: which tensors are kept, and what was typed that says so.

mod eval;
mod parse;
mod terms;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bayplan_trace::{OpRecord, PlanState};

use super::beside::FEW;
use super::index::PlanIndex;
use super::order::in_order;
use super::task::Task;
use parse::Expr;

pub(crate) use parse::FilterError;
pub(crate) use terms::{HINTS, complete, hints};

/// A plan and what is known of it beforehand: what a search looks at.
pub(crate) type Searched<'a> = Option<(&'a PlanState, &'a Arc<PlanIndex>)>;

/// A search, and the buffers it keeps.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    text: String,
    expr: Option<Expr>,
    error: Option<FilterError>,
    /// What is kept. While a search goes on beside drawing, that of the one before; nothing where there was none.
    found: Option<Arc<Found>>,
    /// The search that goes on.
    coming: Option<u64>,
    /// The same, until somebody takes it on.
    search: Option<Search>,
    version: u64,
    /// The windows that were there when it was searched last.
    windows: Windows,
    /// Whether somebody searches plans of many tensors beside drawing.
    is_beside: bool,
}

/// What a search keeps of a plan.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// The buffers, arena by arena and there by birth.
    kept: Vec<u32>,
    /// Whether it keeps each buffer.
    is_kept: Vec<bool>,
    /// For each arena, the place of its first one among those kept, and one place more.
    arenas: Vec<usize>,
}

impl Found {
    /// Searches a plan; `None` where nobody waits for it any more.
    fn of(expr: &Expr, plan: &PlanState, index: &PlanIndex, task: &Task) -> Option<Self> {
        let buffers = &plan.record.buffers;
        let all = buffers.len() as u64;
        task.begin(all * eval::terms(expr) + 2 * all);
        let is_kept = eval::kept(expr, plan, index, task)?;
        // What is not kept need not be put in order.
        task.pass(2 * is_kept.iter().filter(|is_kept| !**is_kept).count())?;
        let numbers = (0..buffers.len() as u32).filter(|at| is_kept[*at as usize]);
        let key = |at: u32| (buffers[at as usize].arena, buffers[at as usize].first);
        let kept = in_order(numbers, key, false, task)?;
        let before = |arena: usize| kept.partition_point(|at| (buffers[*at as usize].arena as usize) < arena);
        let arenas = (0..=plan.record.arenas.len()).map(before).collect();
        Some(Self { kept, is_kept, arenas })
    }

    /// The buffers, arena by arena and there by birth.
    pub(crate) fn kept(&self) -> &[u32] {
        &self.kept
    }

    /// The places of an arena among those kept.
    fn of_arena(&self, arena: usize) -> std::ops::Range<usize> {
        match self.arenas.get(arena..=arena.saturating_add(1)) {
            Some(&[first, last]) => first..last,
            _ => 0..0,
        }
    }
}

/// A search for somebody else than who asks for it.
#[derive(Clone, Debug)]
pub(crate) struct Search {
    /// Its number.
    pub(crate) ticket: u64,
    expr: Expr,
    plan: PlanState,
    index: Arc<PlanIndex>,
}

impl Search {
    /// What it keeps; `None` where nobody waits for it any more.
    pub(crate) fn run(&self, task: &Task) -> Option<Found> {
        Found::of(&self.expr, &self.plan, &self.index, task)
    }

    /// How many tensors are searched.
    pub(crate) fn tensors(&self) -> usize {
        self.plan.record.buffers.len()
    }
}

/// Which windows there are, as numbers that differ where they may.
type Windows = (Option<u32>, usize);

fn windows_of(searched: Searched<'_>) -> Windows {
    searched.map_or((None, 0), |(plan, _)| (plan.recording, plan.windows.len()))
}

impl Filter {
    /// Leaves searches of plans of many tensors to whoever takes them: [`Filter::take_search`].
    pub(super) fn search_beside(&mut self) {
        self.is_beside = true;
    }

    /// Searches a plan. Blank text keeps everything; text that is not understood leaves what is kept as it is, and the error
    /// says why.
    pub(crate) fn set(&mut self, text: &str, searched: Searched<'_>) {
        text.trim().clone_into(&mut self.text);
        match parse::parse(text) {
            Ok(expr) => {
                self.error = None;
                if self.expr != expr {
                    self.expr = expr;
                    self.search(searched);
                }
            }
            Err(error) => self.error = Some(error),
        }
    }

    /// Searches another plan, or one that has changed.
    pub(crate) fn changed(&mut self, searched: Searched<'_>) {
        // What was kept were tensors of the former one.
        self.found = None;
        self.version += 1;
        self.search(searched);
    }

    /// Searches again if windows have come and the search asks for what they show.
    pub(crate) fn see(&mut self, searched: Searched<'_>) {
        let asks = self.expr.as_ref().is_some_and(eval::asks_for_windows);
        if asks && self.windows != windows_of(searched) {
            self.search(searched);
        }
    }

    fn search(&mut self, searched: Searched<'_>) {
        self.windows = windows_of(searched);
        (self.coming, self.search) = (None, None);
        let found = match (self.expr.clone(), searched) {
            (None, _) => None,
            (Some(_), None) => Some(Found::default()),
            (Some(expr), Some((plan, index))) => {
                if self.is_beside && plan.record.buffers.len() > FEW {
                    let (plan, index) = (plan.clone(), Arc::clone(index));
                    let ticket = Task::ticket();
                    (self.coming, self.search) = (Some(ticket), Some(Search { ticket, expr, plan, index }));
                    return;
                }
                Found::of(&expr, plan, index, &Task::default())
            }
        };
        self.found = found.map(Arc::new);
        self.version += 1;
    }

    /// The search that somebody is to take on, if there is one that nobody has.
    pub(super) fn take_search(&mut self) -> Option<Search> {
        self.search.take()
    }

    /// The number of the search that goes on, if one does.
    pub(crate) fn coming(&self) -> Option<u64> {
        self.coming
    }

    /// Takes over what a search has found; returns whether it was waited for.
    pub(super) fn take_found(&mut self, ticket: u64, found: Found) -> bool {
        let awaited = self.coming.take_if(|coming| *coming == ticket).is_some();
        if awaited {
            self.found = Some(Arc::new(found));
            self.version += 1;
        }
        awaited
    }

    /// What is kept, if not everything is.
    pub(crate) fn found(&self) -> Option<&Arc<Found>> {
        self.found.as_ref()
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

    /// Whether something is left out, since something is searched for.
    pub(crate) fn is_on(&self) -> bool {
        self.found.is_some()
    }

    /// Whether anything is searched for; what it keeps may not be known yet.
    pub(crate) fn is_asked(&self) -> bool {
        self.expr.is_some()
    }

    /// Whether the search keeps a buffer.
    pub(crate) fn keeps(&self, number: u32) -> bool {
        let keeps = |found: &Arc<Found>| found.is_kept.get(number as usize).copied().unwrap_or(false);
        self.found.as_ref().is_none_or(keeps)
    }

    /// Whether the search keeps something that is told in words: words are looked for in those; what is asked of tensors must
    /// hold for the one that is told of, if one is.
    pub(crate) fn keeps_told(&self, words: &str, buffers: &[u32]) -> bool {
        let Some(expr) = self.expr.as_ref().filter(|_| self.is_on()) else { return true };
        buffers.iter().any(|buffer| self.keeps(*buffer)) || eval::says(expr, words) == Some(true)
    }

    /// Whether the search keeps an op: what is asked of ops must hold for this one; what is asked of tensors, for one that it
    /// reads or writes.
    pub(crate) fn keeps_op(&self, number: u32, op: &OpRecord) -> bool {
        let Some(expr) = self.expr.as_ref().filter(|_| self.is_on()) else { return true };
        let touches = || op.reads.iter().chain(&op.writes).any(|buffer| self.keeps(*buffer));
        eval::holds_for_op(expr, number, op).unwrap_or_else(touches)
    }

    /// The buffers that the search keeps.
    fn kept(&self) -> &[u32] {
        self.found.as_ref().map_or(&[], |found| &found.kept)
    }

    /// How many buffers the search keeps.
    pub(crate) fn count(&self) -> usize {
        self.kept().len()
    }

    /// Whether the search keeps buffers of another arena than this one.
    pub(crate) fn keeps_elsewhere(&self, arena: Option<usize>) -> bool {
        let own = self.found.as_ref().zip(arena).map_or(0, |(found, arena)| found.of_arena(arena).len());
        self.count() > own
    }

    /// The buffer after (or before) `here` among those kept, arena by arena and there by birth, round and round; the first (or
    /// the last) of the arena where none is kept here, if one is kept there.
    pub(crate) fn neighbour(&self, here: Option<u32>, forward: bool, arena: Option<usize>) -> Option<u32> {
        let count = self.count();
        let at = here.and_then(|here| self.position(here));
        let own = self.found.as_ref().zip(arena).map(|(found, arena)| found.of_arena(arena));
        let own = own.filter(|own| !own.is_empty());
        let next = match (at, forward) {
            (Some(at), true) => (at + 1) % count,
            (Some(at), false) => (at + count - 1) % count,
            (None, true) => own.map_or(0, |own| own.start),
            (None, false) => own.map_or(count, |own| own.end).checked_sub(1)?,
        };
        self.kept().get(next).copied()
    }

    /// The place of a buffer among those kept, if it is one of them.
    pub(crate) fn position(&self, number: u32) -> Option<usize> {
        self.kept().iter().position(|kept| *kept == number)
    }
}
