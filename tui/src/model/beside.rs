//! Searching and ordering very many tensors: what is to be done, and what becomes of it. Of few it is done on the spot; of many
//! somebody else does it while pictures are drawn, if there is anybody, and what was shown before stays until it is there.

use std::sync::Arc;

use bayplan_trace::{BufferRecord, PlanRecord};

use super::filter::{Found, Search};
use super::index::PlanIndex;
use super::lists::{Coming, ListKind, Sort, Stamp, Then};
use super::order::in_order;
use super::rows::BY_SIZE;

use super::task::Task;
use super::{Model, searched};

/// Tensors that are searched and put in order on the spot; few in tests, whose plans are small.
pub(super) const FEW: usize = if cfg!(test) { 500 } else { super::FEW as usize };

/// What is found out beside drawing.
#[derive(Debug)]
pub(crate) enum Job {
    /// Which tensors a search keeps.
    Search(Search),
    /// The rows of a list.
    Order(u64, Order),
}

/// What came of it, with the number of the work.
#[derive(Debug)]
pub(crate) enum Answer {
    /// What a search keeps.
    Found(u64, Found),
    /// The rows of a list.
    Rows(u64, ListKind, Vec<u32>),
}

/// Work that goes on beside drawing, for whoever waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// Whether it is a search; else tensors are put in order.
    pub(crate) searches: bool,
    /// How many tensors.
    pub(crate) tensors: u64,
    /// How many of a hundred parts are done.
    pub(crate) percent: u8,
}

impl Finding {
    /// The same as far as it has come.
    pub(crate) fn so_far(self, task: &Task) -> Self {
        Self { percent: task.percent(), ..self }
    }
}

impl Job {
    /// Its number.
    pub(crate) fn ticket(&self) -> u64 {
        match self {
            Self::Search(search) => search.ticket,
            Self::Order(ticket, _) => *ticket,
        }
    }

    /// What is told of it before it begins.
    pub(crate) fn finding(&self) -> Finding {
        let (searches, tensors) = match self {
            Self::Search(search) => (true, search.tensors()),
            Self::Order(_, order) => (false, order.most()),
        };
        Finding { searches, tensors: tensors as u64, percent: 0 }
    }

    /// Does it; `None` where nobody waits for it any more.
    pub(crate) fn run(&self, task: &Task) -> Option<Answer> {
        Some(match self {
            Self::Search(search) => Answer::Found(search.ticket, search.run(task)?),
            Self::Order(ticket, order) => Answer::Rows(*ticket, order.kind, order.run(task)?),
        })
    }
}

/// Tensors that are put in order.
#[derive(Clone, Debug)]
pub(crate) struct Order {
    kind: ListKind,
    sort: Sort,
    record: Arc<PlanRecord>,
    index: Arc<PlanIndex>,
    arena: usize,
    all_arenas: bool,
    /// What a search keeps of them, if anything is searched for.
    found: Option<Arc<Found>>,
}

impl Order {
    /// The rows; `None` where nobody waits for them any more.
    pub(crate) fn run(&self, task: &Task) -> Option<Vec<u32>> {
        task.begin(2 * self.most() as u64);
        match (self.kind, &self.found) {
            _ if self.is_known() => Some(self.at_peak().to_vec()),
            (ListKind::Peak, _) => self.of_peak(task),
            (_, Some(found)) => self.of_arena(found.kept().iter().copied(), task),
            (_, None) => self.of_arena(0..self.record.buffers.len() as u32, task),
        }
    }

    /// How many rows there are at most.
    fn most(&self) -> usize {
        match (self.kind, &self.found) {
            (ListKind::Peak, _) => self.at_peak().len(),
            (_, Some(found)) => found.kept().len(),
            (_, None) => self.record.buffers.len(),
        }
    }

    /// Whether the rows stand in that order already.
    fn is_known(&self) -> bool {
        self.kind == ListKind::Peak && self.sort == BY_SIZE
    }

    /// What lives at the peak, the largest first.
    fn at_peak(&self) -> &[u32] {
        self.index.arenas.get(self.arena).map_or(&[], |arena| &arena.peak.buffers)
    }

    /// The tensors of the arena, or of all of them, by the columns of their list; the second has their bars.
    fn of_arena(&self, numbers: impl Iterator<Item = u32>, task: &Task) -> Option<Vec<u32>> {
        let buffers = &self.record.buffers;
        let own = numbers.filter(|at| {
            let buffer = &buffers[*at as usize];
            (self.all_arenas || buffer.arena as usize == self.arena)
                && buffer.size > 0
                && buffer.alias_of.is_none()
        });
        let of = |at: u32| &buffers[at as usize];
        match self.sort.column {
            0 => self.by(own, of, |a| a.name.as_str(), task),
            1 | 5 => self.by(own, of, |a| (a.first, a.last), task),
            2 => self.by(own, of, |a| a.size, task),
            3 => self.by(own, of, |a| (a.arena, a.offset), task),
            4 => self.by(own, of, |a| (a.dtype.as_str(), a.shape.as_str()), task),
            6 => self.by(own, of, |a| (a.last, a.first), task),
            7 => self.by(own, of, |a| a.last - a.first, task),
            _ => self.by(own, of, |_| (), task),
        }
    }

    /// The tensors of the peak, by the columns of their list; equal ones with the largest first.
    fn of_peak(&self, task: &Task) -> Option<Vec<u32>> {
        let peak = self.at_peak();
        let places = 0..peak.len() as u32;
        let of = |place: u32| &self.record.buffers[peak[place as usize] as usize];
        let places = match self.sort.column {
            0 => self.by(places, of, |a| a.name.as_str(), task),
            3 => self.by(places, of, |a| (a.first, a.last), task),
            4 => self.by(places, of, |a| a.last, task),
            _ => self.by(places, of, |a| a.size, task),
        };
        Some(places?.into_iter().map(|place| peak[place as usize]).collect())
    }

    fn by<'a, K: Ord + Copy + 'a>(
        &self,
        numbers: impl Iterator<Item = u32>,
        of: impl Fn(u32) -> &'a BufferRecord,
        key: impl Fn(&'a BufferRecord) -> K,
        task: &Task,
    ) -> Option<Vec<u32>> {
        in_order(numbers, |at| key(of(at)), self.sort.descending, task)
    }
}

impl Model {
    /// Leaves what takes long to whoever takes it: [`Model::take_jobs`].
    pub(crate) fn find_beside(&mut self) {
        self.is_beside = true;
        self.filter.search_beside();
    }

    /// What a list of tensors is to be made of.
    pub(super) fn order_of(&self, kind: ListKind) -> Option<Order> {
        let (_, index) = searched(&self.timeline, &self.indexes, self.place)?;
        let arena = self.arena()?;
        Some(Order {
            kind,
            sort: self.lists.get(kind).sort,
            record: Arc::clone(&arena.plan.record),
            index: Arc::clone(index),
            arena: arena.arena as usize,
            all_arenas: self.all_arenas,
            found: self.filter.found().cloned(),
        })
    }

    /// Whether putting tensors in order is left to somebody else.
    pub(super) fn goes_beside(&self, order: &Order) -> bool {
        self.is_beside && order.most() > FEW && !order.is_known()
    }

    /// Leaves rows to somebody else. Those that are there stay until then, unless they are of other tensors.
    pub(super) fn await_rows(&mut self, kind: ListKind, stamp: Stamp, order: Order) {
        let list = self.lists.get_mut(kind);
        if list.coming.as_ref().is_some_and(|coming| coming.stamp == stamp) {
            return;
        }
        // Plan, arena, and how many tensors the plan has.
        let is_same = list.stamp.is_some_and(|before| before[1..4] == stamp[1..4]);
        let mut then = list.coming.take().map_or(Then::Keep, |coming| coming.then);
        if !is_same {
            (list.stamp, then) = (None, Then::Cursor);
            list.replace(Vec::new());
        }
        list.coming = Some(Coming { stamp, ticket: Task::ticket(), order: Some(order), then });
    }

    /// What is to be found out and was not taken on yet.
    pub(crate) fn take_jobs(&mut self) -> Vec<Job> {
        let search = self.filter.take_search().map(Job::Search);
        let orders = self.lists.all_mut().filter_map(|list| {
            let coming = list.coming.as_mut()?;
            Some(Job::Order(coming.ticket, coming.order.take()?))
        });
        search.into_iter().chain(orders).collect()
    }

    /// The numbers of the work that is waited for.
    pub(crate) fn awaited(&self) -> Vec<u64> {
        let rows = self.lists.all().filter_map(|list| list.coming.as_ref());
        self.filter.coming().into_iter().chain(rows.map(|coming| coming.ticket)).collect()
    }

    /// Takes over what a search has found; returns whether it was waited for.
    pub(crate) fn take_found(&mut self, ticket: u64, found: Found) -> bool {
        self.filter.take_found(ticket, found)
    }

    /// Takes over the rows of a list, if they were waited for; returns which of them is chosen.
    pub(crate) fn take_rows(&mut self, ticket: u64, kind: ListKind, rows: Vec<u32>) -> Option<Then> {
        let list = self.lists.get_mut(kind);
        let coming = list.coming.take_if(|coming| coming.ticket == ticket)?;
        list.stamp = Some(coming.stamp);
        list.replace(rows);
        match coming.then {
            Then::Keep => {}
            Then::First => list.go(0),
            Then::Cursor => {
                self.choose_at_cursor(kind);
                // From it on, as where a list is opened that is there at once.
                let list = self.lists.get_mut(kind);
                list.top = usize::MAX;
                list.go(list.at);
            }
        }
        Some(coming.then)
    }
}
