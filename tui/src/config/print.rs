//! A configuration as TOML, with what may be changed and how.

use std::fmt::{self, Display, Formatter};

use super::{AUTO, Config};
use crate::keys::{BINDINGS, Chord, MOUSE};
use crate::theme::Wish;
use crate::theme::palette::INKS;

/// Reading this back gives the same configuration.
impl Display for Config {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "# Configuration of `bayplan top`: this is all of it as it holds now.")?;
        writeln!(
            f,
            "# It is read from $XDG_CONFIG_HOME/bayplan/top.toml or ~/.config/bayplan/top.toml; lines may be left out.\n"
        )?;
        let names: Vec<&str> = self.themes.iter().map(|(name, _)| name.as_str()).collect();
        writeln!(
            f,
            "# One of {AUTO}, {}. {AUTO} is light where COLORFGBG says so, else dark.",
            names.join(", ")
        )?;
        writeln!(f, "theme = \"{}\"\n", self.theme)?;
        writeln!(f, "# One of {}. auto goes by NO_COLOR, COLORTERM and TERM.", Wish::ALLOWED)?;
        writeln!(f, "color = \"{}\"\n", self.color)?;
        writeln!(f, "# Show ASCII only.\nascii = {}\n", self.ascii)?;
        self.write_keys(f)?;
        Self::write_mouse(f)?;
        self.write_themes(f)
    }
}

impl Config {
    fn write_keys(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "# The keys of every action; the first is the one that the help names, [] is none. A key is"
        )?;
        writeln!(f, "# {}.", Chord::ALLOWED)?;
        writeln!(f, "[keys]")?;
        for binding in BINDINGS {
            writeln!(f, "# {}", binding.help)?;
            for act in binding.acts {
                let quote = |chord: &Chord| match chord.to_string().as_str() {
                    "\"" => "'\"'".to_owned(),
                    "\\" => "'\\'".to_owned(),
                    other => format!("\"{other}\""),
                };
                let keys: Vec<String> = self.keys.keys(act.action).iter().map(quote).collect();
                writeln!(f, "{} = [{}]", act.name, keys.join(", "))?;
            }
        }
        Ok(())
    }

    /// The mouse: it cannot be given other things to do, but people look for it here.
    fn write_mouse(f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n# The mouse:")?;
        MOUSE.iter().try_for_each(|(what, help)| writeln!(f, "# - {what}: {help}"))
    }

    fn write_themes(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "\n# Colours: \"#rrggbb\", then which of the 16 stands for it on terminals that have no more. A theme of your own"
        )?;
        writeln!(
            f,
            "# is a table [themes.NAME]; what it leaves out is that of base, \"dark\" or \"light\"."
        )?;
        for (name, palette) in &self.themes {
            writeln!(f, "\n[themes.{name}]")?;
            let mut palette = *palette;
            for (ink_name, about, ink) in INKS {
                writeln!(f, "{ink_name} = \"{}\" # {about}", ink(&mut palette))?;
            }
        }
        Ok(())
    }
}
