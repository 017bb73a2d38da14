//! Rasters of small plans, cell by cell, and what holds for every raster.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use crate::{
    ArenaRecord, BufferRecord, CellState, Edges, Event, MapIndex, OpRecord, PlanRecord, PlanState, Raster,
    RasterOptions, Record, Timeline, Window, colours, glyph, glyph_ascii, map_deviants, map_shapes,
    producers,
};

fn buffer(size: u64, offset: u64, first: u32, last: u32) -> BufferRecord {
    BufferRecord { size, offset, first, last, alignment: 1, ..BufferRecord::default() }
}

fn plan(size: u64, ops: usize, buffers: Vec<BufferRecord>) -> PlanRecord {
    let arena = ArenaRecord { size, alignment: 1, ..ArenaRecord::default() };
    PlanRecord { arenas: vec![arena], ops: vec![OpRecord::default(); ops], buffers, ..PlanRecord::default() }
}

/// A plan of which every buffer was bound at its first and last op, after a change to the windows.
fn seen(plan: PlanRecord, change: impl FnOnce(&mut Vec<Window>)) -> PlanState {
    let window = |op, (at, buffer): (u32, &BufferRecord)| {
        let BufferRecord { arena, offset, size, .. } = *buffer;
        Window { op, binding: 0, buffer: at, arena, offset, len: size, write: false }
    };
    let buffers = (0..).zip(&plan.buffers).filter(|(_, buffer)| buffer.first < buffer.last);
    let mut windows: Vec<Window> =
        buffers.flat_map(|item| [item.1.first, item.1.last - 1].map(|op| window(op, item))).collect();
    change(&mut windows);
    let mut timeline = Timeline::new();
    timeline.apply(Record::Plan { plan: 0, record: plan });
    timeline.apply(Record::Event(Event::Windows { t: 0, recording: 0, plan: 0, part: 0, windows }));
    timeline.plans.remove(0)
}

fn options(plan: &PlanRecord, cols: u16, rows: u16, playhead: Option<u32>) -> RasterOptions {
    RasterOptions {
        arena: 0,
        ops: 0..plan.ops.len() as u32,
        bytes: 0..plan.arenas[0].size,
        cols,
        rows,
        playhead,
    }
}

/// Each cell as the number of its buffer, `.` for none, with a mark: `!` deviant, `-` planned, blank for actual.
fn draw(state: &PlanState, options: &RasterOptions) -> Vec<String> {
    let raster = Raster::new(state, options);
    let cell = |(col, row)| {
        let cell = raster.cell(col, row);
        let buffer = cell.buffer.map_or('.', |buffer| char::from_digit(buffer, 10).unwrap_or('?'));
        let mark = match cell.state {
            CellState::Free | CellState::Actual => ' ',
            CellState::Planned => '-',
            CellState::Deviant => '!',
        };
        [buffer, mark]
    };
    (0..raster.rows()).map(|row| (0..raster.cols()).flat_map(|col| cell((col, row))).collect()).collect()
}

fn two() -> PlanRecord {
    plan(4, 4, vec![buffer(2, 0, 0, 3), buffer(1, 3, 1, 4)])
}

#[test]
fn cells_show_plan_actual_and_what_deviates() {
    fn check(state: &PlanState, playhead: Option<u32>, expect: [&str; 4]) {
        assert_eq!(draw(state, &options(&state.record, 4, 4, playhead)), expect);
    }
    let clean = seen(two(), |_| {});
    check(&clean, None, [". 1 1 1 ", ". . . . ", "0 0 0 . ", "0 0 0 . "]);
    check(&clean, Some(2), [". 1 1-1-", ". . . . ", "0 0 0-. ", "0 0 0-. "]);
    check(&clean, Some(0), [". 1-1-1-", ". . . . ", "0-0-0-. ", "0-0-0-. "]);
    // Nothing was bound: all of it is only planned.
    check(&seen(two(), Vec::clear), None, [". 1-1-1-", ". . . . ", "0-0-0-. ", "0-0-0-. "]);
    // A window of buffer 0 at op 2 lies a byte higher; what is left of it lives at op 0.
    let shifted = seen(two(), |windows| windows[1].offset += 1);
    check(&shifted, None, [". 1 1 1 ", ". . 0!. ", "0 0-0!. ", "0 0-0-. "]);
    // Buffer 0 is held to the end.
    let late = seen(two(), |windows| windows[1].op = 3);
    check(&late, None, [". 1 1 1 ", ". . . . ", "0 0 0 0!", "0 0 0 0!"]);
    // Two buffers on the same byte.
    let overlap = plan(4, 4, vec![buffer(3, 0, 0, 3), buffer(2, 2, 1, 4)]);
    check(&seen(overlap, |_| {}), None, [". 1 1 1 ", "0 0!0!1 ", "0 0 0 . ", "0 0 0 . "]);
}

#[test]
fn in_place_and_views_are_drawn_once() {
    let in_place = BufferRecord { in_place_of: Some(0), ..buffer(2, 0, 1, 4) };
    let view = BufferRecord { alias_of: Some(0), ..buffer(1, 0, 1, 2) };
    let state = seen(plan(2, 4, vec![buffer(2, 0, 0, 2), in_place, view]), |_| {});
    assert_eq!(draw(&state, &options(&state.record, 4, 1, None)), ["0 0 1 1 "]);
    let raster = Raster::new(&state, &options(&state.record, 4, 1, None));
    for col in 0..4 {
        let cell = raster.cell(col, 0);
        assert_eq!((cell.planned, cell.actual), (1.0, 1.0), "at {col}");
    }
}

#[test]
fn zoomed_cells_show_parts_of_ops_and_bytes() {
    let state = seen(two(), |_| {});
    // Two columns per op, two rows per byte, from op 2 and byte 2.
    let zoom = RasterOptions { ops: 2..4, bytes: 2..4, ..options(&state.record, 4, 4, Some(3)) };
    assert_eq!(draw(&state, &zoom), ["1 1 1-1-", "1 1 1-1-", ". . . . ", ". . . . "]);
    let raster = Raster::new(&state, &zoom);
    assert_eq!(
        (raster.ops_of(0), raster.ops_of(3), raster.bytes_of(0), raster.bytes_of(3)),
        (2..3, 3..4, 3..4, 2..3)
    );
    assert_eq!((raster.col_of(3), raster.col_of(1), raster.col_of(4)), (Some(2), None, None));
    assert_eq!((raster.row_of(2), raster.row_of(3), raster.row_of(4)), (Some(3), Some(1), None));
}

#[test]
fn coarse_cells_show_whom_they_hold_most_of() {
    // One column; the upper row holds a quarter of buffer 1, the lower three eighths of 0.
    let state = seen(two(), |_| {});
    let raster = Raster::new(&state, &options(&state.record, 1, 2, None));
    let (top, bottom) = (raster.cell(0, 0), raster.cell(0, 1));
    assert_eq!((top.buffer, bottom.buffer), (Some(1), Some(0)));
    assert_eq!((top.planned, bottom.planned), (0.375, 0.75));
    // The upper cell is reached in part: one of three ops, so it counts as planned; the lower one two of three.
    let raster = Raster::new(&state, &options(&state.record, 1, 2, Some(2)));
    assert_eq!((raster.cell(0, 0).state, raster.cell(0, 1).state), (CellState::Planned, CellState::Actual));
    assert_eq!(raster.cell(0, 0).actual, 0.125);
}

#[test]
fn smallest_thing_is_seen() {
    let size = 1 << 40;
    let record = plan(size, 1_000_000, vec![buffer(1, size / 2, 500_000, 500_001)]);
    let state = seen(record, |windows| windows[0].offset -= 1);
    let raster = Raster::new(&state, &options(&state.record, 10, 10, None));
    let cell = raster.cell(5, 4);
    assert!(cell.planned > 0.0 && cell.buffer == Some(0), "{cell:?}");
    assert_eq!(raster.cell(5, 5).state, CellState::Deviant);
}

#[test]
fn nothing_to_draw_is_an_empty_grid() {
    let state = seen(two(), |_| {});
    let all = options(&state.record, 4, 4, None);
    for empty in [
        RasterOptions { cols: 0, ..all.clone() },
        RasterOptions { rows: 0, ..all.clone() },
        RasterOptions { ops: 2..2, ..all.clone() },
        RasterOptions { bytes: 3..3, ..all.clone() },
    ] {
        let raster = Raster::new(&state, &empty);
        assert_eq!(raster.cell(0, 0).state, CellState::Free);
        assert_eq!(
            (raster.edges(0, 0), raster.ops_of(7).len(), raster.bytes_of(9)),
            (Edges::default(), 0, raster.bytes_of(9))
        );
    }
    let none = RasterOptions { arena: 9, ..all };
    assert_eq!(draw(&state, &none), vec![". . . . "; 4]);
    assert_eq!(draw(&PlanState::default(), &none), vec![". . . . "; 4]);
}

#[test]
fn edges_are_where_the_buffer_changes() {
    let state = seen(two(), |_| {});
    let raster = Raster::new(&state, &options(&state.record, 4, 4, None));
    let edges = |left, right, top, bottom| Edges { left, right, top, bottom };
    assert_eq!(raster.edges(0, 3), edges(false, false, false, false));
    assert_eq!(raster.edges(2, 2), edges(false, true, true, false));
    assert_eq!(raster.edges(1, 0), edges(true, false, false, true));
    assert_eq!(raster.edges(9, 9), Edges::default());
}

#[test]
fn shades_grow_and_show_the_least() {
    let shares = [f32::NAN, 0.0, 1e-30, 0.25, 0.3, 0.6, 0.8, 1.0, 2.0];
    assert_eq!(shares.map(glyph).iter().collect::<String>(), "  ░░▒▓███");
    assert_eq!(shares.map(glyph_ascii).iter().collect::<String>(), "  ..-+###");
}

#[test]
fn neighbours_differ_in_colour() {
    // Columns of three, each above the other and beside the next.
    let buffers = (0..60u64).map(|at| buffer(1, at % 3, (at / 3) as u32, (at / 3) as u32 + 1)).collect();
    let plan = plan(3, 20, buffers);
    let colours = colours(&plan, 8);
    assert_eq!(colours, crate::colours(&plan, 8));
    for (at, colour) in colours.iter().enumerate() {
        assert!(*colour < 8);
        if at % 3 < 2 {
            assert_ne!(*colour, colours[at + 1], "above {at}");
        }
        if let Some(next) = colours.get(at + 3) {
            assert_ne!(colour, next, "after {at}");
        }
    }
    for palette in 0..2 {
        assert_eq!(crate::colours(&plan, palette), [0; 60]);
    }
}

proptest! {
    /// The fine grid has a cell for every op and byte here: its sums are what drawing gives.
    #[test]
    fn sums_made_beforehand_give_what_drawing_gives(
        parts in proptest::collection::vec((0u64..30, 1u64..12, 0u32..10, 1u32..6), 0..12),
        (cols, rows) in (1u16..24, 1u16..24),
        (op, byte) in (0u32..12, 0u64..40),
        playhead in proptest::option::of(0u32..16),
        faults in any::<bool>(),
    ) {
        let mut top = 0;
        let buffers = parts.iter().map(|&(gap, size, first, life)| {
            let offset = top + gap;
            top = offset + size;
            buffer(size, offset, first, first + life)
        });
        let buffers = buffers.collect();
        let state = seen(plan(top.max(50), 16, buffers), |windows| {
            windows.iter_mut().step_by(5).filter(|_| faults).for_each(|window| window.offset += 1);
        });
        let whole = options(&state.record, cols, rows, playhead);
        for options in [whole.clone(), RasterOptions { ops: op..16, bytes: byte..byte + 9, ..whole }] {
            let drawn = Raster::new(&state, &options);
            let summed = Raster::indexed(&state, &options, &MapIndex::drawing(&state, 0, 0));
            for (col, row) in (0..cols).flat_map(|col| (0..rows).map(move |row| (col, row))) {
                let (drawn, summed) = (drawn.cell(col, row), summed.cell(col, row));
                prop_assert!((drawn.planned - summed.planned).abs() < 1e-4, "{drawn:?} {summed:?}");
                prop_assert!((drawn.actual - summed.actual).abs() < 1e-4, "{drawn:?} {summed:?}");
                prop_assert_eq!(drawn.state == CellState::Deviant, summed.state == CellState::Deviant);
                if drawn.planned > 0.7 {
                    prop_assert!(summed.buffer.is_some(), "{drawn:?} {summed:?}");
                }
            }
        }
    }

    #[test]
    fn cells_hold_what_painting_gives(
        parts in proptest::collection::vec((0u64..30, 1u64..12, 0u32..10, 1u32..6), 0..8),
        cols in 1u16..24,
        rows in 1u16..24,
    ) {
        // Laid out without overlap, each above the one before.
        let mut top = 0;
        let buffers = parts.iter().map(|&(gap, size, first, life)| {
            let offset = top + gap;
            top = offset + size;
            buffer(size, offset, first, first + life)
        });
        let buffers = buffers.collect();
        let state = seen(plan(top.max(1), 16, buffers), |_| {});
        let raster = Raster::new(&state, &options(&state.record, cols, rows, None));
        let overlap = |a: (f64, f64), b: (f64, f64)| (a.1.min(b.1) - a.0.max(b.0)).max(0.0);
        for row in 0..rows {
            for col in 0..cols {
                let height = top.max(1) as f64 / f64::from(rows);
                let width = 16.0 / f64::from(cols);
                let below = f64::from(rows - 1 - row);
                let (y, x) = ((below * height, (below + 1.0) * height), (f64::from(col) * width, f64::from(col + 1) * width));
                let share = |buffer: &BufferRecord| {
                    let bytes = overlap(y, (buffer.offset as f64, buffer.end() as f64)) / height;
                    bytes * overlap(x, (f64::from(buffer.first), f64::from(buffer.last))) / width
                };
                let shares: Vec<f64> = state.record.buffers.iter().map(share).collect();
                let (cell, sum) = (raster.cell(col, row), shares.iter().sum::<f64>());
                prop_assert!((f64::from(cell.planned) - sum).abs() < 1e-4, "{cell:?} is not {sum}");
                prop_assert!((f64::from(cell.actual) - sum).abs() < 1e-4);
                let most = shares.iter().copied().fold(0.0, f64::max);
                match cell.buffer {
                    Some(buffer) => prop_assert!(shares[buffer as usize] > most - 1e-4),
                    None => prop_assert!(most < 1e-6),
                }
                let state = if sum > 1e-6 { CellState::Actual } else { CellState::Free };
                prop_assert_eq!(cell.state, state);
            }
        }
    }

    #[test]
    fn any_plan_and_view_draw_without_a_panic(
        parts in proptest::collection::vec((any::<u64>(), any::<u64>(), 0u32..40, 0u32..40, any::<bool>()), 0..16),
        ops in (0u32..40, 0u32..40),
        bytes in any::<(u64, u64)>(),
        size in (0u16..40, 0u16..40),
        playhead in any::<Option<u32>>(),
    ) {
        let buffers = parts.iter().map(|&(offset, size, first, last, link)| {
            BufferRecord { in_place_of: link.then_some(3), alias_of: (!link && size % 3 == 0).then_some(1), ..buffer(size, offset, first, last) }
        });
        let state = seen(plan(u64::MAX, 30, buffers.collect()), |windows| {
            windows.iter_mut().step_by(3).for_each(|window| window.offset /= 2);
        });
        let (cols, rows) = size;
        let options = RasterOptions { arena: 0, ops: ops.0.min(ops.1)..ops.0.max(ops.1), bytes: bytes.0.min(bytes.1)..bytes.0.max(bytes.1), cols, rows, playhead };
        let raster = Raster::new(&state, &options);
        let indexed = Raster::indexed(&state, &options, &MapIndex::new(&state, 0));
        let summed = Raster::indexed(&state, &options, &MapIndex::drawing(&state, 0, 0));
        for (col, row) in (0..cols).flat_map(|col| (0..rows).map(move |row| (col, row))) {
            let cell = raster.cell(col, row);
            prop_assert_eq!(cell, indexed.cell(col, row));
            let sum = summed.cell(col, row);
            prop_assert!((0.0..=1.0).contains(&sum.planned) && (0.0..=1.0).contains(&sum.actual));
            prop_assert!((0.0..=1.0).contains(&cell.planned) && (0.0..=1.0).contains(&cell.actual));
            let _ = (raster.edges(col, row), raster.ops_of(col), raster.bytes_of(row));
        }
        let _ = (crate::arena_metrics(&state.record), crate::deviation(&state), crate::colours(&state.record, 8));
    }
}

proptest! {
    /// With a cell for every op and byte, cells say what rectangles say.
    #[test]
    fn rectangles_give_what_cells_give(
        parts in proptest::collection::vec((0u64..5, 1u64..9, 0u32..10, 1u32..6), 0..10),
        playhead in proptest::option::of(0u32..16),
        faults in any::<bool>(),
    ) {
        let mut top = 0;
        let buffers = parts.iter().map(|&(gap, size, first, life)| {
            let offset = top + gap;
            top = offset + size;
            buffer(size, offset, first, first + life)
        });
        let buffers = buffers.collect();
        let state = seen(plan(top.max(8), 16, buffers), |windows| {
            windows.iter_mut().step_by(5).filter(|_| faults).for_each(|window| window.offset += 1);
        });
        let size = state.record.arenas[0].size;
        let raster = Raster::new(&state, &options(&state.record, 16, size as u16, playhead));
        let shapes = map_shapes(&state, 0, playhead);
        let deviants = map_deviants(&state, 0);
        prop_assert!(faults || deviants.is_empty(), "{deviants:?}");
        for (op, byte) in (0..16u32).flat_map(|op| (0..size).map(move |byte| (op, byte))) {
            let cell = raster.cell(op as u16, (size - 1 - byte) as u16);
            let here = |ops: &core::ops::Range<u32>, bytes: &core::ops::Range<u64>| ops.contains(&op) && bytes.contains(&byte);
            let shape = shapes.iter().find(|shape| here(&shape.ops, &shape.bytes));
            prop_assert_eq!(cell.planned > 0.5, shape.is_some(), "{} {}", op, byte);
            let seen = shape.and_then(|shape| shape.seen.as_ref()).is_some_and(|(ops, bytes)| here(ops, bytes));
            prop_assert_eq!(cell.actual > 0.5, seen, "{} {}", op, byte);
            let deviant = deviants.iter().any(|deviant| here(&deviant.ops, &deviant.bytes));
            prop_assert_eq!(cell.state == CellState::Deviant, deviant, "{} {}", op, byte);
        }
    }
}

#[test]
fn the_first_op_that_writes_a_buffer_made_it() {
    let mut record = plan(8, 3, vec![buffer(1, 0, 0, 3), buffer(1, 1, 0, 3), buffer(1, 2, 0, 3)]);
    record.ops[1].writes = vec![2, 9];
    record.ops[2].writes = vec![2, 0];
    assert_eq!(producers(&record), [Some(2), None, Some(1)]);
}
