//! What stands in the lists, and what choosing a row means.

use super::Model;
use super::compare::Compared;
use super::index::ArenaIndex;
use super::lists::{EVENTS_BY_TIME, ListKind, Sort, Stamp, Then};
use super::task::Task;

/// How the tensors of the peak stand unless one says otherwise.
pub(crate) const BY_SIZE: Sort = Sort { column: 1, descending: true };

impl Model {
    /// Fills a list, if what it depends on has changed.
    pub(crate) fn refresh_list(&mut self, kind: ListKind) {
        let stamp = self.stamp(kind);
        if self.lists.get(kind).stamp == Some(stamp) {
            self.lists.get_mut(kind).coming = None;
            return;
        }
        let sort = self.lists.get(kind).sort;
        let rows = match kind {
            ListKind::Tensors | ListKind::Peak => match self.order_of(kind) {
                Some(order) if self.goes_beside(&order) => return self.await_rows(kind, stamp, order),
                order => order.and_then(|order| order.run(&Task::default())).unwrap_or_default(),
            },
            ListKind::Ops => self.ops_in_order(),
            ListKind::Events => {
                let sort = self.lists.get(kind).sort;
                self.events_in_order(sort.column == EVENTS_BY_TIME, sort.descending)
            }
            ListKind::Questions => (0..self.asked_rows().len() as u32).collect(),
            ListKind::Marks => (0..self.marks.all().len() as u32).collect(),
            ListKind::Choices => (0..self.choices.len() as u32).collect(),
            ListKind::DifferingTensors => self.differing_tensors(sort.column, sort.descending),
            ListKind::DifferingOps => self.differing_ops(sort.column, sort.descending),
            ListKind::DifferingLives => self.differing_lives(sort.column, sort.descending),
        };
        let list = self.lists.get_mut(kind);
        (list.stamp, list.coming) = (Some(stamp), None);
        // Who stands at the head of what happens stays there while more happens.
        let at_head = kind == ListKind::Events && list.at == 0;
        list.replace(rows);
        if at_head {
            list.go(0);
        }
    }

    /// What the rows of a list depend on. A list that is not looked at costs nothing, one that did not change next to nothing.
    fn stamp(&self, kind: ListKind) -> Stamp {
        let Sort { column, descending } = self.lists.get(kind).sort;
        let order = column as u64 * 2 + u64::from(descending);
        let place = self.place.map_or([u64::MAX; 2], |place| [place.plan.into(), place.arena as u64]);
        let tensors = self.plan().map_or(0, |plan| plan.record.buffers.len() as u64);
        match kind {
            ListKind::Tensors => {
                [order, place[0], place[1], tensors, self.filter.version(), u64::from(self.all_arenas)]
            }
            ListKind::Peak => [order, place[0], place[1], tensors, 0, 0],
            ListKind::Events => [
                order,
                place[0],
                self.log.version(),
                self.filter.version(),
                self.log.forgotten(),
                self.marks.version(),
            ],
            ListKind::Ops => {
                let ops = self.plan().map_or(0, |plan| plan.record.ops.len() as u64);
                let order = order * 3 + self.operators.stamp();
                let timed = self.timeline.totals.op_times.count();
                let roofs = u64::from(self.timeline.roofs().is_some());
                [order, place[0], ops, timed, self.filter.version(), roofs]
            }
            ListKind::Questions => [self.asked_rows().len() as u64, 0, 0, 0, 0, 0],
            ListKind::Marks => [self.marks.version(), 0, 0, 0, 0, 0],
            ListKind::Choices => [self.choices.len() as u64, 0, 0, 0, 0, 0],
            ListKind::DifferingTensors | ListKind::DifferingOps | ListKind::DifferingLives => {
                let version = self.compared().map_or(0, Compared::version);
                [order, version, self.filter.version(), 0, 0, 0]
            }
        }
    }

    /// How many rows a list has where nothing is searched for.
    pub(crate) fn listed_at_all(&self, kind: ListKind) -> usize {
        let rows = self.lists.get(kind).rows.len();
        if !self.filter.is_on() {
            return rows;
        }
        let count = |arenas: &[ArenaIndex]| arenas.iter().map(|arena| arena.buffers).sum::<u64>() as usize;
        match (kind, self.index(), self.arena()) {
            (ListKind::Tensors, Some(index), _) if self.all_arenas => count(&index.arenas),
            (ListKind::Tensors, _, Some(arena)) => arena.index.buffers as usize,
            (ListKind::Ops, ..) => self.operators.all(),
            (ListKind::Events, ..) => self.log.entries().count() + self.marks.all().len(),
            _ => rows,
        }
    }

    /// Orders a list by a column, from its largest or its smallest on; by the same one again, the other way round.
    pub(crate) fn order_by(&mut self, kind: ListKind, column: usize, largest_first: bool) {
        let sort = &mut self.lists.get_mut(kind).sort;
        let descending = if sort.column == column { !sort.descending } else { largest_first };
        *sort = Sort { column, descending };
    }

    /// Shows a list the other way that it can be shown; returns what is so now.
    pub(crate) fn list_otherwise(&mut self, kind: ListKind) -> &'static str {
        match kind {
            ListKind::Tensors => {
                self.all_arenas = !self.all_arenas;
                if self.all_arenas {
                    "tensors of all arenas"
                } else {
                    "tensors of the arena that is looked at"
                }
            }
            ListKind::Events => {
                let list = self.lists.get_mut(kind);
                let column = 1 - list.sort.column.min(1);
                list.sort = Sort { column, descending: true };
                if column == EVENTS_BY_TIME { "the latest first" } else { "what is wrong first" }
            }
            ListKind::Ops => {
                let op = self.lists.get(kind).chosen().and_then(|row| self.operators.op_of(row));
                let words = self.operators.list_otherwise();
                self.refresh_list(kind);
                self.choose_op(op);
                words
            }
            ListKind::DifferingTensors | ListKind::DifferingOps | ListKind::DifferingLives => {
                self.list_other_differences()
            }
            ListKind::Peak | ListKind::Questions | ListKind::Marks | ListKind::Choices => {
                "this list has no other way"
            }
        }
    }

    /// Lists the ops of the operator that is chosen, one by one.
    pub(crate) fn list_ops_of_group(&mut self) {
        let Some(row) = self.lists.get(ListKind::Ops).chosen() else { return };
        let op = self.operators.op_of(row);
        self.operators.enter(row);
        self.refresh_list(ListKind::Ops);
        self.choose_op(op);
        self.go_to_chosen(ListKind::Ops);
    }

    /// Goes where the chosen row of a list points.
    pub(crate) fn go_to_chosen(&mut self, kind: ListKind) {
        let list = self.lists.get(kind);
        let Some(thing) = list.chosen().filter(|_| !list.awaits_first()) else { return };
        match kind {
            ListKind::Tensors | ListKind::Peak => self.select(thing),
            // Entering a mark or an event goes there: it may be at another time.
            ListKind::Questions | ListKind::Marks | ListKind::Events | ListKind::Choices => {}
            ListKind::Ops => {
                if let Some(op) = self.operators.op_of(thing) {
                    self.go(|view, _| view.ops.put(op.into()));
                }
            }
            ListKind::DifferingTensors => self.go_to_differing_tensor(thing),
            ListKind::DifferingOps => self.go_to_differing_op(thing),
            ListKind::DifferingLives => self.go_to_differing_life(thing),
        }
    }

    /// Chooses in a list what the cursor is on, where that stands in it.
    pub(crate) fn choose_at_cursor(&mut self, kind: ListKind) {
        let thing = match kind {
            ListKind::Tensors | ListKind::Peak => self.selected().map(|(number, _)| number),
            // What is ordered by cost is read from its first row on.
            ListKind::Ops
            | ListKind::DifferingTensors
            | ListKind::Questions
            | ListKind::Marks
            | ListKind::Events
            | ListKind::Choices
            | ListKind::DifferingOps
            | ListKind::DifferingLives => None,
        };
        match (thing, &mut self.lists.get_mut(kind).coming) {
            (Some(_), Some(coming)) => coming.then = Then::Cursor,
            (Some(thing), None) => self.lists.get_mut(kind).choose(thing),
            (None, _) => {}
        }
    }

    /// Chooses an op in the list of ops, or the operator that it belongs to.
    fn choose_op(&mut self, op: Option<u32>) {
        let Some(op) = op else { return };
        let rows = &self.lists.get(ListKind::Ops).rows;
        let holds =
            |row: &&u32| self.operators.group(**row).map_or(**row == op, |group| group.ops.contains(&op));
        if let Some(row) = rows.iter().find(holds).copied() {
            self.lists.get_mut(ListKind::Ops).choose(row);
        }
    }

    fn ops_in_order(&mut self) -> Vec<u32> {
        let sort = self.lists.get(ListKind::Ops).sort;
        let Some(plan) = self.place.and_then(|place| self.timeline.plans.get(place.plan as usize)) else {
            return Vec::new();
        };
        self.operators.refresh(plan, self.timeline.roofs(), &self.filter, sort)
    }
}
