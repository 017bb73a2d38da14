//! What stands around every view: header, tabs, windows.

use bayplan_text::{Count, Nanos, Percent, escape, plural};
use bayplan_trace::SessionInfo;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Widget};

use crate::draw;
use crate::keys::Action;
use crate::model::beside::Finding;
use crate::model::{Life, Model, Stage, explain};
use crate::theme::Theme;
use crate::view::{Target, View};
use crate::views;

/// Smallest picture that is drawn; below it a word says so.
pub(crate) const SMALLEST: (u16, u16) = (40, 12);

/// Rows that a long message leaves the view, if it can; what is more of it stands over the view.
const LEAST_VIEW: u16 = 7;

/// In fewer columns the header says less of each thing.
const NARROW: u16 = 60;
/// Columns of the model's name.
const NAME: usize = 40;
const NAME_IF_NARROW: usize = 16;

/// Columns of what a recording was imported from.
const ORIGIN: usize = 48;

/// Columns of what is open.
const OPENED: usize = 32;

/// The lines above and below the view, and the area between.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Areas {
    pub(crate) header: Rect,
    pub(crate) tabs: Rect,
    pub(crate) view: Rect,
    pub(crate) foot: Rect,
    /// The strip of time, where it is shown.
    pub(crate) strip: Option<Rect>,
}

impl Areas {
    /// Divides the screen; none if it is too small.
    pub(crate) fn of(screen: Rect) -> Option<Self> {
        if screen.width < SMALLEST.0 || screen.height < SMALLEST.1 {
            return None;
        }
        let row = |y: u16, height: u16| Rect { y: screen.y + y, height, ..screen };
        Some(Self {
            header: row(0, 1),
            tabs: row(1, 1),
            view: row(2, screen.height - 3),
            foot: row(screen.height - 1, 1),
            strip: None,
        })
    }

    /// The same with room for the strip of time, if it is wanted, above a message of so many rows at the foot.
    pub(crate) fn with_strip(screen: Rect, is_wanted: bool, foot_rows: u16) -> Option<Self> {
        let mut areas = Self::of(screen)?;
        let above = foot_rows.saturating_sub(1).min(areas.view.height.saturating_sub(LEAST_VIEW));
        areas.view.height -= above;
        if is_wanted {
            areas.view.height -= 1;
            areas.strip = Some(Rect { y: areas.view.bottom(), height: 1, ..screen });
        }
        Some(areas)
    }
}

/// Says that there is too little room.
pub(crate) fn too_small(buffer: &mut Buffer, screen: Rect, theme: &Theme) {
    let (width, height) = SMALLEST;
    let lines = [
        format!("bayplan needs {width}×{height}"),
        format!("here: {}×{}", screen.width, screen.height),
        format!("{} quits", theme.keys.name(Action::Quit)),
    ];
    let top = screen.height.saturating_sub(lines.len() as u16) / 2;
    for (row, line) in lines.into_iter().enumerate() {
        draw::put_line(buffer, screen, top + row as u16, &Line::styled(line, theme.text()).centered());
    }
}

/// Who runs, on what, how far, and what is wrong.
pub(crate) fn header(buffer: &mut Buffer, area: Rect, model: &Model, theme: &Theme) {
    draw::fill_row(buffer, area, 0, theme.bar());
    let timeline = &model.timeline;
    let plain = |text: String| vec![Span::styled(text, theme.bar())];
    let mut parts = Vec::new();
    let session = timeline.session.as_ref();
    let name = session.map(|session| escape(&session.model).to_string()).filter(|name| !name.is_empty());
    let narrow = area.width < NARROW;
    let most = if narrow { NAME_IF_NARROW } else { NAME };
    let name = name.map(|name| bayplan_text::ellipsis(&name, most).to_string());
    let title = format!(" bayplan ▸ {}", name.as_deref().unwrap_or("…"));
    parts.push((9, vec![Span::styled(title, theme.bar().patch(theme.strong()))]));
    if !model.opened.is_empty() {
        // Many models are called alike: the file tells which is open.
        parts.push((6, plain(format!("   {}", draw::tail(&model.opened, OPENED)))));
    }
    if let Some(session) = session {
        let device = [brief_device(&session.device), brief_version(&session.api)];
        let told = device.into_iter().filter(|text| !text.is_empty());
        let device: Vec<String> = told.map(|text| escape(text).to_string()).collect();
        if !device.is_empty() {
            parts.push((3, plain(format!("   {}", device.join(" · ")))));
        }
        if !session.origin.is_empty() {
            // More than the name of a file that an import made.
            let origin = escape(&session.origin).to_string();
            parts.push((5, plain(format!("   from {}", bayplan_text::ellipsis(&origin, ORIGIN)))));
        }
    }
    if timeline.runs_started > 0 {
        let of = model.standing.as_ref().map_or_else(String::new, |_| {
            let of = if narrow { "/" } else { " of " };
            format!("{of}{}", Count(model.live().runs_started))
        });
        parts.push((7, plain(format!("   run {}{of}", Count(timeline.runs_started)))));
    }
    if let Some((_, plan)) = timeline.current_plan().filter(|(_, plan)| !plan.record.dims.is_empty()) {
        let dims: Vec<String> =
            plan.record.dims.iter().map(|dim| format!("{} {}", escape(&dim.name), dim.value)).collect();
        parts.push((5, plain(format!(" at {}", dims.join(", ")))));
    }
    if let Some(run) = timeline.runs.back() {
        // While one is in progress, it is the time of the one before.
        let last = if timeline.current.is_some() { "last " } else { "" };
        parts.push((5, plain(format!("  {last}{}", Nanos(run.end.saturating_sub(run.start))))));
    }
    parts.push((8, state(model, theme, narrow)));
    let counts = explain::alarm_counts(timeline);
    if !counts.is_empty() {
        let mut words: Vec<String> =
            counts.iter().map(|(kind, count)| format!("{} {kind}", Count(*count))).collect();
        if narrow {
            words = vec![format!("{} wrong", Count(timeline.alarm_counts().total()))];
        }
        parts.push((
            10,
            vec![
                Span::styled("  ", theme.bar()),
                Span::styled(format!(" ▲ {} ", words.join(" · ")), theme.alarm()),
            ],
        ));
    }
    if model.damages > 0 {
        let words = format!("   damaged {}", Count(model.damages));
        parts.push((7, vec![Span::styled(words, theme.bar().patch(theme.warning()))]));
    }
    let dropped = timeline.dropped_total();
    let style = if dropped > 0 { theme.bar().patch(theme.warning()) } else { theme.bar() };
    let weight = if dropped > 0 { 7 } else { 2 };
    parts.push((weight, vec![Span::styled(format!("   {} lost", plural(dropped, "event")), style)]));
    if let Some(share) = timeline.trace_share() {
        parts.push((1, plain(format!("   trace cost {}", Percent(share)))));
    }
    draw::put_line(buffer, area, 0, &draw::fitting(parts, usize::from(area.width)));
}

/// A device's name without what stands in brackets behind it; the overview has all of it.
fn brief_device(name: &str) -> &str {
    name.split(" (").next().unwrap_or(name)
}

/// A version without its third part.
fn brief_version(version: &str) -> &str {
    version.match_indices('.').nth(1).map_or(version, |(at, _)| &version[..at])
}

fn state(model: &Model, theme: &Theme, narrow: bool) -> Vec<Span<'static>> {
    if let (Some(stage), false) = (model.stage, model.paused) {
        let words = match stage {
            Stage::Reading(None) => "   … reading".to_owned(),
            Stage::Reading(Some(percent)) => format!("   … reading {percent} %"),
            Stage::Seeking => "   … looking it up".to_owned(),
            Stage::Indexing(tensors) => format!("   … indexing {}", plural(tensors, "tensor")),
        };
        return vec![Span::styled(words, theme.bar().patch(theme.warning()))];
    }
    if let Some(Finding { searches, tensors, percent }) = model.finding {
        let does = if searches { "searching" } else { "ordering" };
        let words = format!("   … {does} {} tensors {percent} %", Count(tensors));
        return vec![Span::styled(words, theme.bar().patch(theme.warning()))];
    }
    if model.standing.is_some() && model.failure.is_none() {
        let end = if model.life == Life::Live { "live" } else { "the end" };
        let behind = Nanos(model.live().now.saturating_sub(model.now()));
        let words = match narrow {
            true => format!("   ◀ −{behind}"),
            false => format!("   ◀ {behind} before {end}"),
        };
        return vec![Span::styled(words, theme.bar().patch(theme.warning()))];
    }
    let (words, style) = match model.life {
        // Reading stopped for good: whether the run goes on is not known.
        _ if model.failure.is_some() => (" unreadable ", theme.alarm()),
        _ if model.paused => ("‖ paused", theme.warning()),
        _ if !model.caught_up => ("… reading", theme.warning()),
        Life::Live => ("● live", theme.good()),
        Life::Ended if is_imported(model) => ("○ imported", theme.strong()),
        Life::Ended => ("○ ended", theme.strong()),
        Life::Killed => (" ✝ killed ", theme.alarm()),
    };
    vec![Span::styled("   ", theme.bar()), Span::styled(words, theme.bar().patch(style))]
}

/// Whether the recording was made of what another program wrote.
pub(crate) fn is_imported(model: &Model) -> bool {
    model.timeline.session.as_ref().is_some_and(SessionInfo::is_imported)
}

/// The views to choose from.
pub(crate) fn tabs(buffer: &mut Buffer, area: Rect, chosen: usize, model: &Model, theme: &Theme) {
    let mut spans = vec![Span::raw(" ")];
    let (tabs, has_help) = tab_names(model, chosen, area.width);
    for (at, name) in tabs {
        let style = if at == chosen { theme.chosen() } else { theme.text() };
        spans.push(Span::styled(name, style));
        spans.push(Span::raw(" "));
    }
    draw::put_line(buffer, area, 0, &Line::from(spans));
    if has_help {
        let key = theme.keys.name(Action::Help);
        let help = Line::from(vec![Span::styled(key, theme.accent()), Span::styled(" help ", theme.faint())]);
        draw::put_line(buffer, area, 0, &help.right_aligned());
    }
}

/// Columns of the key of the help at the right end of the tabs.
const HELP: usize = 8;

/// The tabs with the numbers of their views, and whether there is room for the key of the help beside them: the foot names it,
/// too. Where there is too little room, names are cut, at last all but that of the chosen one.
fn tab_names(model: &Model, chosen: usize, width: u16) -> (Vec<(usize, String)>, bool) {
    let named = |(letters, letters_of_chosen): (usize, usize)| -> Vec<(usize, String)> {
        let tab = |(number, (at, view)): (usize, (usize, &dyn View))| {
            let letters = if at == chosen { letters_of_chosen } else { letters };
            let name: String = view.title().chars().take(letters).collect();
            let name = name.trim_end();
            (at, format!(" {}{}{name} ", number + 1, if name.is_empty() { "" } else { " " }))
        };
        views::listed(model).enumerate().map(tab).collect()
    };
    let columns = |tabs: &[(usize, String)]| {
        tabs.iter().map(|(_, name)| bayplan_text::columns(name) + 1).sum::<usize>()
    };
    const ALL: usize = usize::MAX;
    let lengths = [(ALL, ALL), (8, ALL), (8, 8), (4, ALL), (3, ALL)].into_iter();
    let fitting = lengths.map(named).find(|tabs| columns(tabs) < usize::from(width));
    let tabs = fitting.unwrap_or_else(|| named((0, ALL)));
    let has_help = columns(&tabs) + 1 + HELP <= usize::from(width);
    (tabs, has_help)
}

/// What a click on the tabs does, if anything.
pub(crate) fn tab_at(column: u16, model: &Model, chosen: usize, width: u16) -> Option<Target> {
    let (tabs, has_help) = tab_names(model, chosen, width);
    let mut start = 1;
    for (at, name) in tabs {
        let width = bayplan_text::columns(&name) as u16;
        if (start..start + width).contains(&column) {
            return Some(Target::View(at));
        }
        start += width + 1;
    }
    (has_help && usize::from(column) + HELP > usize::from(width)).then_some(Target::Do(Action::Help))
}

/// Where a window of so many columns and rows inside its frame has its inside.
pub(crate) fn inside(screen: Rect, (width, height): (u16, u16)) -> Rect {
    let (width, height) =
        (width.min(screen.width.saturating_sub(4)), height.min(screen.height.saturating_sub(2)));
    Rect {
        x: screen.x + (screen.width - width) / 2,
        y: screen.y + (screen.height - height) / 2,
        width,
        height,
    }
}

/// Draws the frame of a window around its inside, and clears that; returns where it stands, frame and all.
pub(crate) fn window(buffer: &mut Buffer, screen: Rect, title: &str, inside: Rect, theme: &Theme) -> Rect {
    let area = Rect {
        x: inside.x.saturating_sub(2),
        y: inside.y.saturating_sub(1),
        width: inside.width + 4,
        height: inside.height + 2,
    };
    let area = area.intersection(screen);
    Clear.render(area, buffer);
    draw::frame(buffer, area, &Line::styled(title.to_owned(), theme.accent()), theme);
    area
}

/// A window with lines from the one of a number on; returns the number of the first line that is shown, and where it stands.
pub(crate) fn page(
    buffer: &mut Buffer,
    screen: Rect,
    title: &str,
    (lines, first): (&[Line<'_>], usize),
    theme: &Theme,
) -> (usize, Rect) {
    let widest = lines.iter().map(Line::width).max().unwrap_or(0).max(title.len() + 2);
    let wanted = |size: usize| u16::try_from(size).unwrap_or(u16::MAX);
    let area = inside(screen, (wanted(widest), wanted(lines.len())));
    let framed = window(buffer, screen, title, area, theme);
    let rows = usize::from(area.height);
    let first = first.min(lines.len().saturating_sub(rows));
    for (row, line) in (0..area.height).zip(lines.iter().skip(first)) {
        draw::put_line(buffer, area, row, line);
    }
    let below = lines.len().saturating_sub(first + rows);
    if first > 0 || below > 0 {
        let words = format!(" ↑ {first} ↓ {below} more ");
        let place = Rect { y: area.y + area.height, height: 1, ..area };
        draw::put_line(buffer, place, 0, &Line::styled(words, theme.faint()).right_aligned());
    }
    (first, framed)
}
