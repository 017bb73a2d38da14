//! Maps of memory as vector pictures: offset × op, each buffer a rectangle, what was seen over what was planned.
//!
//! ```text
//!  title      model · device · size, bound, waste · how far the run is
//!  panels     one for each arena: the byte axis, the map, its bound, peak and playhead;
//!             under the first the bytes that live at each op, and the op axis
//!  legend     what shapes and colours mean
//! ```
//! A picture is SVG without scripts, references or fonts of its own; a rectangle's name is its `<title>`, which viewers show
//! when it is pointed at. Light or dark is the reader's choice.

mod frame;
mod legend;
mod panel;
mod sheet;
mod style;
mod tiles;

pub(crate) use legend::{Legend, draw_rows};
pub(crate) use panel::Panel;
pub(crate) use sheet::Sheet;
pub(crate) use style::{HUES, STYLE};
pub(crate) use tiles::{Tile, Tiles};

use bayplan_text::{Bytes, Count, escape, plural};
use bayplan_trace::{ArenaMetrics, PlanState, Timeline, arena_metrics};

use crate::map::drawn_arena;
use crate::summary::bound_words;

/// Rectangles of a panel that are drawn one by one. More would make a file that no viewer shows quickly.
const MOST_TILES: usize = 20_000;

/// Arenas of a plan that are drawn.
const MOST_ARENAS: usize = 6;

/// Heights of maps: of the arena that matters most, and of the others.
const HEIGHTS: (f64, f64) = (460.0, 130.0);

/// A plan of a session and how far it ran.
#[derive(Clone, Copy)]
pub(crate) struct Drawn<'a> {
    pub(crate) timeline: &'a Timeline,
    pub(crate) number: u32,
    pub(crate) state: &'a PlanState,
    /// Ops below it are reached; all where it is `None`.
    pub(crate) reached: Option<u32>,
}

impl<'a> Drawn<'a> {
    pub(crate) fn new(timeline: &'a Timeline, number: u32, state: &'a PlanState) -> Self {
        Self { timeline, number, state, reached: timeline.reached(number) }
    }

    /// Whether there is only a plan: nothing ran, and nothing was bound.
    pub(crate) fn is_plan_alone(&self) -> bool {
        self.state.recording.is_none() && self.reached == Some(0) && self.timeline.runs_started == 0
    }

    /// The arenas that have something to draw, the one that matters most first.
    pub(crate) fn arenas(&self) -> Vec<usize> {
        let Some(first) = drawn_arena(self.state) else { return Vec::new() };
        let arenas = self.state.record.arenas.iter().enumerate();
        let others = arenas.filter(|(at, arena)| *at != first && arena.size > 0).map(|(at, _)| at);
        std::iter::once(first).chain(others).collect()
    }
}

/// The maps of the current plan's arenas, as one SVG picture.
pub fn svg(timeline: &Timeline) -> String {
    match timeline.current_plan() {
        Some((number, state)) => plan_picture(&Drawn::new(timeline, number, state), MOST_TILES, "bp"),
        None => empty("no plan was recorded: there is nothing to draw"),
    }
}

/// The picture of one plan, of at most so many rectangles a panel; `id` tells it from others in a document.
pub(crate) fn plan_picture(drawn: &Drawn<'_>, most: usize, id: &str) -> String {
    let arenas = drawn.arenas();
    if arenas.is_empty() {
        return empty(&format!("plan {} has no memory: there is nothing to draw", drawn.number));
    }
    let metrics = arena_metrics(&drawn.state.record);
    let mut sheet = Sheet::new(id, &title(drawn, &arenas));
    heading(&mut sheet, drawn, arenas[0], &metrics[arenas[0]]);
    let mut legend = Legend::default();
    for (at, &arena) in arenas.iter().take(MOST_ARENAS).enumerate() {
        let tiles = Tiles::of_plan(drawn, arena as u32, most);
        let panel = Panel {
            drawn,
            arena,
            metrics: &metrics[arena],
            bytes: drawn.state.record.arenas[arena].size,
            tiles: &tiles,
            height: if at == 0 { HEIGHTS.0 } else { HEIGHTS.1 },
            main: at == 0,
            heading: (at > 0).then(|| arena_words(drawn, arena, &metrics[arena])),
        };
        panel.draw(&mut sheet);
        legend.note(&panel);
    }
    if let Some(rest) = arenas.len().checked_sub(MOST_ARENAS).filter(|&rest| rest > 0) {
        sheet.note(&format!("… and {} more, not drawn", plural(rest as u64, "arena")));
    }
    legend.draw(&mut sheet);
    sheet.finish()
}

pub(crate) fn empty(words: &str) -> String {
    let mut sheet = Sheet::new("bp", words);
    sheet.title(words);
    sheet.finish()
}

/// What the picture is of, for who cannot see it.
fn title(drawn: &Drawn<'_>, arenas: &[usize]) -> String {
    let plan = &drawn.state.record;
    let names = arenas
        .iter()
        .map(|&at| format!("{} ({})", escape(&plan.arenas[at].name), Bytes(plan.arenas[at].size)));
    let names: Vec<String> = names.take(MOST_ARENAS).collect();
    format!("Memory of {}: {}, offset against op", escape(&plan.model), names.join(", "))
}

fn heading(sheet: &mut Sheet, drawn: &Drawn<'_>, arena: usize, metrics: &ArenaMetrics) {
    let plan = &drawn.state.record;
    sheet.title(&format!(
        "{} · {}",
        escape(name_or(&plan.model, "unnamed model")),
        arena_words(drawn, arena, metrics)
    ));
    sheet.line("faint", &circumstances(drawn).join(" · "));
    let alarms = drawn.timeline.alarm_counts();
    if alarms.total() > 0 {
        sheet.line(
            "alarm",
            &format!(
                "⚠ {}: deviation {}, overlap {}, unplanned {}",
                plural(alarms.total(), "alarm"),
                Count(alarms.deviation),
                Count(alarms.overlap),
                Count(alarms.unplanned)
            ),
        );
    }
}

/// `activations 12.4 MiB = its lower bound`.
pub(crate) fn arena_words(drawn: &Drawn<'_>, arena: usize, metrics: &ArenaMetrics) -> String {
    let record = &drawn.state.record.arenas[arena];
    let words = bound_words(record, metrics);
    let between = if words.starts_with('=') { " " } else { " · " };
    format!("{} {}{between}{words}", escape(&record.name), Bytes(record.size))
}

/// Device, dims, sizes, and how far the run is.
pub(crate) fn circumstances(drawn: &Drawn<'_>) -> Vec<String> {
    let plan = &drawn.state.record;
    let device = drawn.timeline.session.as_ref().map(|session| session.device.as_str());
    let mut words = vec![escape(name_or(device.unwrap_or_default(), &plan.target)).to_string()];
    words.extend(plan.dims.iter().map(|dim| format!("{} = {}", escape(&dim.name), dim.value)));
    words.push(plural(plan.ops.len() as u64, "op"));
    words.push(plural(plan.buffers.len() as u64, "tensor"));
    let plans = drawn.timeline.plans.len();
    if plans > 1 {
        words.push(format!("plan {} of {}", drawn.number, Count(plans as u64)));
    }
    words.push(match (drawn.reached, drawn.is_plan_alone()) {
        (_, true) => "a plan, nothing ran".into(),
        (Some(op), _) => format!("{} of {} ops reached", Count(op.into()), Count(plan.ops.len() as u64)),
        (None, _) => format!("{} done", plural(drawn.timeline.runs_ok, "run")),
    });
    words.retain(|word| !word.is_empty());
    words
}

fn name_or<'a>(name: &'a str, other: &'a str) -> &'a str {
    if name.is_empty() { other } else { name }
}

/// The op of an axis or a line: `op 97 (Softmax)`.
pub(crate) fn op_words(drawn: &Drawn<'_>, op: u32) -> String {
    let source = drawn.state.record.ops.get(op as usize).map(|op| op.source_op.as_str());
    match source.filter(|source| !source.is_empty()) {
        Some(source) => format!("op {op} ({})", escape(source)),
        None => format!("op {op}"),
    }
}
