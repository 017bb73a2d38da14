//! Fragmentation: how much of an arena is not used, where, and what could still fit; of dynamic pools how scattered they are.

use ratatui::buffer::Buffer;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};

use bayplan_trace::Holds;

use super::fragmentation_lines::{Piece, Shape, fitting, pieces};
use crate::draw;
use crate::keys::Action;
use crate::model::{ArenaView, Model};
use crate::theme::{Shade, Theme};
use crate::view::{Target, View};

/// How an arena and the pools are used.
pub(crate) struct Fragmentation;

/// Where each piece stands: the most important ones that fit, in order; curves share what room is left.
fn places(area: Rect, model: &Model) -> Vec<(Piece, Rect)> {
    let inner = inside(area);
    let room = usize::from(inner.height);
    let pieces = fitting(pieces(model, usize::from(inner.width)), room);
    let mut left = room.saturating_sub(pieces.iter().map(Piece::least).sum());
    let mut rows: Vec<usize> = pieces.iter().map(Piece::least).collect();
    // A row each in turn, so that none takes all of it.
    while left > 0 && pieces.iter().zip(&rows).any(|(piece, rows)| *rows < piece.most()) {
        for (piece, rows) in pieces.iter().zip(&mut rows) {
            if left > 0 && *rows < piece.most() {
                (*rows, left) = (*rows + 1, left - 1);
            }
        }
    }
    let mut y = inner.y;
    let placed = pieces.into_iter().zip(rows).map(|(piece, rows)| {
        let height = (rows as u16).min(inner.bottom().saturating_sub(y));
        let place = Rect { y, height, ..inner };
        y += height;
        (piece, place)
    });
    placed.collect()
}

fn inside(area: Rect) -> Rect {
    let inner = draw::inside(area);
    Rect { x: inner.x + 1, width: inner.width.saturating_sub(2), ..inner }
}

impl View for Fragmentation {
    fn title(&self) -> &'static str {
        "Fragmentation"
    }

    fn about(&self) -> &'static str {
        "what of an arena is not used, and why"
    }

    fn target(&self, area: Rect, model: &Model, at: Position) -> Option<Target> {
        if at.y == area.y && area.contains(at) && model.arena().is_some() {
            return Some(Target::Do(Action::Arena));
        }
        let (piece, place) = places(area, model).into_iter().find(|(_, place)| place.contains(at))?;
        match piece.shape {
            Shape::Live | Shape::Deviation | Shape::Axis => Some(Target::Ops(place)),
            Shape::Strip => {
                let arena = model.arena()?;
                let cells = arena.strip(arena.view.ops.cursor as u32, place.width);
                match cells.get(usize::from(at.x - place.x)).copied().flatten() {
                    Some(Holds::Live(number)) => Some(Target::Tensor(number)),
                    _ => None,
                }
            }
            Shape::Text | Shape::Loss | Shape::Pool(_) => piece.op.map(Target::Op),
        }
    }

    fn draw(&self, buffer: &mut Buffer, area: Rect, model: &Model, theme: &Theme) {
        let title = model.arena().map_or_else(
            || "fragmentation".to_owned(),
            |arena| format!("arena \"{}\"", super::arena_name(&arena)),
        );
        draw::frame(buffer, area, &Line::styled(title, theme.accent()), theme);
        for (piece, place) in places(area, model) {
            draw_piece(buffer, place, &piece, model, theme);
        }
    }
}

fn draw_piece(buffer: &mut Buffer, place: Rect, piece: &Piece, model: &Model, theme: &Theme) {
    let arena = model.arena();
    match (piece.shape, arena) {
        (Shape::Text, _) => {
            for (row, line) in (0..place.height).zip(&piece.lines) {
                draw::put_line(buffer, place, row, &headed(line, row == 0, piece.alarming, theme));
            }
        }
        (Shape::Live, Some(arena)) => live_curve(buffer, place, &arena, theme),
        (Shape::Axis, Some(arena)) => axis(buffer, place, &arena, theme),
        (Shape::Loss, Some(arena)) => loss_bar(buffer, place, &arena, theme),
        (Shape::Strip, Some(arena)) => address_strip(buffer, place, model, &arena, theme),
        (Shape::Deviation, Some(arena)) => deviation_curve(buffer, place, model, &arena, theme),
        (Shape::Pool(number), _) => pool_curve(buffer, place, model, number, theme),
        _ => {}
    }
}

/// The heading of a line stands before two blanks.
fn headed(line: &str, first: bool, alarming: bool, theme: &Theme) -> Line<'static> {
    let style = if alarming { theme.warning() } else { theme.text() };
    match line.split_once("  ").filter(|_| first) {
        Some((heading, rest)) => Line::from(vec![
            Span::styled(format!("{heading}  "), theme.accent()),
            Span::styled(rest.to_owned(), style),
        ]),
        None => Line::styled(line.to_owned(), style),
    }
}

/// Live bytes of the ops in view against the arena: what lives at least in a column is full, what lives at most is its top.
fn live_curve(buffer: &mut Buffer, place: Rect, arena: &ArenaView<'_>, theme: &Theme) {
    let (ops, cols) = (&arena.view.ops, u64::from(place.width));
    let cursor = ops.cell(ops.cursor, cols);
    let size = arena.plan.record.arenas[arena.arena as usize].size;
    let peak = u64::from(arena.index.peak.op);
    let at_peak = |(first, last): (u64, u64)| (first..last).contains(&peak);
    draw::columns(buffer, place, size, |col| {
        let span = ops.span(u64::from(col), cols);
        let style = if at_peak(span) { theme.warning() } else { theme.faint() };
        (arena.index.most_live(span.0 as usize, span.1 as usize), style)
    });
    draw::columns(buffer, place, size, |col| {
        let span = ops.span(u64::from(col), cols);
        let style = match cursor == Some(u64::from(col)) {
            true => theme.cursor(),
            false if at_peak(span) => theme.warning(),
            false => theme.gauge(),
        };
        (arena.index.least_live(span.0 as usize, span.1 as usize), style)
    });
}

fn deviation_curve(buffer: &mut Buffer, place: Rect, model: &Model, arena: &ArenaView<'_>, theme: &Theme) {
    let Some(found) = model.index().map(|index| index.deviation(arena.plan)) else { return };
    let Some(curve) = &*found else { return };
    let (ops, cols) = (&arena.view.ops, u64::from(place.width));
    let cursor = ops.cell(ops.cursor, cols);
    let highest = curve.largest.map_or(0, |(_, bytes)| bytes);
    draw::columns(buffer, place, highest, |col| {
        let (first, last) = ops.span(u64::from(col), cols);
        let style = if cursor == Some(u64::from(col)) { theme.cursor() } else { theme.alarm_text() };
        (curve.most.most(&curve.bytes, first as usize, last as usize), style)
    });
}

/// The first op in view, the one under the cursor and the last.
fn axis(buffer: &mut Buffer, place: Rect, arena: &ArenaView<'_>, theme: &Theme) {
    let ops = &arena.view.ops;
    let op = |op: u64| format!("op {}", bayplan_text::Count(op));
    let starts_at = |text: &str, col: u64| {
        (place.x + col as u16)
            .min(place.right().saturating_sub(bayplan_text::columns(text) as u16))
            .max(place.x)
    };
    // The cursor's label stands where it meets another.
    let mut taken: Vec<(u16, u16)> = Vec::new();
    let cursor = ops.cell(ops.cursor, u64::from(place.width));
    let cursor = cursor.map(|col| (format!("▲ {}", op(ops.cursor)), col, theme.cursor()));
    // The cursor's op is not told twice.
    let ends = [(ops.start, 0), (ops.end() - 1, u64::from(place.width))];
    let ends = ends.into_iter().filter(|(at, _)| *at != ops.cursor);
    let ends = ends.map(|(at, col)| (op(at), col, theme.faint()));
    for (text, col, style) in cursor.into_iter().chain(ends) {
        let (x, width) = (starts_at(&text, col), bayplan_text::columns(&text) as u16);
        if taken.iter().all(|(from, to)| x > to + 1 || x + width + 1 < *from) {
            draw::put(buffer, place, x, place.y, &text, style);
            taken.push((x, x + width));
        }
    }
}

/// How the four uses of an arena look: live, padding, holes, tail.
fn glyph(holds: Holds) -> &'static str {
    match holds {
        Holds::Live(_) => "█",
        Holds::Padding => "▒",
        Holds::Hole => "░",
        Holds::Tail => "┈",
    }
}

fn style(holds: Holds, theme: &Theme) -> Style {
    match holds {
        Holds::Live(_) => theme.gauge(),
        Holds::Padding => theme.warning(),
        Holds::Hole => theme.alarm_text(),
        Holds::Tail => theme.faint(),
    }
}

/// The arena at its peak as one bar: live, padding, holes, tail.
fn loss_bar(buffer: &mut Buffer, place: Rect, arena: &ArenaView<'_>, theme: &Theme) {
    let loss = &arena.index.metrics.loss;
    let parts = [
        (Holds::Live(0), loss.live),
        (Holds::Padding, loss.padding),
        (Holds::Hole, loss.holes),
        (Holds::Tail, loss.tail),
    ];
    let widths = draw::shares(parts.map(|(_, bytes)| bytes), place.width);
    let mut x = place.x;
    for ((holds, _), width) in parts.into_iter().zip(widths) {
        let text = glyph(holds).repeat(usize::from(width));
        x = draw::put(buffer, place, x, place.y, &text, style(holds, theme));
    }
}

/// The bytes in view at the op under the cursor, from the lowest to the highest.
fn address_strip(buffer: &mut Buffer, place: Rect, model: &Model, arena: &ArenaView<'_>, theme: &Theme) {
    let index = model.index();
    let selected = model.selected().map(|(number, _)| number);
    let strip = arena.strip(arena.view.ops.cursor as u32, place.width);
    for (x, holds) in (place.x..place.right()).zip(&*strip) {
        let Some(holds) = *holds else { continue };
        let style = match holds {
            Holds::Live(number) if selected == Some(number) => theme.cursor(),
            Holds::Live(number) => {
                let hue = index.map_or(0, |index| index.hue(number));
                if theme.has_shades() {
                    Style::new().fg(theme.shade(hue, Shade::Bright))
                } else {
                    theme.tensor(hue)
                }
            }
            free => style(free, theme),
        };
        for y in place.y..place.bottom() {
            draw::put(buffer, place, x, y, glyph(holds), style);
        }
    }
}

/// How scattered the free bytes of a pool were, over the samples that are kept.
fn pool_curve(buffer: &mut Buffer, place: Rect, model: &Model, number: u32, theme: &Theme) {
    let Some(history) = model.timeline.pool_histories.get(&number) else { return };
    let samples: Vec<f64> = history.samples().map(|sample| sample.fragmentation.external).collect();
    let shown = &samples[samples.len().saturating_sub(usize::from(place.width))..];
    const WHOLE: u64 = 1000;
    draw::columns(buffer, place, WHOLE, |col| {
        let share = shown.get(usize::from(col)).copied().unwrap_or(0.0);
        ((share.clamp(0.0, 1.0) * WHOLE as f64) as u64, theme.gauge())
    });
}
