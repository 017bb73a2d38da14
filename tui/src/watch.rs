//! A session on the screen: which view, which window over it, what was typed; and how input changes that.

use bayplan_record::{RecordError, Source};
use crossterm::event::{KeyCode, KeyEvent, MouseButton, MouseEvent, MouseEventKind};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::chrome::{self, Areas};
use crate::events::Message;
use crate::feed::Feed;
use crate::keys::{self, Action};
use crate::model::viewport::Viewport;
use crate::model::{Life, Model};
use crate::theme::Theme;
use crate::view::View;
use crate::views::{VIEWS, details};

/// A window over the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Window {
    Help,
    Details,
}

/// What the caller is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Go on.
    Stay,
    /// Leave the session; back to the list, if it came from there.
    Leave,
    /// End.
    Quit,
    /// Stop until the shell lets the process go on.
    Suspend,
    /// Draw everything anew.
    Redraw,
}

/// A session on the screen.
pub(crate) struct Watch {
    /// What is shown.
    pub(crate) model: Model,
    feed: Option<Feed>,
    view: usize,
    window: Option<Window>,
    /// The search being typed.
    typing: Option<String>,
    status: Option<String>,
    /// Where the mouse went down.
    held: Option<(u16, u16)>,
}

/// Largest search text, in characters.
const MAX_SEARCH: usize = 200;

impl Watch {
    /// Opens a recording.
    ///
    /// # Errors
    /// It is not there or cannot be opened.
    pub(crate) fn open(
        source: Source,
        view: usize,
        tell: Option<&std::sync::mpsc::Sender<Message>>,
    ) -> Result<Self, RecordError> {
        Ok(Self { feed: Some(Feed::open(source, tell)?), ..Self::of(Model::new(), view) })
    }

    /// Shows a model that does not change.
    pub(crate) fn of(model: Model, view: usize) -> Self {
        let view = view.min(VIEWS.len() - 1);
        Self { model, feed: None, view, window: None, typing: None, status: None, held: None }
    }

    /// Reads what has come; returns whether the picture changes.
    pub(crate) fn pump(&mut self) -> bool {
        let Some(feed) = self.feed.as_mut().filter(|_| !self.model.paused) else { return false };
        let before = self.model.life;
        let changed = feed.pump(&mut self.model);
        if before == Life::Live && self.model.caught_up {
            match self.model.life {
                Life::Killed => self.say("the run stopped without an end; what it recorded stays here"),
                Life::Ended | Life::Live => {}
            }
        }
        if let Some(failure) = self.model.failure.clone().filter(|_| changed) {
            self.say(&failure);
        }
        changed
    }

    /// Reads all there is.
    pub(crate) fn read_all(&mut self) {
        if let Some(feed) = &mut self.feed {
            feed.read_all(&mut self.model);
        }
    }

    /// Whether there is more to read at once.
    pub(crate) fn is_behind(&self) -> bool {
        self.feed.is_some() && !self.model.paused && !self.model.caught_up
    }

    fn say(&mut self, words: &str) {
        self.status = Some(words.to_owned());
    }

    fn shown(&self) -> &'static dyn View {
        VIEWS[self.view]
    }

    /// Draws the session.
    pub(crate) fn draw(&mut self, buffer: &mut Buffer, screen: Rect, theme: &Theme) {
        let Some(areas) = Areas::of(screen) else {
            chrome::too_small(buffer, screen, theme);
            return;
        };
        if let Some(map) = self.shown().map(areas.view, &self.model) {
            self.model.set_cells(map.width, map.height);
        }
        chrome::header(buffer, areas.header, &self.model, theme);
        chrome::tabs(buffer, areas.tabs, self.view, theme);
        self.shown().draw(buffer, areas.view, &self.model, theme);
        match &self.typing {
            Some(text) => chrome::prompt(buffer, areas.foot, text, self.model.filter.count(), theme),
            None => chrome::foot(buffer, areas.foot, self.status.as_deref(), theme),
        }
        match self.window {
            Some(Window::Help) => chrome::help(buffer, screen, theme),
            Some(Window::Details) => {
                let width = usize::from(screen.width.saturating_sub(8)).min(72);
                let lines = details(&self.model, theme, width);
                chrome::window(buffer, screen, "at the cursor", &lines, theme);
            }
            None => {}
        }
    }

    /// Takes a key.
    pub(crate) fn key(&mut self, key: KeyEvent) -> Outcome {
        self.status = None;
        if self.typing.is_some() && !is_control(key) {
            self.type_key(key);
            return Outcome::Stay;
        }
        match keys::action(key) {
            Some(action) => self.act(action),
            None if self.window.is_some() => {
                self.window = None;
                Outcome::Stay
            }
            None => {
                self.say("? shows the keys");
                Outcome::Stay
            }
        }
    }

    fn type_key(&mut self, key: KeyEvent) {
        let Some(mut text) = self.typing.take() else { return };
        match key.code {
            KeyCode::Esc => {
                self.model.search("");
                return;
            }
            KeyCode::Enter => {
                self.model.next_match(true);
                if self.model.filter.is_on() && self.model.filter.count() == 0 {
                    self.say("nothing found");
                }
                return;
            }
            KeyCode::Backspace => drop(text.pop()),
            KeyCode::Char(c) if text.chars().count() < MAX_SEARCH => text.push(c),
            _ => {}
        }
        self.model.search(&text);
        self.typing = Some(text);
    }

    fn act(&mut self, action: Action) -> Outcome {
        if self.window.is_some() && !matches!(action, Action::Quit | Action::Suspend | Action::Redraw) {
            let same = matches!(
                (self.window, action),
                (Some(Window::Help), Action::Help) | (Some(Window::Details), Action::Inspect)
            );
            self.window = None;
            if same || action == Action::Back {
                return Outcome::Stay;
            }
        }
        match action {
            Action::Quit => return Outcome::Quit,
            Action::Suspend => return Outcome::Suspend,
            Action::Redraw => return Outcome::Redraw,
            Action::Back if self.model.filter.is_on() => self.model.search(""),
            Action::Back => return Outcome::Leave,
            Action::Help => self.window = Some(Window::Help),
            Action::Inspect => self.window = Some(Window::Details),
            Action::NextView => self.view = (self.view + 1) % VIEWS.len(),
            Action::FormerView => self.view = (self.view + VIEWS.len() - 1) % VIEWS.len(),
            Action::View(view) if view < VIEWS.len() => self.view = view,
            Action::View(_) => self.say("there is no view of that number"),
            Action::Search => self.typing = Some(String::new()),
            Action::Pause => self.pause(),
            Action::Arena => self.model.next_arena(),
            Action::NextMatch => self.model.next_match(true),
            Action::FormerMatch => self.model.next_match(false),
            Action::NextAlarm => self.next_alarm(),
            Action::Peak => self.on_map(Model::go_to_peak),
            Action::Start => self.model.go_to_start(),
            Action::Live => self.model.go_live(),
            Action::Fit => self.model.look(|view, _| view.fit()),
            other => self.model.go(|view, cells| navigate(view, cells, other)),
        }
        Outcome::Stay
    }

    fn pause(&mut self) {
        self.model.paused = !self.model.paused;
        self.say(if self.model.paused { "held; space goes on" } else { "going on" });
    }

    fn next_alarm(&mut self) {
        if self.model.plan().is_some_and(|plan| !plan.alarms().is_empty()) {
            self.on_map(Model::next_alarm);
        } else {
            self.say("no alarm on this map");
        }
    }

    /// Changes what is in view, and shows it on a view that has the map.
    fn on_map(&mut self, change: impl FnOnce(&mut Model)) {
        change(&mut self.model);
        let area = Rect { x: 0, y: 0, width: 80, height: 20 };
        if self.shown().map(area, &self.model).is_none() {
            let map = VIEWS.iter().position(|view| view.map(area, &self.model).is_some());
            self.view = map.unwrap_or(self.view);
        }
    }

    /// Takes a mouse event.
    pub(crate) fn mouse(&mut self, mouse: MouseEvent, screen: Rect) {
        let Some(areas) = Areas::of(screen) else { return };
        let at = (mouse.column, mouse.row);
        if mouse.kind == MouseEventKind::Down(MouseButton::Left) {
            (self.status, self.window) = (None, None);
            if mouse.row == areas.tabs.y {
                self.view = chrome::tab_at(mouse.column).unwrap_or(self.view);
                return;
            }
        }
        let Some(map) = self.shown().map(areas.view, &self.model) else { return };
        let on_map = map.contains(at.into());
        match mouse.kind {
            MouseEventKind::Down(MouseButton::Left) if on_map => {
                self.held = Some(at);
                self.model.go(|view, _| {
                    let (op, byte) = under(view, map, at);
                    view.ops.put(op);
                    view.bytes.put(byte);
                });
            }
            MouseEventKind::Drag(MouseButton::Left) => self.drag(at),
            MouseEventKind::Up(_) => self.held = None,
            MouseEventKind::ScrollUp if on_map => self.wheel(map, at, (2, 3)),
            MouseEventKind::ScrollDown if on_map => self.wheel(map, at, (3, 2)),
            _ => {}
        }
    }

    /// Moves what is in view with the mouse.
    fn drag(&mut self, at: (u16, u16)) {
        let Some(from) = self.held.replace(at) else {
            self.held = None;
            return;
        };
        self.model.go(|view, (cols, rows)| {
            view.ops.pan(i64::from(from.0) - i64::from(at.0), cols);
            view.bytes.pan(i64::from(at.1) - i64::from(from.1), rows);
        });
    }

    fn wheel(&mut self, map: Rect, at: (u16, u16), (num, den): (u64, u64)) {
        self.model.go(|view, _| {
            let (op, byte) = under(view, map, at);
            view.zoom(op, byte, num, den);
        });
    }
}

/// The op and the byte that a cell of the map shows.
fn under(view: &Viewport, map: Rect, at: (u16, u16)) -> (u64, u64) {
    let from_bottom = map.bottom() - 1 - at.1;
    let op = view.ops.span(u64::from(at.0 - map.x), u64::from(map.width)).0;
    (op, view.bytes.span(u64::from(from_bottom), u64::from(map.height)).0)
}

/// Cells that the far keys go.
const FAR: i64 = 10;

fn navigate(view: &mut Viewport, (cols, rows): (u64, u64), action: Action) {
    let (op, byte) = (view.ops.cursor, view.bytes.cursor);
    match action {
        Action::Left => view.ops.step(-1, cols),
        Action::Right => view.ops.step(1, cols),
        Action::Down => view.bytes.step(-1, rows),
        Action::Up => view.bytes.step(1, rows),
        Action::FarLeft => view.ops.step(-FAR, cols),
        Action::FarRight => view.ops.step(FAR, cols),
        Action::FarDown => view.bytes.step(-FAR, rows),
        Action::FarUp => view.bytes.step(FAR, rows),
        Action::ZoomIn => view.zoom(op, byte, 2, 3),
        Action::ZoomOut => view.zoom(op, byte, 3, 2),
        Action::ZoomOpsIn => view.ops.zoom(op, 2, 3),
        Action::ZoomOpsOut => view.ops.zoom(op, 3, 2),
        Action::ZoomBytesIn => view.bytes.zoom(byte, 2, 3),
        Action::ZoomBytesOut => view.bytes.zoom(byte, 3, 2),
        _ => {}
    }
}

fn is_control(key: KeyEvent) -> bool {
    key.modifiers.contains(crossterm::event::KeyModifiers::CONTROL)
}
