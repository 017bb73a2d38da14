//! What has been asked of an arena, and what is known of the answers.

use std::collections::BTreeMap;

use bayplan_trace::PlanRecord;

use super::{Answer, Because, Edit, Proof};
use crate::model::Model;
use crate::model::lists::ListKind;

/// Answers that are kept.
const KEPT: usize = 4096;
/// Tensors that are listed at first; those without which the bound sinks most.
const SHOWN: usize = 6;
/// Tensors that are listed at most: of more, the rest hardly matter.
const LISTED: usize = 1000;

/// An answer without its places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Brief {
    pub(crate) arena: (u64, u64),
    pub(crate) bound: (u64, u64),
    pub(crate) proof: Proof,
    pub(crate) notes: Vec<String>,
}

/// A row of the window.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Row {
    /// What stands in the rows below: tensors, or questions.
    Head(Part),
    /// A tensor that the bound rests on, by its place among the reasons.
    Reason(usize),
    /// So many more of them are not listed.
    More(usize),
    /// A question about the plan: the edit that it adds; none for the plan as it is, placed anew.
    Question(Option<Edit>),
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
    /// Whether the changed plan lies over the map, or is to when it is known.
    pub(crate) shown: bool,
    /// Whether all tensors are listed.
    pub(crate) all: bool,
    /// Whether what is offered is answered before it is asked.
    pub(crate) foreseen: bool,
    /// Whether the viewer chose a row of the window; until then it stands on the first choice, whatever comes.
    pub(crate) chose: bool,
    because: Option<Result<Because, String>>,
    answers: BTreeMap<Vec<Edit>, Result<Brief, String>>,
}

impl From<&Answer> for Brief {
    fn from(answer: &Answer) -> Self {
        let Answer { arena, bound, proof, ref notes, .. } = *answer;
        Self { arena, bound, proof, notes: notes.clone() }
    }
}

impl Asked {
    /// Nothing asked yet of an arena.
    pub(crate) fn of(over: (u32, u32)) -> Self {
        Self { over: Some(over), ..Self::default() }
    }

    /// Why the arena is not smaller, once that is known.
    pub(crate) fn because(&self) -> Option<&Result<Because, String>> {
        self.because.as_ref()
    }

    /// Takes the answer to why the arena is not smaller.
    pub(crate) fn know(&mut self, because: Result<Because, String>) {
        if self.tensor.is_none() {
            let reasons = because.as_ref().map_or(&[][..], |because| &because.reasons);
            self.tensor = reasons.first().map(|reason| reason.buffer);
        }
        self.because = Some(because);
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

    /// The edits with one more: a tensor lies in one place only, a symbol has one value.
    pub(crate) fn with(&self, edit: Option<&Edit>) -> Vec<Edit> {
        let replaces = |old: &Edit| match (old, edit) {
            (Edit::Dim(a, _), Some(Edit::Dim(b, _))) => a == b,
            (Edit::At(a, _), Some(Edit::At(b, _)))
            | (Edit::Drop(a), Some(Edit::Halve(b)))
            | (Edit::Halve(a), Some(Edit::Drop(b))) => a == b,
            (old, Some(new)) => old == new,
            _ => false,
        };
        self.edits.iter().filter(|old| !replaces(old)).chain(edit).cloned().collect()
    }

    /// What the window lists.
    pub(crate) fn rows(&self, record: &PlanRecord, cursor: u64) -> Vec<Row> {
        let count = match &self.because {
            Some(Ok(because)) => because.reasons.len(),
            _ => 0,
        };
        let listed = if self.all { count.min(LISTED) } else { SHOWN };
        let listed = if count <= SHOWN + 1 { count } else { listed };
        let mut rows: Vec<Row> = (count > 0).then_some(Row::Head(Part::Reasons)).into_iter().collect();
        rows.extend((0..listed).map(Row::Reason));
        rows.extend((listed < count).then_some(Row::More(count - listed)));
        rows.push(Row::Head(Part::Questions));
        let mut questions: Vec<Option<Edit>> =
            self.questions(record, cursor).into_iter().map(Some).chain([None]).collect();
        // What makes the arena smallest comes first; what is not known yet, last.
        questions.sort_by_cached_key(|edit| match self.answer(&self.with(edit.as_ref())) {
            Some(Ok(brief)) => brief.arena.1,
            _ => u64::MAX,
        });
        rows.extend(questions.into_iter().map(Row::Question));
        rows.extend((!record.dims.is_empty()).then_some(Row::Dims));
        rows
    }

    /// The edits that are offered.
    fn questions(&self, record: &PlanRecord, cursor: u64) -> Vec<Edit> {
        let mut edits = Vec::new();
        if let Some(tensor) = self.tensor {
            let at = Edit::At(tensor, elsewhere(record, tensor, cursor));
            edits.extend([Edit::Drop(tensor), Edit::Halve(tensor), Edit::Late(tensor), at]);
        }
        edits.push(Edit::Order);
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
        edits
    }
}

impl Model {
    /// Whether what was asked last was asked of the arena that is looked at.
    pub(crate) fn is_asked_of_arena(&self) -> bool {
        self.asked.over.is_some() && self.asked.over == self.wanted_map()
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
            // Where not all of it is seen, the choices are.
            list.top = at.saturating_sub(1).min(rows.len().saturating_sub(list.page.max(1)));
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
        self.asked.rows(&arena.plan.record, arena.view.bytes.cursor)
    }
}

/// Symbols that questions are offered of.
const MOST_DIMS: usize = 8;

/// Where a tensor might lie instead: at the cursor, or where that is on it, at the bottom, or at the top if it lies there.
fn elsewhere(record: &PlanRecord, tensor: u32, cursor: u64) -> u64 {
    let Some(buffer) = record.buffers.get(tensor as usize) else { return 0 };
    let aligned = |at: u64| at - at % buffer.alignment.max(1);
    let size = record.arenas.get(buffer.arena as usize).map_or(0, |arena| arena.size);
    if !(buffer.offset..buffer.end()).contains(&cursor) {
        aligned(cursor)
    } else if buffer.offset > 0 {
        0
    } else {
        aligned(size.saturating_sub(buffer.size))
    }
}

/// Edits in an order of their own: which came first does not matter.
fn key(edits: &[Edit]) -> Vec<Edit> {
    let mut key = edits.to_vec();
    key.sort_unstable();
    key.dedup();
    key
}
