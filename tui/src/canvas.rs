//! What a terminal shows, and what is sent to make it show something else.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use crossterm::queue;
use crossterm::style::{Attribute, SetAttribute};
use crossterm::terminal::{BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate};
use ratatui::backend::{Backend, CrosstermBackend};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

/// Most bytes that are sent at once, so that a slow line is never flooded: what does not fit follows with the next picture.
const MOST_BYTES: usize = 64_000;
/// Most bytes that a cell takes, with its colours and a wide character.
const CELL_BYTES: usize = 48;

/// A terminal of which is known what it shows, and the picture it is to show.
pub(crate) struct Canvas<W: Write> {
    out: W,
    /// What is about to be sent.
    bytes: Vec<u8>,
    shown: Buffer,
    wanted: Buffer,
    /// The row that is sent first: where the picture before was cut.
    first_row: u16,
    /// What the terminal shows is not known.
    unknown: bool,
}

/// What was sent of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    /// How much that was: 0 where the terminal shows the picture already.
    pub(crate) bytes: usize,
    /// Whether the terminal shows all of it now.
    pub(crate) whole: bool,
    /// How long writing took: long where the terminal or the line is slow.
    pub(crate) took: Duration,
}

impl<W: Write> Canvas<W> {
    /// A terminal of which nothing is known.
    pub(crate) fn new(out: W) -> Self {
        let (shown, wanted) = (Buffer::default(), Buffer::default());
        Self { out, bytes: Vec::new(), shown, wanted, first_row: 0, unknown: true }
    }

    /// Forgets what the terminal shows: all of the next picture is sent.
    pub(crate) fn forget(&mut self) {
        self.unknown = true;
    }

    /// Paints a picture of a size and sends what differs from what is shown, at most 64 kB of it.
    ///
    /// # Errors
    /// The terminal cannot be written to.
    pub(crate) fn draw(&mut self, area: Rect, paint: impl FnOnce(&mut Buffer)) -> io::Result<Sent> {
        if self.wanted.area == area {
            self.wanted.reset();
        } else {
            self.wanted = Buffer::empty(area);
        }
        paint(&mut self.wanted);
        self.bytes.clear();
        if self.unknown || self.shown.area != area {
            // A terminal clears in the colours that are in force, and those are as little known as what it shows.
            queue!(self.bytes, SetAttribute(Attribute::Reset), Clear(ClearType::All))?;
            (self.shown, self.unknown, self.first_row) = (Buffer::empty(area), false, 0);
        }
        let whole = self.put_rows()?;
        let begun = Instant::now();
        if !self.bytes.is_empty() {
            self.out.write_all(&self.bytes)?;
            self.out.flush()?;
        }
        Ok(Sent { bytes: self.bytes.len(), whole, took: begun.elapsed() })
    }

    /// Puts rows that differ into `bytes`, as many as may be sent at once; returns whether those were all.
    fn put_rows(&mut self) -> io::Result<bool> {
        let changes = self.shown.diff(&self.wanted);
        if changes.is_empty() {
            return Ok(true);
        }
        queue!(self.bytes, BeginSynchronizedUpdate)?;
        // They are ordered by row; those above the first row come last.
        let first = changes.partition_point(|(_, y, _)| *y < self.first_row);
        let rows = [&changes[first..], &changes[..first]]
            .into_iter()
            .flat_map(|part| part.chunk_by(|a, b| a.1 == b.1));
        let (mut sent, mut rest) = (Vec::new(), None);
        for row in rows {
            let y = row[0].1;
            if !sent.is_empty() && self.bytes.len() + row.len() * CELL_BYTES > MOST_BYTES {
                rest = Some(y);
                break;
            }
            CrosstermBackend::new(&mut self.bytes).draw(row.iter().copied())?;
            sent.push(y);
        }
        queue!(self.bytes, EndSynchronizedUpdate)?;
        let width = usize::from(self.wanted.area.width);
        for y in sent {
            let start = usize::from(y - self.wanted.area.y) * width;
            let cells = start..start + width;
            self.shown.content[cells.clone()].clone_from_slice(&self.wanted.content[cells]);
        }
        self.first_row = rest.unwrap_or(0);
        Ok(rest.is_none())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::style::{Color, Style};

    const AREA: Rect = Rect { x: 0, y: 0, width: 200, height: 50 };

    /// Every cell of another colour than its neighbours and than in the picture before.
    fn noise(buffer: &mut Buffer, seed: u32) {
        for (at, cell) in (0u32..).zip(&mut buffer.content) {
            let hue = |by: u32| (at.wrapping_mul(by).wrapping_add(seed.wrapping_mul(97)) >> 3) as u8;
            cell.set_symbol("▀").set_style(Style::new().fg(Color::Rgb(hue(7), hue(13), 200)).bg(Color::Rgb(
                9,
                hue(5),
                101,
            )));
        }
    }

    #[test]
    fn what_is_shown_is_not_sent_again() {
        let mut canvas = Canvas::new(Vec::new());
        let word = |buffer: &mut Buffer| buffer.set_string(3, 1, "word", Style::new());
        assert!(canvas.draw(AREA, word).unwrap().bytes > 0);
        let sent = canvas.draw(AREA, word).unwrap();
        assert_eq!((sent.bytes, sent.whole), (0, true));
        canvas.forget();
        assert!(canvas.draw(AREA, word).unwrap().bytes > 0);
        let sent = canvas.out.len();
        assert!(canvas.draw(AREA, |_| {}).unwrap().bytes > 0);
        assert!(canvas.out.len() > sent);
        assert!(!String::from_utf8_lossy(&canvas.out[sent..]).contains("word"));
    }

    #[test]
    fn a_terminal_in_any_state_is_cleared_in_its_own_colours() {
        let mut canvas = Canvas::new(Vec::new());
        canvas.draw(AREA, |_| {}).unwrap();
        assert_eq!(String::from_utf8_lossy(&canvas.out), "\x1b[0m\x1b[2J");
    }

    #[test]
    fn a_picture_of_any_kind_is_sent_in_bounded_parts_until_it_is_shown() {
        let mut canvas = Canvas::new(Vec::new());
        for seed in 0..3 {
            let mut parts = 0;
            loop {
                let sent = canvas.draw(AREA, |buffer| noise(buffer, seed)).unwrap();
                assert!(sent.bytes <= 64_000, "{} bytes", sent.bytes);
                parts += 1;
                assert!(parts < 20, "no end");
                if sent.whole {
                    break;
                }
            }
            assert!(parts > 1, "this much cannot go at once");
            let mut expected = Buffer::empty(AREA);
            noise(&mut expected, seed);
            assert_eq!(canvas.shown, expected);
        }
    }

    #[test]
    fn rows_that_had_to_wait_come_first_while_the_picture_changes() {
        let mut canvas = Canvas::new(Vec::new());
        let mut fresh = [0; 50];
        for seed in 1..40 {
            canvas.draw(AREA, |buffer| noise(buffer, seed)).unwrap();
            let mut wanted = Buffer::empty(AREA);
            noise(&mut wanted, seed);
            for (row, at) in fresh.iter_mut().enumerate() {
                let cells = row * 200..(row + 1) * 200;
                if canvas.shown.content[cells.clone()] == wanted.content[cells] {
                    *at = seed;
                }
                assert!(seed < 20 || seed - *at < 20, "row {row} was last sent in picture {at} of {seed}");
            }
        }
    }
}
