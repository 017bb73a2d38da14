//! The map in characters, by hand.

use std::string::String;
use std::vec;
use std::vec::Vec;

use crate::{
    ArenaKind, ArenaRecord, BufferRecord, Event, MapIndex, MapLine, MapState, OpRecord, PlanRecord,
    PlanState, Playhead, Raster, RasterOptions, Record, Sketch, SketchPart, Timeline, Window, map_labels,
    map_name,
};

/// Four ops and eight bytes: two buffers one after the other below, one above that begins with the second.
fn plan() -> PlanRecord {
    let buffer = |name: &str, offset, size, life: (u32, u32)| BufferRecord {
        name: name.into(),
        offset,
        size,
        first: life.0,
        last: life.1,
        ..BufferRecord::default()
    };
    PlanRecord {
        arenas: vec![ArenaRecord {
            kind: ArenaKind::Activations,
            size: 8,
            lower_bound: 6,
            alignment: 1,
            ..ArenaRecord::default()
        }],
        buffers: vec![
            buffer("block/first", 0, 4, (0, 2)),
            buffer("b", 0, 4, (2, 4)),
            buffer("top", 4, 2, (1, 4)),
        ],
        ops: vec![OpRecord::default(); 4],
        ..PlanRecord::default()
    }
}

/// The plan with windows as planned, but for the last buffer: it is seen where nothing is planned.
fn timeline(playhead: Option<u32>) -> Timeline {
    let mut timeline = Timeline::new();
    timeline.apply(Record::Plan { plan: 0, record: plan() });
    let window =
        |op, buffer, offset, len| Window { op, binding: 0, buffer, arena: 0, offset, len, write: true };
    let windows = vec![
        window(0, 0, 0, 4),
        window(1, 0, 0, 4),
        window(2, 1, 0, 4),
        window(3, 1, 0, 4),
        window(3, 2, 6, 2),
    ];
    timeline.apply(Record::Event(Event::Windows { t: 1, recording: 1, plan: 0, part: 0, windows }));
    timeline.apply(Record::Event(Event::RunStart { run: 0, plan: 0, t: 2 }));
    if let Some(op) = playhead {
        timeline.apply(Record::Event(Event::Completed { run: 0, plan: 0, op, t: 3 }));
    }
    timeline
}

fn sketch(timeline: &Timeline, (cols, rows): (u16, u16), borders: bool) -> Sketch {
    let plan: &PlanState = &timeline.plans[0];
    let options = RasterOptions { arena: 0, ops: 0..4, bytes: 0..8, cols, rows, playhead: None };
    let index = MapIndex::new(plan, 0);
    let raster = Raster::indexed(plan, &options, &index);
    let labels = map_labels(&plan.record, &options, &index);
    Sketch::new(&plan.record, (&options, &raster), &labels, timeline.playhead(0), borders)
}

fn rows(sketch: &Sketch, count: u16, is_ascii: bool) -> Vec<String> {
    (0..count).map(|row| sketch.row(row, is_ascii)).collect()
}

#[test]
fn cells_borders_names_and_lines() {
    let found = sketch(&timeline(Some(1)), (24, 4), true);
    assert_eq!(timeline(Some(1)).playhead(0), Playhead::At(1));
    let expect = [
        "┈┈┈┈┈┈┈┈║┈┈┈┈┈┈┈┈┈╳╳╳╳╳╳",
        "      ░top░░░░░░░░░░░░░░",
        "██████──║───│───────────",
        "█first██║███│b░░░░░░░░░░",
    ];
    assert_eq!(rows(&found, 4, false), expect);
    let expect = [
        "________@_________!!!!!!",
        "      .top..............",
        "######--@---|-----------",
        "#first##@###|b..........",
    ];
    assert_eq!(rows(&found, 4, true), expect);
    // Where cells do not divide evenly, a border takes the first cell of a name's room: the name begins behind it.
    let uneven = sketch(&timeline(None), (27, 4), true);
    assert!(uneven.row(3, false).ends_with("│b░░░░░░░░░░░"), "{}", uneven.row(3, false));
    assert!(found.shows(MapState::Live) && found.shows(MapState::Deviant) && !found.shows(MapState::Seen));
    assert!(found.has_line(MapLine::Playhead) && found.has_line(MapLine::Bound));
    // With colours there are no borders, and a name does not make room for one.
    let plain = sketch(&timeline(Some(1)), (24, 4), false);
    assert!((0..24).all(|col| plain.cell(col, 2).part != SketchPart::Border));
    assert_eq!(found.cell(24, 0), crate::SketchCell::default());
}

/// Whatever touches above each other shows where one ends: by a whole line, or by one with gaps where there is a single row.
#[test]
fn tensors_above_each_other_are_told_apart() {
    let mut record = plan();
    record.arenas[0].size = 12;
    record.buffers.truncate(1);
    record.buffers[0] = BufferRecord { name: String::new(), last: 4, ..record.buffers[0].clone() };
    let above = |offset, size, last| BufferRecord { offset, size, last, ..record.buffers[0].clone() };
    record.buffers.extend([above(4, 4, 4), above(8, 2, 4), above(10, 2, 2)]);
    let mut timeline = Timeline::new();
    timeline.apply(Record::Plan { plan: 0, record });
    let options = RasterOptions { arena: 0, ops: 0..4, bytes: 0..12, cols: 8, rows: 6, playhead: None };
    let state = &timeline.plans[0];
    let raster = Raster::indexed(state, &options, &MapIndex::new(state, 0));
    let drawn = |borders| {
        let sketch = Sketch::new(&state.record, (&options, &raster), &[], timeline.playhead(0), borders);
        assert_eq!(sketch.borders().collect::<Vec<_>>(), if borders { vec!['─'] } else { Vec::new() });
        rows(&sketch, 6, false)
    };
    assert_eq!(drawn(true), ["░░░░    ", "─░─░░░░░", "────────", "░░░░░░░░", "────────", "░░░░░░░░"]);
    assert_eq!(drawn(false)[1..], ["░░░░░░░░"; 5]);
}

#[test]
fn what_is_ahead_of_the_playhead_is_planned() {
    assert!(sketch(&timeline(None), (8, 4), true).shows(MapState::Planned));
    assert!(!sketch(&timeline(None), (8, 4), true).has_line(MapLine::Playhead));
    let mut done = timeline(Some(3));
    done.apply(Record::Event(Event::RunEnd { run: 0, t: 9, ok: true }));
    let done = sketch(&done, (8, 4), true);
    assert!(done.shows(MapState::Seen) && !done.shows(MapState::Live));
}

#[test]
fn the_playhead_stands_in_the_middle_of_its_op() {
    let options = |cols| RasterOptions { ops: 0..4, bytes: 0..8, cols, rows: 1, ..RasterOptions::default() };
    let cols = |cols| (0..5).map(|op| options(cols).col_of(op)).collect::<Vec<_>>();
    assert_eq!(cols(12), [Some(1), Some(4), Some(7), Some(10), None]);
    assert_eq!(cols(4), [Some(0), Some(1), Some(2), Some(3), None]);
    assert_eq!(cols(2), [Some(0), Some(0), Some(1), Some(1), None]);
    assert_eq!(cols(0), [None; 5]);
}

#[test]
fn names_keep_what_tells_them_apart() {
    for (name, width, expect) in [
        ("block/conv", 10, "block/conv"),
        ("block/conv", 9, "conv"),
        ("/model/block/conv_output_0", 9, "conv"),
        ("block/convolution", 6, "convo…"),
        ("a\nb", 9, "a\\nb"),
    ] {
        assert_eq!(map_name(name, width), expect);
    }
}
