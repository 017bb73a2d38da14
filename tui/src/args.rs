//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Parser;
use crossterm::event::KeyEvent;

use crate::keys::Chord;
use crate::model::moment::At;
use crate::theme::Wish;
use crate::views::VIEWS;

/// Watch the device memory of a model run: live, or from its recording.
#[derive(Debug, Parser)]
#[command(
    name = "bayplan-tui",
    version,
    after_help = "Examples:\n  \
        bayplan-tui                                pick from the live runs\n  \
        bayplan-tui run.bptrace                    open a recording\n  \
        bayplan-tui 4711                           watch the newest run of process 4711\n  \
        ssh HOST bayplan tail 4711 | bayplan-tui - watch a run on another machine\n  \
        bayplan-tui run.bptrace --snapshot 120x40 --view 'bay plan' --color 256\n  \
        bayplan-tui --text | tee run.log           tell what happens, line by line\n  \
        bayplan-tui run.bptrace --text --at peak   tell what holds when most lives\n  \
        bayplan-tui --print-config > ~/.config/bayplan/top.toml\n\n\
        Environment: NO_COLOR, COLORTERM and TERM choose the colours, COLORFGBG the theme."
)]
pub(crate) struct Args {
    /// A recording file, a folder of segments, a process id, the start of a run's name, or - for standard input; keys then
    /// come from the terminal itself. Without it: pick from the live runs.
    pub(crate) recording: Option<OsString>,
    /// Tell in lines of plain text what the recording holds and, while the run is live, what happens; with --at or --diff, of
    /// that moment and of what differs, and no further.
    #[arg(long, conflicts_with = "snapshot", group = "told")]
    pub(crate) text: bool,
    /// Use ASCII only.
    #[arg(long)]
    pub(crate) ascii: bool,
    /// Print one picture of this size and exit: with colours on a terminal or where --color says so, else as plain text.
    /// Without a recording, of the newest live run.
    #[arg(long, value_name = "COLSxROWS", value_parser = size, group = "told")]
    pub(crate) snapshot: Option<(u16, u16)>,
    /// The view to begin with: its number or its name.
    #[arg(long, value_name = "N|NAME", default_value = "1", value_parser = view)]
    pub(crate) view: usize,
    /// Press these keys first, with blanks between: '? page-down', '/ c o n v enter'.
    #[arg(long, value_name = "KEYS", value_parser = keys, requires = "snapshot", allow_hyphen_values = true, conflicts_with_all = ["text", "print_config"])]
    pub(crate) key: Option<Keys>,
    /// The colours that are used: auto, always, never, 16, 256 or true.
    #[arg(long, value_name = "WHEN", value_parser = color)]
    pub(crate) color: Option<Wish>,
    /// Take keys and themes from this file; without it, from $XDG_CONFIG_HOME/bayplan/top.toml, if that is there.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print all of the configuration as it holds, with what can be changed, and exit.
    #[arg(long, conflicts_with_all = ["recording", "snapshot", "text"])]
    pub(crate) print_config: bool,
    /// Compare with that recording: a file, a folder, or the name of a run.
    #[arg(long, value_name = "RECORDING", requires = "recording", conflicts_with = "print_config")]
    pub(crate) diff: Option<OsString>,
    /// Show that moment, with --snapshot or --text: a time since the session began (1.5s) or before its end (-1.5s), run:12, when
    /// most lived (peak), or the end.
    #[arg(long, value_name = "WHEN", value_parser = At::parse, requires = "told", allow_hyphen_values = true, conflicts_with = "print_config")]
    pub(crate) at: Option<At>,
}

/// Largest picture, in columns or rows.
pub(crate) const MAX_SIDE: u16 = 2000;

fn size(text: &str) -> Result<(u16, u16), String> {
    let is_number = |side: &str| !side.is_empty() && side.bytes().all(|byte| byte.is_ascii_digit());
    let sides = text.split_once(['x', 'X', '×']).filter(|(cols, rows)| is_number(cols) && is_number(rows));
    let Some((cols, rows)) = sides else {
        return Err("write it as columns x rows, like 120x40".to_owned());
    };
    // However many digits there are, they are a size.
    let side = |side: &str| side.parse().ok().filter(|side| (1..=MAX_SIDE).contains(side));
    side(cols)
        .zip(side(rows))
        .ok_or_else(|| format!("it has 1 to {MAX_SIDE} columns and 1 to {MAX_SIDE} rows"))
}

/// Keys to be pressed.
#[derive(Clone, Debug)]
pub(crate) struct Keys(pub(crate) Vec<KeyEvent>);

fn keys(text: &str) -> Result<Keys, String> {
    let read = |key: &str| Chord::parse(key).map(Chord::event);
    text.split_whitespace().map(read).collect::<Result<_, _>>().map(Keys)
}

fn color(text: &str) -> Result<Wish, String> {
    Wish::parse(text).ok_or_else(|| format!("it is one of {}", Wish::ALLOWED))
}

/// The number in the table of the view of that number, counted from 1, or whose name begins so.
fn view(text: &str) -> Result<usize, String> {
    let wanted = text.to_lowercase();
    let by_number =
        text.parse().ok().filter(|number| (1..=VIEWS.len()).contains(number)).map(|number| number - 1);
    let named = |view: &&dyn crate::view::View| view.title().to_lowercase().starts_with(&wanted);
    by_number.or_else(|| VIEWS.iter().position(named).filter(|_| !wanted.is_empty())).ok_or_else(|| {
        let names = VIEWS.iter().enumerate().map(|(at, view)| format!("{} {}", at + 1, view.title()));
        format!("the views are {}", names.collect::<Vec<_>>().join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn sizes() {
        let check = |text: &str, expect: Option<(u16, u16)>| assert_eq!(size(text).ok(), expect, "{text}");
        check("80x24", Some((80, 24)));
        check("1X1", Some((1, 1)));
        check("0x5", None);
        check("80", None);
        check("80x24x2", None);
        check("99999x1", None);
        check("2001x1", None);
        check("+80x24", None);
        for (text, words) in
            [("65536x1", "1 to 2000"), ("1x99999999999999999999", "1 to 2000"), ("80", "like 120x40")]
        {
            assert!(size(text).unwrap_err().contains(words), "{text}");
        }
    }

    #[test]
    fn views_are_named_or_counted() {
        for (text, expect) in [
            ("1", Some(0)),
            ("bay", Some(1)),
            ("Bay plan", Some(1)),
            ("", None),
            ("0", None),
            ("99", None),
            ("x", None),
        ] {
            assert_eq!(view(text).ok(), expect, "{text}");
        }
    }

    #[test]
    fn keys_are_those_of_the_configuration() {
        assert_eq!(keys(" ? page-down  ctrl-l").unwrap().0.len(), 3);
        assert!(keys("? Page-Down").is_err());
    }
}
