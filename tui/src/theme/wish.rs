//! How many colours the user wants.

use std::fmt;

use super::Colours;

/// Which colours are used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wish {
    /// What the environment says the terminal has; none where no terminal is.
    Auto,
    /// As [`Wish::Auto`], whatever `NO_COLOR` says, and also where no terminal is.
    Always,
    /// None.
    Never,
    /// So many.
    Exactly(Colours),
}

/// Every wish by its name.
const NAMES: &[(&str, Wish)] = &[
    ("auto", Wish::Auto),
    ("always", Wish::Always),
    ("never", Wish::Never),
    ("16", Wish::Exactly(Colours::Basic)),
    ("256", Wish::Exactly(Colours::Indexed)),
    ("true", Wish::Exactly(Colours::True)),
];

impl Wish {
    /// Their names.
    pub(crate) const ALLOWED: &str = "auto, always, never, 16, 256, true";

    /// Reads a name.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        NAMES.iter().find(|(name, _)| *name == text).map(|(_, wish)| *wish)
    }

    /// The colours that are used, given what is written on and the environment.
    pub(crate) fn colours(self, on_terminal: bool, var: impl Fn(&str) -> Option<String>) -> Colours {
        match self {
            Self::Auto if on_terminal => Colours::detect(var),
            Self::Auto | Self::Never => Colours::None,
            Self::Exactly(colours) => colours,
            Self::Always => match Colours::detect(|name| if name == "NO_COLOR" { None } else { var(name) }) {
                Colours::None => Colours::Basic,
                colours => colours,
            },
        }
    }
}

impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAMES.iter().find(|(_, wish)| wish == self).map_or("auto", |(name, _)| name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wishes_come_before_the_environment() {
        let check = |wish: &str, on_terminal, vars: &[(&str, &str)], expect| {
            let var = |name: &str| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned());
            let wish = Wish::parse(wish).unwrap();
            assert_eq!(wish.colours(on_terminal, var), expect, "{wish} {vars:?}");
        };
        let plain = &[("TERM", "xterm-256color")];
        let refused = &[("TERM", "xterm-256color"), ("NO_COLOR", "1")];
        check("auto", true, plain, Colours::Indexed);
        check("auto", false, plain, Colours::None);
        check("auto", true, refused, Colours::None);
        check("always", false, refused, Colours::Indexed);
        check("always", false, &[], Colours::Basic);
        check("never", true, plain, Colours::None);
        check("true", false, refused, Colours::True);
        check("16", true, plain, Colours::Basic);
        assert_eq!(Wish::ALLOWED, NAMES.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", "));
    }
}
