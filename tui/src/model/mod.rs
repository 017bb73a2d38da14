//! What is looked at: the timeline of a session, and where in it the viewer stands. Knows no view, no terminal, no
//! file.

pub(crate) mod bars;
pub(crate) mod beside;
pub(crate) mod compare;
pub(crate) mod events;
pub(crate) mod explain;
pub(crate) mod filter;
pub(crate) mod fold;
pub(crate) mod ghost;
pub(crate) mod index;
pub(crate) mod kept;
pub(crate) mod lists;
pub(crate) mod log;
pub(crate) mod marks;
pub(crate) mod moment;
pub(crate) mod moments;
pub(crate) mod operators;
mod order;
pub(crate) mod past;
pub(crate) mod place;
pub(crate) mod rows;
mod session;
pub(crate) mod stretches;
pub(crate) mod strip;
pub(crate) mod task;
mod untimed;
pub(crate) mod viewport;
pub(crate) mod whatif;

use std::ops::Range;
use std::sync::{Arc, LazyLock};

use bayplan_trace::{
    BufferRecord, Holds, Loss, MapIndex, PlanState, Raster, RasterOptions, Timeline, occupancy_at,
};

pub(crate) use bayplan_trace::Playhead;

pub(crate) use session::{FEW, News, Stage, State};

use beside::Finding;
use compare::{Choice, Compared};
use filter::{Filter, Searched};
use ghost::Ghost;
use index::{ArenaIndex, Indexes, PlanIndex};
use lists::Lists;
use marks::Marks;
use past::Standing;
use place::AlarmPlace;
use strip::Strip;
use viewport::Viewport;
use whatif::Asked;

/// Whether more of the recording is to come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Life {
    /// The run goes on.
    #[default]
    Live,
    /// The run ended in order.
    Ended,
    /// The recording stops without an end.
    Killed,
}

/// A session and where in it the viewer stands.
#[derive(Clone, Debug, Default)]
pub(crate) struct Model {
    /// The state of the session that is shown: what holds now, as far as it was read, or what held at a moment.
    pub(crate) timeline: Timeline,
    /// What a person calls what is open, escaped: its file. Empty where nothing is.
    pub(crate) opened: String,
    /// The whole time of the session in few stretches.
    pub(crate) strip: Strip,
    /// Where in its time the viewer stands, if not at the end.
    pub(crate) standing: Option<Standing>,
    /// What happened.
    pub(crate) log: log::Log,
    /// The list of it.
    pub(crate) events: events::Events,
    /// What reading is busy with, if it takes long.
    pub(crate) stage: Option<Stage>,
    /// Whether more is to come.
    pub(crate) life: Life,
    /// Whether all that was there has been read.
    pub(crate) caught_up: bool,
    /// Places in the recording that are damaged.
    pub(crate) damages: u64,
    /// Why reading stopped, if it had to.
    pub(crate) failure: Option<String>,
    /// Whether reading is held.
    pub(crate) paused: bool,
    /// Whether what is in view follows the playhead.
    pub(crate) follow: bool,
    /// What is searched for.
    pub(crate) filter: Filter,
    /// Whether lifetimes are those of all arenas.
    pub(crate) all_arenas: bool,
    /// What ops cost.
    pub(crate) operators: operators::Operators,
    /// What stands in lists, and where in them the viewer stands.
    pub(crate) lists: Lists,
    /// Places to come back to.
    pub(crate) marks: Marks,
    /// What can be compared with, as it was listed last.
    pub(crate) choices: Vec<Choice>,
    /// What is typed to choose one of them.
    pub(crate) choosing: String,
    compared: Option<Box<Compared>>,
    /// How often something was compared.
    compares: u64,
    place: Option<Place>,
    indexes: Indexes,
    /// Another plan, laid over the map.
    ghost: Option<Ghost>,
    /// What was asked of the arena that is looked at.
    pub(crate) asked: Asked,
    /// Whether somebody searches and orders very many tensors beside drawing.
    is_beside: bool,
    /// What that is busy with.
    pub(crate) finding: Option<Finding>,
}

/// Where the viewer stands: a plan, an arena of it, and a part of that.
#[derive(Clone, Copy, Debug)]
struct Place {
    plan: u32,
    arena: usize,
    view: Viewport,
    /// Cells that the map had when it was drawn last: columns and rows.
    cells: (u64, u64),
}

/// A plan, one arena of it and the part in view: what a map is drawn from.
#[derive(Clone, Copy)]
pub(crate) struct ArenaView<'a> {
    /// The plan and what was seen of it.
    pub(crate) plan: &'a PlanState,
    /// Number of the arena.
    pub(crate) arena: u32,
    /// What is known of the arena beforehand.
    pub(crate) index: &'a ArenaIndex,
    /// The part in view.
    pub(crate) view: &'a Viewport,
    /// Where the arena's buffers lie; nothing in it while that is being made.
    map: &'a MapIndex,
}

impl<'a> ArenaView<'a> {
    /// Where the arena's buffers lie.
    pub(crate) fn map(&self) -> &'a MapIndex {
        self.map
    }

    /// The cells of a part of the map, as if all ops were reached: see [`Raster::reached`]. They are rasterised once for that part,
    /// whatever the playhead does.
    pub(crate) fn raster(&self, part: RasterOptions) -> Arc<Raster> {
        let options = RasterOptions { playhead: None, ..part };
        let seen = (self.plan.recording, self.plan.windows.len(), self.plan.strays.len());
        let key = (std::ptr::from_ref(self.map) as usize, seen, options.clone());
        self.index.raster.get(key, || Raster::indexed(self.plan, &options, self.map))
    }

    /// How the bytes of the arena are used at an op.
    pub(crate) fn loss(&self, op: u32) -> Arc<Loss> {
        self.index.loss.get(op, || self.usage(op, &(0..0), 0).0)
    }

    /// What most of each cell is, if the bytes in view are shown in so many cells, at an op.
    pub(crate) fn strip(&self, op: u32, cells: u16) -> Arc<Vec<Option<Holds>>> {
        let bytes = self.view.bytes.start..self.view.bytes.end();
        self.index.strip.get((op, bytes.clone(), cells), || self.usage(op, &bytes, cells).1)
    }

    fn usage(&self, op: u32, bytes: &Range<u64>, cells: u16) -> (Loss, Vec<Option<Holds>>) {
        let record = &self.plan.record;
        // While the map of a large arena is being made, every buffer has to be looked at.
        if std::ptr::eq(self.map, &raw const *NO_MAP) {
            let occupancy = occupancy_at(record, self.arena, op);
            return (occupancy.loss, occupancy.cells(bytes, cells));
        }
        self.map.usage(record, self.arena, op, bytes, cells)
    }
}

/// Shown while the map of a large arena is being made.
static NO_MAP: LazyLock<MapIndex> = LazyLock::new(MapIndex::default);

impl Model {
    /// A model that knows nothing and follows.
    pub(crate) fn new() -> Self {
        Self { follow: true, ..Self::default() }
    }

    fn enter(&self, plan: u32, arena: usize) -> Place {
        let record = &self.timeline.plans[plan as usize].record;
        let (size, alignment) = (record.arenas[arena].size, record.arenas[arena].alignment);
        let cells = self.place.map_or((80, 24), |place| place.cells);
        Place { plan, arena, view: Viewport::whole(record.ops.len(), size, alignment), cells }
    }

    /// The same place in the plan of another shape: the arena of that name, as much of it, the cursor on the same tensor.
    /// None where the plan looked at so far has nothing of that kind.
    fn turned(&self, plan: u32) -> Option<Place> {
        let former = self.place?;
        let arenas = &self.plan()?.record.arenas;
        let name = &arenas.get(former.arena)?.name;
        let record = &self.timeline.plans.get(plan as usize)?.record;
        let arena = record.arenas.iter().position(|arena| arena.name == *name)?;
        let mut place = self.enter(plan, arena);
        place.view = place.view.like(&former.view);
        let same = self.selected().and_then(|(_, selected)| {
            let mut own = record.buffers.iter().filter(|buffer| buffer.arena as usize == arena);
            own.find(|buffer| buffer.name == selected.name && buffer.size > 0)
        });
        if let Some(buffer) = same {
            let last = u64::from(buffer.last.max(buffer.first + 1)) - 1;
            place.view.ops.put(place.view.ops.cursor.clamp(buffer.first.into(), last));
            place.view.bytes.put(place.view.bytes.cursor.clamp(buffer.offset, buffer.end() - 1));
        }
        Some(place)
    }

    /// Keeps the playhead in view.
    fn follow_playhead(&mut self) {
        if !self.follow {
            return;
        }
        let Playhead::At(op) = self.playhead() else { return };
        let Some(place) = &mut self.place else { return };
        let axis = &mut place.view.ops;
        if u64::from(op) < axis.start || u64::from(op) >= axis.end() {
            axis.start = u64::from(op).min(axis.total - axis.len);
            axis.cursor = axis.cursor.clamp(axis.start, axis.end() - 1);
        }
    }

    /// The plan that is looked at.
    pub(crate) fn plan(&self) -> Option<&PlanState> {
        self.timeline.plans.get(self.place?.plan as usize)
    }

    /// What is known beforehand of the plan that is looked at.
    pub(crate) fn index(&self) -> Option<&PlanIndex> {
        self.indexes.plan(self.place?.plan).map(|index| &**index)
    }

    /// The arena that is looked at.
    pub(crate) fn arena(&self) -> Option<ArenaView<'_>> {
        let place = self.place.as_ref()?;
        let index = self.index()?.arenas.get(place.arena)?;
        let map = self.indexes.map((place.plan, place.arena as u32)).unwrap_or(&NO_MAP);
        Some(ArenaView { plan: self.plan()?, arena: place.arena as u32, index, view: &place.view, map })
    }

    /// Lays another plan over the map, or takes it away.
    pub(crate) fn set_ghost(&mut self, ghost: Option<Ghost>) {
        self.ghost = ghost;
    }

    /// The plan that is laid over the map, if it is of the arena that is looked at.
    pub(crate) fn ghost(&self) -> Option<&Ghost> {
        let place = self.place?;
        self.ghost.as_ref().filter(|ghost| ghost.lies_over(place.plan, place.arena as u32))
    }

    /// How far the plan that is looked at has come; before one is, that of the run in progress.
    pub(crate) fn playhead(&self) -> Playhead {
        let running = self.timeline.current.map(|run| run.plan);
        self.timeline.playhead(self.place.map(|place| place.plan).or(running).unwrap_or(0))
    }

    /// Tells how many cells the map has.
    pub(crate) fn set_cells(&mut self, cols: u16, rows: u16) {
        if let Some(place) = &mut self.place {
            place.cells = (u64::from(cols.max(1)), u64::from(rows.max(1)));
        }
    }

    /// Tells how many columns the ops have, where no map is shown.
    pub(crate) fn set_columns(&mut self, cols: u16) {
        if let Some(place) = &mut self.place {
            place.cells.0 = u64::from(cols.max(1));
        }
    }

    /// Changes the part in view; the cells of the map are given along.
    pub(crate) fn look(&mut self, change: impl FnOnce(&mut Viewport, (u64, u64))) {
        if let Some(place) = &mut self.place {
            change(&mut place.view, place.cells);
        }
    }

    /// As [`Model::look`], by hand: what is in view no longer follows the playhead, which would carry it off again.
    pub(crate) fn go(&mut self, change: impl FnOnce(&mut Viewport, (u64, u64))) {
        self.follow = false;
        self.look(change);
    }

    /// Goes on to the next arena that holds anything.
    pub(crate) fn next_arena(&mut self) {
        let Some((place, index)) = self.place.zip(self.index()) else { return };
        let count = index.arenas.len();
        let holds = |at: &usize| index.arenas[*at].buffers > 0;
        let next = (1..=count).map(|step| (place.arena + step) % count).find(holds);
        if let Some(next) = next.filter(|next| *next != place.arena) {
            self.place = Some(self.enter(place.plan, next));
        }
    }

    /// Puts the cursor on a buffer and shows it.
    pub(crate) fn select(&mut self, number: u32) {
        let Some((place, plan)) = self.place.zip(self.plan()) else { return };
        let Some(buffer) = plan.record.buffers.get(number as usize) else { return };
        let (ops, bytes) = ((buffer.first, buffer.last), (buffer.offset, buffer.end()));
        if buffer.arena as usize != place.arena {
            self.place = Some(self.enter(place.plan, buffer.arena as usize));
        }
        self.go(|view, _| {
            view.ops.show(ops.0.into(), ops.1.into());
            view.bytes.show(bytes.0, bytes.1);
        });
    }

    /// Goes to the next (or former) buffer that the filter keeps, of the arena that is looked at as long as there is one;
    /// returns which it is of how many.
    pub(crate) fn next_match(&mut self, forward: bool) -> Option<(usize, usize)> {
        let here = self.selected().map(|(number, _)| number);
        let number = self.filter.neighbour(here, forward, self.place.map(|place| place.arena))?;
        self.select(number);
        Some((self.filter.position(number)? + 1, self.filter.count()))
    }

    /// Whether the filter keeps tensors of another arena than the one that is looked at.
    pub(crate) fn matches_elsewhere(&self) -> bool {
        self.filter.keeps_elsewhere(self.place.map(|place| place.arena))
    }

    /// Sets what is searched for.
    pub(crate) fn search(&mut self, text: &str) {
        self.filter.set(text, searched(&self.timeline, &self.indexes, self.place));
    }

    /// The buffer under the cursor: one whose life and bytes hold it, else one that shares its cell.
    pub(crate) fn selected(&self) -> Option<(u32, &BufferRecord)> {
        let arena = self.arena()?;
        let (op, byte) = (arena.view.ops.cursor, arena.view.bytes.cursor);
        let map = arena.map();
        // Axes of ops are no longer than 32 bits hold.
        let inside =
            |ops: (u64, u64), bytes: (u64, u64)| map.first_at(ops.0 as u32..ops.1 as u32, bytes.0..bytes.1);
        let (cols, rows) = self.place?.cells;
        let cell = |axis: &viewport::Axis, at: u64, cells: u64| {
            axis.cell(at, cells).map_or((at, at + 1), |cell| axis.span(cell, cells))
        };
        let number = inside((op, op + 1), (byte, byte + 1))
            .or_else(|| inside(cell(&arena.view.ops, op, cols), cell(&arena.view.bytes, byte, rows)))?;
        Some((number, arena.plan.record.buffers.get(number as usize)?))
    }

    /// What is wrong under the cursor, if anything: numbers of alarms of the plan.
    pub(crate) fn alarms_at_cursor(&self) -> Vec<usize> {
        let Some(arena) = self.arena() else { return Vec::new() };
        let (op, byte) = (arena.view.ops.cursor, arena.view.bytes.cursor);
        let touches = |place: AlarmPlace| place.arena == arena.arena && place.holds(op, byte);
        let alarms = arena.plan.alarms().iter().enumerate();
        alarms
            .filter(|(_, alarm)| AlarmPlace::of(arena.plan, alarm).is_some_and(touches))
            .map(|(at, _)| at)
            .collect()
    }

    /// Goes to the next alarm on the map after the cursor, in the order in which they were found.
    pub(crate) fn next_alarm(&mut self) {
        let Some(plan) = self.plan() else { return };
        let here = self.alarms_at_cursor().last().copied();
        let alarms = plan.alarms().iter().enumerate();
        let places: Vec<(usize, AlarmPlace)> =
            alarms.filter_map(|(at, alarm)| Some((at, AlarmPlace::of(plan, alarm)?))).collect();
        let later = places.iter().find(|(at, _)| here.is_none_or(|here| *at > here));
        if let Some((at, _)) = later.or(places.first()) {
            self.go_to_alarm(*at);
        }
    }

    /// Goes to an alarm by its number among those of the plan that is looked at; one that is on no map stays unvisited.
    pub(crate) fn go_to_alarm(&mut self, number: usize) {
        let Some(plan) = self.plan() else { return };
        let alarm = plan.alarms().get(number);
        let Some(place) = alarm.and_then(|alarm| AlarmPlace::of(plan, alarm)) else { return };
        self.go_to_place(place);
    }

    /// Goes to a rectangle of the map of one of the plan's arenas.
    pub(crate) fn go_to_place(&mut self, place: AlarmPlace) {
        let Some(at) = self.place else { return };
        if at.arena != place.arena as usize {
            self.place = Some(self.enter(at.plan, place.arena as usize));
        }
        self.go(|view, _| {
            view.ops.show(place.ops.0, place.ops.1);
            view.bytes.show(place.bytes.0, place.bytes.1);
        });
    }

    /// Tells, of alarms in the order of the timeline, which number each has among those of the plan that is looked at; none for
    /// those of other plans and those on no map.
    pub(crate) fn alarm_places(&self) -> impl Fn(usize) -> Option<usize> {
        let number = self.place.map_or(usize::MAX, |place| place.plan as usize);
        let before: usize = self.timeline.plans.iter().take(number).map(|plan| plan.alarms().len()).sum();
        let own = self.plan().map_or(0, |plan| plan.alarms().len());
        move |at| at.checked_sub(before).filter(|at| *at < own)
    }

    /// Goes to the start.
    pub(crate) fn go_to_start(&mut self) {
        self.go(|view, _| view.ops.put(0));
    }

    /// Looks at another arena.
    pub(crate) fn go_to_arena(&mut self, arena: u32) {
        let arena = arena as usize;
        let there = self.index().is_some_and(|index| arena < index.arenas.len());
        if let Some(place) = self.place.filter(|place| there && place.arena != arena) {
            self.place = Some(self.enter(place.plan, arena));
        }
    }

    /// Goes to the playhead and follows it; reading goes on if it was held.
    pub(crate) fn go_live(&mut self) {
        self.stand_live();
        (self.follow, self.paused) = (true, false);
        let op = match self.playhead() {
            Playhead::At(op) => u64::from(op),
            Playhead::Done => u64::MAX,
            Playhead::Before => 0,
        };
        self.look(|view, _| view.ops.put(op));
    }

    /// Goes to the moment at which most bytes live, and to the largest tensor of it.
    pub(crate) fn go_to_peak(&mut self) {
        self.follow = false;
        self.cursor_to_peak();
    }

    fn cursor_to_peak(&mut self) {
        let Some(arena) = self.arena() else { return };
        let op = arena.index.peak.op;
        let largest = arena.index.peak.buffers.first().map(|at| &arena.plan.record.buffers[*at as usize]);
        let byte = largest.map_or(0, |buffer| buffer.offset + buffer.size / 2);
        self.look(|view, _| {
            view.ops.put(op.into());
            view.bytes.put(byte);
        });
    }
}

/// The plan that a search looks at.
fn searched<'a>(timeline: &'a Timeline, indexes: &'a Indexes, place: Option<Place>) -> Searched<'a> {
    let number = place?.plan;
    timeline.plans.get(number as usize).zip(indexes.plan(number))
}
