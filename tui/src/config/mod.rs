//! What the user has chosen: keys, themes, colours; from `$XDG_CONFIG_HOME/bayplan/top.toml`, a file that is taken whole or
//! not at all.

mod print;
mod read;

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use crate::keys::Keymap;
use crate::theme::{Palette, Wish, palette};

/// Largest file that is read, in bytes.
const MAX_LEN: u64 = 1 << 20;

/// What the user has chosen, all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Config {
    /// Name of the theme, or [`AUTO`].
    pub(crate) theme: String,
    pub(crate) color: Wish,
    pub(crate) ascii: bool,
    pub(crate) keys: Keymap,
    /// Themes by their names: `dark` and `light` first.
    pub(crate) themes: Vec<(String, Palette)>,
}

/// The theme that is chosen by what the terminal says of its ground.
pub(crate) const AUTO: &str = "auto";

impl Default for Config {
    fn default() -> Self {
        let themes = [("dark", palette::DARK), ("light", *palette::LIGHT)];
        Self {
            theme: AUTO.to_owned(),
            color: Wish::Auto,
            ascii: false,
            keys: Keymap::standard().clone(),
            themes: themes.map(|(name, palette)| (name.to_owned(), palette)).into(),
        }
    }
}

/// Why a file is no configuration.
#[derive(Debug)]
pub(crate) enum ConfigError {
    /// It cannot be read.
    File(PathBuf, io::Error),
    /// It says something that is not allowed: the file, the line and the column, counted from 1, and what.
    Wrong(PathBuf, (usize, usize), String),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, error) => write!(f, "cannot read {}: {error}", path.display()),
            Self::Wrong(path, (line, column), what) => {
                write!(f, "{}:{line}:{column}: {what}", path.display())
            }
        }
    }
}

impl Config {
    /// Reads the file that is named, which must be there, or the user's own, if there is one.
    ///
    /// # Errors
    /// The file cannot be read or is wrong: none of it is taken then.
    pub(crate) fn load(
        named: Option<&Path>,
        var: impl Fn(&str) -> Option<std::ffi::OsString>,
    ) -> Result<Self, ConfigError> {
        let own = || {
            let set = |name: &str| var(name).filter(|value| !value.is_empty()).map(PathBuf::from);
            let folder = set("XDG_CONFIG_HOME").filter(|path| path.is_absolute());
            Some(folder.or_else(|| Some(set("HOME")?.join(".config")))?.join("bayplan/top.toml"))
        };
        let Some(path) = named.map(Path::to_path_buf).or_else(own) else { return Ok(Self::default()) };
        match read_file(&path) {
            Ok(text) => {
                Self::read(&text).map_err(|(at, what)| ConfigError::Wrong(path, place(&text, at), what))
            }
            Err(error) if named.is_none() && error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(ConfigError::File(path, error)),
        }
    }

    /// The colours of the theme that is chosen, on a terminal whose ground is dark or light.
    pub(crate) fn palette(&self, ground_is_light: bool) -> Palette {
        let wanted = match (self.theme == AUTO, ground_is_light) {
            (true, true) => "light",
            (true, false) => "dark",
            (false, _) => &self.theme,
        };
        let found = self.themes.iter().find(|(name, _)| name == wanted);
        found.map_or(palette::DARK, |(_, palette)| *palette)
    }
}

fn read_file(path: &Path) -> io::Result<String> {
    // Also a folder or a pipe that somebody names: neither is waited for.
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let mut text = String::new();
    File::open(path)?.take(MAX_LEN + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_LEN {
        return Err(io::Error::other("a configuration has 1 MiB at most"));
    }
    Ok(text)
}

/// Line and column of a byte, counted from 1.
fn place(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at.min(text.len())).unwrap_or(text);
    let line = before.rfind('\n').map_or(0, |end| end + 1);
    (before.matches('\n').count() + 1, before[line..].chars().count() + 1)
}

#[cfg(test)]
#[path = "tests.rs"]
mod tests;
