//! The loop: wait for something, react to all that has come, draw once.

use std::ffi::OsStr;
use std::io::IsTerminal;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bayplan_record::{Places, Source};
use crossterm::event::{Event, KeyEvent, KeyEventKind, MouseButton, MouseEvent, MouseEventKind};
use notify::RecommendedWatcher;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use signal_hook::consts::{SIGCONT, SIGTSTP};

use crate::canvas::Sent;
use crate::error::TuiError;
use crate::events::{self, Message};
use crate::feed;
use crate::keys::Action;
use crate::pace;
use crate::picker::{Choice, Picker};
use crate::terminal::Screen;
use crate::theme::{self, Colours, Theme};
use crate::watch::{Outcome, Watch};

/// Time between two looks at the files, for file systems that do not tell of changes.
const POLL: Duration = Duration::from_millis(500);
/// Time between two looks at how far a long read is.
const PROGRESS: Duration = Duration::from_millis(100);

/// Kinds of terminals that place no cursor.
const PLAIN: [&str; 3] = ["", "dumb", "unknown"];

/// Why the loop ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The viewer was asked to quit.
    Quit,
    /// A signal asks the process to end.
    Signal(i32),
}

/// What is on the screen.
enum Stage {
    Picker(Picker),
    Watch(Box<Watch>),
}

struct App {
    stage: Stage,
    places: Places,
    theme: Theme,
    view: usize,
    from_picker: bool,
    /// The session from which the list was asked for: leaving the list goes back to it.
    former: Option<Box<Watch>>,
    area: Rect,
    tell: Sender<Message>,
    /// Tells of new runs.
    _runs: Vec<RecommendedWatcher>,
    last_look: Instant,
    dirty: bool,
    /// Whether somebody waits for the next picture: it answers a key or the mouse.
    answers: bool,
    /// How the viewer is to break down after a picture.
    broken: Option<String>,
}

/// Shows a recording, or the list of runs, until the viewer has enough.
///
/// # Errors
/// There is no terminal, or it cannot be used; the recording cannot be opened.
pub(crate) fn run(
    source: Option<Source>,
    places: Places,
    theme: Theme,
    view: usize,
    diff: Option<&OsStr>,
) -> Result<End, TuiError> {
    if !std::io::stdout().is_terminal() {
        return Err(TuiError::NoTerminal);
    }
    // Such a terminal shows the sequences that place a cursor as text.
    if let Some(kind) = std::env::var("TERM").ok().filter(|kind| PLAIN.contains(&kind.as_str())) {
        return Err(TuiError::PlainTerminal(kind));
    }
    // What is wished for here came of the environment already.
    crossterm::style::force_color_output(theme.colours != Colours::None);
    let (tell, messages) = events::start()?;
    let mut app = App::new(source, places, theme, view, tell)?;
    if let (Stage::Watch(watch), Some(other)) = (&mut app.stage, diff) {
        watch.compare_with(other);
    }
    let mut screen = Screen::take()?;
    app.run(&messages, &mut screen)
}

impl App {
    fn new(
        source: Option<Source>,
        places: Places,
        theme: Theme,
        view: usize,
        tell: Sender<Message>,
    ) -> Result<Self, TuiError> {
        let from_picker = source.is_none();
        let stage = match source {
            Some(source) => {
                Stage::Watch(Box::new(Watch::open(source, view, Some(&tell))?.with_keys(theme.keys)))
            }
            None => Stage::Picker(Picker::default()),
        };
        let folders = [&places.live, &places.runs].map(|folder| feed::watch(folder, &tell));
        Ok(Self {
            stage,
            theme,
            view,
            from_picker,
            former: None,
            area: Rect::default(),
            tell,
            _runs: folders.into_iter().flatten().collect(),
            places,
            last_look: Instant::now(),
            dirty: true,
            answers: false,
            broken: std::env::var("BAYPLAN_TUI_BREAK").ok().filter(|_| cfg!(debug_assertions)),
        })
    }

    fn run(&mut self, messages: &Receiver<Message>, screen: &mut Screen) -> Result<End, TuiError> {
        // When the latest picture was drawn, and what was sent of it: how soon the next may follow.
        let mut drawn: Option<(Instant, Sent)> = None;
        self.look();
        loop {
            let behind = matches!(&self.stage, Stage::Watch(watch) if watch.is_behind());
            let frame_due = drawn.map_or(Duration::ZERO, |(at, sent)| {
                pace::until_next(sent.bytes, sent.took, self.answers).saturating_sub(at.elapsed())
            });
            if self.dirty && frame_due.is_zero() {
                let begun = Instant::now();
                let sent = screen.draw(|buffer| self.draw(buffer))?;
                // What was too much for one picture follows with the next.
                drawn = Some((begun, sent));
                self.dirty = !sent.whole;
                self.answers &= !sent.whole;
                break_down(&mut self.broken)?;
            }
            let poll = if behind { PROGRESS } else { POLL };
            let wait = if self.dirty { frame_due } else { poll.saturating_sub(self.last_look.elapsed()) };
            let mut next = match messages.recv_timeout(wait) {
                Ok(message) => Some(message),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return Ok(End::Quit),
            };
            let mut changed = self.last_look.elapsed() >= poll;
            while let Some(message) = next {
                changed |= matches!(message, Message::Changed);
                if let Some(end) = self.react(message, screen)? {
                    return Ok(end);
                }
                next = messages.try_recv().ok();
            }
            if changed {
                self.look();
            }
        }
    }

    /// Looks at the files.
    fn look(&mut self) {
        self.last_look = Instant::now();
        self.dirty |= match &mut self.stage {
            Stage::Picker(picker) => picker.look(&self.places, unix_now()),
            Stage::Watch(watch) => watch.hear() | watch.pump(),
        };
    }

    fn draw(&mut self, buffer: &mut Buffer) {
        self.area = buffer.area;
        match &mut self.stage {
            Stage::Picker(picker) => picker.draw(buffer, self.area, unix_now(), &self.theme),
            Stage::Watch(watch) => watch.draw(buffer, self.area, &self.theme),
        }
        if self.theme.ascii {
            theme::to_ascii(buffer);
        }
    }

    fn react(&mut self, message: Message, screen: &mut Screen) -> Result<Option<End>, TuiError> {
        let outcome = match message {
            Message::Changed => return Ok(None),
            Message::ReaderLost => return Err(TuiError::ReaderLost),
            Message::InputEnded(error) => return Err(TuiError::Terminal(error)),
            Message::Signal(SIGTSTP) => Outcome::Suspend,
            Message::Signal(SIGCONT) => {
                screen.go_on()?;
                self.dirty = true;
                Outcome::Stay
            }
            Message::Signal(signal) => return Ok(Some(End::Signal(signal))),
            Message::Input(event) => {
                (self.dirty, self.answers) = (true, true);
                self.input(&event)
            }
        };
        match outcome {
            Outcome::Stay => {}
            Outcome::Quit => return Ok(Some(End::Quit)),
            Outcome::Leave => self.leave(),
            Outcome::Runs => {
                if let Stage::Watch(watch) = self.show_runs() {
                    self.former = Some(watch);
                }
            }
            Outcome::Redraw => screen.redraw(),
            Outcome::Suspend => screen.suspend()?,
        }
        self.dirty |= outcome != Outcome::Stay;
        Ok(None)
    }

    fn input(&mut self, event: &Event) -> Outcome {
        match event {
            Event::Key(key) if key.kind != KeyEventKind::Release => match &mut self.stage {
                Stage::Watch(watch) => watch.key(*key),
                Stage::Picker(_) => self.picker_key(*key),
            },
            Event::Mouse(mouse) => match &mut self.stage {
                Stage::Watch(watch) => watch.mouse(*mouse, self.area),
                Stage::Picker(_) => self.picker_mouse(*mouse),
            },
            _ => Outcome::Stay,
        }
    }

    /// Back to the list, if the session came from there.
    fn leave(&mut self) {
        if self.from_picker {
            drop(self.show_runs());
        } else if let Stage::Watch(watch) = &mut self.stage {
            watch.say_nothing_is_open();
        }
    }

    /// Shows the list of runs; returns what was shown before.
    fn show_runs(&mut self) -> Stage {
        let mut picker = Picker::default();
        picker.look(&self.places, unix_now());
        std::mem::replace(&mut self.stage, Stage::Picker(picker))
    }

    /// Does what was chosen in the list.
    fn take(&mut self, choice: Choice) -> Outcome {
        let source = match choice {
            Choice::Stay => return Outcome::Stay,
            Choice::Quit => return Outcome::Quit,
            Choice::Back => {
                let Some(watch) = self.former.take() else {
                    // Whoever leaves a session twice does not mean to leave the viewer.
                    let quit = self.theme.keys.name(Action::Quit);
                    self.refuse(format!("there is nothing to go back to; {quit} quits"));
                    return Outcome::Stay;
                };
                self.stage = Stage::Watch(watch);
                self.look();
                return Outcome::Stay;
            }
            Choice::Open(source) => *source,
        };
        match Watch::open(source, self.view, Some(&self.tell)) {
            Ok(watch) => {
                self.former = None;
                self.stage = Stage::Watch(Box::new(watch.with_keys(self.theme.keys)));
                self.look();
            }
            Err(error) => self.refuse(error.to_string()),
        }
        Outcome::Stay
    }

    /// Says on the list of runs why something was not done.
    fn refuse(&mut self, why: String) {
        if let Stage::Picker(picker) = &mut self.stage {
            picker.fail(why);
        }
    }

    fn picker_key(&mut self, key: KeyEvent) -> Outcome {
        match self.theme.keys.action(key) {
            Some(Action::Suspend) => return Outcome::Suspend,
            Some(Action::Redraw) => return Outcome::Redraw,
            _ => {}
        }
        let Stage::Picker(picker) = &mut self.stage else { return Outcome::Stay };
        let choice = picker.key(key, self.theme.keys, &self.places);
        self.take(choice)
    }

    fn picker_mouse(&mut self, mouse: MouseEvent) -> Outcome {
        let Stage::Picker(picker) = &mut self.stage else { return Outcome::Stay };
        match mouse.kind {
            MouseEventKind::ScrollUp => picker.step(-1),
            MouseEventKind::ScrollDown => picker.step(1),
            MouseEventKind::Down(MouseButton::Left) if picker.choose_at(self.area, mouse.row) => {
                let choice = picker.open_chosen();
                return self.take(choice);
            }
            _ => {}
        }
        Outcome::Stay
    }
}

/// Breaks down as the tests of the terminal ask for. A build for people has no such way: it never asks.
fn break_down(how: &mut Option<String>) -> Result<(), TuiError> {
    match how.take().as_deref() {
        Some("panic") => panic!("asked to break down"),
        Some("error") => Err(TuiError::Terminal(std::io::Error::other("asked to fail"))),
        _ => Ok(()),
    }
}

fn unix_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
