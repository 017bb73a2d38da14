//! Marks: places in the time of a session and on its maps that somebody wants to come back to.

use bayplan_trace::{Nanos, Playhead};

use super::{Model, explain};

/// Most marks; with one more, the oldest goes.
const MOST: usize = 99;

/// A place that was marked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// A short name: `m1`.
    pub(crate) name: String,
    /// The time.
    pub(crate) t: Nanos,
    /// Runs that had begun.
    pub(crate) run: u64,
    /// Where the plan had come to, where that is known.
    pub(crate) reached: Option<Playhead>,
    /// Bytes that lived in the arena then, where that is known.
    pub(crate) live: Option<u64>,
    /// Where that is, in words.
    pub(crate) progress: String,
    /// The plan and the arena that were looked at.
    pub(crate) plan: u32,
    pub(crate) arena: u32,
    /// What the cursor was on: often another op than the run had come to.
    pub(crate) op: u64,
    pub(crate) byte: u64,
    /// The tensor there, escaped; empty where there is none.
    pub(crate) tensor: String,
    /// The name of the arena, escaped.
    pub(crate) arena_name: String,
    /// Bytes that live in the arena at the cursor's op, by the plan.
    pub(crate) there: u64,
}

/// All marks, in the order in which they were set.
#[derive(Clone, Debug, Default)]
pub(crate) struct Marks {
    list: Vec<Mark>,
    /// How many were ever set.
    count: u64,
    /// The one that was gone to last.
    at: Option<usize>,
    version: u64,
}

impl Marks {
    /// A mark by its number in the list.
    pub(crate) fn get(&self, number: u32) -> Option<&Mark> {
        self.list.get(number as usize)
    }

    /// All of them.
    pub(crate) fn all(&self) -> &[Mark] {
        &self.list
    }

    /// Another number where the marks are others.
    pub(crate) fn version(&self) -> u64 {
        self.version
    }

    /// The times of the marks, with their names.
    pub(crate) fn times(&self) -> impl Iterator<Item = (Nanos, &str)> {
        self.list.iter().map(|mark| (mark.t, mark.name.as_str()))
    }

    /// The ops that are marked in an arena of a plan, with the names of the marks.
    pub(crate) fn ops(&self, plan: u32, arena: u32) -> impl Iterator<Item = (u64, &str)> {
        let here = self.list.iter().filter(move |mark| (mark.plan, mark.arena) == (plan, arena));
        here.map(|mark| (mark.op, mark.name.as_str()))
    }

    /// Goes on to the next mark, round and round.
    pub(crate) fn next(&mut self) -> Option<&Mark> {
        let next = self.at.map_or(0, |at| at + 1);
        self.at = Some(if next < self.list.len() { next } else { 0 });
        self.list.get(self.at?)
    }

    /// Goes to a mark by its number.
    pub(crate) fn go(&mut self, number: u32) -> Option<&Mark> {
        self.at = Some(number as usize);
        self.get(number)
    }

    /// Takes a mark away.
    pub(crate) fn remove(&mut self, number: u32) -> Option<Mark> {
        let at = number as usize;
        if at >= self.list.len() {
            return None;
        }
        self.version += 1;
        // The one behind it comes next.
        self.at = self.at.and_then(|now| if now >= at { now.checked_sub(1) } else { Some(now) });
        Some(self.list.remove(at))
    }

    fn push(&mut self, mark: Mark) {
        if self.list.len() == MOST {
            self.list.remove(0);
        }
        self.list.push(mark);
        self.at = Some(self.list.len() - 1);
        self.version += 1;
    }
}

/// What lies between two marks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Between {
    /// Nanoseconds from the first to the second.
    pub(crate) time: i128,
    /// Bytes that lived more at the second moment, where that is known.
    pub(crate) live: Option<i128>,
    /// Bytes that live more at the op that the cursor was on.
    pub(crate) there: i128,
}

impl Mark {
    /// What lies between another mark and this one.
    pub(crate) fn since(&self, other: &Self) -> Between {
        let more = |own: u64, other: u64| i128::from(own) - i128::from(other);
        Between {
            time: more(self.t, other.t),
            live: self.live.zip(other.live).map(|(own, other)| more(own, other)),
            there: more(self.there, other.there),
        }
    }
}

impl Model {
    /// Marks where the viewer stands; the mark, and the one set before it. `None` where nothing is looked at.
    pub(crate) fn set_mark(&mut self) -> Option<(&Mark, Option<&Mark>)> {
        let arena = self.arena()?;
        let (plan, _) = self.wanted_map()?;
        let (op, byte) = (arena.view.ops.cursor, arena.view.bytes.cursor);
        let record = &arena.plan.record;
        let tensor = self.selected().map(|(number, _)| explain::buffer_name(record, number));
        let reached = self.timeline.progress(plan);
        let name = record.arenas.get(arena.arena as usize).map_or("", |arena| &arena.name);
        let mark = Mark {
            name: format!("m{}", self.marks.count + 1),
            t: self.now(),
            run: self.timeline.runs_started,
            reached,
            live: reached.map(|reached| arena.index.metrics.live_at(reached)),
            progress: self.timeline.progress_words(plan),
            plan,
            arena: arena.arena,
            op,
            byte,
            tensor: tensor.unwrap_or_default(),
            arena_name: explain::name_of(name, "arena", arena.arena),
            there: arena.index.most_live(op as usize, op as usize + 1),
        };
        self.marks.count += 1;
        self.marks.push(mark);
        let (last, before) = self.marks.list.split_last()?;
        Some((last, before.last()))
    }

    /// Puts the cursor where a mark is, if its plan is the one that is shown; returns whether it is.
    pub(crate) fn go_to_mark(&mut self, mark: &Mark) -> bool {
        if self.wanted_map().map(|(plan, _)| plan) != Some(mark.plan) {
            return false;
        }
        self.go_to_arena(mark.arena);
        self.go(|view, _| {
            view.ops.put(mark.op);
            view.bytes.put(mark.byte);
        });
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture_tests::small;

    #[test]
    fn marks_are_gone_through_and_taken_away() {
        let mut model = small(false);
        for op in [2, 7, 5] {
            model.go(|view, _| view.ops.put(op));
            model.set_mark().unwrap();
        }
        let names: Vec<&str> = model.marks.all().iter().map(|mark| mark.name.as_str()).collect();
        assert_eq!(names, ["m1", "m2", "m3"]);
        let go = |model: &mut Model| {
            let mark = model.marks.next().cloned().unwrap();
            assert!(model.go_to_mark(&mark));
            model.arena().unwrap().view.ops.cursor
        };
        assert_eq!([go(&mut model), go(&mut model), go(&mut model), go(&mut model)], [2, 7, 5, 2]);
        assert_eq!(model.marks.remove(0).unwrap().name, "m1");
        assert_eq!([go(&mut model), go(&mut model), go(&mut model)], [7, 5, 7]);
        assert_eq!(model.marks.remove(9), None);
        // A name is not given twice.
        assert_eq!(model.set_mark().unwrap().0.name, "m4");
        let (there, between) = {
            let all = model.marks.all();
            (all[0].there, all[1].since(&all[0]))
        };
        assert!(there > 0);
        assert_eq!(between.there, i128::from(model.marks.all()[1].there) - i128::from(there));
        assert_eq!((between.time, between.live), (0, Some(0)), "it is one moment");
    }

    /// The run is at op 4, and the cursor somewhere else.
    #[test]
    fn a_mark_keeps_where_the_run_was_and_where_the_cursor_was() {
        let mut model = small(false);
        let Some(Playhead::At(reached)) = model.timeline.progress(0) else { panic!("within a run") };
        model.go(|view, _| view.ops.put(8));
        let live = |model: &Model, op: u32| model.arena().unwrap().index.metrics.live[op as usize];
        let expect = (live(&model, reached), live(&model, 8));
        assert_ne!(expect.0, expect.1);
        let (mark, _) = model.set_mark().unwrap();
        assert_eq!((mark.reached, mark.op), (Some(Playhead::At(reached)), 8));
        assert_eq!((mark.live, mark.there), (Some(expect.0), expect.1));
        assert_eq!(mark.progress, format!("run 43, op {reached} seen complete ({} of 10)", reached + 1));
    }

    #[test]
    fn no_more_marks_than_can_be_looked_at() {
        let mut model = small(false);
        for _ in 0..MOST + 5 {
            model.set_mark().unwrap();
        }
        assert_eq!((model.marks.all().len(), model.marks.all()[0].name.as_str()), (MOST, "m6"));
    }
}
