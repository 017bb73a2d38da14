//! From TOML to a configuration: whole, or an error that says where and what is allowed.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{AUTO, Config};
use crate::keys::{self, Act, Action, Chord, Keymap};
use crate::theme::Wish;
use crate::theme::palette::{self, INKS, Ink, Palette};

/// Where in the text something is wrong, in bytes, and what.
pub(super) type Wrong = (usize, String);
type Value<'a> = Spanned<DeValue<'a>>;

impl Config {
    /// Reads a configuration.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub(super) fn read(text: &str) -> Result<Self, Wrong> {
        let table = DeTable::parse(text)
            .map_err(|error| (error.span().map_or(0, |span| span.start), error.message().to_owned()))?;
        let mut config = Self::default();
        let mut theme = None;
        for (name, value) in table.get_ref() {
            match name.get_ref().as_ref() {
                "theme" => theme = Some((text_of(value, "theme")?, value.span().start)),
                "color" => {
                    let wish = text_of(value, "color")?;
                    config.color = Wish::parse(wish).ok_or_else(|| {
                        wrong(
                            value,
                            format!("there is no color {}; it is one of {}", quoted(wish), Wish::ALLOWED),
                        )
                    })?;
                }
                "ascii" => {
                    config.ascii = value
                        .get_ref()
                        .as_bool()
                        .ok_or_else(|| wrong(value, "ascii is true or false".to_owned()))?;
                }
                "keys" => config.keys = read_keys(table_of(value, "keys")?)?,
                "themes" => read_themes(table_of(value, "themes")?, &mut config.themes)?,
                other => {
                    let what = format!(
                        "there is no setting {}; there are theme, color, ascii, [keys] and [themes.NAME]",
                        quoted(other)
                    );
                    return Err((name.span().start, what));
                }
            }
        }
        if let Some((theme, at)) = theme {
            let names: Vec<&str> = config.themes.iter().map(|(name, _)| name.as_str()).collect();
            if theme != AUTO && !names.contains(&theme) {
                let what =
                    format!("there is no theme {}; there are {AUTO}, {}", quoted(theme), names.join(", "));
                return Err((at, what));
            }
            theme.clone_into(&mut config.theme);
        }
        Ok(config)
    }
}

fn wrong(value: &Value<'_>, what: String) -> Wrong {
    (value.span().start, what)
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", bayplan_text::ellipsis(text, 60))
}

fn text_of<'a>(value: &'a Value<'_>, name: &str) -> Result<&'a str, Wrong> {
    value.get_ref().as_str().ok_or_else(|| wrong(value, format!("{name} is text, in quotes")))
}

fn table_of<'a, 'b>(value: &'a Value<'b>, name: &str) -> Result<&'a DeTable<'b>, Wrong> {
    value.get_ref().as_table().ok_or_else(|| wrong(value, format!("{name} is a table: [{name}]")))
}

/// Reads the keys that the user has given, and looks whether every key does one thing.
fn read_keys(table: &DeTable<'_>) -> Result<Keymap, Wrong> {
    let mut map = Keymap::standard().clone();
    let mut given: Vec<(&'static Act, Chord, usize)> = Vec::new();
    for (name, value) in table {
        let Some(act) = keys::acts().find(|act| act.name == name.get_ref().as_ref()) else {
            let names: Vec<&str> = keys::acts().map(|act| act.name).collect();
            let what =
                format!("there is no action {}; there are {}", quoted(name.get_ref()), names.join(", "));
            return Err((name.span().start, what));
        };
        let chords = read_chords(value, act)?;
        if chords.is_empty() && act.action == Action::Quit {
            return Err(wrong(value, "quit needs a key".to_owned()));
        }
        given.extend(chords.iter().map(|(chord, at)| (act, *chord, *at)));
        map.set(act, chords.into_iter().map(|(chord, _)| chord).collect());
    }
    if let Some((key, a, b)) = map.clash() {
        let of_it = |(act, chord, _): &&(&Act, Chord, usize)| *chord == key && (*act == a || *act == b);
        let at = given.iter().filter(of_it).map(|(.., at)| *at).max().unwrap_or(0);
        let what = if a == b {
            format!("the key {key} is given to {} twice", a.name)
        } else {
            format!(
                "the key {key} does both {} and {}: give one of them another key, or none with []",
                a.name, b.name
            )
        };
        return Err((at, what));
    }
    Ok(map)
}

/// The keys of an action, with where they stand: one in quotes, or several in brackets.
fn read_chords(value: &Value<'_>, act: &Act) -> Result<Vec<(Chord, usize)>, Wrong> {
    let read = |value: &Value<'_>| {
        let what =
            || wrong(value, format!("{} is a key in quotes, or several: [\"a\", \"ctrl-b\"]", act.name));
        let text = value.get_ref().as_str().ok_or_else(what)?;
        Ok((Chord::parse(text).map_err(|what| wrong(value, what))?, value.span().start))
    };
    match value.get_ref() {
        DeValue::Array(values) => values.iter().map(read).collect(),
        _ => Ok(vec![read(value)?]),
    }
}

/// Most themes of a configuration: more than anybody tells apart, and few enough to be looked for one by one.
const MAX_THEMES: usize = 100;

fn read_themes(table: &DeTable<'_>, themes: &mut Vec<(String, Palette)>) -> Result<(), Wrong> {
    // Those that are built in first: others may begin with them as the user has them.
    let built_in = |name: &str| name == "dark" || name == "light";
    if let Some((name, _)) = table.iter().nth(MAX_THEMES) {
        return Err((name.span().start, format!("there are more than {MAX_THEMES} themes")));
    }
    let (first, then): (Vec<_>, Vec<_>) = table.iter().partition(|(name, _)| built_in(name.get_ref()));
    for (name, value) in first.into_iter().chain(then) {
        let (at, name) = (name.span().start, name.get_ref().as_ref());
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if name == AUTO || name.is_empty() || name.len() > 40 || !name.chars().all(plain) {
            let what = format!(
                "a theme cannot be called {}: letters, digits, - and _, and not {AUTO}",
                quoted(name)
            );
            return Err((at, what));
        }
        let own = table_of(value, &format!("themes.{name}"))?;
        let base = if built_in(name) { name } else { base_of(own)? };
        let found = themes.iter().find(|(known, _)| known == base);
        let palette = read_palette(own, found.map_or(palette::DARK, |(_, palette)| *palette))?;
        match themes.iter_mut().find(|(known, _)| known == name) {
            Some((_, old)) => *old = palette,
            None => themes.push((name.to_owned(), palette)),
        }
    }
    Ok(())
}

/// The theme that gives what another one does not say.
fn base_of<'a>(table: &'a DeTable<'_>) -> Result<&'a str, Wrong> {
    let Some((_, value)) = table.iter().find(|(name, _)| name.get_ref() == "base") else { return Ok("dark") };
    let base = text_of(value, "base")?;
    let known = base == "dark" || base == "light";
    known.then_some(base).ok_or_else(|| wrong(value, "base is \"dark\" or \"light\"".to_owned()))
}

fn read_palette(table: &DeTable<'_>, base: Palette) -> Result<Palette, Wrong> {
    let mut palette = base;
    for (name, value) in table {
        let name_of = name.get_ref().as_ref();
        if name_of == "base" {
            continue;
        }
        let Some((_, _, ink)) = INKS.iter().find(|(known, ..)| *known == name_of) else {
            let names: Vec<&str> = INKS.iter().map(|(name, ..)| *name).collect();
            let what = format!(
                "there is no colour of that purpose: {}; there are base, {}",
                quoted(name_of),
                names.join(", ")
            );
            return Err((name.span().start, what));
        };
        let text = text_of(value, name_of)?;
        *ink(&mut palette) = Ink::parse(text).ok_or_else(|| {
            wrong(value, format!("{} is no colour; write \"#rrggbb\", and behind it, if you like, which of the 16 stands for it: {}", quoted(text), Ink::basic_names()))
        })?;
    }
    Ok(palette.settled(&base))
}
