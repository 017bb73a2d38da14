//! Ghosts on the map: what is outlined, hatched and said, on every kind of terminal.

use bayplan_trace::{BufferRecord, PlanState};
use ratatui::buffer::Buffer;

use crate::model::ghost::Ghost;
use crate::picture_tests::{draw, small};
use crate::support::by_hand;
use crate::theme::{Colours, Theme};
use crate::watch::Watch;

/// The small plan without its key: the scores and gelu lie lower, the query is half as large, and something is new.
fn without_key() -> Ghost {
    let shown = by_hand();
    let mut other = by_hand();
    for (number, offset, size) in [(1, 2, 1), (3, 6, 2), (4, 4, 2), (6, 2, 3)] {
        (other.buffers[number].offset, other.buffers[number].size) = (offset << 10, size << 10);
    }
    other.buffers.remove(2);
    let new = BufferRecord { size: 1 << 10, offset: 6 << 10, first: 7, last: 9, ..other.buffers[0].clone() };
    other.buffers.push(new);
    other.arenas[0].size = 8 << 10;
    let shown_of = |number: u32| match number {
        0 | 1 => Some(number),
        2..=6 => Some(number + 1),
        _ => None,
    };
    Ghost::new("without block/key".into(), ((0, 0), &shown), (PlanState::new(other), 0), shown_of)
}

fn haunted() -> Watch {
    let mut model = small(false);
    model.set_ghost(Some(without_key()));
    Watch::of(model, 1)
}

fn count(buffer: &Buffer, glyphs: &str) -> usize {
    buffer.content.iter().filter(|cell| glyphs.contains(cell.symbol()) && cell.symbol() != " ").count()
}

#[test]
fn ghosts_are_seen_on_every_terminal() {
    let all = [Colours::True, Colours::Indexed, Colours::Basic, Colours::None];
    for theme in all.into_iter().flat_map(|colours| [false, true].map(|ascii| Theme::new(colours, ascii))) {
        for size in [(80, 24), (120, 40), (200, 50)] {
            let (with, without) =
                (draw(&mut haunted(), size, &theme), draw(&mut Watch::of(small(false), 1), size, &theme));
            let [corners, hatch, line] =
                if theme.ascii { ["~", "/", "="] } else { ["╭╮╰╯", "╱", "═"] };
            for (glyphs, least) in [(corners, 8), (hatch, 10), (line, 20)] {
                let more = count(&with, glyphs) - count(&without, glyphs);
                assert!(more >= least, "{theme:?} {size:?}: {more} of {glyphs}");
            }
            let text: String = with.content.iter().map(ratatui::buffer::Cell::symbol).collect();
            assert!(text.contains("without block/key 8.00 KiB"), "{theme:?} {size:?}: {text}");
        }
    }
}
