//! Small things that every view draws: lines of text, frames, bars, sparklines.

use ratatui::buffer::Buffer;
use ratatui::layout::{Alignment, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Widget};

use crate::theme::Theme;

/// Writes text from a column on, cut at the right edge of `area`; returns the column after it.
pub(crate) fn put(buffer: &mut Buffer, area: Rect, x: u16, y: u16, text: &str, style: Style) -> u16 {
    let inside = y >= area.top() && y < area.bottom() && x >= area.left() && x < area.right();
    if !inside {
        return x;
    }
    buffer.set_stringn(x, y, text, usize::from(area.right() - x), style).0
}

/// Writes a line at a row of `area` where its alignment says; what does not fit is cut, and the cut marked.
pub(crate) fn put_line(buffer: &mut Buffer, area: Rect, row: u16, line: &Line<'_>) {
    if row >= area.height || area.width == 0 {
        return;
    }
    let (y, width) = (area.y + row, line.width());
    let free = usize::from(area.width).saturating_sub(width) as u16;
    let indent = match line.alignment {
        Some(Alignment::Center) => free / 2,
        Some(Alignment::Right) => free,
        _ => 0,
    };
    buffer.set_line(area.x + indent, y, line, area.width - indent);
    if width > usize::from(area.width) {
        // A name that was cut already, just there, is marked once.
        let before = area.width.checked_sub(2).and_then(|x| buffer.cell((area.x + x, y)));
        let mark = if before.is_some_and(|cell| cell.symbol() == "…") { " " } else { "…" };
        put(
            buffer,
            area,
            area.right() - 1,
            y,
            mark,
            line.spans.last().map_or(Style::new(), |span| span.style),
        );
    }
}

/// Says something in the last row of a screen: what that cannot hold stands in the rows above it, over what is there.
pub(crate) fn notice(buffer: &mut Buffer, screen: Rect, words: &str, style: Style) {
    let lines = notice_lines(words, screen);
    let rows = notice_rows(words, screen);
    let area = Rect { y: screen.bottom() - rows, height: rows, ..screen };
    Clear.render(area, buffer);
    for (row, line) in (0..rows).zip(lines) {
        put_line(buffer, area, row, &Line::styled(format!(" {line}"), style));
    }
}

fn notice_lines(words: &str, screen: Rect) -> Vec<String> {
    bayplan_text::wrap(words, usize::from(screen.width.saturating_sub(2)).max(1))
}

/// How many rows that takes: half of the screen at most.
pub(crate) fn notice_rows(words: &str, screen: Rect) -> u16 {
    let most = screen.height.div_ceil(2);
    u16::try_from(notice_lines(words, screen).len()).unwrap_or(u16::MAX).min(most)
}

/// Fills a row of `area` with a style, text and all.
pub(crate) fn fill_row(buffer: &mut Buffer, area: Rect, row: u16, style: Style) {
    if row < area.height {
        buffer.set_style(Rect { y: area.y + row, height: 1, ..area }, style);
    }
}

/// The area inside a frame; nothing where there is no room for one.
pub(crate) fn inside(area: Rect) -> Rect {
    if area.width < 2 || area.height < 2 {
        return Rect { width: 0, height: 0, ..area };
    }
    Rect { x: area.x + 1, y: area.y + 1, width: area.width - 2, height: area.height - 2 }
}

/// Draws a frame with a title set into its upper edge; returns the area inside.
pub(crate) fn frame(buffer: &mut Buffer, area: Rect, title: &Line<'_>, theme: &Theme) -> Rect {
    if area.width < 2 || area.height < 2 {
        return inside(area);
    }
    rule(buffer, area, 0, ("┌", "┐"), title, theme);
    rule(buffer, area, area.height - 1, ("└", "┘"), &Line::default(), theme);
    for row in 1..area.height - 1 {
        put(buffer, area, area.x, area.y + row, "│", theme.line());
        put(buffer, area, area.right() - 1, area.y + row, "│", theme.line());
    }
    inside(area)
}

/// Draws a horizontal line of a frame with text set into it.
pub(crate) fn rule(
    buffer: &mut Buffer,
    area: Rect,
    row: u16,
    (left, right): (&str, &str),
    text: &Line<'_>,
    theme: &Theme,
) {
    if row >= area.height || area.width < 2 {
        return;
    }
    let y = area.y + row;
    for x in area.x + 1..area.right() - 1 {
        put(buffer, area, x, y, "─", theme.line());
    }
    put(buffer, area, area.x, y, left, theme.line());
    put(buffer, area, area.right() - 1, y, right, theme.line());
    if text.width() > 0 && area.width > 6 {
        let inner = Rect { x: area.x + 2, width: area.width - 4, y, height: 1 };
        let end = inner.x + (text.width() as u16).min(inner.width);
        for x in inner.x..end {
            if let Some(cell) = buffer.cell_mut((x, y)) {
                cell.reset();
            }
        }
        put_line(buffer, inner, 0, text);
        put(buffer, area, area.x + 1, y, " ", theme.line());
        put(buffer, area, end, y, " ", theme.line());
    }
}

/// A bar of `width` columns, filled to a ratio from 0 to 1, in eighths of a column.
pub(crate) fn bar(ratio: f64, width: usize, full: Style, rest: Style) -> Vec<Span<'static>> {
    const PARTS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let ratio = if ratio.is_finite() { ratio.clamp(0.0, 1.0) } else { 0.0 };
    // What is not nothing shows.
    let eighths =
        ((ratio * width as f64 * 8.0).round() as usize).max(usize::from(ratio > 0.0)).min(width * 8);
    let part = PARTS[eighths % 8];
    let used = eighths / 8 + usize::from(!part.is_empty());
    vec![
        Span::styled(format!("{}{part}", "█".repeat(eighths / 8)), full),
        Span::styled("·".repeat(width - used), rest),
    ]
}

/// The latest values as columns of `rows` rows, from the top; the largest value fills them.
pub(crate) fn chart(values: impl ExactSizeIterator<Item = u64>, width: usize, rows: usize) -> Vec<String> {
    const HEIGHTS: [char; 9] = [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let skipped = values.len().saturating_sub(width);
    let shown: Vec<u64> = values.skip(skipped).collect();
    let most = shown.iter().copied().max().unwrap_or(0).max(1);
    let eighths = |value: u64| {
        let full = rows as u128 * 8;
        // What is nothing still has a place in the row of columns.
        ((u128::from(value) * full).div_ceil(u128::from(most)) as usize).max(1)
    };
    let row = |row: usize| {
        let below = (rows - 1 - row) * 8;
        shown.iter().map(|value| HEIGHTS[eighths(*value).saturating_sub(below).min(8)]).collect()
    };
    (0..rows).map(row).collect()
}

/// Columns of eighths of a cell against a highest value, from the bottom up; what is nothing leaves its column free.
pub(crate) fn columns(buffer: &mut Buffer, area: Rect, highest: u64, column: impl Fn(u16) -> (u64, Style)) {
    const HEIGHTS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
    let full = u128::from(area.height) * 8;
    for col in 0..area.width {
        let (value, style) = column(col);
        let eighths = (u128::from(value) * full).div_ceil(u128::from(highest.max(1))).min(full) as usize;
        for row in 0..usize::from(area.height) {
            let glyph = HEIGHTS[eighths.saturating_sub(row * 8).min(8)];
            if glyph != " " {
                put(buffer, area, area.x + col, area.bottom() - 1 - row as u16, glyph, style);
            }
        }
    }
}

/// Divides a width among parts by their size, exactly; what is not nothing gets a column where there is one.
pub(crate) fn shares<const N: usize>(parts: [u64; N], width: u16) -> [u16; N] {
    let sum = parts.iter().map(|part| u128::from(*part)).sum::<u128>().max(1);
    let mut widths = parts.map(|part| (u128::from(part) * u128::from(width) / sum) as u16);
    for at in 0..N {
        if parts[at] > 0 && widths[at] == 0 {
            widths[at] = 1;
        }
    }
    // What was rounded away goes to the largest, and what was rounded up is taken from it.
    while parts.iter().any(|part| *part > 0) {
        let all: u32 = widths.iter().map(|width| u32::from(*width)).sum();
        let Some(widest) = (0..N).max_by_key(|at| (widths[*at], parts[*at])) else { break };
        match all.cmp(&u32::from(width)) {
            std::cmp::Ordering::Less => widths[widest] += width - all as u16,
            std::cmp::Ordering::Greater => widths[widest] -= 1,
            std::cmp::Ordering::Equal => break,
        }
    }
    widths
}

/// How many things a list shows, of how many: `57 tensors`, or `4 of 57 tensors` where a search leaves some out.
pub(crate) fn counted(shown: usize, all: usize, what: &str) -> String {
    let things = bayplan_text::plural(shown.max(all) as u64, what);
    if shown < all { format!("{} of {things}", bayplan_text::Count(shown as u64)) } else { things }
}

/// A size in as few columns as axes leave: `12.4M`, `812B`.
pub(crate) fn short_bytes(bytes: u64) -> String {
    bayplan_text::Bytes(bytes).to_string().replace("iB", "").replace(' ', "")
}

/// Cuts text that is escaped already to a number of columns; its beginning goes, since the ends of names differ more.
pub(crate) fn tail(text: &str, width: usize) -> String {
    let columns = Span::raw(text).width();
    if columns <= width {
        return text.to_owned();
    }
    let mut left = columns;
    let mut kept = text.chars();
    while left + 1 > width {
        let Some(c) = kept.next() else { break };
        left = left.saturating_sub(Span::raw(c.to_string()).width());
    }
    if width == 0 { String::new() } else { format!("…{}", kept.as_str()) }
}

/// Puts parts side by side, leaving out the least important ones until the rest fits; the order stays.
pub(crate) fn fitting<'a>(mut parts: Vec<(u8, Vec<Span<'a>>)>, width: usize) -> Line<'a> {
    let columns = |spans: &[Span<'_>]| spans.iter().map(Span::width).sum::<usize>();
    while parts.len() > 1 && parts.iter().map(|(_, spans)| columns(spans)).sum::<usize>() > width {
        let least =
            parts.iter().enumerate().min_by_key(|(at, (weight, _))| (*weight, std::cmp::Reverse(*at)));
        let Some((at, _)) = least else { break };
        parts.remove(at);
    }
    Line::from(parts.into_iter().flat_map(|(_, spans)| spans).collect::<Vec<_>>())
}

/// From this weight on a sentence is told in fewer words before any other of them is left out.
const CORE: u8 = 7;

/// A sentence of a text that may have too little room.
pub(crate) struct Sentence {
    /// How much it matters: the least important ones give way first.
    weight: u8,
    text: String,
    /// The same in fewer words; none where it is told whole or not at all.
    brief: Option<String>,
}

impl Sentence {
    /// A sentence that is told whole or left out.
    pub(crate) fn new(weight: u8, text: impl Into<String>) -> Self {
        Self { weight, text: text.into(), brief: None }
    }

    /// The same, with fewer words where there is too little room for all.
    pub(crate) fn or(self, brief: impl Into<String>) -> Self {
        Self { brief: Some(brief.into()), ..self }
    }

    /// When it gives way: first those that may go, then all are told in fewer words, then the others go as well.
    fn gives_way(&self) -> (u8, u8) {
        let phase = match (self.weight < CORE, &self.brief) {
            (true, _) => 0,
            (false, Some(_)) => 1,
            (false, None) => 2,
        };
        (phase, self.weight)
    }
}

/// Sentences as lines of a width, no more than so many: where there is too little room, the least important ones are told in
/// fewer words or left out, whole. Only what is left alone and still too long is cut, and the cut marked.
pub(crate) fn paragraph(mut sentences: Vec<Sentence>, width: usize, rows: usize) -> Vec<String> {
    let width = width.max(8);
    loop {
        let text: Vec<&str> =
            sentences.iter().map(|sentence| &*sentence.text).filter(|text| !text.is_empty()).collect();
        let mut lines = bayplan_text::wrap(&text.join(" "), width);
        if lines.len() <= rows {
            return lines;
        }
        let least = (0..sentences.len()).rev().min_by_key(|at| sentences[*at].gives_way());
        match least.map(|at| (at, sentences[at].brief.take())) {
            Some((at, Some(brief))) => sentences[at].text = brief,
            Some((at, None)) if sentences.len() > 1 => drop(sentences.remove(at)),
            _ => {
                lines.truncate(rows);
                if let Some(last) = lines.last_mut() {
                    *last = bayplan_text::ellipsis(last, width - 1).to_string();
                    if !last.ends_with('…') {
                        last.push('…');
                    }
                }
                return lines;
            }
        }
    }
}

/// Puts parts one after the other on as many lines as they need, each whole where a line has room for it.
pub(crate) fn flow(parts: Vec<Span<'static>>, width: usize) -> Vec<Line<'static>> {
    let width = width.max(8);
    let mut lines: Vec<Line<'static>> = vec![Line::default()];
    for part in parts {
        let used = lines.last().map_or(0, Line::width);
        if used + part.width() <= width {
            lines.last_mut().into_iter().for_each(|line| line.push_span(part.clone()));
            continue;
        }
        let words = bayplan_text::wrap(part.content.trim_start(), width);
        lines.extend(words.into_iter().map(|words| Line::from(Span::styled(words, part.style))));
    }
    lines.retain(|line| line.width() > 0);
    lines
}

/// Lines of a heading and words, those that are too wide for their row over several, in so many rows: those that come first
/// have the rows that are left; of the others the end is cut where they are put.
pub(crate) fn folded(lines: Vec<Line<'static>>, width: usize, rows: usize) -> Vec<Line<'static>> {
    const INDENT: &str = "  ";
    let width = width.max(8);
    let mut spare = rows.saturating_sub(lines.len());
    let mut out = Vec::new();
    for line in lines {
        let (Some(last), true) = (line.spans.last(), line.width() > width) else {
            out.push(line);
            continue;
        };
        let (words, style) = (last.content.to_string(), last.style);
        let heading: Vec<Span<'static>> = line.spans[..line.spans.len() - 1].to_vec();
        let taken = heading.iter().map(Span::width).sum::<usize>();
        if taken > width / 2 {
            out.push(line);
            continue;
        }
        // What stands in front of the words is one word of its width.
        let indent = words.len() - words.trim_start().len();
        let filler = "x".repeat(taken + indent);
        let all = format!("{filler}{}", words.trim_start());
        let parts = bayplan_text::wrap(&all, width - INDENT.len());
        let more = parts.len() - 1;
        if more == 0 || more > spare {
            out.push(line);
            continue;
        }
        spare -= more;
        for (at, part) in parts.into_iter().enumerate() {
            let words = match at {
                0 => format!("{}{}", " ".repeat(indent), part.get(filler.len()..).unwrap_or_default()),
                _ => format!("{INDENT}{part}"),
            };
            let before = if at == 0 { heading.clone() } else { Vec::new() };
            let spans = before.into_iter().chain([Span::styled(words, style)]);
            out.push(Line::from(spans.collect::<Vec<_>>()).style(line.style));
        }
    }
    out.truncate(rows);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fold_where_there_are_rows_for_them() {
        let line = |words: &'static str| Line::from(vec![Span::raw("ops  "), Span::raw(words)]);
        let check = |rows: usize, width: usize, expect: &[&str]| {
            let lines = vec![line("three slower, one faster"), line("none at all")];
            let found: Vec<String> = folded(lines, width, rows).iter().map(Line::to_string).collect();
            assert_eq!(found, expect, "{rows} rows of {width}");
        };
        check(9, 40, &["ops  three slower, one faster", "ops  none at all"]);
        check(9, 18, &["ops  three", "  slower, one", "  faster", "ops  none at all"]);
        check(3, 18, &["ops  three slower, one faster", "ops  none at all"]);
        check(3, 24, &["ops  three slower, one", "  faster", "ops  none at all"]);
        check(1, 24, &["ops  three slower, one faster"]);
    }

    #[test]
    fn bars_fill_exactly_their_width() {
        for (ratio, expect) in [
            (0.0, "····"),
            (0.001, "▏···"),
            (0.5, "██··"),
            (0.56, "██▎·"),
            (1.0, "████"),
            (7.0, "████"),
            (f64::NAN, "····"),
        ] {
            let spans = bar(ratio, 4, Style::new(), Style::new());
            assert_eq!(spans.iter().map(|span| span.content.as_ref()).collect::<String>(), expect, "{ratio}");
        }
    }

    #[test]
    fn charts_show_the_latest() {
        assert_eq!(chart([9, 9, 0, 7, 1].into_iter(), 3, 1), ["▁█▂"]);
        assert_eq!(chart([0, 0].into_iter(), 3, 1), ["▁▁"]);
        assert_eq!(chart([u64::MAX, 0].into_iter(), 3, 1), ["█▁"]);
        assert_eq!(chart([4, 3, 2, 1].into_iter(), 4, 2), ["█▄  ", "███▄"]);
        assert!(chart([1].into_iter(), 4, 0).is_empty());
    }

    #[test]
    fn shares_fill_a_width_exactly_and_hide_nothing() {
        for (parts, width, expect) in [
            ([0, 0, 0, 0], 9, [0, 0, 0, 0]),
            ([8, 0, 1, 0], 9, [8, 0, 1, 0]),
            ([1_000_000, 1, 1, 1], 10, [7, 1, 1, 1]),
            ([1, 1, 1, 1], 10, [2, 2, 2, 4]),
            ([5, 5, 5, 5], 3, [1, 1, 1, 0]),
            ([u64::MAX, u64::MAX, 1, 0], 101, [50, 50, 1, 0]),
            ([3, 3, 3, 3], 0, [0, 0, 0, 0]),
        ] {
            let widths = shares(parts, width);
            assert_eq!(widths, expect, "{parts:?} in {width}");
        }
    }

    #[test]
    fn what_a_search_leaves_out_is_counted() {
        for (shown, all, expect) in [
            (57, 57, "57 tensors"),
            (4, 57, "4 of 57 tensors"),
            (0, 1, "0 of 1 tensor"),
            (1, 1, "1 tensor"),
            (0, 0, "0 tensors"),
        ] {
            assert_eq!(counted(shown, all, "tensor"), expect);
        }
    }

    #[test]
    fn columns_rise_by_eighths() {
        let area = Rect { x: 0, y: 0, width: 5, height: 2 };
        let mut buffer = Buffer::empty(area);
        let values = [0, 1, 8, 9, 99];
        columns(&mut buffer, area, 16, |col| (values[usize::from(col)], Style::new()));
        let row = |y: u16| (0..5).map(|x| buffer[(x, y)].symbol().to_owned()).collect::<String>();
        assert_eq!([row(0), row(1)], ["   ▁█", " ▁███"]);
    }

    #[test]
    fn what_is_cut_is_marked_once() {
        let area = Rect { x: 0, y: 0, width: 6, height: 1 };
        for (line, expect) in
            [("abcdef", "abcdef"), ("abcdefg", "abcde…"), ("abcd…f…", "abcd… "), ("abc…efg", "abc…e…")]
        {
            let mut buffer = Buffer::empty(area);
            put_line(&mut buffer, area, 0, &Line::raw(line));
            assert_eq!((0..6).map(|x| buffer[(x, 0)].symbol()).collect::<String>(), expect, "{line}");
        }
    }

    #[test]
    fn the_ends_of_names_are_kept() {
        for (width, expect) in [(9, "layer/qkv"), (5, "…/qkv"), (1, "…"), (0, "")] {
            assert_eq!(tail("layer/qkv", width), expect);
        }
        assert_eq!(tail("中文字", 5), "…文字");
        assert_eq!(tail("中文字", 4), "…字");
    }

    #[test]
    fn sizes_are_short() {
        for (bytes, expect) in [(0, "0B"), (1023, "1023B"), (13_002_342, "12.4M"), (1 << 40, "1.00T")] {
            assert_eq!(short_bytes(bytes), expect);
        }
    }

    #[test]
    fn sentences_are_whole_or_left_out() {
        let told = |width, rows| {
            let sentences = vec![
                Sentence::new(9, "The plan is 1 KiB larger than that.").or("1 KiB more."),
                Sentence::new(5, "No single tensor helps."),
                Sentence::new(7, "enter shows it."),
            ];
            paragraph(sentences, width, rows)
        };
        let all = "The plan is 1 KiB larger than that. No single tensor helps. enter shows it.";
        assert_eq!(told(80, 1), [all]);
        assert_eq!(
            told(40, 2),
            ["The plan is 1 KiB larger than that. No", "single tensor helps. enter shows it."]
        );
        assert_eq!(told(60, 1), ["The plan is 1 KiB larger than that. enter shows it."]);
        assert_eq!(told(40, 1), ["1 KiB more. enter shows it."]);
        assert_eq!(told(20, 1), ["1 KiB more."]);
        assert_eq!(told(9, 1), ["1 KiB…"]);
        assert!(told(9, 0).is_empty() && paragraph(Vec::new(), 9, 1) == [""]);
        // Whatever the room, no line is wider and no more are told.
        for (width, rows) in (8..90).flat_map(|width| (0..5).map(move |rows| (width, rows))) {
            let lines = told(width, rows);
            assert!(lines.len() <= rows && lines.iter().all(|line| line.chars().count() <= width));
        }
    }

    #[test]
    fn parts_flow_on_to_the_next_line() {
        let parts =
            |texts: &[&str]| texts.iter().map(|text| Span::raw((*text).to_owned())).collect::<Vec<_>>();
        let told =
            |texts, width| flow(parts(texts), width).iter().map(ToString::to_string).collect::<Vec<String>>();
        assert_eq!(told(&["9 arena", " = 8 live", " + 1 holes"], 26), ["9 arena = 8 live + 1 holes"]);
        assert_eq!(told(&["9 arena", " = 8 live", " + 1 holes"], 17), ["9 arena = 8 live", "+ 1 holes"]);
        assert_eq!(told(&["wider than a line", " x"], 8), ["wider", "than a", "line x"]);
        assert!(told(&[""], 8).is_empty());
    }

    #[test]
    fn the_least_important_parts_go_first() {
        let parts =
            || vec![(9, vec![Span::raw("aaaa")]), (1, vec![Span::raw("bbbb")]), (5, vec![Span::raw("cc")])];
        for (width, expect) in [(10, "aaaabbbbcc"), (9, "aaaacc"), (5, "aaaa"), (1, "aaaa")] {
            assert_eq!(fitting(parts(), width).to_string(), expect);
        }
    }
}
