//! The difference as a picture: both maps, to the same scale of bytes, with what differs marked.

use std::collections::HashMap;

use bayplan_text::{Bytes, Count, escape, plural};
use bayplan_trace::{ArenaDiff, MapShape, PlanDiff, TensorDiff, arena_metrics, map_shapes};

use super::words::{bytes_change, counts};
use super::{Compared, Side};
use crate::map::drawn_arena;
use crate::picture::{Drawn, Panel, Sheet, Tile, Tiles, arena_words, draw_rows, empty};

/// Rectangles of each map: what differs first, then the largest.
const MOST_TILES: usize = 10_000;

/// The height of each map.
const HEIGHT: f64 = 300.0;

/// What happens to a tensor, with the sign that its title begins with. The first that holds is drawn.
const CHANGES: [(&str, &str); 5] = [
    ("added", "+ added"),
    ("removed", "− removed"),
    ("resized", "↕ resized"),
    ("moved", "→ moved"),
    ("relived", "◷ another life"),
];

/// Both maps of the arena that matters most, one above the other, of the plans that differ most.
pub fn svg(compared: &Compared<'_>) -> String {
    let differs = |plan: &&PlanDiff| (plan.tensors.len(), std::cmp::Reverse(plan.numbers));
    let Some(plan) = compared.diff.plans.iter().max_by_key(differs) else {
        return empty("there are no plans to compare");
    };
    let names = [compared.a.name, compared.b.name].map(|name| escape(name).to_string());
    let mut sheet =
        Sheet::new("bp", &format!("Memory of {} and of {}, offset against op", names[0], names[1]));
    sheet.title(&format!("{} → {}", names[0], names[1]));
    sheet.line("", &format!("tensors: {}", counts(plan)));
    let more = compared.diff.plans.len() - 1;
    if more > 0 {
        sheet.note(&format!(
            "{} more, not drawn: these differ in the most tensors",
            plural(more as u64, "plan")
        ));
    }
    let sides = [(&compared.a, plan.numbers.0), (&compared.b, plan.numbers.1)];
    let arenas = sides.map(|(side, number)| drawn_arena(side.plan(number)));
    let Some(size) = sides
        .iter()
        .zip(arenas)
        .filter_map(|((side, number), arena)| Some(side.plan(*number).record.arenas[arena?].size))
        .max()
    else {
        sheet.line("", "neither has memory: there is nothing to draw");
        return sheet.finish();
    };
    arena_lines(&mut sheet, plan);
    let mut seen = Seen::default();
    for (at, ((side, number), arena)) in sides.into_iter().zip(arenas).enumerate() {
        let Some(arena) = arena else {
            sheet.line("", &format!("{} has no memory", names[at]));
            continue;
        };
        let letter = ["A", "B"][at];
        seen.add(panel(
            &mut sheet,
            (side, number),
            arena,
            size,
            &Changes::of(plan, at == 1),
            &format!("{letter}: {}", names[at]),
        ));
    }
    seen.legend(&mut sheet);
    sheet.finish()
}

fn arena_lines(sheet: &mut Sheet, plan: &PlanDiff) {
    let changed = |arena: &&ArenaDiff| !arena.is_empty();
    for arena in plan.arenas.iter().filter(changed).take(4) {
        let size = |side: &Option<bayplan_trace::ArenaSide>| side.as_ref().map_or(0, |side| side.size);
        let sizes = bytes_change((size(&arena.a), size(&arena.b)));
        sheet.line(
            "strong",
            &format!("{}: {sizes}, peak {}", escape(&arena.name), bytes_change(arena.peaks())),
        );
    }
}

/// What happens to the tensors of one side, by their number.
struct Changes<'a>(HashMap<u32, &'a TensorDiff>);

impl<'a> Changes<'a> {
    fn of(plan: &'a PlanDiff, second: bool) -> Self {
        let own = |tensor: &TensorDiff| if second { tensor.b } else { tensor.a };
        Self(plan.tensors.iter().filter_map(|tensor| Some((own(tensor)?, tensor))).collect())
    }

    /// Its place among [`CHANGES`], and the words for it.
    fn at(&self, buffer: u32) -> Option<(usize, String)> {
        let tensor = self.0.get(&buffer)?;
        let holds = [tensor.is_added(), tensor.is_removed(), tensor.resized, tensor.moved, tensor.relived];
        let first = holds.iter().position(|&holds| holds)?;
        let sizes = if tensor.resized { format!(", {}", bytes_change(tensor.sizes)) } else { String::new() };
        Some((first, format!("{}{sizes}", tensor.what())))
    }
}

/// Which changes there are, for the legend.
#[derive(Clone, Copy, Default)]
struct Seen([bool; CHANGES.len()]);

impl Seen {
    fn add(&mut self, other: Self) {
        self.0.iter_mut().zip(other.0).for_each(|(own, other)| *own |= other);
    }

    fn legend(&self, sheet: &mut Sheet) {
        let swatch = |class: &str, fill: &str| {
            format!("<rect class=\"{class}\" y=\"-10\" width=\"26\" height=\"12\"{fill}/>")
        };
        let mut rows = vec![(swatch("t same", ""), "the same".to_owned())];
        for ((class, words), _) in CHANGES.iter().zip(self.0).filter(|(_, seen)| *seen) {
            let fill =
                if *class == "relived" { String::new() } else { format!(" fill=\"url(#bp-{class})\"") };
            rows.push((swatch(&format!("change {class}"), &fill), (*words).to_owned()));
        }
        rows.push((
            "<line class=\"bound\" x1=\"0\" y1=\"-4\" x2=\"26\" y2=\"-4\"/>".into(),
            "lower bound".into(),
        ));
        draw_rows(sheet, &rows);
    }
}

fn panel(
    sheet: &mut Sheet,
    (side, number): (&Side<'_>, u32),
    arena: usize,
    size: u64,
    changes: &Changes<'_>,
    name: &str,
) -> Seen {
    let state = side.plan(number);
    // Two plans are compared, however far either ran.
    let drawn = Drawn { timeline: side.timeline, number, state, reached: None };
    let metrics = arena_metrics(&state.record).swap_remove(arena);
    let (tiles, seen) = tiles(map_shapes(state, arena as u32, None), changes);
    let heading = format!(
        "{name} · {} · {} at the peak",
        arena_words(&drawn, arena, &metrics),
        Bytes(metrics.peak_live)
    );
    Panel {
        drawn: &drawn,
        arena,
        metrics: &metrics,
        tiles: &tiles,
        height: HEIGHT,
        bytes: size,
        main: false,
        heading: Some(heading),
    }
    .draw(sheet);
    seen
}

fn tiles(mut shapes: Vec<MapShape>, changes: &Changes<'_>) -> (Tiles, Seen) {
    let mut tiles = Tiles { buffers: shapes.len(), ..Tiles::default() };
    if shapes.len() > MOST_TILES {
        let area = |shape: &MapShape| {
            u128::from(shape.bytes.end - shape.bytes.start) * u128::from(shape.ops.end - shape.ops.start)
        };
        shapes.sort_by_key(|shape| {
            (!changes.0.contains_key(&shape.buffer), std::cmp::Reverse(area(shape)), shape.buffer)
        });
        let rest = shapes.len() - MOST_TILES;
        shapes.truncate(MOST_TILES);
        tiles.notes.push(format!("{} of the smallest tensors are not drawn", Count(rest as u64)));
    }
    let mut seen = Seen::default();
    for MapShape { buffer, ops, bytes, .. } in shapes {
        let change = changes.at(buffer);
        let (class, hatch, note) = match &change {
            None => ("t same".to_owned(), None, String::new()),
            Some((at, words)) => {
                seen.0[*at] = true;
                let class = CHANGES[*at].0;
                (
                    format!("change {class}"),
                    Some(class).filter(|class| *class != "relived"),
                    format!("{words}\n"),
                )
            }
        };
        tiles.list.push(Tile { ops, bytes, class, hatch, note, buffer: Some(buffer), named: true });
    }
    // What differs over what does not.
    tiles.list.sort_by_key(|tile| tile.class != "t same");
    (tiles, seen)
}
