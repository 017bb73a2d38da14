//! One picture, printed: plain text where there are no colours, else with the sequences that make them.

use std::fmt::Write;

use crossterm::event::KeyEvent;
use ratatui::buffer::{Buffer, Cell};
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier};
use ratatui::text::Span;

use crate::theme::{self, Colours, Theme};
use crate::watch::Watch;

/// Draws a session on a screen of this size, after those keys; returns its rows, without the blanks at their ends.
pub(crate) fn picture(
    watch: &mut Watch,
    (cols, rows): (u16, u16),
    keys: &[KeyEvent],
    theme: &Theme,
) -> String {
    let area = Rect { x: 0, y: 0, width: cols, height: rows };
    let mut buffer = Buffer::empty(area);
    // Keys go where the picture before them is.
    for key in keys {
        watch.draw(&mut buffer, area, theme);
        watch.key(*key);
        // Nobody waits for this picture: it shows the answers, not that they are looked for.
        watch.hear();
    }
    buffer.reset();
    watch.draw(&mut buffer, area, theme);
    if theme.ascii {
        theme::to_ascii(&mut buffer);
    }
    let mut text = String::new();
    for row in buffer.content.chunks(usize::from(cols).max(1)) {
        put_row(&mut text, row, theme.colours != Colours::None);
    }
    text
}

/// What a cell looks like beside its symbol.
type Style = (Color, Color, Modifier);
const PLAIN: Style = (Color::Reset, Color::Reset, Modifier::empty());

fn put_row(text: &mut String, row: &[Cell], styled: bool) {
    let style_of = |cell: &Cell| if styled { (cell.fg, cell.bg, cell.modifier) } else { PLAIN };
    let blank = |cell: &Cell| cell.symbol() == " " && style_of(cell) == PLAIN;
    let end = row.iter().rposition(|cell| !blank(cell)).map_or(0, |last| last + 1);
    let (mut covered, mut now) = (0, PLAIN);
    for cell in &row[..end] {
        // A wide character covers the cell after it.
        if covered > 0 {
            covered -= 1;
            continue;
        }
        let style = style_of(cell);
        if style != now {
            put_style(text, style);
            now = style;
        }
        text.push_str(cell.symbol());
        // As it is drawn: what was to be escaped has been.
        covered = Span::raw(cell.symbol()).width().saturating_sub(1);
    }
    if now != PLAIN {
        text.push_str("\x1b[0m");
    }
    text.push('\n');
}

/// Begins a style with a sequence of its own, so that rows can be cut out of a picture.
fn put_style(text: &mut String, (fg, bg, modifier): Style) {
    text.push_str("\x1b[0");
    for (bit, code) in [
        (Modifier::BOLD, 1),
        (Modifier::DIM, 2),
        (Modifier::ITALIC, 3),
        (Modifier::UNDERLINED, 4),
        (Modifier::REVERSED, 7),
    ] {
        if modifier.contains(bit) {
            // Writing to a string cannot fail; nor below.
            let _ = write!(text, ";{code}");
        }
    }
    for (color, basic, bright, many) in [(fg, 30, 90, 38), (bg, 40, 100, 48)] {
        let _ = match color {
            Color::Rgb(r, g, b) => write!(text, ";{many};2;{r};{g};{b}"),
            Color::Indexed(index) => write!(text, ";{many};5;{index}"),
            Color::Reset => Ok(()),
            color => match of_16(color) {
                low @ 0..8 => write!(text, ";{}", basic + low),
                high => write!(text, ";{}", bright + high - 8),
            },
        };
    }
    text.push('m');
}

/// The 16 in the order of their numbers.
const OF_16: [Color; 16] = [
    Color::Black,
    Color::Red,
    Color::Green,
    Color::Yellow,
    Color::Blue,
    Color::Magenta,
    Color::Cyan,
    Color::Gray,
    Color::DarkGray,
    Color::LightRed,
    Color::LightGreen,
    Color::LightYellow,
    Color::LightBlue,
    Color::LightMagenta,
    Color::LightCyan,
    Color::White,
];

/// The number of one of the 16.
fn of_16(color: Color) -> u8 {
    OF_16.iter().position(|known| *known == color).unwrap_or(7) as u8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture_tests;

    /// What a terminal makes of the printed picture is the picture.
    #[test]
    fn a_printed_picture_is_the_picture() {
        for colours in [Colours::True, Colours::Indexed, Colours::Basic, Colours::None] {
            for view in 0..crate::views::VIEWS.len() {
                let theme = Theme::new(colours, false);
                let watch = || Watch::of(picture_tests::small(true), view);
                let printed = picture(&mut watch(), (100, 30), &[], &theme);
                assert_eq!(printed.lines().count(), 30);
                assert_eq!(printed.contains('\x1b'), colours != Colours::None);
                let drawn = picture_tests::draw(&mut watch(), (100, 30), &theme);
                let mut terminal = vt100::Parser::new(30, 100, 0);
                terminal.process(printed.trim_end().replace('\n', "\r\n").as_bytes());
                for (at, cell) in drawn.content.iter().enumerate() {
                    let shown = terminal.screen().cell((at / 100) as u16, (at % 100) as u16).unwrap();
                    let symbol = if shown.has_contents() { shown.contents() } else { " " };
                    assert_eq!(symbol, cell.symbol(), "{at}");
                    if colours == Colours::None {
                        continue;
                    }
                    assert_eq!(color(shown.fgcolor()), cell.fg, "{at} {printed}");
                    assert_eq!(color(shown.bgcolor()), cell.bg, "{at}");
                    assert_eq!(shown.bold(), cell.modifier.contains(Modifier::BOLD), "{at}");
                    assert_eq!(shown.inverse(), cell.modifier.contains(Modifier::REVERSED), "{at}");
                }
            }
        }
        fn color(color: vt100::Color) -> Color {
            match color {
                vt100::Color::Default => Color::Reset,
                vt100::Color::Rgb(r, g, b) => Color::Rgb(r, g, b),
                vt100::Color::Idx(low @ 0..16) => OF_16[usize::from(low)],
                vt100::Color::Idx(index) => Color::Indexed(index),
            }
        }
    }

    #[test]
    fn keys_are_pressed_first() {
        let theme = Theme::new(Colours::None, false);
        let key = |c: char| KeyEvent::from(crossterm::event::KeyCode::Char(c));
        let mut watch = Watch::of(picture_tests::small(false), 0);
        let shown = picture(&mut watch, (80, 24), &[key('2'), key('?')], &theme);
        assert!(shown.contains("keys") && shown.contains("zoom around the cursor"), "{shown}");
        let mut watch = Watch::of(picture_tests::small(false), 1);
        let shown = picture(&mut watch, (120, 40), &[key('w')], &theme);
        assert!(shown.contains("no plan can be smaller") && !shown.contains("looking into it"), "{shown}");
    }
}
