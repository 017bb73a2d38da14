//! The table of keys: which action has which keys unless the user says otherwise, its name in the configuration, and what
//! help and foot say of it. The help, the line at the foot, the configuration and `--print-config` are made of it.
//!
//! To add a key: a variant of [`Action`], an [`act`] in a row of [`BINDINGS`] (or a row of its own), and what it does in
//! `watch::act`. `tests/keys.rs` presses every key of the table in a terminal and wants a row for it.

mod chord;
mod keymap;

pub(crate) use chord::Chord;
pub(crate) use keymap::{Keymap, acts};

/// What a key does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Action {
    Quit,
    Runs,
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
    Otherwise,
    Search,
    NextMatch,
    FormerMatch,
    NextAlarm,
    Peak,
    WhyPeak,
    WhyNotSmaller,
    Without,
    Half,
    Undo,
    FormerMoment,
    NextMoment,
    FarFormerMoment,
    FarNextMoment,
    Strip,
    Mark,
    NextMark,
    Marks,
    Remove,
    Diff,
    EndDiff,
    Inspect,
    InspectOp,
    Redraw,
}

/// What keys are for: the help puts those of the view in front first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    /// Where one is.
    Move,
    /// The map of an arena.
    Map,
    /// Lists.
    List,
    /// Names and filters.
    Find,
    /// Time: what goes on, and the past.
    Time,
    /// Windows, views, the viewer itself.
    General,
}

impl Section {
    /// Every section.
    pub(crate) const ALL: [Self; 6] =
        [Self::Move, Self::Map, Self::List, Self::Find, Self::Time, Self::General];

    /// Its heading in the help.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Move => "move",
            Self::Map => "on the map",
            Self::List => "in a list",
            Self::Find => "find",
            Self::Time => "time",
            Self::General => "views and windows",
        }
    }
}

/// Keys that do one thing, or a pair of things: one line of the help.
pub(crate) struct Binding {
    /// What they are for.
    pub(crate) section: Section,
    /// What the help says.
    pub(crate) help: &'static str,
    /// What the line at the foot says; empty where it is left out there.
    pub(crate) short: &'static str,
    /// What they do.
    pub(crate) acts: &'static [Act],
}

/// An action with its keys.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Act {
    pub(crate) action: Action,
    /// Its name in the configuration: that never changes.
    pub(crate) name: &'static str,
    /// The keys that it has unless the user says otherwise, with blanks between; see [`chord`]. People are told the first.
    pub(crate) keys: &'static str,
}

const fn act(action: Action, name: &'static str, keys: &'static str) -> Act {
    Act { action, name, keys }
}

/// Every key, in the order in which the foot and, within a section, the help list them.
pub(crate) const BINDINGS: &[Binding] = &[
    Binding {
        section: Section::General,
        help: "quit",
        short: "quit",
        acts: &[act(Action::Quit, "quit", "q ctrl-c")],
    },
    Binding {
        section: Section::General,
        help: "choose another run from the list; esc there comes back",
        short: "",
        acts: &[act(Action::Runs, "runs", "r")],
    },
    Binding {
        section: Section::General,
        help: "this help",
        short: "help",
        acts: &[act(Action::Help, "help", "?")],
    },
    Binding {
        section: Section::General,
        help: "view of that number",
        short: "views",
        acts: &[
            act(Action::View(0), "view-1", "1"),
            act(Action::View(1), "view-2", "2"),
            act(Action::View(2), "view-3", "3"),
            act(Action::View(3), "view-4", "4"),
            act(Action::View(4), "view-5", "5"),
            act(Action::View(5), "view-6", "6"),
            act(Action::View(6), "view-7", "7"),
            act(Action::View(7), "view-8", "8"),
            act(Action::View(8), "view-9", "9"),
        ],
    },
    Binding {
        section: Section::General,
        help: "next view, former view",
        short: "",
        acts: &[
            act(Action::NextView, "next-view", "tab"),
            act(Action::FormerView, "former-view", "shift-tab"),
        ],
    },
    Binding {
        section: Section::Time,
        help: "hold the picture while the run goes on; again: follow it",
        short: "pause",
        acts: &[act(Action::Pause, "pause", "space")],
    },
    Binding {
        section: Section::Move,
        help: "move the cursor, go through a list",
        short: "move",
        acts: &[
            act(Action::Left, "left", "h left"),
            act(Action::Down, "down", "j down"),
            act(Action::Up, "up", "k up"),
            act(Action::Right, "right", "l right"),
        ],
    },
    Binding {
        section: Section::Move,
        help: "move ten times as far",
        short: "",
        acts: &[
            act(Action::FarLeft, "far-left", "H"),
            act(Action::FarDown, "far-down", "J page-down"),
            act(Action::FarUp, "far-up", "K page-up"),
            act(Action::FarRight, "far-right", "L"),
        ],
    },
    Binding {
        section: Section::Map,
        help: "zoom around the cursor",
        short: "zoom",
        acts: &[act(Action::ZoomIn, "zoom-in", "+ ="), act(Action::ZoomOut, "zoom-out", "- _")],
    },
    Binding {
        section: Section::Map,
        help: "zoom the ops only",
        short: "",
        acts: &[act(Action::ZoomOpsIn, "zoom-ops-in", ">"), act(Action::ZoomOpsOut, "zoom-ops-out", "<")],
    },
    Binding {
        section: Section::Map,
        help: "zoom the bytes only",
        short: "",
        acts: &[
            act(Action::ZoomBytesIn, "zoom-bytes-in", "]"),
            act(Action::ZoomBytesOut, "zoom-bytes-out", "["),
        ],
    },
    Binding {
        section: Section::Map,
        help: "show all of it",
        short: "fit",
        acts: &[act(Action::Fit, "fit", "0")],
    },
    Binding {
        section: Section::Time,
        help: "go to the first op; to what is now, and follow",
        short: "",
        acts: &[act(Action::Start, "start", "g"), act(Action::Live, "live", "G")],
    },
    Binding {
        section: Section::Time,
        help: "back to the former run, on to the next",
        short: "run",
        acts: &[act(Action::FormerMoment, "former-moment", ","), act(Action::NextMoment, "next-moment", ".")],
    },
    Binding {
        section: Section::Time,
        help: "a twentieth of the session back, on",
        short: "",
        acts: &[
            act(Action::FarFormerMoment, "far-former-moment", "{"),
            act(Action::FarNextMoment, "far-next-moment", "}"),
        ],
    },
    Binding {
        section: Section::Time,
        help: "show the strip of time, or not",
        short: "",
        acts: &[act(Action::Strip, "strip", "t")],
    },
    Binding {
        section: Section::Time,
        help: "mark where one stands; go to the next mark",
        short: "",
        acts: &[act(Action::Mark, "mark", "m"), act(Action::NextMark, "next-mark", "'")],
    },
    Binding {
        section: Section::Time,
        help: "list the marks; take the chosen one away",
        short: "",
        acts: &[act(Action::Marks, "marks", "M"), act(Action::Remove, "remove", "delete")],
    },
    Binding {
        section: Section::General,
        help: "compare with another recording, run, mark, plan or moment; end that",
        short: "",
        acts: &[act(Action::Diff, "diff", "d"), act(Action::EndDiff, "end-diff", "D")],
    },
    Binding {
        section: Section::Move,
        help: "the first op or row, the last",
        short: "",
        acts: &[act(Action::First, "first", "home"), act(Action::Last, "last", "end")],
    },
    Binding {
        section: Section::Map,
        help: "go to the peak",
        short: "peak",
        acts: &[act(Action::Peak, "peak", "p")],
    },
    Binding {
        section: Section::General,
        help: "why this peak? what lives there",
        short: "why peak",
        acts: &[act(Action::WhyPeak, "why-peak", "P")],
    },
    Binding {
        section: Section::General,
        help: "why not smaller? and what if",
        short: "what if",
        acts: &[act(Action::WhyNotSmaller, "why-not-smaller", "w")],
    },
    Binding {
        section: Section::Map,
        help: "what if this tensor were gone, or half; undo",
        short: "",
        acts: &[
            act(Action::Without, "without", "x"),
            act(Action::Half, "half", "X"),
            act(Action::Undo, "undo", "u"),
        ],
    },
    Binding {
        section: Section::Find,
        help: "go to the next alarm",
        short: "",
        acts: &[act(Action::NextAlarm, "next-alarm", "!")],
    },
    Binding {
        section: Section::Find,
        help: "search: names, size>1MiB, op:MatMul, peak …; esc ends it",
        short: "search",
        acts: &[act(Action::Search, "search", "/")],
    },
    Binding {
        section: Section::Find,
        help: "next, former tensor found",
        short: "",
        acts: &[act(Action::NextMatch, "next-match", "n"), act(Action::FormerMatch, "former-match", "N")],
    },
    Binding {
        section: Section::Map,
        help: "next arena",
        short: "arena",
        acts: &[act(Action::Arena, "arena", "a")],
    },
    Binding {
        section: Section::List,
        help: "order the list by the next column; turn it round",
        short: "order",
        acts: &[act(Action::Order, "order", "s"), act(Action::Reverse, "reverse", "S")],
    },
    Binding {
        section: Section::List,
        help: "what the list holds: tensors of this arena or all, ops or operators, events by time or what is wrong first",
        short: "",
        acts: &[act(Action::Otherwise, "otherwise", "o")],
    },
    Binding {
        section: Section::General,
        help: "everything about the tensor at the cursor",
        short: "inspect",
        acts: &[act(Action::Inspect, "inspect", "enter")],
    },
    Binding {
        section: Section::General,
        help: "everything about the op at the cursor: reads, writes, times",
        short: "",
        acts: &[act(Action::InspectOp, "inspect-op", "i")],
    },
    Binding {
        section: Section::General,
        help: "close the window; else end the what-if, the search, the look back, the comparison; else back to the list of runs, if you came from it",
        short: "close",
        acts: &[act(Action::Back, "back", "esc")],
    },
    Binding {
        section: Section::General,
        help: "draw anew; stop until fg",
        short: "",
        acts: &[act(Action::Redraw, "redraw", "ctrl-l"), act(Action::Suspend, "suspend", "ctrl-z")],
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
