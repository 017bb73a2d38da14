//! The map of an arena in characters: offset × op.

use bayplan_text::{Bytes, ascii_row, ellipsis};
use bayplan_trace::{
    ArenaMetrics, MapIndex, MapLine, MapState, PlanState, Raster, RasterOptions, Sketch, Timeline,
    arena_metrics, map_labels,
};

use crate::summary::bound_words;

/// The smallest map that can be read.
const SMALLEST: (u16, u16) = (40, 8);

/// The largest: beyond it nothing is gained, and a mistaken size would fill memory.
const LARGEST: (u16, u16) = (1000, 500);

/// Columns of the byte axis: a size, a blank and the line.
const GUTTER: usize = 11;

/// Lines that are no map: the heading, the op axis, its labels and the legend.
const FRAME: u16 = 4;

/// The map of the activations of the current plan, at most `cols` characters wide and `rows` lines high (but at least
/// 40 by 8), with its axes, the peak and a legend: cell for cell what the viewer's Bay plan shows without colours. Offsets grow
/// upwards, ops to the right. Where `is_ascii` says so there are stand-ins for all signs that are not ASCII.
pub fn map(timeline: &Timeline, cols: u16, rows: u16, is_ascii: bool) -> String {
    let Some((number, state)) = timeline.current_plan() else {
        return "no plan was recorded: there is nothing to draw\n".into();
    };
    let Some(arena) = drawn_arena(state) else {
        return format!("plan {number} has no memory: there is nothing to draw\n");
    };
    let cols = cols.clamp(SMALLEST.0, LARGEST.0);
    let rows = rows.clamp(SMALLEST.1, LARGEST.1);
    let options = RasterOptions {
        arena: arena as u32,
        ops: 0..state.record.ops.len() as u32,
        bytes: 0..state.record.arenas[arena].size,
        cols: cols - GUTTER as u16,
        rows: rows - FRAME,
        // As the viewer draws it: what lies ahead of the playhead is told by the sketch.
        playhead: None,
    };
    let index = MapIndex::new(state, options.arena);
    let raster = Raster::indexed(state, &options, &index);
    let labels = map_labels(&state.record, &options, &index);
    let playhead = timeline.playhead(number);
    let sketch = Sketch::new(&state.record, (&options, &raster), &labels, playhead, true);
    let metrics = arena_metrics(&state.record).swap_remove(arena);
    let picture = Picture { state, arena, metrics, raster, sketch, is_ascii };
    let mut lines = vec![ellipsis(&picture.heading(timeline), usize::from(cols)).to_string()];
    lines.extend(picture.plot());
    lines.extend(picture.op_axis());
    lines.push(picture.legend());
    lines.iter().map(|line| format!("{}\n", cut(line.trim_end(), usize::from(cols), is_ascii))).collect()
}

/// The arena that is drawn, where it has bytes and there are ops.
pub(crate) fn drawn_arena(state: &PlanState) -> Option<usize> {
    let arena = state.record.main_arena()? as usize;
    let has_bytes = state.record.arenas.get(arena).is_some_and(|arena| arena.size > 0);
    (has_bytes && !state.record.ops.is_empty()).then_some(arena)
}

/// Cuts a line to a number of columns, and says all of it in ASCII where it has to.
fn cut(line: &str, width: usize, is_ascii: bool) -> String {
    // Wide characters stand in rows of the map alone, which fit.
    let mut cells: Vec<char> = line.chars().collect();
    if cells.len() > width {
        cells.truncate(width - 1);
        cells.push('…');
    }
    if is_ascii {
        ascii_row(&mut cells);
    }
    cells.into_iter().collect()
}

struct Picture<'a> {
    state: &'a PlanState,
    arena: usize,
    metrics: ArenaMetrics,
    raster: Raster,
    sketch: Sketch,
    is_ascii: bool,
}

impl Picture<'_> {
    /// Not escaped yet.
    fn heading(&self, timeline: &Timeline) -> String {
        let plan = &self.state.record;
        let arena = &plan.arenas[self.arena];
        let bound = bound_words(arena, &self.metrics);
        let alarms = timeline.alarm_counts().total();
        let alarms = if alarms > 0 { format!(" · {alarms} ALARMS") } else { String::new() };
        format!("{} · {} {} {bound}{alarms}", plan.model, arena.name, Bytes(arena.size))
    }

    /// The map with the byte axis, from the top down.
    fn plot(&self) -> Vec<String> {
        let line = |(label, row): (Option<String>, u16)| {
            let joint = if label.is_some() { '┤' } else { '│' };
            let cells = self.sketch.row(row, self.is_ascii);
            format!("{:>width$} {joint}{cells}", label.unwrap_or_default(), width = GUTTER - 2)
        };
        self.byte_labels().into_iter().zip(0..).map(line).collect()
    }

    /// A label at every fourth line or so, and at the top and the bottom: the offset at the line's lower edge; at the
    /// top the arena's end.
    fn byte_labels(&self) -> Vec<Option<String>> {
        let rows = usize::from(self.raster.rows());
        let ticks = (rows / 4).max(1);
        let mut labels = vec![None; rows];
        for tick in 1..ticks {
            let row = rows - 1 - tick * (rows - 1) / ticks;
            labels[row] = Some(Bytes(self.raster.bytes_of(row as u16).start).to_string());
        }
        labels[rows - 1] = Some("0".into());
        labels[0] = Some(Bytes(self.state.record.arenas[self.arena].size).to_string());
        labels
    }

    /// The line under the grid with a mark at the peak, and the labels under it.
    fn op_axis(&self) -> [String; 2] {
        let cols = usize::from(self.raster.cols());
        let last = self.state.record.ops.len() - 1;
        let peak = self.metrics.peak_op;
        let peak_col = peak.and_then(|op| self.raster.col_of(op)).map(usize::from);
        let axis: String = (0..cols).map(|col| if Some(col) == peak_col { '▲' } else { '─' }).collect();
        let mut labels = vec![' '; cols];
        let end = format!("op {last}");
        if let (Some(op), Some(col)) = (peak, peak_col) {
            let name = self.state.record.ops.get(op as usize).map(|op| op.source_op.as_str());
            let name = name.filter(|name| !name.is_empty() && name.bytes().all(|c| c.is_ascii_graphic()));
            let name = name.map_or_else(String::new, |name| format!(" {}", ellipsis(name, 16)));
            let text = &format!("peak {} at op {op}{name}", Bytes(self.metrics.peak_live));
            let width = text.chars().count();
            // Under the mark, but off the labels at both ends where there is room.
            let rightmost = cols.saturating_sub(width + end.len() + 2);
            put(&mut labels, col.saturating_sub(width / 2).max("op 0  ".len()).min(rightmost), text);
        }
        put(&mut labels, 0, "op 0");
        put(&mut labels, cols.saturating_sub(end.len()), &end);
        let gutter = " ".repeat(GUTTER - 1);
        [format!("{gutter}└{axis}"), format!("{gutter} {}", labels.into_iter().collect::<String>())]
    }

    /// The signs that stand on the map.
    fn legend(&self) -> String {
        let states = MapState::TOLD.into_iter().filter(|state| self.sketch.shows(*state));
        let states = states.map(|state| (state.glyph(), state.word()));
        let lines = [MapLine::Playhead, MapLine::Bound].into_iter();
        let lines = lines.filter(|line| self.sketch.has_line(*line)).map(|line| (line.glyph(), line.word()));
        let signs: Vec<String> = states.chain(lines).map(|(glyph, word)| format!("{glyph} {word}")).collect();
        let borders: String = self.sketch.borders().collect();
        let told = format!("{}{}", " ".repeat(GUTTER), signs.join("   "));
        // Whoever sees the map guesses them; they are told where there is room.
        let with_borders = format!("{told}   {borders} borders");
        let fits = with_borders.chars().count() <= GUTTER + usize::from(self.raster.cols());
        if fits && !borders.is_empty() { with_borders } else { told }
    }
}

/// Writes a text onto a line where the line and a cell at both sides of it are blank.
fn put(line: &mut [char], at: usize, text: &str) {
    let width = text.chars().count();
    let end = (at + width + 1).min(line.len());
    let free = at + width <= line.len() && line[at.saturating_sub(1)..end].iter().all(|&c| c == ' ');
    if free {
        line[at..at + width].iter_mut().zip(text.chars()).for_each(|(cell, c)| *cell = c);
    }
}
