//! One map: axes, rectangles, names, and the lines over them.

use std::fmt::Write as _;

use bayplan_text::{Bytes, columns};
use bayplan_trace::{ArenaMetrics, ArenaRecord, MapDeviant, map_name, ops_words, thin};

use super::frame::{Frame, Px, Rect};
use super::sheet::{MARGIN, Sheet, WIDTH};
use super::tiles::{Tile, Tiles, Titles};
use super::{Drawn, op_words};
use crate::markup::marked;

/// Room for the labels of bytes.
const GUTTER: f64 = 64.0;

/// Height of the curve of live bytes.
const CURVE: f64 = 54.0;

/// Width of a character of a name, and how high a line of it is.
const LETTER: (f64, f64) = (6.1, 12.0);

/// Names that are written into rectangles.
const MOST_NAMES: usize = 240;

/// The map of an arena.
pub(crate) struct Panel<'a> {
    pub(crate) drawn: &'a Drawn<'a>,
    pub(crate) arena: usize,
    pub(crate) metrics: &'a ArenaMetrics,
    pub(crate) tiles: &'a Tiles,
    pub(crate) height: f64,
    /// The top of the byte axis: the arena's end, or more, to compare it with another.
    pub(crate) bytes: u64,
    /// Whether it has the curve of live bytes, and labels of its lines.
    pub(crate) main: bool,
    pub(crate) heading: Option<String>,
}

impl Panel<'_> {
    pub(crate) fn record(&self) -> &ArenaRecord {
        &self.drawn.state.record.arenas[self.arena]
    }

    /// Draws it below what is on the sheet.
    pub(crate) fn draw(&self, sheet: &mut Sheet) {
        if let Some(heading) = &self.heading {
            sheet.bottom += 10.0;
            sheet.line("strong", heading);
        }
        let frame = Frame {
            left: MARGIN + GUTTER,
            top: sheet.bottom + if self.main { 34.0 } else { 8.0 },
            width: WIDTH - 2.0 * MARGIN - GUTTER,
            height: self.height,
            ops: self.drawn.state.record.ops.len() as u64,
            bytes: self.bytes,
        };
        self.ground(sheet, &frame);
        self.tiles(sheet, &frame);
        self.deviants(sheet, &frame);
        self.lines(sheet, &frame);
        sheet.bottom = frame.bottom();
        if self.main {
            self.curve(sheet, &frame);
        }
        op_axis(sheet, &frame);
        for note in &self.tiles.notes {
            sheet.note(note);
        }
    }

    fn ground(&self, sheet: &mut Sheet, frame: &Frame) {
        rect(sheet, "plot", &frame.rect(&(0..u32::MAX), &(0..u64::MAX)), "");
        for byte in frame.byte_ticks() {
            let y = frame.y(byte);
            line(sheet, "grid", (frame.left, y), (frame.right(), y));
            sheet.text((frame.left - 7.0, y + 4.0), "", "end", &Bytes(byte).to_string());
        }
    }

    fn tiles(&self, sheet: &mut Sheet, frame: &Frame) {
        for (class, places) in &self.tiles.together {
            let mut path = String::new();
            for (ops, bytes) in places {
                let Rect { x, y, width, height } = frame.rect(ops, bytes);
                // Writing to a string does not fail.
                let _ = write!(path, "M{} {}h{}v{}h{}z", Px(x), Px(y), Px(width), Px(height), Px(-width));
            }
            sheet.put(&format!("<path class=\"{class}\" d=\"{path}\"/>\n"));
        }
        let titles = Titles::new(&self.drawn.state.record);
        sheet.put("<g>\n");
        for tile in &self.tiles.list {
            let title = tile.buffer.map_or_else(String::new, |buffer| titles.of(buffer));
            let fill =
                tile.hatch.map(|hatch| format!("fill=\"url(#{}-{hatch})\"", sheet.id)).unwrap_or_default();
            filled(
                sheet,
                &tile.class,
                &fill,
                &frame.rect(&tile.ops, &tile.bytes),
                &format!("{}{title}", tile.note),
            );
        }
        sheet.put("</g>\n");
        self.names(sheet, frame);
    }

    /// Names in the rectangles that are large enough, the largest first.
    fn names(&self, sheet: &mut Sheet, frame: &Frame) {
        let buffers = &self.drawn.state.record.buffers;
        let area = |rect: &Rect| (rect.width * rect.height) as u64;
        let named = self.tiles.list.iter().filter(|tile| tile.named);
        let mut large: Vec<(Rect, &Tile)> = named
            .map(|tile| (frame.rect(&tile.ops, &tile.bytes), tile))
            .filter(|(rect, _)| rect.width.max(rect.height) > 30.0 && rect.width.min(rect.height) >= LETTER.1)
            .collect();
        large.sort_by_key(|(rect, tile)| (std::cmp::Reverse(area(rect)), tile.buffer));
        for (place, tile) in large.into_iter().take(MOST_NAMES) {
            let Some(record) = tile.buffer.and_then(|buffer| buffers.get(buffer as usize)) else { continue };
            let upright = place.width < place.height && short_room(place.width) < 8;
            let room = short_room(if upright { place.height } else { place.width });
            let Some(name) = short(&record.name, room) else { continue };
            let (x, y) = (place.x + place.width / 2.0, place.y + place.height / 2.0);
            let looks = match tile.class.as_str() {
                // Over what was seen of it, or over a hatching.
                class if class.contains(" p ") || tile.hatch.is_some() => " quiet halo",
                "t same" | "change relived" => " quiet",
                class if class.ends_with(" h3") => " bright",
                _ => "",
            };
            let turn = if upright {
                format!(" transform=\"rotate(-90 {} {})\"", Px(x), Px(y))
            } else {
                String::new()
            };
            let name = marked(&name);
            sheet.put(&format!(
                "<text class=\"name{looks}\" text-anchor=\"middle\" x=\"{}\" y=\"{}\"{turn}>{name}</text>\n",
                Px(x),
                Px(y + 3.5)
            ));
        }
    }

    /// What is not as planned: hatched, framed and crossed out.
    fn deviants(&self, sheet: &mut Sheet, frame: &Frame) {
        let titles = Titles::new(&self.drawn.state.record);
        let fill = format!("fill=\"url(#{}-dev)\"", sheet.id);
        for MapDeviant { buffer, ops, bytes } in &self.tiles.deviants {
            let place = frame.rect(ops, bytes);
            let whose = buffer.map_or_else(|| "no tensor of the plan".to_owned(), |buffer| titles.of(buffer));
            let title = format!(
                "NOT as planned: bytes {}..{} at {}\n{whose}",
                bytes.start,
                bytes.end,
                ops_words(ops.start, ops.end)
            );
            filled(sheet, "dev", &fill, &place, &title);
            let (x, y) = (place.x + place.width / 2.0, place.y + place.height / 2.0);
            for class in ["cross", "cross over"] {
                sheet.put(&format!(
                    "<path class=\"{class}\" d=\"M{} {}l10 10m0 -10l-10 10\"/>\n",
                    Px(x - 5.0),
                    Px(y - 5.0)
                ));
            }
        }
    }

    /// The bound, the peak and the playhead.
    fn lines(&self, sheet: &mut Sheet, frame: &Frame) {
        let bound = self.record().lower_bound;
        if bound > 0 && bound < frame.bytes {
            let y = frame.y(bound);
            line(sheet, "bound", (frame.left, y), (frame.right(), y));
            let label = format!("lower bound {}", Bytes(bound));
            let below = if y - frame.top < 16.0 { 14.0 } else { -5.0 };
            sheet.text((frame.right() - 6.0, y + below), "halo strong", "end", &label);
        }
        let end = self.record().size;
        if end < frame.bytes {
            line(sheet, "head", (frame.left, frame.y(end)), (frame.right(), frame.y(end)));
            let label = format!("end of the arena {}", Bytes(end));
            sheet.text((frame.left + 6.0, frame.y(end) - 5.0), "halo strong", "start", &label);
        }
        if !self.main {
            return rect(sheet, "edge", &frame.rect(&(0..u32::MAX), &(0..u64::MAX)), "");
        }
        if let Some(op) = self.metrics.peak_op {
            let x = (frame.x(op.into()) + frame.x(u64::from(op) + 1)) / 2.0;
            line(sheet, "peak", (x, frame.top - 4.0), (x, frame.bottom()));
            let label = format!("peak {} at {}", Bytes(self.metrics.peak_live), op_words(self.drawn, op));
            label_above(sheet, frame, (x, frame.top - 8.0), "", &label);
        }
        if let Some(op) = self.drawn.reached.filter(|_| !self.drawn.is_plan_alone()) {
            let x = frame.x(op.into());
            line(sheet, "head", (x, frame.top - 16.0), (x, frame.bottom()));
            let top = Px(frame.top - 16.0);
            sheet.put(&format!("<path class=\"mark\" d=\"M{} {top}h10l-5 8z\"/>\n", Px(x - 5.0)));
            let label = format!("now: {op} of {} ops reached", frame.ops);
            label_above(sheet, frame, (x, frame.top - 21.0), "strong", &label);
        }
        rect(sheet, "edge", &frame.rect(&(0..u32::MAX), &(0..u64::MAX)), "");
    }

    /// The bytes that live at each op, under the map and to the same scale of ops.
    fn curve(&self, sheet: &mut Sheet, frame: &Frame) {
        let most = self.bytes.max(self.metrics.peak_live);
        let own = Frame { top: frame.bottom() + 12.0, height: CURVE, bytes: most, ..*frame };
        rect(sheet, "plot", &own.rect(&(0..u32::MAX), &(0..u64::MAX)), "");
        let mut path = format!("M{} {}", Px(own.left), Px(own.bottom()));
        let points: Vec<(usize, u64)> = thin(&self.metrics.live, own.width as usize).collect();
        for (at, &(op, live)) in points.iter().enumerate() {
            let end = points.get(at + 1).map_or(own.ops, |&(next, _)| next as u64);
            let _ = write!(path, "V{}H{}", Px(own.y(live)), Px(own.x(end.max(op as u64))));
        }
        let title = format!("live bytes at each op; at the peak {}", Bytes(self.metrics.peak_live));
        sheet.put(&format!(
            "<path class=\"live\" d=\"{path}V{}z\"><title>{title}</title></path>\n",
            Px(own.bottom())
        ));
        sheet.text((own.left - 7.0, own.top + 10.0), "faint", "end", "live");
        sheet.text((own.left - 7.0, own.top + 24.0), "faint", "end", "bytes");
        rect(sheet, "edge", &own.rect(&(0..u32::MAX), &(0..u64::MAX)), "");
        sheet.bottom = own.bottom();
    }
}

/// Characters of a name that fit a length.
fn short_room(length: f64) -> usize {
    ((length - 6.0).max(0.0) / LETTER.0) as usize
}

/// A name as maps write it; none if too little of it would be left or its characters are not each one column wide.
fn short(name: &str, room: usize) -> Option<String> {
    const LEAST: usize = 4;
    let text = map_name(name, room);
    let chars = text.chars().count();
    let is_narrow = chars == columns(&text.replace('\\', "/"));
    let is_cut = text.ends_with('…');
    (chars > 0 && chars <= room && is_narrow && (room >= LEAST || !is_cut)).then_some(text)
}

/// A label over the map, at its place but within the map's sides.
fn label_above(sheet: &mut Sheet, frame: &Frame, (x, y): (f64, f64), class: &str, text: &str) {
    let half = text.chars().count() as f64 * 3.3;
    let x = x.clamp(frame.left + half, (frame.right() - half).max(frame.left + half));
    sheet.text((x, y), class, "middle", text);
}

fn op_axis(sheet: &mut Sheet, frame: &Frame) {
    let y = sheet.bottom;
    for op in frame.op_ticks() {
        let x = frame.x(op);
        line(sheet, "edge", (x, y), (x, y + 4.0));
        sheet.text((x, y + 16.0), "", "middle", &op.to_string());
    }
    sheet.text((frame.left - 7.0, y + 16.0), "faint", "end", "op");
    sheet.bottom += 22.0;
}

fn line(sheet: &mut Sheet, class: &str, from: (f64, f64), to: (f64, f64)) {
    let (x1, y1, x2, y2) = (Px(from.0), Px(from.1), Px(to.0), Px(to.1));
    sheet.put(&format!("<line class=\"{class}\" x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\"/>\n"));
}

fn rect(sheet: &mut Sheet, class: &str, place: &Rect, title: &str) {
    filled(sheet, class, "", place, title);
}

/// A rectangle; its title is escaped for display.
fn filled(sheet: &mut Sheet, class: &str, fill: &str, place: &Rect, title: &str) {
    let Rect { x, y, width, height } = *place;
    let (x, y, width, height) = (Px(x), Px(y), Px(width), Px(height));
    let fill = if fill.is_empty() { String::new() } else { format!(" {fill}") };
    let start =
        format!("<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"{fill}");
    if title.is_empty() {
        sheet.put(&format!("{start}/>\n"));
    } else {
        sheet.put(&format!("{start}><title>{}</title></rect>\n", marked(title)));
    }
}
