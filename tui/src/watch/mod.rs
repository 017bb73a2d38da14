//! A session on the screen: which view, which window over it, what was typed; and how input changes that.

mod act;
mod choose;
mod compare;
mod dims;
mod find;
mod marks;
mod mouse;
mod time;
mod typing;
mod whatif;

use std::path::Path;

use bayplan_record::Source;
use bayplan_text::escape;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::widgets::{Clear, Widget};

use crate::chrome::{self, Areas};
use crate::desk::Desk;
use crate::error::TuiError;
use crate::events::Message;
use crate::feed::Feed;
use crate::finder::Finder;
use crate::foot::{self, Front};
use crate::keys::{Action, Keymap};
use crate::list;
use crate::model::lists::ListKind;
use crate::model::marks::Mark;
use crate::model::{FEW, Life, Model};
use crate::past::Past;
use crate::paths;
use crate::prompt::{self, Prompt};
use crate::theme::Theme;
use crate::timebar;
use crate::view::View;
use crate::views::VIEWS;
use crate::windows::{Content, Window};

/// What the caller is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Go on.
    Stay,
    /// Leave the session; back to the list, if it came from there.
    Leave,
    /// Show the list of runs.
    Runs,
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
    /// What is read, if anything is.
    source: Option<Source>,
    /// Looks moments up.
    past: Option<Past>,
    /// The mark that is gone to while its moment is looked up.
    heading: Option<Mark>,
    /// What is compared with.
    other: compare::Comparer,
    /// Whether the strip of time is shown also while what is now is.
    has_strip: bool,
    view: usize,
    window: Option<&'static Window>,
    /// The first line that is shown of a window of lines.
    scroll: usize,
    /// The search being typed.
    typing: Option<Prompt>,
    /// The values of symbols being typed.
    dims: Option<dims::Typed>,
    /// Former searches, the latest last.
    searches: Vec<String>,
    status: Option<String>,
    /// Where the window stands, frame and all, as it was drawn last.
    framed: Rect,
    /// Where the mouse went down.
    held: Option<(u16, u16)>,
    /// The screen as it was drawn last.
    screen: Rect,
    keys: &'static Keymap,
    /// Where time is gone to.
    travel: time::Travel,
    /// Who answers what is asked of plans.
    desk: Desk,
    /// Who searches and orders very many tensors, if anybody does so beside drawing.
    finder: Option<Finder>,
    /// Whether the first tensor that the search finds is gone to.
    goes_to_match: bool,
}

impl Watch {
    /// Opens a recording.
    ///
    /// # Errors
    /// It is not there or cannot be opened.
    pub(crate) fn open(
        source: Source,
        view: usize,
        tell: Option<&std::sync::mpsc::Sender<Message>>,
    ) -> Result<Self, TuiError> {
        let (past, own) = (time::past(&source, tell), Some(source.clone()));
        let mut model = Model::new();
        model.opened = called(&source);
        let watch = Self {
            feed: Some(Feed::open(source, tell)?),
            past,
            source: own,
            desk: Desk::new(tell),
            other: compare::Comparer::new(tell),
            ..Self::of(model, view)
        };
        Ok(match tell {
            Some(tell) => watch.find_beside(tell),
            None => watch,
        })
    }

    /// Shows a model that does not change.
    pub(crate) fn of(model: Model, view: usize) -> Self {
        let view = view.min(VIEWS.len() - 1);
        Self {
            model,
            feed: None,
            source: None,
            past: None,
            heading: None,
            other: compare::Comparer::new(None),
            has_strip: false,
            view,
            window: None,
            scroll: 0,
            typing: None,
            dims: None,
            searches: Vec::new(),
            status: None,
            framed: Rect::default(),
            held: None,
            screen: Rect::default(),
            keys: Keymap::standard(),
            travel: time::Travel::default(),
            desk: Desk::new(None),
            finder: None,
            goes_to_match: false,
        }
    }

    /// With other keys than those of the table.
    pub(crate) fn with_keys(self, keys: &'static Keymap) -> Self {
        Self { keys, ..self }
    }

    /// Reads what has come; returns whether the picture changes.
    pub(crate) fn pump(&mut self) -> bool {
        let arrived = self.arrive_at_moment() | self.see_to_comparing() | self.hear_finder();
        let Some(feed) = self.feed.as_mut().filter(|_| !self.model.paused) else { return arrived };
        let before = self.model.life;
        let changed = feed.take(&mut self.model) || arrived;
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

    /// Whether the recording could be read.
    ///
    /// # Errors
    /// Reading stopped before its end, or there was nothing in it.
    pub(crate) fn readable(&self) -> Result<(), TuiError> {
        let timeline = &self.model.timeline;
        let is_empty = timeline.session.is_none() && timeline.plans.is_empty();
        match (&self.model.failure, &self.source) {
            (Some(why), _) => Err(TuiError::Unreadable(why.clone())),
            (None, Some(source)) if is_empty && self.model.life != Life::Live => {
                let path = source.path.to_string_lossy();
                Err(TuiError::Unreadable(format!(
                    "{} holds no recording that can be read; it may be damaged or not be a bayplan trace",
                    escape(&path)
                )))
            }
            _ => Ok(()),
        }
    }

    /// Whether something is being read or made that takes long: how far it is, is worth a look.
    pub(crate) fn is_behind(&self) -> bool {
        let reads = || !self.model.paused && (!self.model.caught_up || self.model.stage.is_some());
        self.model.finding.is_some() || self.feed.is_some() && reads()
    }

    /// Sees to the map of the arena that is looked at: a large one is made by the thread that reads.
    fn see_to_map(&mut self) {
        let Some((key, buffers)) = self.model.missing_map() else { return };
        match &self.feed {
            Some(feed) if buffers > FEW && feed.has_thread() => feed.want(key),
            _ => self.model.make_map(),
        }
    }

    /// Says that there is nothing to close or to go back to.
    pub(crate) fn say_nothing_is_open(&mut self) {
        let [quit, runs] = [Action::Quit, Action::Runs].map(|action| self.keys.name(action));
        self.say(&format!("nothing is open here; {quit} quits, {runs} lists the runs"));
    }

    fn say(&mut self, words: &str) {
        self.status = Some(words.to_owned());
    }

    fn shown(&self) -> &'static dyn View {
        VIEWS[self.view]
    }

    /// The view that the keys go to: that of the window, if one is open and shows a view.
    fn front(&self, areas: &Areas, screen: Rect) -> (&'static dyn View, Rect) {
        match self.window.map(|window| &window.content) {
            Some(Content::View(view, size)) => (*view, chrome::inside(screen, size(&self.model))),
            _ => (self.shown(), areas.view),
        }
    }

    /// What is in front, as far as keys go.
    fn in_front(&self) -> Front {
        match self.window.map(|window| &window.content) {
            Some(Content::View(view, _)) => Front { is_window: true, ..Front::of(*view, &self.model) },
            Some(_) => Front { is_window: true, ..Front::default() },
            None => Front::of(self.shown(), &self.model),
        }
    }

    /// Draws the session.
    pub(crate) fn draw(&mut self, buffer: &mut Buffer, screen: Rect, theme: &Theme) {
        self.screen = screen;
        let Some(areas) = self.areas(screen) else {
            chrome::too_small(buffer, screen, theme);
            return;
        };
        self.see_to_map();
        if !self.is_what_if() {
            self.model.lay_compared();
        }
        if let Some(map) = self.shown().map(areas.view, &self.model) {
            self.model.set_cells(map.width, map.height);
        } else if let Some(axis) = self.shown().axis(areas.view, &self.model) {
            self.model.set_columns(axis.width);
        }
        self.settle_list(self.shown(), areas.view);
        self.see_to_finding();
        chrome::header(buffer, areas.header, &self.model, theme);
        chrome::tabs(buffer, areas.tabs, self.view, &self.model, theme);
        self.shown().draw(buffer, areas.view, &self.model, theme);
        if let Some(strip) = areas.strip {
            timebar::draw(buffer, strip, &self.model, theme);
        }
        foot::draw(buffer, screen, self.status.as_deref(), (self.in_front(), &self.model), theme);
        self.framed = Rect::default();
        match self.window.map(|window| &window.content) {
            Some(content @ (Content::Lines(..) | Content::Keys)) => {
                let width = usize::from(screen.width.saturating_sub(4));
                let text = content.text(self.shown(), &self.model, theme, width);
                let Some((title, lines)) = text else { return };
                (self.scroll, self.framed) =
                    chrome::page(buffer, screen, title, (&lines, self.scroll), theme);
            }
            Some(Content::View(view, _)) => {
                let (_, area) = self.front(&areas, screen);
                self.settle_list(*view, area);
                self.see_to_finding();
                self.framed = chrome::window(buffer, screen, &view.heading(theme.keys), area, theme);
                view.draw(buffer, area, &self.model, theme);
            }
            None => {}
        }
        if self.is_choosing() {
            choose::draw(buffer, areas.foot, (&self.model, self.status.as_deref()), theme);
        }
        if let Some((typed, plan)) = self.dims.as_ref().zip(self.model.plan()) {
            dims::draw(buffer, areas.foot, typed, &plan.record, theme);
        }
        if let Some(typed) = &self.typing {
            Clear.render(areas.foot, buffer);
            let arena = self.model.arena().map(|arena| arena.arena as usize);
            prompt::draw(buffer, areas.foot, typed, (&self.model.filter, arena), theme);
        }
    }

    /// Brings the list of a view up to date before it is drawn.
    fn settle_list(&mut self, view: &'static dyn View, area: Rect) {
        if let Some((list, area)) = view.list(area, &self.model) {
            self.model.refresh_list(list.kind());
            let page = list::page(list, area);
            match list.kind() {
                ListKind::Questions => self.model.see_questions(page),
                kind => self.model.lists.get_mut(kind).set_page(page),
            }
        }
    }
}

/// What a person calls a recording, escaped: its file, the folder of its segments, one of them within it.
fn called(source: &Source) -> String {
    let name = |path: &Path| escape(&path.file_name().unwrap_or_default().to_string_lossy()).to_string();
    match source.path.parent().filter(|_| paths::is_segment(&source.path)) {
        Some(folder) => format!("{}/{}", name(folder), name(&source.path)),
        None => name(&source.path),
    }
}
