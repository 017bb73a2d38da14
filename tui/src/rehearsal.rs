//! A session on a screen that nobody sees: what the benches draw.

use std::io::{self, Sink};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use bayplan_trace::Record;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::layout::Rect;

use crate::canvas::Canvas;
use crate::events::Message;
use crate::model::Model;
use crate::theme::{Colours, Theme};
use crate::watch::Watch;

/// The viewer with a session, drawing for a terminal of 24-bit colours that is not there.
pub struct Rehearsal {
    watch: Watch,
    canvas: Canvas<Sink>,
    area: Rect,
    /// What the thread says that searches and orders very many tensors, if there is one.
    said: Option<Receiver<Message>>,
}

impl Rehearsal {
    /// Shows a session on a screen of so many columns and rows, in the view of that number, counted from 1.
    pub fn new(records: impl IntoIterator<Item = Record>, (width, height): (u16, u16), view: usize) -> Self {
        let mut rehearsal = Self {
            watch: Watch::of(Model::new(), view.saturating_sub(1)),
            canvas: Canvas::new(io::sink()),
            area: Rect { x: 0, y: 0, width, height },
            said: None,
        };
        rehearsal.watch.model.caught_up = true;
        rehearsal.apply(records);
        rehearsal
    }

    /// Searches and orders very many tensors in a thread of its own from here on.
    #[must_use]
    pub fn beside(mut self) -> Self {
        let (tell, said) = channel();
        self.watch = self.watch.find_beside(&tell);
        self.said = Some(said);
        self
    }

    /// Waits so long at most for that thread, and takes what it has found; returns whether more is waited for.
    pub fn hear(&mut self, time: Duration) -> bool {
        // That nothing was said is as good as that something was.
        let _ = self.said.as_ref().map(|said| said.recv_timeout(time));
        self.watch.pump();
        self.watch.is_behind()
    }

    /// Takes in what has happened.
    pub fn apply(&mut self, records: impl IntoIterator<Item = Record>) {
        records.into_iter().for_each(|record| self.watch.model.apply(record));
        self.watch.model.settle();
    }

    /// Presses a key.
    pub fn key(&mut self, key: char) {
        self.watch.key(KeyEvent::new(KeyCode::Char(key), KeyModifiers::NONE));
    }

    /// Draws a picture; returns the bytes that a terminal would have been sent: 0 where it shows that picture already.
    ///
    /// # Errors
    /// None that is known: nothing is written anywhere.
    pub fn frame(&mut self) -> io::Result<usize> {
        let theme = Theme::new(Colours::True, false);
        let (watch, area) = (&mut self.watch, self.area);
        Ok(self.canvas.draw(area, |buffer| watch.draw(buffer, area, &theme))?.bytes)
    }
}
