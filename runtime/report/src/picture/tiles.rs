//! The rectangles of a map.

use std::collections::BTreeMap;
use std::ops::Range;

use bayplan_text::{Bytes, Count, escape};
use bayplan_trace::{
    Cell, CellState, MapDeviant, MapIndex, MapShape, PlanRecord, Raster, RasterOptions, Stretch, colours,
    map_deviants, map_shapes, ops_words, producers,
};

use super::Drawn;
use super::style::HUES;

/// Cells of a map that shows too many buffers to draw each.
const CELLS: (u16, u16) = (320, 160);

/// Places that are drawn of what is not as planned.
const MOST_DEVIANTS: usize = 2000;

/// A rectangle of a map.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Tile {
    pub(crate) ops: Range<u32>,
    pub(crate) bytes: Range<u64>,
    /// Its looks, as classes of the style.
    pub(crate) class: String,
    /// The hatching it is filled with, where it has one.
    pub(crate) hatch: Option<&'static str>,
    /// What its title begins with.
    pub(crate) note: String,
    /// The buffer, which gives it a name and a title.
    pub(crate) buffer: Option<u32>,
    /// Whether the name may be written on it.
    pub(crate) named: bool,
}

/// Everything that is drawn of one arena.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tiles {
    /// Buffers, one by one: from the bottom to the top of the picture.
    pub(crate) list: Vec<Tile>,
    /// Or together, where they are too many: rectangles by their looks.
    pub(crate) together: BTreeMap<String, Vec<Stretch>>,
    /// What is not as planned.
    pub(crate) deviants: Vec<MapDeviant>,
    /// How many buffers it shows.
    pub(crate) buffers: usize,
    /// What is drawn otherwise than it is, in words.
    pub(crate) notes: Vec<String>,
}

impl Tiles {
    /// The map of an arena: the plan, and over it what was seen.
    pub(crate) fn of_plan(drawn: &Drawn<'_>, arena: u32, most: usize) -> Self {
        let mut deviants = map_deviants(drawn.state, arena);
        let mut tiles = Self::default();
        let all = deviants.len();
        deviants.truncate(MOST_DEVIANTS);
        if all > deviants.len() {
            let all = Count(all as u64);
            tiles.notes.push(format!(
                "of {all} places that are not as planned the first {} are drawn",
                deviants.len()
            ));
        }
        tiles.deviants = deviants;
        let shapes = map_shapes(drawn.state, arena, drawn.reached);
        let hues = colours(&drawn.state.record, HUES);
        tiles.buffers = shapes.len();
        if shapes.len() <= most {
            tiles.one_by_one(drawn, &shapes, &hues);
            return tiles;
        }
        tiles.notes.push(format!(
            "{} tensors are drawn together, in {} × {} cells",
            Count(shapes.len() as u64),
            CELLS.0,
            CELLS.1
        ));
        tiles.in_cells(drawn, arena, &hues);
        tiles
    }

    fn one_by_one(&mut self, drawn: &Drawn<'_>, shapes: &[MapShape], hues: &[u8]) {
        let plan_alone = drawn.is_plan_alone();
        for MapShape { buffer, ops, bytes, seen } in shapes {
            let hue = hues.get(*buffer as usize).copied().unwrap_or(0);
            let tile = |ops: &Range<u32>, bytes: &Range<u64>, look: &str| Tile {
                ops: ops.clone(),
                bytes: bytes.clone(),
                class: format!("t{look} h{hue}"),
                buffer: Some(*buffer),
                named: false,
                ..Tile::default()
            };
            let whole = seen.as_ref().is_some_and(|(at, of)| at == ops && of == bytes);
            if plan_alone || whole {
                self.list.push(Tile { named: true, ..tile(ops, bytes, "") });
                continue;
            }
            self.list.push(Tile { named: true, ..tile(ops, bytes, " p") });
            if let Some((ops, bytes)) = seen {
                self.list.push(tile(ops, bytes, ""));
            }
        }
    }

    fn in_cells(&mut self, drawn: &Drawn<'_>, arena: u32, hues: &[u8]) {
        let record = &drawn.state.record;
        let options = RasterOptions {
            arena,
            ops: 0..record.ops.len() as u32,
            bytes: 0..record.arenas[arena as usize].size,
            cols: CELLS.0,
            rows: CELLS.1,
            playhead: drawn.reached,
        };
        let raster = Raster::indexed(drawn.state, &options, &MapIndex::new(drawn.state, arena));
        let plan_alone = drawn.is_plan_alone();
        let look = |cell: &Cell| match cell.state {
            CellState::Free => None,
            _ if cell.buffer.is_none() && cell.planned <= 0.0 => None,
            CellState::Planned if !plan_alone => Some(format!("p h{}", hue(hues, cell))),
            _ => Some(format!("h{}", hue(hues, cell))),
        };
        for row in 0..raster.rows() {
            let mut run: Option<(String, u16)> = None;
            for col in 0..=raster.cols() {
                let next = if col < raster.cols() { look(&raster.cell(col, row)) } else { None };
                if run.as_ref().map(|(class, _)| class) == next.as_ref() {
                    continue;
                }
                if let Some((class, from)) = run.take() {
                    let ops = raster.ops_of(from).start..raster.ops_of(col - 1).end;
                    self.together.entry(class).or_default().push((ops, raster.bytes_of(row)));
                }
                run = next.map(|class| (class, col));
            }
        }
    }
}

fn hue(hues: &[u8], cell: &Cell) -> u8 {
    cell.buffer.and_then(|buffer| hues.get(buffer as usize)).copied().unwrap_or(0)
}

/// The plan's word on its buffers, one at a time.
pub(crate) struct Titles<'a> {
    plan: &'a PlanRecord,
    producers: Vec<Option<u32>>,
}

impl<'a> Titles<'a> {
    pub(crate) fn new(plan: &'a PlanRecord) -> Self {
        Self { plan, producers: producers(plan) }
    }

    /// What there is to say of a buffer, escaped for display.
    pub(crate) fn of(&self, buffer: u32) -> String {
        let Some(record) = self.plan.buffers.get(buffer as usize) else {
            return "no tensor of the plan".into();
        };
        let mut words = vec![tensor_words(self.plan, buffer)];
        let producer = self.producers.get(buffer as usize).copied().flatten();
        if let Some((number, op)) = producer.and_then(|op| Some((op, self.plan.ops.get(op as usize)?))) {
            let parts = [op.source_op.as_str(), op.source_node.as_str()].map(|part| escape(part).to_string());
            let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
            let whom = if parts.is_empty() { String::new() } else { format!(" ({})", parts.join(" ")) };
            words.push(format!("written by op {number}{whom}"));
        }
        if let Some(before) = record.in_place_of.and_then(|at| self.plan.buffers.get(at as usize)) {
            words.push(format!("in place of {}", escape(&before.name)));
        }
        words.join("\n")
    }
}

/// Name, shape, size, place and life of a buffer: `x f32[8,64]\n2.00 KiB (2,048 bytes) at 4,096 · ops 3 to 6`.
pub(crate) fn tensor_words(plan: &PlanRecord, buffer: u32) -> String {
    let Some(record) = plan.buffers.get(buffer as usize) else { return String::new() };
    let name =
        if record.name.is_empty() { format!("buffer {buffer}") } else { escape(&record.name).to_string() };
    format!(
        "{name} {}\n{} ({} bytes) at {} · {}",
        escape(&record.shape),
        Bytes(record.size),
        Count(record.size),
        Count(record.offset),
        ops_words(record.first, record.last)
    )
}
