//! The table of keys. The help and the line at the foot are made of it.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Quit,
    Suspend,
    Help,
    Back,
    NextView,
    FormerView,
    View(usize),
    Left,
    Right,
    Up,
    Down,
    FarLeft,
    FarRight,
    FarUp,
    FarDown,
    First,
    Last,
    ZoomIn,
    ZoomOut,
    ZoomOpsIn,
    ZoomOpsOut,
    ZoomBytesIn,
    ZoomBytesOut,
    Fit,
    Start,
    Live,
    Pause,
    Arena,
    Order,
    Reverse,
    Search,
    NextMatch,
    FormerMatch,
    NextAlarm,
    Peak,
    Inspect,
    Redraw,
}

/// Keys that do one thing, or a pair of things.
pub(crate) struct Binding {
    /// As the help names the keys.
    pub(crate) label: &'static str,
    /// What the help says.
    pub(crate) help: &'static str,
    /// What the line at the foot says; empty where it is left out there.
    pub(crate) short: &'static str,
    /// The keys and what they do.
    keys: &'static [(KeyCode, KeyModifiers, Action)],
}

const NONE: KeyModifiers = KeyModifiers::NONE;
const CONTROL: KeyModifiers = KeyModifiers::CONTROL;

const fn on(c: char, action: Action) -> (KeyCode, KeyModifiers, Action) {
    (KeyCode::Char(c), NONE, action)
}

const fn at(code: KeyCode, action: Action) -> (KeyCode, KeyModifiers, Action) {
    (code, NONE, action)
}

/// Every key, in the order in which the help lists them.
pub(crate) const BINDINGS: &[Binding] = &[
    Binding {
        label: "q",
        help: "quit",
        short: "quit",
        keys: &[on('q', Action::Quit), (KeyCode::Char('c'), CONTROL, Action::Quit)],
    },
    Binding { label: "?", help: "this help", short: "help", keys: &[on('?', Action::Help)] },
    Binding {
        label: "tab 1…9",
        help: "next view, view of that number",
        short: "views",
        keys: &[
            at(KeyCode::Tab, Action::NextView),
            at(KeyCode::BackTab, Action::FormerView),
            on('1', Action::View(0)),
            on('2', Action::View(1)),
            on('3', Action::View(2)),
            on('4', Action::View(3)),
            on('5', Action::View(4)),
            on('6', Action::View(5)),
            on('7', Action::View(6)),
            on('8', Action::View(7)),
            on('9', Action::View(8)),
        ],
    },
    Binding {
        label: "space",
        help: "hold the picture, go on",
        short: "pause",
        keys: &[on(' ', Action::Pause)],
    },
    Binding {
        label: "hjkl ←↓↑→",
        help: "move the cursor, go through a list",
        short: "move",
        keys: &[
            on('h', Action::Left),
            on('j', Action::Down),
            on('k', Action::Up),
            on('l', Action::Right),
            at(KeyCode::Left, Action::Left),
            at(KeyCode::Down, Action::Down),
            at(KeyCode::Up, Action::Up),
            at(KeyCode::Right, Action::Right),
        ],
    },
    Binding {
        label: "HJKL",
        help: "move the cursor ten times as far",
        short: "",
        keys: &[
            on('H', Action::FarLeft),
            on('J', Action::FarDown),
            on('K', Action::FarUp),
            on('L', Action::FarRight),
            at(KeyCode::PageDown, Action::FarDown),
            at(KeyCode::PageUp, Action::FarUp),
        ],
    },
    Binding {
        label: "+ -",
        help: "zoom around the cursor",
        short: "zoom",
        keys: &[
            on('+', Action::ZoomIn),
            on('=', Action::ZoomIn),
            on('-', Action::ZoomOut),
            on('_', Action::ZoomOut),
        ],
    },
    Binding {
        label: "> <",
        help: "zoom the ops only",
        short: "",
        keys: &[on('>', Action::ZoomOpsIn), on('<', Action::ZoomOpsOut)],
    },
    Binding {
        label: "] [",
        help: "zoom the bytes only",
        short: "",
        keys: &[on(']', Action::ZoomBytesIn), on('[', Action::ZoomBytesOut)],
    },
    Binding { label: "0", help: "show all of it", short: "fit", keys: &[on('0', Action::Fit)] },
    Binding {
        label: "g G",
        help: "go to the start; to the playhead, and follow",
        short: "",
        keys: &[on('g', Action::Start), on('G', Action::Live)],
    },
    Binding {
        label: "home end",
        help: "the first op or row, the last",
        short: "",
        keys: &[at(KeyCode::Home, Action::First), at(KeyCode::End, Action::Last)],
    },
    Binding { label: "p", help: "go to the peak", short: "peak", keys: &[on('p', Action::Peak)] },
    Binding { label: "!", help: "go to the next alarm", short: "", keys: &[on('!', Action::NextAlarm)] },
    Binding {
        label: "/",
        help: "search tensors by name; esc ends it",
        short: "search",
        keys: &[on('/', Action::Search)],
    },
    Binding {
        label: "n N",
        help: "next, former tensor found",
        short: "",
        keys: &[on('n', Action::NextMatch), on('N', Action::FormerMatch)],
    },
    Binding { label: "a", help: "next arena", short: "arena", keys: &[on('a', Action::Arena)] },
    Binding {
        label: "s S",
        help: "order the list by the next column; turn it round",
        short: "",
        keys: &[on('s', Action::Order), on('S', Action::Reverse)],
    },
    Binding {
        label: "enter",
        help: "everything about the tensor at the cursor",
        short: "inspect",
        keys: &[at(KeyCode::Enter, Action::Inspect)],
    },
    Binding {
        label: "esc",
        help: "close a window, end the search, go back",
        short: "",
        keys: &[at(KeyCode::Esc, Action::Back)],
    },
    Binding {
        label: "ctrl-l ctrl-z",
        help: "draw anew; stop until fg",
        short: "",
        keys: &[
            (KeyCode::Char('l'), CONTROL, Action::Redraw),
            (KeyCode::Char('z'), CONTROL, Action::Suspend),
        ],
    },
];

/// What the mouse does.
pub(crate) const MOUSE: &[(&str, &str)] = &[
    ("click", "put the cursor there, choose a row, a tab, an order"),
    ("click again", "inspect the row that is chosen"),
    ("right click", "inspect what is there"),
    ("wheel", "zoom the map at the pointer, scroll a list"),
    ("drag", "move what is in view"),
];

/// What a key does, if anything.
pub(crate) fn action(key: KeyEvent) -> Option<Action> {
    // A capital letter says shift by itself; terminals differ in whether they add it.
    let modifiers = key.modifiers.difference(KeyModifiers::SHIFT);
    let all = BINDINGS.iter().flat_map(|binding| binding.keys);
    all.into_iter()
        .find(|(code, with, _)| *code == key.code && *with == modifiers)
        .map(|(_, _, action)| *action)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_does_two_things() {
        let keys: Vec<_> = BINDINGS.iter().flat_map(|binding| binding.keys).collect();
        for (at, (code, with, _)) in keys.iter().enumerate() {
            assert!(keys[at + 1..].iter().all(|(c, w, _)| (c, w) != (code, with)), "{code:?}");
        }
    }

    #[test]
    fn every_view_has_its_number() {
        for number in 1..=crate::views::VIEWS.len() {
            let digit = char::from_digit(number as u32, 10).unwrap();
            let key = KeyEvent::new(KeyCode::Char(digit), NONE);
            assert_eq!(action(key), Some(Action::View(number - 1)));
        }
    }

    #[test]
    fn shift_does_not_matter_beyond_the_letter() {
        let key = |modifiers| KeyEvent::new(KeyCode::Char('G'), modifiers);
        assert_eq!(action(key(KeyModifiers::SHIFT)), Some(Action::Live));
        assert_eq!(action(key(NONE)), Some(Action::Live));
        assert_eq!(action(key(KeyModifiers::ALT)), None);
    }
}
