//! What keys do.

use crossterm::event::{KeyEvent, KeyModifiers};
use ratatui::layout::Rect;

use super::{Outcome, Watch};
use crate::keys::Action;
use crate::list::{self, List};
use crate::model::events::Goal;
use crate::model::lists::ListKind;
use crate::model::moment::Stop;
use crate::model::rows::BY_SIZE;
use crate::model::viewport::Viewport;
use crate::model::{Model, explain};
use crate::prompt::Prompt;
use crate::views::{self, VIEWS};
use crate::windows;

impl Watch {
    /// Takes a key.
    pub(crate) fn key(&mut self, key: KeyEvent) -> Outcome {
        // Whoever goes on does not want to be taken away later.
        (self.status, self.goes_to_match) = (None, false);
        if self.typing.is_some() && !is_control(key) {
            self.type_key(key);
            return Outcome::Stay;
        }
        if self.dims.is_some() && !is_control(key) {
            self.type_dims(key);
            return Outcome::Stay;
        }
        if self.is_choosing() && !is_control(key) && self.type_choice(key) {
            return Outcome::Stay;
        }
        match self.keys.action(key) {
            Some(action) => self.act(action),
            None if self.window.is_some() => {
                self.window = None;
                Outcome::Stay
            }
            None => {
                self.say(&format!("{} shows the keys", self.keys.name(Action::Help)));
                Outcome::Stay
            }
        }
    }

    pub(super) fn act(&mut self, action: Action) -> Outcome {
        if matches!(action, Action::Remove | Action::Without) && self.remove_mark() {
            return Outcome::Stay;
        }
        if self.window.is_some()
            && !matches!(action, Action::Quit | Action::Suspend | Action::Redraw)
            && self.in_window(action)
        {
            return Outcome::Stay;
        }
        let action = self.on_axis(action);
        if self.in_list(action) {
            return Outcome::Stay;
        }
        match action {
            Action::Quit => return Outcome::Quit,
            Action::Suspend => return Outcome::Suspend,
            Action::Redraw => return Outcome::Redraw,
            Action::Runs => return Outcome::Runs,
            Action::Back if self.is_what_if() => self.end_what_if(),
            Action::Back if self.model.filter.is_asked() => {
                self.model.search("");
                self.say("the search is ended: everything is shown again");
            }
            Action::Back if self.leave_operator() => {}
            Action::Back if self.leave_past() => {}
            Action::Back if self.model.compared().is_some() => self.end_diff(),
            Action::Back => return Outcome::Leave,
            Action::InspectOp => self.inspect_op(),
            Action::Help | Action::Inspect | Action::Marks => self.open_window(action),
            Action::WhyPeak => {
                self.model.lists.get_mut(ListKind::Peak).sort = BY_SIZE;
                self.open_window(action);
            }
            Action::WhyNotSmaller => {
                self.look_into();
                self.open_window(action);
            }
            Action::Without | Action::Half | Action::Undo => self.what_if(action),
            Action::NextView => self.show_neighbour(true),
            Action::FormerView => self.show_neighbour(false),
            Action::View(number) => {
                let view = views::listed(&self.model).nth(number).map(|(at, _)| at);
                match view {
                    Some(view) => self.show(view),
                    None => self.say("there is no view of that number"),
                }
            }
            Action::Search => self.typing = Some(Prompt::default()),
            Action::Pause => self.pause(),
            Action::Arena => self.next_arena(),
            Action::NextMatch | Action::FormerMatch => self.next_match(action == Action::NextMatch),
            Action::NextAlarm => self.next_alarm(),
            Action::Peak => self.on_map(Model::go_to_peak),
            Action::Start => self.model.go_to_start(),
            Action::Live => self.go_live(),
            Action::Fit => {
                self.model.look(|view, _| view.fit());
                self.say("all of it is in view");
            }
            Action::Order | Action::Reverse | Action::Otherwise => {
                self.say("there is no list to order in this view");
            }
            other if self.travels(other) || self.marks(other) || self.compares(other) => {}
            other => self.model.go(|view, cells| navigate(view, cells, other)),
        }
        Outcome::Stay
    }

    /// Goes to the next arena, and says which one that is.
    fn next_arena(&mut self) {
        let at = |model: &Model| model.arena().map(|arena| arena.arena);
        let before = at(&self.model);
        self.model.next_arena();
        let named = self.model.arena().map(|arena| {
            let name = &arena.plan.record.arenas[arena.arena as usize].name;
            format!("arena {}", explain::name_of(name, "arena", arena.arena))
        });
        match named {
            Some(name) if at(&self.model) != before => self.say(&name),
            Some(_) => self.say("there is no other arena with tensors in it"),
            None => self.say("there is no plan yet"),
        }
    }

    fn next_match(&mut self, forward: bool) {
        if self.model.filter.coming().is_some() {
            self.say("still searching");
        } else if self.model.filter.is_on() {
            self.go_to_match(forward);
        } else {
            let key = self.keys.name(Action::Search);
            self.say(&format!("nothing is searched for; {key} searches"));
        }
    }

    /// Where ops stand without bytes, both zooms are that of the ops.
    fn on_axis(&self, action: Action) -> Action {
        let has_axis = self.areas(self.screen).is_some_and(|areas| {
            let (view, area) = self.front(&areas, self.screen);
            view.axis(area, &self.model).is_some()
        });
        match action {
            Action::ZoomIn if has_axis => Action::ZoomOpsIn,
            Action::ZoomOut if has_axis => Action::ZoomOpsOut,
            other => other,
        }
    }

    /// What an action does to the window that is open; returns whether that was all.
    fn in_window(&mut self, action: Action) -> bool {
        let Some(window) = self.window else { return false };
        let is_text = window.content.is_text();
        let closes = action == window.opened_by || is_text && action == Action::Inspect;
        if action == Action::Back || closes && (is_text || !self.enters(action)) {
            self.window = None;
            return true;
        }
        if !is_text {
            // A window with a list takes what lists take; whatever else is done closes it.
            if !list_takes(action) {
                self.window = None;
            }
            return false;
        }
        let lines = match action {
            Action::Up => -1,
            Action::Down => 1,
            Action::FarUp => -FAR,
            Action::FarDown => FAR,
            Action::First => i64::MIN,
            Action::Last => i64::MAX,
            _ => {
                self.window = None;
                return false;
            }
        };
        self.scroll_lines(lines);
        true
    }

    /// Whether an action enters a row of the window's list rather than closing the window.
    fn enters(&self, action: Action) -> bool {
        action == Action::Inspect && self.front_list().is_some()
    }

    /// Moves the lines of a window; drawing keeps them in bounds.
    pub(super) fn scroll_lines(&mut self, lines: i64) {
        let far = usize::try_from(lines.unsigned_abs()).unwrap_or(usize::MAX);
        self.scroll =
            if lines < 0 { self.scroll.saturating_sub(far) } else { self.scroll.saturating_add(far) };
    }

    /// The list that is in front, with where it stands.
    pub(super) fn front_list(&self) -> Option<(&'static dyn List, Rect)> {
        let areas = self.areas(self.screen)?;
        let (view, area) = self.front(&areas, self.screen);
        view.list(area, &self.model)
    }

    /// What an action does to the list in front; returns whether it was for a list.
    fn in_list(&mut self, action: Action) -> bool {
        let Some((list, area)) = self.front_list().filter(|_| list_takes(action)) else { return false };
        let kind = list.kind();
        // More than one key may come before the next picture.
        self.model.refresh_list(kind);
        let state = self.model.lists.get_mut(kind);
        if !matches!(action, Action::Order | Action::Reverse) {
            state.stay();
        }
        match action {
            Action::Up => state.step(-1),
            Action::Down => state.step(1),
            Action::FarUp => state.step(-FAR),
            Action::FarDown => state.step(FAR),
            Action::First => state.go(0),
            Action::Last => state.go(usize::MAX),
            Action::Order => self.order_by_next(list, area),
            Action::Reverse => {
                let column = state.sort.column;
                self.order(list, column);
            }
            Action::Inspect => return self.enter_row(kind),
            Action::Otherwise => {
                let words = self.model.list_otherwise(kind);
                self.say(words);
                return true;
            }
            _ => {}
        }
        if kind == ListKind::Questions {
            self.model.asked.chose = true;
            self.model.skip_heading(!matches!(action, Action::Up | Action::FarUp));
        }
        self.model.go_to_chosen(kind);
        true
    }

    /// Orders a list by a column, and begins at its first row: whoever orders wants to see what comes first.
    pub(super) fn order(&mut self, list: &'static dyn List, column: usize) {
        let kind = list.kind();
        self.model.order_by(kind, column, list.begins_with_largest(column));
        self.model.refresh_list(kind);
        self.model.lists.get_mut(kind).begin();
    }

    /// Orders a list by its next column that is seen and that rows can be ordered by.
    fn order_by_next(&mut self, list: &'static dyn List, area: Rect) {
        let (columns, seen) = (list.columns(), list::seen(list, area));
        let now = self.model.lists.get(list.kind()).sort.column;
        let round = self.keys.name(Action::Reverse);
        let mut next = (1..columns.len()).map(|step| (now + step) % columns.len());
        let Some(next) = next.find(|at| columns[*at].sorts && seen.contains(at)) else {
            if columns.get(now).is_some_and(|column| column.sorts) {
                self.say(&format!(
                    "no other column to order by is seen at this width; {round} turns it round"
                ));
            }
            return;
        };
        self.order(list, next);
        let first = match (self.model.lists.get(list.kind()).sort.descending, list.begins_with_largest(next))
        {
            (true, true) if list.kind() == ListKind::Events => ", the latest first",
            (true, true) => ", the largest first",
            _ => "",
        };
        self.say(&format!("ordered by {}{first}; {round} turns it round", columns[next].title.trim()));
    }

    /// Does what entering the chosen row of a list means; returns whether that was all.
    fn enter_row(&mut self, kind: ListKind) -> bool {
        match kind {
            ListKind::Tensors | ListKind::Peak => {
                // The cursor may have left the tensor for another op of its bar, or have been elsewhere from the first.
                let chosen = self.model.lists.get(kind).chosen();
                let selected = self.model.selected().map(|(number, _)| number);
                if let Some(chosen) = chosen.filter(|chosen| selected != Some(*chosen)) {
                    self.model.select(chosen);
                }
                false
            }
            ListKind::Events => {
                let chosen = self.model.lists.get(kind).chosen();
                match chosen.and_then(|event| self.model.goal_of(event)) {
                    Some(Goal::Place(place)) => self.on_map(|model| model.go_to_place(place)),
                    Some(Goal::Arena(arena)) => self.on_map(|model| model.go_to_arena(arena)),
                    Some(Goal::Moment(t)) => self.seek(Stop::At(t)),
                    None => self.say("this is of another plan than the one that is looked at"),
                }
                true
            }
            ListKind::Ops => {
                let list = self.model.lists.get(kind);
                if list.chosen().is_some_and(|row| self.model.operators.group(row).is_some()) {
                    self.model.list_ops_of_group();
                } else {
                    self.inspect_op();
                }
                true
            }
            ListKind::Questions => {
                let at = self.model.lists.get(kind).at;
                self.enter_question(self.model.asked_rows().into_iter().nth(at));
                true
            }
            ListKind::Marks => self.enter_mark(),
            ListKind::Choices => self.enter_choice(),
            ListKind::DifferingTensors | ListKind::DifferingOps | ListKind::DifferingLives => {
                self.model.go_to_chosen(kind);
                self.on_map(|_| {});
                true
            }
        }
    }

    /// Shows the op of the list in front that is chosen there, or that of the tensor that is; without such a list, the one under
    /// the cursor.
    fn inspect_op(&mut self) {
        use ListKind::{DifferingLives, DifferingOps, DifferingTensors, Ops};
        let kind = self.front_list().map(|(list, _)| list.kind());
        let of_ops = [Ops, DifferingOps, DifferingTensors, DifferingLives];
        if let Some(kind) = kind.filter(|kind| of_ops.contains(kind)) {
            self.model.refresh_list(kind);
            // The cursor may be on another op: on the map it was moved since, or the list was just opened.
            self.model.go_to_chosen(kind);
        }
        self.open_window(Action::InspectOp);
    }

    /// Goes from the ops of one operator back to all operators, where those are in front; returns whether they were.
    fn leave_operator(&mut self) -> bool {
        let in_front = self.front_list().is_some_and(|(list, _)| list.kind() == ListKind::Ops);
        let leaves = in_front && self.model.operators.of().is_some();
        if leaves {
            let words = self.model.list_otherwise(ListKind::Ops);
            self.say(words);
        }
        leaves
    }

    /// Opens a window.
    pub(super) fn open_window(&mut self, action: Action) {
        (self.window, self.scroll) = (windows::opened_by(action), 0);
    }

    /// Shows a view by its number in the table; a list in the order of the plan begins where the cursor is.
    pub(super) fn show(&mut self, view: usize) {
        self.view = view.min(VIEWS.len() - 1);
        if let Some((list, _)) = self.front_list() {
            self.model.refresh_list(list.kind());
            self.model.choose_at_cursor(list.kind());
        }
    }

    fn show_neighbour(&mut self, forward: bool) {
        let listed: Vec<usize> = views::listed(&self.model).map(|(at, _)| at).collect();
        let at = listed.iter().position(|at| *at == self.view).unwrap_or(0);
        let step = if forward { 1 } else { listed.len().saturating_sub(1) };
        if let Some(next) = listed.get((at + step) % listed.len().max(1)) {
            self.show(*next);
        }
    }

    fn pause(&mut self) {
        self.model.paused = !self.model.paused;
        if self.model.paused {
            self.say(&format!("held; {} goes on", self.keys.name(Action::Pause)));
        } else {
            self.say("going on");
        }
    }

    fn next_alarm(&mut self) {
        if self.model.plan().is_some_and(|plan| !plan.alarms().is_empty()) {
            self.on_map(Model::next_alarm);
        } else {
            self.say("no alarm on this map");
        }
    }

    /// Changes what is in view, and shows it on a view that has the map.
    pub(super) fn on_map(&mut self, change: impl FnOnce(&mut Model)) {
        change(&mut self.model);
        let area = Rect { x: 0, y: 0, width: 80, height: 20 };
        if self.shown().map(area, &self.model).is_none() {
            let map = VIEWS.iter().position(|view| view.map(area, &self.model).is_some());
            self.view = map.unwrap_or(self.view);
        }
    }
}

/// Whether an action is for the list in front, where there is one.
fn list_takes(action: Action) -> bool {
    use Action::{Down, FarDown, FarUp, First, Inspect, Last, Order, Otherwise, Reverse, Up};
    matches!(action, Up | Down | FarUp | FarDown | First | Last | Order | Reverse | Otherwise | Inspect)
}

/// Cells and rows that the far keys go.
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
        Action::First => view.ops.put(0),
        Action::Last => view.ops.put(u64::MAX),
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
    key.modifiers.contains(KeyModifiers::CONTROL)
}
