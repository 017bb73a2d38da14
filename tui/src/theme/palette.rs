//! Which colours there are: two sets built in, for dark and for light grounds, and what a user makes of them.

use std::fmt;
use std::sync::LazyLock;

use ratatui::style::Color;

use super::{Shade, nearest_indexed};

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
    bar: Ink(30, 34, 43, Color::Black),
    faint: Ink(138, 143, 152, Color::DarkGray),
    line: Ink(88, 94, 106, Color::DarkGray),
    label: Ink(176, 184, 196, Color::Gray),
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

/// For light grounds.
pub(crate) static LIGHT: LazyLock<Palette> = LazyLock::new(|| {
    let light = Palette {
        ground: Ink(250, 250, 248, Color::White),
        bright: Ink(20, 24, 32, Color::Black),
        bar: Ink(222, 226, 232, Color::Gray),
        faint: Ink(92, 98, 108, Color::DarkGray),
        line: Ink(150, 156, 166, Color::Gray),
        label: Ink(70, 76, 88, Color::DarkGray),
        good: Ink(0, 110, 80, Color::Green),
        accent: Ink(0, 95, 160, Color::Blue),
        warning: Ink(135, 85, 0, Color::Magenta),
        cursor: Ink(110, 0, 110, Color::Magenta),
        alarm: Ink(150, 25, 0, Color::Red),
        ..DARK
    };
    light.settled(&DARK)
});

/// A colour of a palette.
type InkOf = fn(&mut Palette) -> &mut Ink;

/// Every colour: its name in the configuration, what it is for, and where it is.
pub(crate) const INKS: &[(&str, &str, InkOf)] = &[
    ("ground", "what the terminal's ground is taken for: colours of tensors fade towards it", |all| {
        &mut all.ground
    }),
    ("bright", "the header's text, the playhead, labels", |all| &mut all.bright),
    ("bar", "the header's ground", |all| &mut all.bar),
    ("faint", "what matters least", |all| &mut all.faint),
    ("line", "frames and axes", |all| &mut all.line),
    ("label", "labels on tensors that are planned only", |all| &mut all.label),
    ("good", "what goes well", |all| &mut all.good),
    ("accent", "keys, headings, bars", |all| &mut all.accent),
    ("warning", "what should be looked at", |all| &mut all.warning),
    ("cursor", "the cursor, and what was searched for", |all| &mut all.cursor),
    ("alarm", "alarms", |all| &mut all.alarm),
    ("tensor-1", "tensors: neighbours differ", |all| &mut all.hues[0]),
    ("tensor-2", "tensors", |all| &mut all.hues[1]),
    ("tensor-3", "tensors", |all| &mut all.hues[2]),
    ("tensor-4", "tensors", |all| &mut all.hues[3]),
];

/// The 16 basic colours by name, and what they commonly look like.
const BASIC: [(&str, Color, (u8, u8, u8)); 16] = [
    ("black", Color::Black, (0, 0, 0)),
    ("red", Color::Red, (205, 0, 0)),
    ("green", Color::Green, (0, 205, 0)),
    ("yellow", Color::Yellow, (205, 205, 0)),
    ("blue", Color::Blue, (0, 0, 238)),
    ("magenta", Color::Magenta, (205, 0, 205)),
    ("cyan", Color::Cyan, (0, 205, 205)),
    ("gray", Color::Gray, (229, 229, 229)),
    ("dark-gray", Color::DarkGray, (127, 127, 127)),
    ("light-red", Color::LightRed, (255, 0, 0)),
    ("light-green", Color::LightGreen, (0, 255, 0)),
    ("light-yellow", Color::LightYellow, (255, 255, 0)),
    ("light-blue", Color::LightBlue, (92, 92, 255)),
    ("light-magenta", Color::LightMagenta, (255, 0, 255)),
    ("light-cyan", Color::LightCyan, (0, 255, 255)),
    ("white", Color::White, (255, 255, 255)),
];

impl Ink {
    /// Reads `#rrggbb`, with the name of one of the 16 behind it, or else the nearest of them.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (rgb, basic) = text.split_once(' ').map_or((text, None), |(rgb, basic)| (rgb, Some(basic)));
        let digits = rgb.strip_prefix('#').filter(|digits| digits.len() == 6)?;
        if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
            return None;
        }
        let part = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).ok();
        let (r, g, b) = (part(0)?, part(2)?, part(4)?);
        let distance = |(x, y, z): (u8, u8, u8)| {
            let square = |a: u8, b: u8| u32::from(a.abs_diff(b)).pow(2);
            square(x, r) + square(y, g) + square(z, b)
        };
        let found = match basic {
            Some(name) => BASIC.iter().find(|(known, ..)| *known == name.trim_start()),
            None => BASIC.iter().min_by_key(|(.., rgb)| distance(*rgb)),
        };
        found.map(|(_, color, _)| Self(r, g, b, *color))
    }

    /// The names of the 16.
    pub(crate) fn basic_names() -> String {
        BASIC.map(|(name, ..)| name).join(", ")
    }

    /// What text over this colour is to be: black, unless the colour is dark.
    pub(crate) fn text_over(self) -> Color {
        let brightness = 299 * u32::from(self.0) + 587 * u32::from(self.1) + 114 * u32::from(self.2);
        if brightness >= 100_000 { Color::Black } else { Color::White }
    }

    /// This colour at a strength in percent, the rest being that of the ground.
    pub(crate) fn towards(self, ground: Self, strength: u16) -> (u8, u8, u8) {
        let mix = |full: u8, ground: u8| {
            ((u16::from(full) * strength + u16::from(ground) * (100 - strength)) / 100) as u8
        };
        (mix(self.0, ground.0), mix(self.1, ground.1), mix(self.2, ground.2))
    }
}

/// As it is written in the configuration.
impl fmt::Display for Ink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let basic = BASIC.iter().find(|(_, color, _)| *color == self.3).map_or("white", |(name, ..)| name);
        write!(f, "#{:02x}{:02x}{:02x} {basic}", self.0, self.1, self.2)
    }
}

impl Palette {
    /// With shades among xterm's 256 for its hues, where these are not those of `base`.
    pub(crate) fn settled(mut self, base: &Self) -> Self {
        if (self.hues, self.ground) == (base.hues, base.ground) {
            self.indexed_shades = base.indexed_shades;
            return self;
        }
        let mut taken = vec![nearest_indexed((self.alarm.0, self.alarm.1, self.alarm.2), &[])];
        for (hue, shades) in self.hues.iter().zip(&mut self.indexed_shades) {
            for (shade, index) in [Shade::Dim, Shade::Medium, Shade::Bright].into_iter().zip(shades) {
                *index = nearest_indexed(hue.towards(self.ground, shade.strength()), &taken);
                taken.push(*index);
            }
        }
        self
    }
}

#[cfg(test)]
#[path = "palette_tests.rs"]
mod tests;
