//! Which colours there are: two sets built in, for dark and for light grounds, and what a user makes of them.

use ratatui::style::Color;

/// A colour as 24 bits and as one of the basic 16.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ink(pub(crate) u8, pub(crate) u8, pub(crate) u8, pub(crate) Color);

/// How many colours tensors have.
pub(crate) const HUE_COUNT: usize = crate::model::index::HUES as usize;

/// The colours of everything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Palette {
    /// What the terminal's own ground is taken for: shades of tensors are mixed towards it.
    pub(crate) ground: Ink,
    /// The header's text; the playhead and labels on the map.
    pub(crate) bright: Ink,
    /// The header's ground.
    pub(crate) bar: Ink,
    /// What matters least.
    pub(crate) faint: Ink,
    /// Frames and axes.
    pub(crate) line: Ink,
    /// Labels on tensors that are planned only.
    pub(crate) label: Ink,
    /// Text over full colours.
    pub(crate) over: Ink,
    pub(crate) good: Ink,
    pub(crate) accent: Ink,
    pub(crate) warning: Ink,
    pub(crate) cursor: Ink,
    pub(crate) alarm: Ink,
    /// Tensors: neighbours get different ones.
    pub(crate) hues: [Ink; HUE_COUNT],
    /// The shades of the hues among xterm's 256, from dim to bright: mixing would make some of them one.
    pub(crate) indexed_shades: [[u8; 3]; HUE_COUNT],
}

/// For dark grounds.
pub(crate) const DARK: Palette = Palette {
    ground: Ink(18, 20, 26, Color::Black),
    bright: Ink(236, 239, 244, Color::White),
    bar: Ink(38, 43, 54, Color::Black),
    faint: Ink(138, 143, 152, Color::DarkGray),
    line: Ink(88, 94, 106, Color::DarkGray),
    label: Ink(176, 184, 196, Color::Gray),
    over: Ink(0, 0, 0, Color::Black),
    good: Ink(0, 158, 115, Color::Green),
    accent: Ink(86, 180, 233, Color::LightCyan),
    warning: Ink(230, 159, 0, Color::Yellow),
    cursor: Ink(240, 228, 66, Color::LightYellow),
    alarm: Ink(213, 94, 0, Color::LightRed),
    hues: [
        Ink(86, 180, 233, Color::Cyan),
        Ink(0, 158, 115, Color::Green),
        Ink(204, 121, 167, Color::Magenta),
        Ink(60, 110, 200, Color::Blue),
    ],
    indexed_shades: [[24, 67, 74], [22, 29, 36], [53, 132, 175], [17, 61, 62]],
};
