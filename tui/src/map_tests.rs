//! The map is rasterised once for what is in view, and shows at every playhead what it would show if it were made for it.

use std::sync::Arc;

use bayplan_trace::{Event, Raster, RasterOptions, Record};
use crossterm::event::{KeyCode, KeyEvent};

use crate::model::Model;
use crate::picture_tests::small;
use crate::support;
use crate::watch::Watch;

fn options(model: &Model, cols: u16, rows: u16) -> RasterOptions {
    let arena = model.arena().unwrap();
    let (ops, bytes) = (arena.view.ops, arena.view.bytes);
    RasterOptions {
        arena: arena.arena,
        ops: ops.start as u32..ops.end() as u32,
        bytes: bytes.start..bytes.end(),
        cols,
        rows,
        playhead: None,
    }
}

#[test]
fn one_raster_serves_every_playhead() {
    let plan = support::encoder(3);
    let mut windows = support::windows(&plan);
    support::plant_faults(&plan, &mut windows);
    let encoder = crate::picture_tests::model(support::records(&plan, windows, 9));
    for model in [small(false), small(true), encoder] {
        let arena = model.arena().unwrap();
        let ops = arena.plan.record.ops.len() as u32;
        for (cols, rows) in [(80, 40), (23, 9), (7, 5)] {
            let options = options(&model, cols, rows);
            let whole = arena.raster(options.clone());
            for playhead in (0..=ops).map(Some).chain([None]) {
                let options = RasterOptions { playhead, ..options.clone() };
                let made = Raster::indexed(arena.plan, &options, arena.map());
                for (col, row) in (0..cols).flat_map(|col| (0..rows).map(move |row| (col, row))) {
                    let reached = whole.ops_of(col);
                    // Of a column that is reached in part, shares differ.
                    if playhead.is_some_and(|at| at > reached.start && at < reached.end) {
                        continue;
                    }
                    assert_eq!(
                        whole.reached((col, row), playhead),
                        made.cell(col, row),
                        "{cols}x{rows}, column {col}, row {row}, playhead {playhead:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_run_that_goes_on_rasterises_nothing_anew() {
    let mut watch = Watch::of(small(true), 1);
    let raster =
        |watch: &Watch, (cols, rows)| watch.model.arena().unwrap().raster(options(&watch.model, cols, rows));
    let first = raster(&watch, (80, 20));
    for op in 5..9 {
        watch.model.apply(Record::Event(Event::Completed { run: 42, plan: 0, op, t: 172_000_000 }));
        watch.model.settle();
        assert!(Arc::ptr_eq(&first, &raster(&watch, (80, 20))), "op {op}");
    }
    watch.key(KeyEvent::from(KeyCode::Char('+')));
    assert!(!Arc::ptr_eq(&first, &raster(&watch, (80, 20))), "another part in view");
    // Windows that are bound anew change what is seen.
    let seen = raster(&watch, (80, 20));
    let plan = support::by_hand();
    let windows = support::windows(&plan);
    watch.model.apply(Record::Event(Event::Windows {
        t: 172_000_001,
        recording: 1,
        plan: 0,
        part: 0,
        windows,
    }));
    watch.model.settle();
    assert!(!Arc::ptr_eq(&seen, &raster(&watch, (80, 20))), "other windows");
}
