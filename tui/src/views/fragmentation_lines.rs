//! What the Fragmentation view says, in the order in which it matters.

use bayplan_text::{Bytes, Count, Percent, columns, plural, wrap};
use bayplan_trace::{Growing, Loss, Playhead, forecasts};

use crate::model::{ArenaView, Model, explain};

/// What a piece is drawn as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shape {
    /// Its lines.
    Text,
    /// Live bytes over ops.
    Live,
    /// The ops in view.
    Axis,
    /// The arena at its peak as a bar.
    Loss,
    /// The address space at the op under the cursor.
    Strip,
    /// Bytes that deviate, over ops.
    Deviation,
    /// Fragmentation of the pool of a number, over time.
    Pool(u32),
}

/// Something that stands in the view.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(crate) shape: Shape,
    /// Pieces of little weight go first where there is no room.
    pub(crate) weight: u8,
    pub(crate) lines: Vec<String>,
    /// The same in fewer lines, where there is little room.
    brief: Vec<String>,
    /// Whether it says nothing without the piece before it.
    follows: bool,
    /// The op that it speaks of.
    pub(crate) op: Option<u32>,
    /// Whether it tells of something wrong.
    pub(crate) alarming: bool,
}

impl Piece {
    /// Rows that it needs.
    pub(crate) fn least(&self) -> usize {
        match self.shape {
            Shape::Text => self.lines.len(),
            // A single row shows no more than that something lives.
            Shape::Live => 2,
            _ => 1,
        }
    }

    /// Rows that it can use.
    pub(crate) fn most(&self) -> usize {
        match self.shape {
            Shape::Live => 12,
            Shape::Deviation | Shape::Pool(_) => 4,
            Shape::Strip => 2,
            _ => self.least(),
        }
    }

    fn text(weight: u8, text: &str, width: usize) -> Self {
        let width = width.max(8);
        let (lines, brief) = (broken(text, width), broken(&brief(text, width), width));
        Self { lines, brief, ..Self::shape(weight, Shape::Text) }
    }

    fn shape(weight: u8, shape: Shape) -> Self {
        let lines = Vec::new();
        Self { shape, weight, brief: Vec::new(), lines, follows: false, op: None, alarming: false }
    }

    fn following(self) -> Self {
        Self { follows: true, ..self }
    }
}

/// Those that there is room for, in their order: first all in few words, the most important ones first; then what is more to be
/// said of them.
pub(crate) fn fitting(mut pieces: Vec<Piece>, room: usize) -> Vec<Piece> {
    if pieces.iter().map(Piece::least).sum::<usize>() <= room {
        return pieces;
    }
    let mut order: Vec<usize> = (0..pieces.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(pieces[*at].weight));
    let whole: Vec<Vec<String>> =
        pieces.iter_mut().map(|piece| std::mem::replace(&mut piece.lines, piece.brief.clone())).collect();
    let (mut left, mut kept) = (room, vec![false; pieces.len()]);
    for &at in &order {
        let stands = !pieces[at].follows || at.checked_sub(1).is_some_and(|before| kept[before]);
        if let Some(rest) = left.checked_sub(pieces[at].least()).filter(|_| stands) {
            (left, kept[at]) = (rest, true);
        }
    }
    for &at in order.iter().filter(|at| kept[**at]) {
        let more = whole[at].len().saturating_sub(pieces[at].lines.len());
        if let Some(rest) = left.checked_sub(more) {
            left = rest;
            pieces[at].lines.clone_from(&whole[at]);
        }
    }
    pieces.into_iter().zip(kept).filter(|(_, kept)| *kept).map(|(piece, _)| piece).collect()
}

/// What a text says first: as many of its parts as a line holds, but one at least.
fn brief(text: &str, width: usize) -> String {
    let mut ends: Vec<usize> =
        [" · ", "; "].iter().flat_map(|mark| text.match_indices(mark)).map(|(at, _)| at).collect();
    ends.sort_unstable();
    let mut ends = ends.into_iter().map(|at| &text[..at]).chain([text]);
    let first = ends.next().unwrap_or(text);
    ends.take_while(|part| columns(part) <= width).last().unwrap_or(first).to_owned()
}

/// Breaks a text into lines between its parts, so that a figure stays beside what it is called; a part that is too long for a
/// line is broken between words.
fn broken(text: &str, width: usize) -> Vec<String> {
    const BREAKS: [&str; 4] = [" · ", " + ", "; ", " = "];
    let mut lines = vec![String::new()];
    let mut rest = text;
    while !rest.is_empty() {
        let next = BREAKS.iter().filter_map(|mark| rest.find(mark).map(|at| at + mark.len())).min();
        let (part, after) = rest.split_at(next.unwrap_or(rest.len()));
        let line = lines.last_mut();
        match line.filter(|line| columns(line) + columns(part.trim_end()) <= width) {
            Some(line) => line.push_str(part),
            None => lines.extend(wrap(part.trim_end(), width).into_iter().map(|line| line + " ")),
        }
        rest = after;
    }
    lines.iter().map(|line| line.trim_end().to_owned()).filter(|line| !line.is_empty()).collect()
}

/// Everything that there is to say, for lines of so many columns.
pub(crate) fn pieces(model: &Model, width: usize) -> Vec<Piece> {
    let mut pieces = Vec::new();
    match model.arena() {
        Some(arena) => of_arena(&mut pieces, model, &arena, width),
        None => pieces.push(Piece::text(9, "waiting for the plan: the recording has not told it yet", width)),
    }
    of_pools(&mut pieces, model, width);
    pieces
}

fn of_arena(pieces: &mut Vec<Piece>, model: &Model, arena: &ArenaView<'_>, width: usize) {
    let op = arena.view.ops.cursor as u32;
    pieces.push(Piece::text(10, &waste_words(arena), width));
    pieces
        .push(Piece { op: arena.index.metrics.peak_op, ..Piece::text(9, &utilisation_words(arena), width) });
    if arena.plan.record.ops.is_empty() {
        return;
    }
    pieces.push(Piece::shape(8, Shape::Live));
    pieces.push(Piece::shape(3, Shape::Axis).following());
    let loss = &arena.index.metrics.loss;
    let at_peak = format!("at the peak  {}", loss_words(loss));
    let brief = format!(
        "at peak  live {} of {}",
        Bytes(loss.live),
        Bytes(arena.plan.record.arenas[arena.arena as usize].size)
    );
    let brief = broken(&brief, width.max(8));
    pieces.push(Piece { op: arena.index.metrics.peak_op, brief, ..Piece::text(7, &at_peak, width) });
    pieces.push(Piece { op: arena.index.metrics.peak_op, ..Piece::shape(6, Shape::Loss).following() });
    now(pieces, model, arena, width);
    let name = explain::op_name(&arena.plan.record, op);
    let here = arena.loss(op);
    let at_cursor = format!("at the cursor  {name}: {}; {}", loss_words(&here), hole_words(&here));
    pieces.push(Piece { op: Some(op), ..Piece::text(6, &at_cursor, width) });
    pieces.push(Piece::shape(5, Shape::Strip).following());
    let what = if arena.view.bytes.is_whole() { "from byte 0 on" } else { "the bytes in view" };
    let text = format!("the bar above shows the bytes of that op, {what}: █ live  ▒ padding  ░ hole  ┈ tail");
    pieces.push(Piece::text(2, &text, width).following());
    deviation(pieces, model, arena, width);
}

/// How the arena is used at the moment that is shown.
fn now(pieces: &mut Vec<Piece>, model: &Model, arena: &ArenaView<'_>, width: usize) {
    let progress = model.wanted_map().and_then(|(plan, _)| model.timeline.progress(plan));
    let op = match progress {
        Some(Playhead::At(op)) => Some(op),
        _ => None,
    };
    let words = match op {
        Some(op) => {
            let loss = arena.loss(op);
            let name = explain::op_name(&arena.plan.record, op);
            format!("now  {name}: {}; {}", loss_words(&loss), hole_words(&loss))
        }
        None => format!("now  live {}", explain::live_now(model, arena)),
    };
    // Who looks back asks for that moment first.
    let weight = if model.standing.is_some() { 8 } else { 4 };
    pieces.push(Piece { op, ..Piece::text(weight, &words, width) });
}

/// How much the arena is larger than it must be.
fn waste_words(arena: &ArenaView<'_>) -> String {
    let record = &arena.plan.record.arenas[arena.arena as usize];
    let gap = record.size.saturating_sub(record.lower_bound);
    let waste = match arena.index.metrics.waste {
        _ if record.lower_bound == 0 => "not known: no lower bound was recorded".to_owned(),
        Some(waste) => format!("{} ({})", Percent(waste), Bytes(gap)),
        None => Bytes(gap).to_string(),
    };
    format!(
        "waste  {waste} · arena {} · least for this order {}{}",
        Bytes(record.size),
        Bytes(record.lower_bound),
        if gap == 0 { " · optimal" } else { "" }
    )
}

/// How much of the arena lives, at the peak, at least, here and on the whole.
fn utilisation_words(arena: &ArenaView<'_>) -> String {
    let record = &arena.plan.record.arenas[arena.arena as usize];
    let metrics = &arena.index.metrics;
    let share = |op: u32| Percent(metrics.utilisation(record, op));
    let (Some(peak), Some(least), Some(area)) =
        (metrics.peak_op, metrics.least_op, metrics.area_efficiency(record))
    else {
        return "in use  nothing: no tensor lives in this arena".to_owned();
    };
    let cursor = arena.view.ops.cursor as u32;
    format!(
        "in use  most {} at op {} · least {} at op {} · at the cursor {} · on average {}",
        share(peak),
        Count(peak.into()),
        share(least),
        Count(least.into()),
        share(cursor),
        Percent(area)
    )
}

/// The parts of an arena, and their sum.
fn loss_words(loss: &Loss) -> String {
    let sum = loss.live + loss.padding + loss.holes + loss.tail;
    let parts = [("live", loss.live), ("padding", loss.padding), ("holes", loss.holes), ("tail", loss.tail)];
    let parts: Vec<String> = parts.iter().map(|(name, bytes)| format!("{name} {}", Bytes(*bytes))).collect();
    format!("{} = {}", parts.join(" + "), Bytes(sum))
}

fn hole_words(loss: &Loss) -> String {
    let largest = Bytes(loss.largest_hole);
    let holes = match loss.hole_count {
        0 => "no hole".to_owned(),
        1 => format!("1 hole of {largest}"),
        count => format!("{} holes, the largest of {largest}", Count(count)),
    };
    match loss.largest_fit {
        0 => format!("{holes}; no tensor more would fit"),
        most => format!("{holes}; a tensor of {} would still fit", Bytes(most)),
    }
}

fn deviation(pieces: &mut Vec<Piece>, model: &Model, arena: &ArenaView<'_>, width: usize) {
    let found = model.index().map(|index| index.deviation(arena.plan));
    let Some(curve) = found.as_deref().and_then(Option::as_ref) else {
        let words = "off the plan  not known: what ran was not recorded";
        pieces.push(Piece::text(2, words, width));
        return;
    };
    let here = curve.bytes.get(arena.view.ops.cursor as usize).copied().unwrap_or(0);
    let (words, op) = match curve.largest {
        None => ("off the plan  none: every op used the bytes that it was planned to".to_owned(), None),
        Some((op, bytes)) => (
            format!(
                "off the plan  at most {} at op {} · here {} (used and not planned, or planned and not used)",
                Bytes(bytes),
                Count(op.into()),
                Bytes(here)
            ),
            Some(op),
        ),
    };
    let weight = if op.is_some() { 5 } else { 2 };
    pieces.push(Piece { op, alarming: op.is_some(), ..Piece::text(weight, &words, width) });
    if op.is_some() {
        pieces.push(Piece::shape(4, Shape::Deviation).following());
    }
}

fn of_pools(pieces: &mut Vec<Piece>, model: &Model, width: usize) {
    let timeline = &model.timeline;
    if timeline.pools.is_empty() {
        pieces.push(Piece::text(1, "pools  none: nothing here grows while it runs", width));
        return;
    }
    let growing = forecasts(timeline);
    for (&number, pool) in &timeline.pools {
        let found = pool.fragmentation();
        let forecast = growing.iter().find(|forecast| forecast.of == Growing::Pool(number));
        let forecast = forecast.map_or_else(String::new, |forecast| format!(" · {}", forecast.text()));
        let words = format!(
            "pool {}  live {} of {} in {} · free {} in {} · largest free {} · fragmentation {}{forecast}",
            explain::name_of(&pool.name, "number", number),
            Bytes(pool.live_bytes),
            Bytes(pool.bytes),
            plural(pool.live.len() as u64, "range"),
            Bytes(found.free),
            plural(found.holes, "hole"),
            Bytes(found.largest),
            Percent(found.external),
        );
        pieces.push(Piece { alarming: !forecast.is_empty(), ..Piece::text(4, &words, width) });
        pieces.push(Piece::shape(3, Shape::Pool(number)).following());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where there is little room, the important things are told in few words, and nothing stands without what it belongs to.
    #[test]
    fn little_room_takes_words_before_pictures() {
        let text = |weight, words: &str| Piece::text(weight, words, 12);
        let pieces = vec![
            text(9, "waste  9 % · arena 9 KiB · bound 8 KiB"),
            Piece::shape(8, Shape::Live),
            Piece::shape(3, Shape::Axis).following(),
            text(6, "at op 7: live 3 KiB; no hole"),
            Piece::shape(5, Shape::Strip).following(),
        ];
        let kept = |room| {
            let kept = fitting(pieces.clone(), room);
            assert!(kept.iter().map(Piece::least).sum::<usize>() <= room, "{room}: {kept:?}");
            kept.iter().map(|piece| (piece.shape, piece.lines.len())).collect::<Vec<_>>()
        };
        let (live, axis, strip) = ((Shape::Live, 0), (Shape::Axis, 0), (Shape::Strip, 0));
        let words = |lines| (Shape::Text, lines);
        assert_eq!(kept(0), []);
        assert_eq!(kept(3), [words(1), live]);
        assert_eq!(kept(4), [words(1), live, axis]);
        assert_eq!(kept(7), [words(1), live, axis, words(2), strip]);
        assert_eq!(kept(8), [words(1), live, axis, words(3), strip]);
        assert_eq!(kept(11), [words(4), live, axis, words(3), strip]);
    }

    #[test]
    fn figures_stay_beside_their_names() {
        let text = "loss  live 8.00 KiB + padding 0 B = 9.00 KiB; 1 hole · waste 12.5 %";
        let check = |width: usize, expect: &[&str]| assert_eq!(broken(text, width), expect, "in {width}");
        check(99, &[text]);
        check(30, &["loss  live 8.00 KiB +", "padding 0 B = 9.00 KiB;", "1 hole · waste 12.5 %"]);
        check(20, &["loss  live 8.00 KiB", "+ padding 0 B =", "9.00 KiB; 1 hole ·", "waste 12.5 %"]);
        assert!(broken("", 9).is_empty());
    }
}
