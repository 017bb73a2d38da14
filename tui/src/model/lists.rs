//! Lists of a session: which rows, in which order, and where in them the viewer stands.

use super::beside::Order;

/// The lists there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum ListKind {
    /// Tensors of the arena that is looked at.
    Tensors,
    /// Tensors that live at the peak.
    Peak,
    /// Ops, or operators, of the plan that is looked at.
    Ops,
    /// What happened.
    Events,
    /// What can be asked of a plan.
    Questions,
    /// Places to come back to.
    Marks,
    /// What can be compared with.
    Choices,
    /// Tensors that differ from another plan's.
    DifferingTensors,
    /// Ops that differ from another plan's.
    DifferingOps,
    /// Tensors of which not the same bytes live at the moment that is compared with.
    DifferingLives,
}

/// How many kinds there are.
const KINDS: usize = ListKind::DifferingLives as usize + 1;

/// The column of the birth of tensors.
const BY_BIRTH: usize = 5;

/// The column of the time of events; the other one orders them by how much they matter.
pub(crate) const EVENTS_BY_TIME: usize = 0;
const EVENTS_BY_GRADE: usize = 1;

/// The column of the mean time of ops.
const BY_MEAN: usize = 1;

/// In which order rows stand: by the column of that number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sort {
    /// Number of the column.
    pub(crate) column: usize,
    /// Whether the largest comes first.
    pub(crate) descending: bool,
}

/// One list.
#[derive(Clone, Debug, Default)]
pub(crate) struct ListState {
    /// What stands in it, by number, in order: what the numbers mean is the list's.
    pub(crate) rows: Vec<u32>,
    /// The row that is chosen.
    pub(crate) at: usize,
    /// The first row on the screen.
    pub(crate) top: usize,
    /// Rows that the screen had when it was drawn last.
    pub(crate) page: usize,
    /// The order of the rows.
    pub(crate) sort: Sort,
    /// What the rows were made of: another stamp, and they are made anew.
    pub(crate) stamp: Option<Stamp>,
    /// Other rows that are put in order beside drawing; those before them stay until they are there.
    pub(crate) coming: Option<Coming>,
}

/// Rows that are put in order beside drawing.
#[derive(Clone, Debug)]
pub(crate) struct Coming {
    /// What they are made of.
    pub(crate) stamp: Stamp,
    /// The number of that work.
    pub(crate) ticket: u64,
    /// The work, until somebody takes it on.
    pub(crate) order: Option<Order>,
    /// Which row is chosen once they are there.
    pub(crate) then: Then,
}

/// Which row is chosen of rows that have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// That of the same thing as before.
    Keep,
    /// The first: who orders wants to see what comes first.
    First,
    /// That of what the cursor is on.
    Cursor,
}

/// What rows depend on, as numbers that differ where the rows may.
pub(crate) type Stamp = [u64; 6];

impl ListState {
    /// Takes other rows; the same thing stays chosen where it still stands in the list.
    pub(crate) fn replace(&mut self, rows: Vec<u32>) {
        let chosen = self.chosen();
        self.rows = rows;
        let again = chosen.and_then(|chosen| self.rows.iter().position(|row| *row == chosen));
        self.go(again.unwrap_or(self.at));
    }

    /// The thing that is chosen.
    pub(crate) fn chosen(&self) -> Option<u32> {
        self.rows.get(self.at).copied()
    }

    /// Chooses a row, and shows it.
    pub(crate) fn go(&mut self, row: usize) {
        self.at = row.min(self.rows.len().saturating_sub(1));
        let page = self.page.max(1);
        self.top = self.top.clamp((self.at + 1).saturating_sub(page), self.at);
        self.top = self.top.min(self.rows.len().saturating_sub(page));
    }

    /// Begins at the first row, of those that are coming if others are.
    pub(crate) fn begin(&mut self) {
        match &mut self.coming {
            Some(coming) => coming.then = Then::First,
            None => self.go(0),
        }
    }

    /// Somebody goes through the rows that are there: what is chosen of them is wanted of those that are coming, too.
    pub(crate) fn stay(&mut self) {
        if let Some(coming) = self.coming.as_mut().filter(|_| !self.rows.is_empty()) {
            coming.then = Then::Keep;
        }
    }

    /// Whether the row that is wanted is one of those that are coming.
    pub(crate) fn awaits_first(&self) -> bool {
        self.coming.as_ref().is_some_and(|coming| coming.then == Then::First)
    }

    /// Goes on by so many rows.
    pub(crate) fn step(&mut self, rows: i64) {
        let far = usize::try_from(rows.unsigned_abs()).unwrap_or(usize::MAX);
        self.go(if rows < 0 { self.at.saturating_sub(far) } else { self.at.saturating_add(far) });
    }

    /// Chooses the row of a thing, where it stands in the list.
    pub(crate) fn choose(&mut self, thing: u32) {
        if self.chosen() != Some(thing)
            && let Some(at) = self.rows.iter().position(|row| *row == thing)
        {
            self.go(at);
        }
    }

    /// Moves what is on the screen; the row that is chosen goes along where it would leave the screen.
    pub(crate) fn scroll(&mut self, rows: i64) {
        let far = usize::try_from(rows.unsigned_abs()).unwrap_or(usize::MAX);
        let top = if rows < 0 { self.top.saturating_sub(far) } else { self.top.saturating_add(far) };
        let page = self.page.max(1);
        self.top = top.min(self.rows.len().saturating_sub(page));
        self.at = self.at.clamp(self.top, self.top + page - 1).min(self.rows.len().saturating_sub(1));
    }

    /// Tells how many rows the screen has.
    pub(crate) fn set_page(&mut self, rows: usize) {
        if self.page != rows {
            self.page = rows;
            self.go(self.at);
        }
    }
}

/// All lists.
#[derive(Clone, Debug)]
pub(crate) struct Lists([ListState; KINDS]);

impl Default for Lists {
    fn default() -> Self {
        let mut lists = Self(Default::default());
        // As on the map, the first ones come first.
        lists.get_mut(ListKind::Tensors).sort = Sort { column: BY_BIRTH, descending: false };
        lists.get_mut(ListKind::Ops).sort = Sort { column: BY_MEAN, descending: true };
        lists.get_mut(ListKind::Events).sort = Sort { column: EVENTS_BY_GRADE, descending: true };
        lists
    }
}

impl Lists {
    /// The list of a kind.
    pub(crate) fn get(&self, kind: ListKind) -> &ListState {
        &self.0[kind as usize]
    }

    /// All of them.
    pub(super) fn all(&self) -> impl Iterator<Item = &ListState> {
        self.0.iter()
    }

    /// All of them, to change them.
    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut ListState> {
        self.0.iter_mut()
    }

    /// The list of a kind, to change it.
    pub(crate) fn get_mut(&mut self, kind: ListKind) -> &mut ListState {
        &mut self.0[kind as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_chosen_row_is_there_and_on_the_screen(
            moves in prop::collection::vec((0u8..6, 0usize..200, -90i64..90), 1..60),
        ) {
            let mut list = ListState::default();
            for (what, number, rows) in moves {
                match what {
                    0 => list.replace((0..number as u32).collect()),
                    1 => list.go(number),
                    2 => list.step(rows),
                    3 => list.scroll(rows),
                    4 => list.choose(number as u32),
                    _ => list.set_page(number),
                }
                let (len, page) = (list.rows.len(), list.page.max(1));
                prop_assert!(list.at < len.max(1), "{list:?}");
                prop_assert!(list.top <= list.at && list.at < list.top + page, "{list:?}");
                prop_assert!(list.top + page <= len || list.top == 0, "no room is left empty: {list:?}");
            }
        }
    }

    #[test]
    fn what_is_chosen_stays_chosen_in_another_order() {
        let mut list = ListState { page: 3, ..ListState::default() };
        list.replace(vec![5, 6, 7, 8, 9]);
        list.choose(8);
        list.replace(vec![9, 8, 7]);
        assert_eq!((list.chosen(), list.at), (Some(8), 1));
        list.replace(vec![1]);
        assert_eq!(list.chosen(), Some(1));
        list.replace(Vec::new());
        assert_eq!(list.chosen(), None);
    }
}
