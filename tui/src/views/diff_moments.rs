//! Diff of two moments: what lives at each, and which tensors live at one of them alone.

use bayplan_text::{Bytes, Count, Signed};
use ratatui::text::{Line, Span};

use super::diff::{change, number, plans};
use crate::draw;
use crate::keys::Keymap;
use crate::list::{Column, List};
use crate::model::compare::Compared;
use crate::model::lists::ListKind;
use crate::model::moments::Moments;
use crate::model::{Model, explain};
use crate::theme::Theme;

/// Tensors that live at one moment alone.
pub(super) struct Lives;

const COLUMNS: &[Column] = &[
    Column { title: "tensor", width: 0, right: false, weight: 9, sorts: true },
    Column { title: "lives", width: 11, right: false, weight: 6, sorts: true },
    number("shown", 10, 5),
    number("other", 10, 4),
    number("difference", 11, 8),
];

impl List for Lives {
    fn kind(&self) -> ListKind {
        ListKind::DifferingLives
    }

    fn columns(&self) -> &'static [Column] {
        COLUMNS
    }

    fn row(&self, model: &Model, thing: u32, theme: &Theme, width: usize) -> Vec<Line<'static>> {
        let Some((shown, compared)) = plans(model) else { return Vec::new() };
        let Some(tensor) = compared.lives().get(thing as usize) else { return Vec::new() };
        let name = match (tensor.a, tensor.b) {
            (Some(own), _) => explain::buffer_name(shown, own),
            (None, other) => explain::buffer_name(&compared.other.record, other.unwrap_or(0)),
        };
        let bytes = |bytes: u64| if bytes > 0 { Bytes(bytes).to_string() } else { "–".to_owned() };
        let lives = match tensor.bytes {
            (_, 0) => "shown only",
            (0, _) => "other only",
            _ => "at both",
        };
        vec![
            Line::styled(draw::tail(&name, width / 2), theme.text()),
            Line::styled(lives, theme.accent()),
            Line::styled(bytes(tensor.bytes.0), theme.text()),
            Line::styled(bytes(tensor.bytes.1), theme.text()),
            Line::styled(Signed(tensor.growth(), Bytes).to_string(), theme.strong()),
        ]
    }

    fn empty(&self, model: &Model, _: &Keymap) -> String {
        let known = |moments: &Moments| moments.live.at.0.is_some() && moments.live.at.1.is_some();
        let is_known = model.compared().and_then(|compared| compared.moments.as_ref()).is_some_and(known);
        match (model.filter.is_on(), is_known) {
            (_, false) => "not known: of one of the two runs no op was seen complete yet".to_owned(),
            (true, true) => "no tensor that lives at one alone is kept by what is searched for".to_owned(),
            (false, true) => "the same tensors live at both moments".to_owned(),
        }
    }
}

/// Where both moments are, and the bytes that live there.
pub(super) fn lines(moments: &Moments, compared: &Compared, theme: &Theme) -> Vec<Line<'static>> {
    let live = &moments.live;
    let line = |name: &str, words: String| {
        Line::from(vec![Span::styled(format!("{name}  "), theme.accent()), Span::styled(words, theme.text())])
    };
    let (shown, other) = (&moments.words.0, &moments.words.1);
    let mut lines = vec![line("moments", format!("{shown} → {other}"))];
    for (arena, bytes) in compared.diff.arenas.iter().zip(&live.arenas) {
        // What holds nothing at both is not worth a line.
        if *bytes != (Some(0), Some(0)) {
            let name = explain::name_of(&arena.name, "arena", 0);
            lines.push(line("live", format!("{} in {name}", known_change(*bytes))));
        }
    }
    let (first, second) = live.alone();
    let count = |count: usize| Count(count as u64);
    if live.at.0.is_some() && live.at.1.is_some() {
        let words = format!(
            "{} at the shown moment alone, {} at the other alone, {} at both",
            count(first),
            count(second),
            count(live.same)
        );
        lines.push(line("live tensors", words));
    }
    let mut held = vec![format!("blocks {}", change(live.device_bytes.0, live.device_bytes.1, Bytes))];
    if live.pool_bytes != (0, 0) {
        held.push(format!("live in pools {}", change(live.pool_bytes.0, live.pool_bytes.1, Bytes)));
    }
    lines.push(line("device memory", held.join(" · ")));
    lines
}

/// How live bytes change, as far as they are known.
fn known_change(bytes: (Option<u64>, Option<u64>)) -> String {
    let known = |bytes: Option<u64>| bytes.map_or_else(|| "not known".to_owned(), |b| Bytes(b).to_string());
    match bytes {
        (Some(a), Some(b)) => change(a, b, Bytes),
        (a, b) => format!("{} → {}", known(a), known(b)),
    }
}
