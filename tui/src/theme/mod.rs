//! Colours and glyphs.
//!
//! The colours are those of Okabe and Ito, which people with any form of colour blindness tell apart. Vermilion is for
//! alarms alone and yellow for the cursor and the search, so that neither is ever a tensor's colour. Where there are
//! few colours or none, a ramp of glyphs says what the shade would say.

use ratatui::buffer::{Buffer, Cell};
use ratatui::style::{Color, Modifier, Style};

use crate::config::Config;
use crate::keys::Keymap;

pub(crate) mod palette;
mod wish;

use palette::HUE_COUNT;
pub(crate) use palette::{Ink, Palette};
pub(crate) use wish::Wish;

/// How many colours the terminal has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Colours {
    /// 24 bits.
    True,
    /// The 256 of xterm.
    Indexed,
    /// The first 16.
    Basic,
    /// None, by wish or by lack.
    None,
}

impl Colours {
    /// Judges by the environment: `NO_COLOR`, `COLORTERM`, `TERM`.
    pub(crate) fn detect(var: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| var(name).filter(|value| !value.is_empty());
        let term = set("TERM").unwrap_or_default();
        if set("NO_COLOR").is_some() || term.is_empty() || term == "dumb" || term.starts_with("vt") {
            return Self::None;
        }
        if set("COLORTERM").is_some_and(|value| value == "truecolor" || value == "24bit")
            || term.contains("direct")
        {
            return Self::True;
        }
        if term.contains("256color") { Self::Indexed } else { Self::Basic }
    }
}

/// How strongly a tensor is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shade {
    /// Planned, not reached or not seen.
    Dim,
    /// Seen in its place.
    Medium,
    /// Alive at the playhead.
    Bright,
}

impl Shade {
    /// How much of the full colour is in it, in percent; the rest is the ground.
    fn strength(self) -> u16 {
        match self {
            Self::Dim => 30,
            Self::Medium => 62,
            Self::Bright => 100,
        }
    }
}

/// What things look like on this terminal.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Theme {
    /// How many colours there are.
    pub(crate) colours: Colours,
    /// Whether only ASCII may be shown.
    pub(crate) ascii: bool,
    /// Which colours there are.
    pub(crate) palette: &'static Palette,
    /// How keys are called here: words on the screen name them by [`Keymap::name`].
    pub(crate) keys: &'static Keymap,
}

impl Theme {
    /// What the user has chosen, on this terminal. There is one in a process: it is never freed.
    pub(crate) fn of(config: &Config, colours: Colours, ground_is_light: bool) -> Self {
        Self {
            colours,
            ascii: config.ascii,
            palette: Box::leak(Box::new(config.palette(ground_is_light))),
            keys: Box::leak(Box::new(config.keys.clone())),
        }
    }

    /// The dark theme with the keys of the table.
    pub(crate) fn new(colours: Colours, ascii: bool) -> Self {
        Self { colours, ascii, palette: &palette::DARK, keys: Keymap::standard() }
    }

    /// Whether maps are drawn by shades of colour, two pixels in a cell; by a ramp of glyphs otherwise.
    pub(crate) fn has_shades(&self) -> bool {
        matches!(self.colours, Colours::True | Colours::Indexed) && !self.ascii
    }

    fn color(&self, ink: &Ink) -> Color {
        match self.colours {
            Colours::True => Color::Rgb(ink.0, ink.1, ink.2),
            Colours::Indexed => Color::Indexed(nearest_indexed((ink.0, ink.1, ink.2), &[])),
            Colours::Basic => ink.3,
            Colours::None => Color::Reset,
        }
    }

    fn ink(&self, ink: &Ink) -> Style {
        Style::new().fg(self.color(ink))
    }

    /// Ordinary text.
    pub(crate) fn text(&self) -> Style {
        Style::new()
    }

    /// Headings, and what matters most.
    pub(crate) fn strong(&self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// What matters least.
    pub(crate) fn faint(&self) -> Style {
        match self.colours {
            Colours::None => Style::new().add_modifier(Modifier::DIM),
            _ => self.ink(&self.palette.faint),
        }
    }

    /// Frames and axes.
    pub(crate) fn line(&self) -> Style {
        match self.colours {
            Colours::None => Style::new().add_modifier(Modifier::DIM),
            _ => self.ink(&self.palette.line),
        }
    }

    /// The header line.
    pub(crate) fn bar(&self) -> Style {
        match self.colours {
            Colours::True | Colours::Indexed => {
                Style::new().fg(self.color(&self.palette.bright)).bg(self.color(&self.palette.bar))
            }
            _ => Style::new().add_modifier(Modifier::REVERSED),
        }
    }

    /// What goes well.
    pub(crate) fn good(&self) -> Style {
        self.ink(&self.palette.good).add_modifier(Modifier::BOLD)
    }

    /// What should be looked at.
    pub(crate) fn warning(&self) -> Style {
        self.ink(&self.palette.warning).add_modifier(Modifier::BOLD)
    }

    /// Alarms.
    pub(crate) fn alarm(&self) -> Style {
        match self.colours {
            Colours::True | Colours::Indexed => Style::new()
                .fg(self.palette.alarm.text_over())
                .bg(self.color(&self.palette.alarm))
                .add_modifier(Modifier::BOLD),
            _ => self.ink(&self.palette.alarm).add_modifier(Modifier::BOLD | Modifier::REVERSED),
        }
    }

    /// Alarms in running text.
    pub(crate) fn alarm_text(&self) -> Style {
        self.ink(&self.palette.alarm).add_modifier(Modifier::BOLD)
    }

    /// Keys, names of sections, the chosen view.
    pub(crate) fn accent(&self) -> Style {
        self.ink(&self.palette.accent).add_modifier(Modifier::BOLD)
    }

    /// The cursor and what the search found.
    pub(crate) fn cursor(&self) -> Style {
        self.ink(&self.palette.cursor).add_modifier(Modifier::BOLD)
    }

    /// The playhead: over any tensor's colour.
    pub(crate) fn playhead(&self) -> Style {
        self.ink(&self.palette.bright).add_modifier(Modifier::BOLD)
    }

    /// Another plan laid over the map: over any tensor's colour.
    pub(crate) fn ghost(&self) -> Style {
        self.ink(&self.palette.bright).add_modifier(Modifier::BOLD)
    }

    /// A chosen line of a list.
    pub(crate) fn chosen(&self) -> Style {
        Style::new().add_modifier(Modifier::REVERSED | Modifier::BOLD)
    }

    /// Bars and sparklines.
    pub(crate) fn gauge(&self) -> Style {
        self.ink(&self.palette.accent)
    }

    /// A tensor as text or glyph.
    pub(crate) fn tensor(&self, hue: u8) -> Style {
        self.ink(&self.palette.hues[usize::from(hue) % HUE_COUNT])
    }

    /// A tensor's colour in a shade; meant for terminals with shades.
    pub(crate) fn shade(&self, hue: u8, shade: Shade) -> Color {
        let hue = usize::from(hue) % HUE_COUNT;
        if self.colours == Colours::Indexed {
            return Color::Indexed(self.palette.indexed_shades[hue][shade as usize]);
        }
        let (ink, ground) = (self.palette.hues[hue], self.palette.ground);
        let (r, g, b) = ink.towards(ground, shade.strength());
        self.color(&Ink(r, g, b, ink.3))
    }

    /// The colour of what is not where it should be.
    pub(crate) fn deviant(&self) -> Color {
        self.color(&self.palette.alarm)
    }

    /// Text that is laid over a tensor in this shade.
    pub(crate) fn label(&self, hue: u8, shade: Shade) -> Color {
        match shade {
            Shade::Dim => self.color(&self.palette.label),
            Shade::Medium => self.color(&self.palette.bright),
            Shade::Bright => self.palette.hues[usize::from(hue) % HUE_COUNT].text_over(),
        }
    }
}

/// Of xterm's colours 16 to 255, a cube of 6 steps and then 24 greys, the nearest that is not taken.
fn nearest_indexed((r, g, b): (u8, u8, u8), taken: &[u8]) -> u8 {
    const STEPS: [u8; 6] = [0, 95, 135, 175, 215, 255];
    let rgb = |index: u8| match index {
        grey @ 232.. => [8 + (grey - 232) * 10; 3],
        index => {
            let step = |by: u8| STEPS[usize::from((index - 16) / by % 6)];
            [step(36), step(6), step(1)]
        }
    };
    let distance = |index: u8| -> u32 {
        rgb(index).into_iter().zip([r, g, b]).map(|(a, b)| u32::from(a.abs_diff(b)).pow(2)).sum()
    };
    (16..=255).filter(|index| !taken.contains(index)).min_by_key(|index| distance(*index)).unwrap_or(16)
}

/// Whether the terminal's ground is light, by what some terminals say in `COLORFGBG`: `foreground;ground`. The terminal is
/// not asked: an answer that comes late would be taken for keys.
pub(crate) fn ground_is_light(var: impl Fn(&str) -> Option<String>) -> bool {
    let ground = var("COLORFGBG").and_then(|value| value.rsplit(';').next()?.parse::<u8>().ok());
    ground.is_some_and(|ground| ground == 7 || (9..=15).contains(&ground))
}

/// Replaces what is not ASCII in a picture.
pub(crate) fn to_ascii(buffer: &mut Buffer) {
    for row in buffer.content.chunks_mut(usize::from(buffer.area.width).max(1)) {
        let sign = |cell: &Cell| {
            let mut signs = cell.symbol().chars();
            signs.next().filter(|_| signs.next().is_none()).unwrap_or('\u{fffd}')
        };
        let mut signs: Vec<char> = row.iter().map(sign).collect();
        bayplan_text::ascii_row(&mut signs);
        for (cell, sign) in row.iter_mut().zip(signs) {
            if cell.symbol() != sign.encode_utf8(&mut [0; 4]) {
                cell.set_char(sign);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_follow_the_environment() {
        let check = |vars: &[(&str, &str)], expect: Colours| {
            let var =
                |name: &str| vars.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
            assert_eq!(Colours::detect(var), expect, "{vars:?}");
        };
        check(&[], Colours::None);
        check(&[("TERM", "dumb")], Colours::None);
        check(&[("TERM", "xterm")], Colours::Basic);
        check(&[("TERM", "tmux-256color")], Colours::Indexed);
        check(&[("TERM", "xterm-256color"), ("COLORTERM", "truecolor")], Colours::True);
        check(&[("TERM", "xterm-direct")], Colours::True);
        check(&[("TERM", "xterm-256color"), ("NO_COLOR", "1")], Colours::None);
        check(&[("TERM", "xterm-256color"), ("NO_COLOR", "")], Colours::Indexed);
    }

    #[test]
    fn nearest_colours() {
        for (rgb, index) in
            [((0, 0, 0), 16), ((255, 255, 255), 231), ((255, 0, 0), 196), ((128, 128, 128), 244)]
        {
            assert_eq!(nearest_indexed(rgb, &[]), index, "{rgb:?}");
        }
    }

    #[test]
    fn shades_of_tensors_and_alarms_are_all_different() {
        for colours in [Colours::True, Colours::Indexed] {
            let theme = Theme::new(colours, false);
            let mut all = vec![theme.deviant()];
            for hue in 0..HUE_COUNT as u8 {
                all.extend([Shade::Dim, Shade::Medium, Shade::Bright].map(|shade| theme.shade(hue, shade)));
            }
            let count = all.len();
            all.sort_by_key(|color| format!("{color:?}"));
            all.dedup();
            assert_eq!(all.len(), count, "{colours:?}");
        }
    }
}
