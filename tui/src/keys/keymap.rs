//! Which key does what: the table's keys, unless the user said otherwise.

use std::sync::LazyLock;

use crossterm::event::KeyEvent;

use super::chord::Chord;
use super::{Act, Action, BINDINGS, Binding};

/// The keys of every action of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Keymap {
    /// In the order of the table.
    keys: Vec<(&'static Act, Vec<Chord>)>,
}

/// The keys as they are unless the user says otherwise.
static STANDARD: LazyLock<Keymap> = LazyLock::new(|| {
    let chords = |act: &Act| act.keys.split(' ').filter_map(|key| Chord::parse(key).ok()).collect();
    Keymap { keys: acts().map(|act| (act, chords(act))).collect() }
});

/// Every action of the table.
pub(crate) fn acts() -> impl Iterator<Item = &'static Act> {
    BINDINGS.iter().flat_map(|binding| binding.acts)
}

impl Keymap {
    /// The keys as they are unless the user says otherwise.
    pub(crate) fn standard() -> &'static Self {
        &STANDARD
    }

    /// Gives an action other keys in place of those it has.
    pub(crate) fn set(&mut self, act: &'static Act, chords: Vec<Chord>) {
        if let Some((_, keys)) = self.keys.iter_mut().find(|(own, _)| own.action == act.action) {
            *keys = chords;
        }
    }

    /// What a key does, if anything.
    pub(crate) fn action(&self, key: KeyEvent) -> Option<Action> {
        self.keys.iter().find(|(_, keys)| keys.iter().any(|chord| chord.is(key))).map(|(act, _)| act.action)
    }

    /// The keys of an action, the one that people are told first.
    pub(crate) fn keys(&self, action: Action) -> &[Chord] {
        self.keys.iter().find(|(act, _)| act.action == action).map_or(&[], |(_, keys)| keys)
    }

    /// The key of an action, for the words on the screen; `(no key)` where it has none.
    pub(crate) fn name(&self, action: Action) -> String {
        self.keys(action).first().map_or_else(|| "(no key)".to_owned(), |chord| chord.label())
    }

    /// A key that two actions have, and which.
    pub(crate) fn clash(&self) -> Option<(Chord, &'static Act, &'static Act)> {
        let all = || self.keys.iter().flat_map(|(act, keys)| keys.iter().map(move |key| (*act, *key)));
        all().enumerate().find_map(|(at, (act, key))| {
            let other = all().skip(at + 1).find(|(_, other)| *other == key)?;
            Some((key, act, other.0))
        })
    }

    /// The keys of a row of the table as the help and the foot name them. Of the keys of views those of the first
    /// `views` count.
    pub(crate) fn label(&self, binding: &Binding, views: usize) -> String {
        let shown = |act: &&Act| !matches!(act.action, Action::View(number) if number >= views);
        let keys: Vec<&[Chord]> =
            binding.acts.iter().filter(shown).map(|act| self.keys(act.action)).collect();
        let nth =
            |at: usize| -> Vec<Chord> { keys.iter().filter_map(|keys| keys.get(at).copied()).collect() };
        let (first, second) = (nth(0), nth(1));
        // Of the keys of views the first and the last are told; of directions both ways.
        if matches!(binding.acts[0].action, Action::View(_)) {
            let ends = first.first().zip(first.last());
            return ends.map_or(String::new(), |(a, b)| format!("{}–{}", a.label(), b.label()));
        }
        if keys.len() < 4 {
            return together(&first);
        }
        let whole = second.len() == keys.len();
        [together(&first), if whole { together(&second) } else { String::new() }]
            .join(" ")
            .trim_end()
            .to_owned()
    }
}

/// Keys side by side: without blanks where there are many and each takes one column.
fn together(keys: &[Chord]) -> String {
    let dense = keys.len() > 3 && keys.iter().all(|key| key.is_short());
    let labels: Vec<String> = keys.iter().map(|key| key.label()).collect();
    labels.join(if dense { "" } else { " " })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crossterm::event::{KeyCode, KeyModifiers};

    #[test]
    fn the_table_is_sound() {
        let map = Keymap::standard();
        if let Some((key, a, b)) = map.clash() {
            panic!("{key} does {} and {}", a.name, b.name);
        }
        let mut names: Vec<&str> = acts().map(|act| act.name).collect();
        for act in acts() {
            assert_eq!(act.keys.split(' ').count(), map.keys(act.action).len(), "{}: {}", act.name, act.keys);
            assert!(
                act.name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'),
                "{}",
                act.name
            );
        }
        for binding in BINDINGS {
            assert!(!binding.acts.is_empty() && !binding.help.is_empty());
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count, "two actions have one name");
    }

    #[test]
    fn every_view_has_its_number() {
        for number in 1..=crate::views::VIEWS.len() {
            let digit = char::from_digit(number as u32, 10).unwrap();
            let key = KeyEvent::new(KeyCode::Char(digit), KeyModifiers::NONE);
            assert_eq!(Keymap::standard().action(key), Some(Action::View(number - 1)));
        }
    }

    #[test]
    fn labels_name_the_keys_that_the_user_has() {
        let label = |map: &Keymap, action| {
            let binding = BINDINGS.iter().find(|binding| binding.acts.iter().any(|act| act.action == action));
            map.label(binding.unwrap(), 5)
        };
        let mut map = Keymap::standard().clone();
        for (action, expect) in [
            (Action::Quit, "q"),
            (Action::ZoomIn, "+ -"),
            (Action::Left, "hjkl ←↓↑→"),
            (Action::FarLeft, "HJKL"),
            (Action::View(0), "1–5"),
            (Action::Redraw, "ctrl-l ctrl-z"),
        ] {
            assert_eq!(label(&map, action), expect);
        }
        let left = acts().find(|act| act.action == Action::Left).unwrap();
        map.set(left, vec![Chord::parse("f1").unwrap()]);
        assert_eq!(label(&map, Action::Left), "f1 j k l");
        map.set(left, Vec::new());
        assert_eq!(
            (map.name(Action::Left), map.name(Action::Right)),
            ("(no key)".to_owned(), "l".to_owned())
        );
    }
}
