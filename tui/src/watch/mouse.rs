//! What the mouse does.

use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::{Position, Rect};

use super::{Outcome, Watch};
use crate::chrome::{self, Areas};
use crate::foot;
use crate::keys::Action;
use crate::list;
use crate::model::lists::ListKind;
use crate::model::viewport::Viewport;
use crate::view::Target;

impl Watch {
    /// Takes a mouse event.
    pub(crate) fn mouse(&mut self, mouse: MouseEvent, screen: Rect) -> Outcome {
        self.screen = screen;
        let Some(areas) = self.areas(screen) else { return Outcome::Stay };
        let at = Position { x: mouse.column, y: mouse.row };
        match mouse.kind {
            MouseEventKind::Down(button) => {
                self.status = None;
                if self.window.is_none() && self.click_strip(&areas, at) {
                    return Outcome::Stay;
                }
                let again = button == MouseButton::Right;
                match self.target(&areas, at) {
                    Some(target) => return self.click(target, at, again),
                    // A click beside a window closes it.
                    None => self.window = None,
                }
            }
            MouseEventKind::Drag(MouseButton::Left) => self.drag((at.x, at.y)),
            MouseEventKind::Up(_) => self.held = None,
            MouseEventKind::ScrollUp => self.wheel(&areas, at, false),
            MouseEventKind::ScrollDown => self.wheel(&areas, at, true),
            _ => {}
        }
        Outcome::Stay
    }

    /// What lies at a cell of the screen.
    fn target(&self, areas: &Areas, at: Position) -> Option<Target> {
        if self.window.is_none() && areas.tabs.contains(at) {
            return chrome::tab_at(at.x, &self.model, self.view, areas.tabs.width);
        }
        let is_covered = self.window.is_some() && self.framed.contains(at);
        let is_typed = self.typing.is_some() || self.dims.is_some() || self.is_choosing();
        if areas.foot.contains(at) && !is_typed && !is_covered {
            return foot::at(at.x, areas.foot, (self.in_front(), &self.model), self.keys).map(Target::Do);
        }
        let (view, area) = self.front(areas, self.screen);
        if self.window.is_some_and(|window| window.content.is_text()) {
            return None;
        }
        let map = view.map(area, &self.model).filter(|map| map.contains(at)).map(Target::Map);
        let row = || {
            view.list(area, &self.model).and_then(|(list, area)| list::target(list, area, &self.model, at))
        };
        map.or_else(row).or_else(|| view.target(area, &self.model, at))
    }

    /// Does what a click means; `inspects` asks for all that is known of it.
    fn click(&mut self, target: Target, at: Position, inspects: bool) -> Outcome {
        match target {
            Target::View(view) => {
                self.window = None;
                self.show(view);
                return Outcome::Stay;
            }
            Target::Do(action) => return self.act(action),
            Target::Map(map) => {
                self.held = Some((at.x, at.y));
                self.model.go(|view, _| {
                    let (op, byte) = under(view, map, (at.x, at.y));
                    view.ops.put(op);
                    view.bytes.put(byte);
                });
            }
            Target::Ops(strip) => {
                self.model.go(|view, _| view.ops.put(op_under(view, strip, at.x)));
            }
            Target::Op(op) => self.model.go(|view, _| view.ops.put(op.into())),
            Target::Tensor(number) => {
                let again = self.model.selected().is_some_and(|(selected, _)| selected == number);
                self.model.select(number);
                // As with rows of lists, a second click asks for all that is known.
                if again && !inspects {
                    return self.act(Action::Inspect);
                }
            }
            Target::Alarm(number) => self.on_map(|model| model.go_to_alarm(number)),
            Target::Arena(arena) => self.model.go_to_arena(arena),
            Target::Row(row) => {
                let Some((list, _)) = self.front_list() else { return Outcome::Stay };
                let kind = list.kind();
                let again = self.model.lists.get(kind).at == row;
                let list = self.model.lists.get_mut(kind);
                list.stay();
                list.go(row);
                if kind == ListKind::Questions {
                    self.model.asked.chose = true;
                    self.model.skip_heading(true);
                }
                self.model.go_to_chosen(kind);
                self.cursor_on_axis(at);
                if again && !inspects {
                    return self.act(Action::Inspect);
                }
            }
            Target::Column(column) => {
                let Some((list, _)) = self.front_list() else { return Outcome::Stay };
                self.order(list, column);
                self.model.go_to_chosen(list.kind());
                return Outcome::Stay;
            }
        }
        if inspects { self.act(Action::Inspect) } else { Outcome::Stay }
    }

    /// Puts the cursor on the op of a bar that was clicked.
    fn cursor_on_axis(&mut self, at: Position) {
        let Some(areas) = self.areas(self.screen) else { return };
        let (view, area) = self.front(&areas, self.screen);
        if let Some(axis) = view.axis(area, &self.model).filter(|axis| axis.contains(at)) {
            self.model.go(|view, _| view.ops.put(op_under(view, axis, at.x)));
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

    /// Zooms the map at the pointer, or scrolls the list or the lines in front.
    fn wheel(&mut self, areas: &Areas, at: Position, down: bool) {
        let rows = if down { WHEEL } else { -WHEEL };
        if self.window.is_some_and(|window| window.content.is_text()) {
            self.scroll_lines(rows);
            return;
        }
        let (view, area) = self.front(areas, self.screen);
        if let Some(map) = view.map(area, &self.model).filter(|map| map.contains(at)) {
            let (num, den) = if down { (3, 2) } else { (2, 3) };
            self.model.go(|view, _| {
                let (op, byte) = under(view, map, (at.x, at.y));
                view.zoom(op, byte, num, den);
            });
        } else if let Some(axis) = view.axis(area, &self.model).filter(|axis| axis.contains(at)) {
            let (num, den) = if down { (3, 2) } else { (2, 3) };
            self.model.go(|view, _| view.ops.zoom(op_under(view, axis, at.x), num, den));
        } else if let Some((list, _)) = view.list(area, &self.model).filter(|(_, area)| area.contains(at)) {
            self.model.lists.get_mut(list.kind()).scroll(rows);
        }
    }
}

/// Rows that the wheel goes.
const WHEEL: i64 = 3;

/// The op that a column of a strip shows.
fn op_under(view: &Viewport, strip: Rect, x: u16) -> u64 {
    view.ops.span(u64::from(x.saturating_sub(strip.x)), strip.width.into()).0
}

/// The op and the byte that a cell of the map shows.
fn under(view: &Viewport, map: Rect, at: (u16, u16)) -> (u64, u64) {
    let from_bottom = map.bottom() - 1 - at.1;
    (op_under(view, map, at.0), view.bytes.span(u64::from(from_bottom), u64::from(map.height)).0)
}
