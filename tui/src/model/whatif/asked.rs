//! What has been asked of an arena, and what is known of the answers.

use std::collections::{BTreeMap, VecDeque};

use bayplan_plan::explain::Regret;
use bayplan_trace::{BufferKind, PlanRecord};

use super::{Answer, Because, Edit, Proof, Reason};
use crate::model::lists::ListKind;
use crate::model::{Model, explain};

/// Answers that are kept, and explanations.
const KEPT: usize = 4096;
const KEPT_REASONS: usize = 16;
/// Changes that can be undone as they were made.
const KEPT_CHANGES: usize = 128;
/// Tensors that are listed at first; those without which the bound sinks most.
pub(crate) const SHOWN: usize = 6;
/// Questions that are seen below them, headings and all, where the window is low.
const SEEN_BELOW: usize = 6;
/// Tensors that are listed at most: of more, the rest hardly matter.
const LISTED: usize = 1000;

/// An answer without its places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Brief {
    pub(crate) arena: (u64, u64),
    pub(crate) bound: (u64, u64),
    pub(crate) proof: Proof,
    pub(crate) notes: Vec<String>,
    /// No plan under any order is smaller, where that was looked into.
    pub(crate) least_of_orders: Option<u64>,
}

/// A row of the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    /// What stands in the rows below: tensors, or questions.
    Head(Part),
    /// A tensor that the bound rests on, by its place among the reasons.
    Reason(usize),
    /// So many of them are not listed.
    More(usize),
    /// A question about the plan: the edit that it adds; none for the plan as it is, placed anew.
    Question(Option<Edit>),
    /// A change that is made now, to be taken back.
    Back(Edit),
    /// Where a tensor is to begin, which is typed.
    Offset(u32),
    /// Values of the model's symbols, which are typed.
    Dims,
}

/// The parts of the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// The tensors that the bound rests on.
    Reasons,
    /// What can be changed.
    Questions,
}

/// What has been asked of one arena.
#[derive(Clone, Debug, Default)]
pub(crate) struct Asked {
    /// The plan and the arena.
    pub(crate) over: Option<(u32, u32)>,
    /// The tensor that questions are about.
    pub(crate) tensor: Option<u32>,
    /// What is changed now, in the order in which it was asked for.
    pub(crate) edits: Vec<Edit>,
    /// What was changed before each change, whole, the latest last: a change may have taken the place of an earlier one.
    earlier: VecDeque<Vec<Edit>>,
    /// Why the change that was asked for last could not be made, until what stands again is shown.
    pub(crate) refused: Option<String>,
    /// Whether the changed plan lies over the map, or is to when it is known.
    pub(crate) shown: bool,
    /// Whether all tensors are listed.
    pub(crate) all: bool,
    /// Whether what is offered is answered before it is asked.
    pub(crate) foreseen: bool,
    /// Whether the viewer chose a row of the window; until then it stands on the first choice, whatever comes.
    pub(crate) chose: bool,
    /// A free byte of the map that the viewer points at: the tensor may be moved there.
    pub(crate) place: Option<u64>,
    /// By what is changed.
    becauses: BTreeMap<Vec<Edit>, Result<Because, String>>,
    answers: BTreeMap<Vec<Edit>, Result<Brief, String>>,
}

impl From<&Answer> for Brief {
    fn from(answer: &Answer) -> Self {
        let Answer { arena, bound, proof, least_of_orders, ref notes, .. } = *answer;
        Self { arena, bound, proof, notes: notes.clone(), least_of_orders }
    }
}

impl Asked {
    /// Nothing asked yet of an arena.
    pub(crate) fn of(over: (u32, u32)) -> Self {
        Self { over: Some(over), ..Self::default() }
    }

    /// Why the arena is not smaller as it is changed now, once that is known.
    pub(crate) fn because(&self) -> Option<&Result<Because, String>> {
        self.becauses.get(&key(&self.edits))
    }

    /// Takes the answer to why the arena is not smaller after these edits.
    pub(crate) fn know(&mut self, edits: &[Edit], because: Result<Because, String>) {
        if self.tensor.is_none() {
            let reasons = because.as_ref().map_or(&[][..], |because| &because.reasons);
            self.tensor = reasons.first().map(|reason| reason.buffer);
        }
        if self.becauses.len() >= KEPT_REASONS {
            self.becauses.clear();
        }
        self.becauses.insert(key(edits), because);
    }

    /// Bytes of the arena that an answer is held against: as it is changed now, else as recorded; none where that is not known.
    pub(crate) fn before(&self, brief: &Brief) -> Option<u64> {
        match self.answer(&self.edits) {
            _ if self.edits.is_empty() => Some(brief.arena.0),
            Some(Ok(now)) if now.proof != Proof::Unplaced => Some(now.arena.1),
            _ => None,
        }
    }

    /// How much smaller than now the arena is without a tensor that the bound rests on: by the plan without it, where that is
    /// known, so that no two rows say different things.
    pub(crate) fn gain(&self, because: &Because, reason: &Reason) -> Regret {
        match self.answer(&self.with(Some(&Edit::Drop(reason.buffer)))) {
            Some(Ok(Brief { arena, proof: Proof::Least, .. })) => {
                let gain = because.peak.saturating_sub(arena.1);
                Regret { at_least: gain, at_most: gain }
            }
            Some(Ok(Brief { arena, proof: Proof::Open(more), .. })) => {
                let gain = because.peak.saturating_sub(arena.1);
                Regret {
                    at_least: gain,
                    at_most: gain.saturating_add(*more).min(reason.regret.at_most).max(gain),
                }
            }
            _ => reason.regret,
        }
    }

    /// What is known of the plan after these edits.
    pub(crate) fn answer(&self, edits: &[Edit]) -> Option<&Result<Brief, String>> {
        self.answers.get(&key(edits))
    }

    /// Takes an answer.
    pub(crate) fn learn(&mut self, edits: &[Edit], answer: Result<Brief, String>) {
        if self.answers.len() >= KEPT {
            self.answers.clear();
        }
        self.answers.insert(key(edits), answer);
    }

    /// Changes the plan in this way from now on; what was changed before can be had back.
    pub(crate) fn change(&mut self, edits: Vec<Edit>) {
        if key(&edits) == key(&self.edits) {
            return;
        }
        if self.earlier.len() >= KEPT_CHANGES {
            self.earlier.pop_front();
        }
        self.earlier.push_back(std::mem::replace(&mut self.edits, edits));
    }

    /// Changes the plan as it was changed before the last change.
    pub(crate) fn undo(&mut self) {
        match self.earlier.pop_back() {
            Some(edits) => self.edits = edits,
            // Longer ago than is kept: the change goes, and what it took the place of with it.
            None => drop(self.edits.pop()),
        }
    }

    /// Changes nothing from now on.
    pub(crate) fn end(&mut self) {
        self.edits.clear();
        self.earlier.clear();
        (self.shown, self.refused) = (false, None);
    }

    /// The edits with one more: a tensor lies in one place only, a symbol has one value, and of what is gone nothing else is
    /// asked.
    pub(crate) fn with(&self, edit: Option<&Edit>) -> Vec<Edit> {
        with(&self.edits, edit)
    }

    /// The edits with several more, one after the other.
    pub(crate) fn with_all(&self, edits: &[Edit]) -> Vec<Edit> {
        edits.iter().fold(self.edits.clone(), |changed, edit| with(&changed, Some(edit)))
    }

    /// The edits that a row of the window asks for.
    pub(crate) fn asks(&self, row: &Row) -> Option<Vec<Edit>> {
        match row {
            Row::Question(edit) => Some(self.with(edit.as_ref())),
            Row::Back(edit) => Some(self.edits.iter().filter(|known| *known != edit).cloned().collect()),
            Row::Head(_) | Row::Reason(_) | Row::More(_) | Row::Offset(_) | Row::Dims => None,
        }
    }

    /// What is known of what a row of the window asks for.
    pub(crate) fn found(&self, row: &Row) -> Option<Result<Brief, String>> {
        let edits = self.asks(row)?;
        if edits.is_empty() && matches!(row, Row::Back(_)) {
            // Nothing is changed then: the plan as it was recorded, not one placed anew.
            let Some(Ok(now)) = self.answer(&self.edits) else { return None };
            let (arena, bound) = (now.arena.0, now.bound.0);
            let proof = arena.checked_sub(bound).filter(|gap| *gap > 0).map_or(Proof::Least, Proof::Open);
            let (arena, bound) = ((arena, arena), (bound, bound));
            return Some(Ok(Brief { arena, bound, proof, notes: Vec::new(), least_of_orders: None }));
        }
        self.answer(&edits).cloned()
    }

    /// What the window lists, of which so many rows are seen at once.
    pub(crate) fn rows(&self, record: &PlanRecord, page: usize) -> Vec<Row> {
        let count = match self.because() {
            Some(Ok(because)) => because.reasons.len(),
            _ => 0,
        };
        let seen = if page == 0 { SHOWN } else { page.saturating_sub(SEEN_BELOW).min(SHOWN) };
        let listed = match count {
            _ if self.all => count.min(LISTED),
            _ if seen > 0 && count <= seen + 1 => count,
            _ => seen,
        };
        let mut rows: Vec<Row> = (listed > 0).then_some(Row::Head(Part::Reasons)).into_iter().collect();
        rows.extend((0..listed).map(Row::Reason));
        rows.extend((listed < count).then_some(Row::More(count - listed)));
        rows.push(Row::Head(Part::Questions));
        let mut questions: Vec<Row> =
            self.questions(record).into_iter().map(|edit| Row::Question(Some(edit))).collect();
        questions.extend(self.edits.is_empty().then_some(Row::Question(None)));
        questions.extend(self.edits.iter().cloned().map(Row::Back));
        // What makes the arena smallest comes first; what is not known yet, last.
        questions.sort_by_cached_key(|row| match self.found(row) {
            Some(Ok(brief)) => brief.arena.1,
            _ => u64::MAX,
        });
        rows.extend(questions);
        rows.extend(self.tensor.filter(|tensor| !self.is_gone(*tensor)).map(Row::Offset));
        rows.extend((!record.dims.is_empty()).then_some(Row::Dims));
        rows
    }

    /// Whether all that the bound rests on lives throughout: an order of operators changes nothing.
    fn is_level(&self, record: &PlanRecord) -> bool {
        matches!(self.because(), Some(Ok(because)) if because.is_level(record))
    }

    fn is_gone(&self, tensor: u32) -> bool {
        self.edits.contains(&Edit::Drop(tensor))
    }

    /// The edits that are offered.
    fn questions(&self, record: &PlanRecord) -> Vec<Edit> {
        let mut edits = Vec::new();
        let level = self.is_level(record);
        if let Some(tensor) = self.tensor.filter(|tensor| !self.is_gone(*tensor)) {
            edits.extend([Edit::Drop(tensor), Edit::Halve(tensor)]);
            edits.extend((!level && is_made(record, tensor)).then_some(Edit::Late(tensor)));
            edits.extend(places(record, tensor, self.place).into_iter().map(|at| Edit::At(tensor, at)));
        }
        edits.extend((!level).then_some(Edit::Order));
        for dim in record.dims.iter().take(MOST_DIMS) {
            let asked = self.edits.iter().find_map(|edit| match edit {
                Edit::Dim(name, value) if *name == dim.name => Some(*value),
                _ => None,
            });
            let now = asked.unwrap_or(dim.value);
            edits.push(Edit::Dim(dim.name.clone(), now.saturating_mul(2)));
            if now > 1 {
                edits.push(Edit::Dim(dim.name.clone(), now / 2));
            }
        }
        // What is changed already can only be taken back.
        edits.retain(|edit| !self.edits.contains(edit));
        edits
    }
}

impl Model {
    /// Whether what was asked last was asked of the arena that is looked at.
    pub(crate) fn is_asked_of_arena(&self) -> bool {
        self.asked.over.is_some() && self.asked.over == self.wanted_map()
    }

    /// Whether a what-if has changed the plan that is looked at: what views show of it is as recorded.
    pub(crate) fn is_plan_changed(&self) -> bool {
        !self.asked.edits.is_empty() && self.is_asked_of_arena()
    }

    /// What is asked from now on is asked of the arena that is looked at.
    pub(crate) fn ask_of_arena(&mut self) {
        if let Some(over) = self.wanted_map().filter(|_| !self.is_asked_of_arena()) {
            self.asked = Asked::of(over);
            self.set_ghost(None);
        }
    }

    /// The row of the window that the cursor is on.
    pub(crate) fn asked_row(&self) -> Option<Row> {
        self.asked_rows().into_iter().nth(self.lists.get(ListKind::Questions).at)
    }

    /// Puts the cursor of the window on a row, wherever that stands now; on the first choice where it is gone or none was
    /// chosen.
    pub(crate) fn stand_on(&mut self, row: Option<&Row>) {
        let rows = self.asked_rows();
        let own = row.filter(|_| self.asked.chose).and_then(|row| rows.iter().position(|known| known == row));
        let first = rows.iter().position(|row| matches!(row, Row::Question(_)));
        self.refresh_list(ListKind::Questions);
        let Some(at) = own.or(first) else { return };
        let list = self.lists.get_mut(ListKind::Questions);
        list.go(at);
        if own.is_none() {
            // From the top on, where the choices are seen then; else with them.
            let below = at.saturating_sub(1).min(rows.len().saturating_sub(list.page.max(1)));
            list.top = if at < list.page { 0 } else { below };
        }
    }

    /// Takes the cursor of the window off a heading, onwards or back; at an end, to the row beside it.
    pub(crate) fn skip_heading(&mut self, forward: bool) {
        let rows = self.asked_rows();
        let list = self.lists.get_mut(ListKind::Questions);
        let is_heading = |at: &usize| matches!(rows.get(*at), Some(Row::Head(_)));
        if !is_heading(&list.at) {
            return;
        }
        // The heading above the first row is seen with it.
        list.go(list.at);
        let (before, after) = (list.at.checked_sub(1), Some(list.at + 1).filter(|at| *at < rows.len()));
        let next = if forward { after.or(before) } else { before.or(after) };
        if let Some(next) = next {
            list.go(next);
        }
    }

    /// What the window of questions lists.
    pub(crate) fn asked_rows(&self) -> Vec<Row> {
        let Some(arena) = self.arena().filter(|_| self.is_asked_of_arena()) else { return Vec::new() };
        self.asked.rows(&arena.plan.record, self.lists.get(ListKind::Questions).page)
    }

    /// How many rows the window of questions has where all of them are seen.
    pub(crate) fn asked_rows_at_most(&self) -> usize {
        let arena = self.arena().filter(|_| self.is_asked_of_arena());
        arena.map_or(0, |arena| self.asked.rows(&arena.plan.record, usize::MAX).len())
    }

    /// Tells how many rows of the window of questions are seen: of more, fewer tensors are listed. Its cursor stays on its row.
    pub(crate) fn see_questions(&mut self, page: usize) {
        if self.lists.get(ListKind::Questions).page != page {
            let row = self.asked_row();
            self.refresh_list(ListKind::Questions);
            self.lists.get_mut(ListKind::Questions).set_page(page);
            self.stand_on(row.as_ref());
        }
    }
}

/// Symbols that questions are offered of.
const MOST_DIMS: usize = 8;

/// Whether an operator makes a tensor: only that can be made later.
fn is_made(record: &PlanRecord, tensor: u32) -> bool {
    let buffer = record.buffers.get(tensor as usize);
    buffer.is_some_and(|buffer| !explain::is_resident(buffer) && buffer.kind != BufferKind::Input)
}

/// Where a tensor might lie instead: at the bottom, at the top, and where the viewer points.
fn places(record: &PlanRecord, tensor: u32, pointed: Option<u64>) -> Vec<u64> {
    let Some(buffer) = record.buffers.get(tensor as usize) else { return Vec::new() };
    let pointed = pointed.map(|at| at - at % buffer.alignment.max(1));
    let mut places: Vec<u64> =
        [Some(0), Some(highest(record, tensor)), pointed].into_iter().flatten().collect();
    places.sort_unstable();
    places.dedup();
    places.retain(|at| *at != buffer.offset);
    places
}

/// Where a tensor begins that lies as high in its arena as it can.
pub(super) fn highest(record: &PlanRecord, tensor: u32) -> u64 {
    let Some(buffer) = record.buffers.get(tensor as usize) else { return 0 };
    let size = record.arenas.get(buffer.arena as usize).map_or(0, |arena| arena.size);
    let at = size.saturating_sub(buffer.size);
    at - at % buffer.alignment.max(1)
}

/// Edits with one more: what that takes the place of goes.
fn with(edits: &[Edit], edit: Option<&Edit>) -> Vec<Edit> {
    let replaces = |old: &Edit| match (old, edit) {
        (Edit::Dim(a, _), Some(Edit::Dim(b, _))) => a == b,
        (Edit::At(a, _), Some(Edit::At(b, _))) => a == b,
        (old, Some(new @ Edit::Drop(_))) | (old @ Edit::Drop(_), Some(new)) => {
            old.tensor().is_some() && old.tensor() == new.tensor()
        }
        (old, Some(new)) => old == new,
        _ => false,
    };
    edits.iter().filter(|old| !replaces(old)).chain(edit).cloned().collect()
}

/// Edits in an order of their own: which came first does not matter.
fn key(edits: &[Edit]) -> Vec<Edit> {
    let mut key = edits.to_vec();
    key.sort_unstable();
    key.dedup();
    key
}
