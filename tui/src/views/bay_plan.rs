//! Bay plan: the map of an arena, bytes over ops, with what was seen laid over what was planned.

use bayplan_text::{Bytes, Count};
use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::text::{Line, Span};

use super::{bay_plan_map, inspector, op_axis};
use crate::draw;
use crate::keys::Action;
use crate::model::viewport::Axis;
use crate::model::{ArenaView, Model, Playhead, explain};
use crate::theme::Theme;
use crate::view::{Target, View};

/// The map of an arena.
pub(crate) struct BayPlan;

/// Columns of the byte axis, with its line.
const AXIS: u16 = 8;
/// Columns of the inspector beside the map.
const PANEL: u16 = 38;
/// From this width on there is room for it.
const PANEL_FROM: u16 = 112;

/// Columns of the name of a tensor at the peak, and what of the largest one's is worth showing.
const MOST_NAME: usize = 32;
const LEAST_NAME: usize = 6;

/// The areas of the view.
struct Places {
    /// The frame around map and notes.
    frame: Rect,
    /// The map's cells.
    map: Rect,
    /// Lines of notes under the map.
    notes: u16,
    /// Whether the live curve stands above the map.
    curve: bool,
    /// The inspector.
    panel: Option<Rect>,
}

impl Places {
    fn of(area: Rect) -> Self {
        let panel = (area.width >= PANEL_FROM && area.height >= 12).then(|| Rect {
            x: area.right() - PANEL,
            width: PANEL,
            ..area
        });
        let frame = Rect { width: area.width - panel.map_or(0, |panel| panel.width), ..area };
        let notes = match area.height {
            0..=8 => 0,
            9..=12 => 1,
            _ => 3,
        };
        let curve = area.height >= 18;
        // Above: the title and the curve. Below: the axis, its labels, the notes; the last line closes the frame.
        let above = 1 + u16::from(curve);
        let below = 2 + notes.max(1);
        let map = Rect {
            x: frame.x + 1 + AXIS,
            y: frame.y + above,
            width: frame.width.saturating_sub(AXIS + 2),
            height: frame.height.saturating_sub(above + below),
        };
        Self { frame, map, notes, curve, panel }
    }
}

impl View for BayPlan {
    fn title(&self) -> &'static str {
        "Bay plan"
    }

    fn about(&self) -> &'static str {
        "where every tensor lies, byte by byte, op by op"
    }

    fn map(&self, area: Rect, _: &Model) -> Option<Rect> {
        let map = Places::of(area).map;
        (map.width > 0 && map.height > 0).then_some(map)
    }

    fn target(&self, area: Rect, model: &Model, at: Position) -> Option<Target> {
        let places = Places::of(area);
        let (map, frame) = (places.map, places.frame);
        let beside = (map.x..map.right()).contains(&at.x) && (frame.y + 1..map.bottom() + 2).contains(&at.y);
        let title = at.y == frame.y && frame.contains(at) && model.arena().is_some();
        let notes = frame.bottom().saturating_sub(places.notes);
        let note = frame.contains(at).then(|| at.y.checked_sub(notes)).flatten();
        let asked = [Action::Inspect, Action::WhyPeak, Action::WhyNotSmaller];
        if let Some(action) =
            note.and_then(|note| asked.get(usize::from(note))).filter(|_| model.arena().is_some())
        {
            return Some(Target::Do(*action));
        }
        // The curve above the map and the axis under it have its columns.
        if title { Some(Target::Do(Action::Arena)) } else { beside.then_some(Target::Ops(map)) }
    }

    fn draw(&self, buffer: &mut Buffer, area: Rect, model: &Model, theme: &Theme) {
        let places = Places::of(area);
        let Some(arena) = model.arena() else {
            let title = Line::styled("bay plan", theme.accent());
            let inner = draw::frame(buffer, area, &title, theme);
            let words = "waiting for the plan: the recording has not told it yet";
            draw::put_line(buffer, inner, inner.height / 2, &Line::styled(words, theme.faint()).centered());
            return;
        };
        let frame = places.frame;
        draw::frame(buffer, frame, &title(&arena, model, theme, frame.width), theme);
        if places.map.width > 0 && places.map.height > 0 {
            if places.curve {
                curve(buffer, &places, &arena, theme);
            }
            bay_plan_map::draw(buffer, places.map, model, &arena, theme);
            byte_axis(buffer, &places, &arena, theme);
            axis_of_ops(buffer, &places, &arena, model, theme);
        }
        notes(buffer, &places, &arena, model, theme);
        if let Some(panel) = places.panel {
            let inner = draw::frame(buffer, panel, &Line::styled("at the cursor", theme.accent()), theme);
            let inner = Rect { x: inner.x + 1, width: inner.width.saturating_sub(1), ..inner };
            let lines = inspector::details(model, theme, usize::from(inner.width));
            for (row, line) in lines.iter().take(usize::from(inner.height)).enumerate() {
                draw::put_line(buffer, inner, row as u16, line);
            }
        }
    }
}

fn title(arena: &ArenaView<'_>, model: &Model, theme: &Theme, width: u16) -> Line<'static> {
    let record = &arena.plan.record;
    let about = &record.arenas[arena.arena as usize];
    let factor = about.size as f64 / about.lower_bound.max(1) as f64;
    let bound = if about.lower_bound == 0 {
        "no bound".to_owned()
    } else if about.size == about.lower_bound {
        "peak = bound (1.000×)".to_owned()
    } else {
        format!("bound {} ({factor:.3}×)", Bytes(about.lower_bound))
    };
    let now = match model.playhead() {
        // Ops are numbered from 0: the last one's number stands beside this one's, not their count.
        Playhead::At(op) => {
            format!("now op {} of 0–{}", Count(op.into()), Count((record.ops.len() as u64).saturating_sub(1)))
        }
        Playhead::Done => format!("all {} ops done", Count(record.ops.len() as u64)),
        Playhead::Before => "not run yet".to_owned(),
    };
    let part = (!arena.view.ops.is_whole() || !arena.view.bytes.is_whole()).then(|| {
        let (ops, bytes) = (&arena.view.ops, &arena.view.bytes);
        let zoomed = |word: &str, axis: &Axis| match axis.is_whole() {
            true => String::new(),
            false => format!(" {word} {}×", times(axis.total, axis.len)),
        };
        format!("   zoom{}{}", zoomed("ops", ops), zoomed("bytes", bytes))
    });
    let name = format!("arena \"{}\"", explain::name_of(&about.name, "arena", arena.arena));
    let recorded = if model.is_plan_changed() { " as recorded" } else { "" };
    let parts = vec![
        (9, vec![Span::styled(name, theme.accent())]),
        (8, vec![Span::styled(format!("  {}", Bytes(about.size)), theme.strong())]),
        (8, vec![Span::styled(recorded, theme.cursor())]),
        (6, vec![Span::styled(format!("   {bound}"), theme.text())]),
        (7, vec![Span::styled(format!("   {now}"), theme.text())]),
        (7, vec![Span::styled(part.unwrap_or_default(), theme.cursor())]),
        (3, vec![Span::styled(search_note(model), theme.cursor())]),
    ];
    draw::fitting(parts, usize::from(width.saturating_sub(6)))
}

/// How many times a part goes into a whole: with a tenth where that matters.
fn times(whole: u64, part: u64) -> String {
    let tenths = (u128::from(whole) * 10).div_ceil(u128::from(part.max(1)));
    match (tenths / 10, tenths % 10) {
        (times, 0) => Count(times as u64).to_string(),
        (times @ 0..10, tenth) => format!("{times}.{tenth}"),
        (times, _) => Count(times as u64).to_string(),
    }
}

fn search_note(model: &Model) -> String {
    if !model.filter.is_asked() {
        return String::new();
    }
    let count = match model.filter.coming() {
        Some(_) => "…".to_owned(),
        None => Count(model.filter.count() as u64).to_string(),
    };
    format!("   /{}: {count}", bayplan_text::ellipsis(model.filter.text(), 16))
}

/// The live bytes of each op in view, as one line of columns.
fn curve(buffer: &mut Buffer, places: &Places, arena: &ArenaView<'_>, theme: &Theme) {
    const HEIGHTS: [&str; 8] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
    let (map, y) = (places.map, places.map.y - 1);
    let cols = u64::from(map.width);
    draw::put(buffer, places.frame, places.frame.x + 1, y, &format!("{:>7}", "live"), theme.faint());
    let size = arena.plan.record.arenas[arena.arena as usize].size.max(1);
    for col in 0..cols {
        let (first, last) = arena.view.ops.span(col, cols);
        let most = arena.index.most_live(first as usize, last as usize);
        if most == 0 {
            continue;
        }
        let height = (u128::from(most.min(size)) * 7).div_ceil(u128::from(size)) as usize;
        let at_peak = (first..last).contains(&u64::from(arena.index.peak.op));
        let style = if at_peak { theme.warning() } else { theme.line() };
        draw::put(buffer, map_row(map, y), map.x + col as u16, y, HEIGHTS[height.min(7)], style);
    }
}

fn map_row(map: Rect, y: u16) -> Rect {
    Rect { y, height: 1, ..map }
}

fn byte_axis(buffer: &mut Buffer, places: &Places, arena: &ArenaView<'_>, theme: &Theme) {
    let (map, bytes) = (places.map, &arena.view.bytes);
    let rows = u64::from(map.height);
    let every = if map.height >= 24 { 4 } else { 3 };
    let cursor = bytes.cell(bytes.cursor, rows);
    for row in 0..map.height {
        let from_bottom = rows - 1 - u64::from(row);
        let y = map.y + row;
        let labelled = from_bottom.is_multiple_of(every) || row == 0;
        // A label too close under the top one would read as its value.
        let labelled = labelled && (row == 0 || u64::from(row) >= every - 1);
        let (label, tick) = if cursor == Some(from_bottom) {
            (Some(bytes.cursor), "►")
        } else if row == 0 {
            (Some(bytes.span(from_bottom, rows).1), "┤")
        } else if labelled {
            (Some(bytes.span(from_bottom, rows).0), "┤")
        } else {
            (None, "│")
        };
        let style = if cursor == Some(from_bottom) { theme.cursor() } else { theme.line() };
        if let Some(label) = label {
            let text = format!("{:>7}", draw::short_bytes(label));
            let text_style = if cursor == Some(from_bottom) { theme.cursor() } else { theme.faint() };
            draw::put(buffer, places.frame, map.x - AXIS, y, &text, text_style);
        }
        draw::put(buffer, places.frame, map.x - 1, y, tick, style);
    }
}

fn axis_of_ops(buffer: &mut Buffer, places: &Places, arena: &ArenaView<'_>, model: &Model, theme: &Theme) {
    let (map, ops) = (places.map, &arena.view.ops);
    let (cols, y) = (u64::from(map.width), map.bottom());
    draw::put(buffer, places.frame, map.x - 1, y, "└", theme.line());
    for col in 0..map.width {
        draw::put(buffer, places.frame, map.x + col, y, "─", theme.line());
    }
    part_in_view(buffer, places, arena, theme);
    let labels = Rect { y: y + 1, height: 1, ..map };
    let marks = op_axis::marks(arena, model, theme);
    for mark in &marks {
        if let Some(col) = ops.cell(mark.op, cols) {
            draw::put(buffer, places.frame, map.x + col as u16, y, mark.glyph, mark.on_axis);
        }
    }
    let taken = op_axis::labels(buffer, labels, ops, &marks);
    legend(buffer, places, labels, &taken, &Legend(model, arena, theme));
}

/// Where the part in view lies in the whole, once there is more: a stretch of the axis of ops and of the right edge is thick.
fn part_in_view(buffer: &mut Buffer, places: &Places, arena: &ArenaView<'_>, theme: &Theme) {
    let thick = |axis: &Axis, cells: u16| {
        let at = |position: u64| (u128::from(position) * u128::from(cells) / u128::from(axis.total)) as u16;
        let first = at(axis.start).min(cells.saturating_sub(1));
        first..at(axis.end()).clamp(first + 1, cells.max(first + 1))
    };
    let (map, ops, bytes) = (places.map, &arena.view.ops, &arena.view.bytes);
    for col in thick(ops, map.width).filter(|_| !ops.is_whole()) {
        draw::put(buffer, places.frame, map.x + col, map.bottom(), "━", theme.accent());
    }
    for row in thick(bytes, map.height).filter(|_| !bytes.is_whole()) {
        draw::put(
            buffer,
            places.frame,
            places.frame.right() - 1,
            map.bottom() - 1 - row,
            "┃",
            theme.accent(),
        );
    }
}

/// What shades and lines mean, in the gaps that the labels of the axis leave, as far as there is room.
fn legend(buffer: &mut Buffer, places: &Places, labels: Rect, taken: &[(u16, u16)], legend: &Legend<'_>) {
    let Legend(model, arena, theme) = *legend;
    let mut starts: Vec<u16> = taken.iter().map(|(_, to)| to + 2).chain([0]).collect();
    starts.sort_unstable();
    let gaps = starts.iter().filter_map(|&start| {
        let next = taken.iter().map(|(from, _)| *from).filter(|from| from + 2 > start).min();
        let end = next.map_or(labels.width, |from| from.saturating_sub(2));
        Some((end, end.checked_sub(start)?))
    });
    let gaps: Vec<(u16, u16)> = gaps.collect();
    // Where the gaps do not hold all shades in their order, the long ones first may do.
    let fit = |mut signs: Vec<Vec<Span<'static>>>| {
        gaps.iter().for_each(|(_, room)| drop(bay_plan_map::legend(&mut signs, (*room).into())));
        signs.is_empty()
    };
    let mut states = bay_plan_map::states(theme);
    let mut long_first = states.clone();
    long_first.sort_by_key(|sign| std::cmp::Reverse(sign.iter().map(Span::width).sum::<usize>()));
    if !fit(states.clone()) && fit(long_first.clone()) {
        states = long_first;
    }
    let mut signs = [states, bay_plan_map::line_signs(model, arena, theme)].concat();
    for (end, room) in gaps {
        let line = bay_plan_map::legend(&mut signs, room.into());
        let width = line.width() as u16;
        let area = Rect { x: labels.x + end - width, width, ..labels };
        draw::put_line(buffer, area.intersection(places.frame), 0, &line);
    }
}

/// What a legend is made of.
struct Legend<'a>(&'a Model, &'a ArenaView<'a>, &'a Theme);

fn notes(buffer: &mut Buffer, places: &Places, arena: &ArenaView<'_>, model: &Model, theme: &Theme) {
    let frame = places.frame;
    let Some(first) = frame.height.checked_sub(places.notes).filter(|_| places.notes > 0) else { return };
    let ends = |row: u16| if row + 1 == frame.height { ("└", "┘") } else { ("├", "┤") };
    let mut rule = |row: u16, line: &Line<'_>| draw::rule(buffer, frame, row, ends(row), line, theme);
    let width = usize::from(frame.width.saturating_sub(4));
    rule(first, &at_cursor(arena, model, theme, width));
    if places.notes >= 3 {
        rule(first + 1, &why_peak(arena, model, theme, width));
        rule(first + 2, &why_not_smaller(arena, model, theme, width));
    }
}

/// Whether the plan could be smaller in its order, and the key that asks about others.
fn why_not_smaller(arena: &ArenaView<'_>, model: &Model, theme: &Theme, width: usize) -> Line<'static> {
    let (verdict, bound) = explain::bound_parts(arena);
    let key = theme.keys.name(Action::WhyNotSmaller);
    if model.is_plan_changed() {
        // Of the changed plan, not of the recorded one.
        let (heading, more) = ("what if?  ", format!(" · {key}: why not smaller"));
        let room = width.saturating_sub(heading.len() + bayplan_text::columns(&more));
        let changed = model.asked.changed_words(&arena.plan.record, room);
        let parts = vec![
            (8, vec![Span::styled(heading, theme.accent())]),
            (9, vec![Span::styled(changed, theme.cursor())]),
            (7, vec![Span::styled(more, theme.faint())]),
        ];
        return draw::fitting(parts, width);
    }
    let parts = vec![
        (9, vec![Span::styled("why not smaller?  ", theme.accent())]),
        (8, vec![Span::styled(verdict, theme.text())]),
        (6, vec![Span::styled(format!(" · {bound}"), theme.text())]),
        (7, vec![Span::styled(format!(" · {key}: what if"), theme.faint())]),
    ];
    draw::fitting(parts, width)
}

fn at_cursor(arena: &ArenaView<'_>, model: &Model, theme: &Theme, width: usize) -> Line<'static> {
    let heading = Span::styled("at the cursor: ", theme.accent());
    if let Some(alarm) = model.alarms_at_cursor().first().and_then(|at| arena.plan.alarms().get(*at)) {
        let kind = Span::styled(format!(" {} ", alarm.kind()), theme.alarm());
        let words = Span::styled(format!(" {}", alarm.text(Some(&*arena.plan.record))), theme.text());
        return Line::from(vec![heading, kind, words]);
    }
    match model.selected() {
        Some((number, buffer)) => {
            let record = &arena.plan.record;
            let hue = model.index().map_or(0, |index| index.hue(number));
            let name = explain::name_of(&buffer.name, "buffer", number);
            let parts = |life: String| {
                vec![
                    (5, vec![heading.clone()]),
                    (
                        9,
                        vec![
                            Span::styled("▣ ", theme.tensor(hue)),
                            Span::styled(name.clone(), theme.strong()),
                        ],
                    ),
                    (4, vec![Span::styled(format!("  {}", explain::type_of(buffer)), theme.text())]),
                    (8, vec![Span::styled(format!("  {}", Bytes(buffer.size)), theme.text())]),
                    (6, vec![Span::styled(format!(" @ {}", Bytes(buffer.offset)), theme.text())]),
                    (7, vec![Span::styled(format!("  {life}"), theme.faint())]),
                ]
            };
            // Who makes it and who needs it last, if there is room for both.
            let whole = draw::fitting(parts(explain::life_of(record, buffer)), usize::MAX);
            if whole.width() <= width {
                return whole;
            }
            draw::fitting(parts(bayplan_trace::ops_words(buffer.first, buffer.last)), width)
        }
        None => {
            let (op, byte) = (arena.view.ops.cursor as u32, arena.view.bytes.cursor);
            let words =
                format!("free, at {} and byte {}", explain::op_name(&arena.plan.record, op), Bytes(byte));
            Line::from(vec![heading, Span::styled(words, theme.faint())])
        }
    }
}

/// What lives at the peak, the largest first, as many as there is room for.
fn why_peak(arena: &ArenaView<'_>, model: &Model, theme: &Theme, width: usize) -> Line<'static> {
    let record = &arena.plan.record;
    let asked = if model.is_plan_changed() { "recorded peak  " } else { "why this peak?  " };
    let heading = |summary: String| {
        let summary = Span::styled(format!("{summary}:  "), theme.strong());
        vec![Span::styled(asked, theme.accent()), summary]
    };
    let room = |spans: &[Span<'_>]| width.saturating_sub(spans.iter().map(Span::width).sum());
    let mut spans = heading(explain::peak_summary(arena));
    let largest = &arena.index.peak.buffers;
    let least = largest.first().and_then(|number| Some((number, record.buffers.get(*number as usize)?)));
    let least = least.map_or(0, |(number, buffer)| {
        let name = bayplan_text::columns(&explain::short_name(record, *number)).min(LEAST_NAME);
        let more = bayplan_text::columns(&format!(" +{}", Count(largest.len() as u64)));
        name + bayplan_text::columns(&format!("▣  {}", Bytes(buffer.size))) + more
    });
    if room(&spans) < least {
        // The largest is worth more than the name of the operator.
        spans = heading(explain::peak_brief(arena));
    }
    let mut room: usize = room(&spans);
    for (at, number) in largest.iter().enumerate() {
        let buffer = &record.buffers[*number as usize];
        let hue = model.index().map_or(0, |index| index.hue(*number));
        let (dot, size) = (if at == 0 { "▣ " } else { " ▣ " }, format!(" {}", Bytes(buffer.size)));
        // All but the last leave room to say how many more there are.
        let left = largest.len() - at - 1;
        let more = if left > 0 { bayplan_text::columns(&format!(" +{}", Count(left as u64))) } else { 0 };
        let around = bayplan_text::columns(dot) + bayplan_text::columns(&size);
        let short = explain::short_name(record, *number);
        // The largest is named by the end of its name, if need be; of the others only whose name has room.
        let for_name = room.saturating_sub(around + more);
        let name = draw::tail(&short, if at == 0 { for_name.min(MOST_NAME) } else { MOST_NAME });
        let taken = around + bayplan_text::columns(&name);
        if taken + more > room || (at == 0 && for_name < LEAST_NAME.min(bayplan_text::columns(&short))) {
            spans.push(Span::styled(format!(" +{}", Count(left as u64 + 1)), theme.faint()));
            break;
        }
        let words = Span::styled(name + &size, theme.text());
        spans.extend([Span::styled(dot, theme.tensor(hue)), words]);
        room -= taken;
    }
    Line::from(spans)
}
