//! The viewer of `bayplan-tui`: watches the device memory of a model run in a terminal.
//!
//! ```text
//! main ─► app ─► watch ─► views/*, windows/* ─► view, list ─► model        arrows: "knows"
//!          │       │                                           │
//!          │       └► feed ► worker ► bayplan-record           └► bayplan-trace
//!          └► picker, events, terminal
//! ```
//! The model knows no view; a view changes nothing: what a click on it means it says by a `Target`, and `watch` does it. A new
//! view is a file in `views` and a row in its table; so is a window. A list is a `List` (columns and cells), whose rows, order
//! and place are the model's (`model::lists`, `model::rows`). Every key is a row of `keys::BINDINGS`.
#![forbid(unsafe_code)]

mod about;
mod app;
mod args;
mod canvas;
mod chrome;
mod compare;
mod config;
mod desk;
#[cfg(test)]
mod diff_tests;
mod draw;
mod error;
mod events;
mod feed;
#[cfg(test)]
mod feed_tests;
#[cfg(test)]
mod figure_tests;
mod finder;
#[cfg(test)]
mod finder_tests;
mod foot;
#[cfg(test)]
mod front_tests;
#[cfg(test)]
mod ghost_tests;
#[cfg(test)]
mod input_tests;
mod keys;
mod list;
#[cfg(test)]
mod list_tests;
#[cfg(test)]
mod loading_tests;
#[cfg(test)]
mod map_tests;
mod model;
#[cfg(test)]
mod moment_tests;
mod narrate;
mod pace;
mod past;
#[cfg(test)]
mod past_tests;
mod paths;
mod picker;
#[cfg(test)]
mod picture_tests;
mod prompt;
pub mod rehearsal;
mod snapshot;
mod summary;
#[cfg(test)]
#[path = "../tests/support/mod.rs"]
mod support;
mod terminal;
mod theme;
#[cfg(test)]
mod time_tests;
mod timebar;
mod view;
mod views;
mod watch;
#[cfg(test)]
mod whatif_tests;
#[cfg(test)]
mod window_tests;
mod windows;
mod worker;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use bayplan_record::{Places, Source, live_runs, open};
use clap::Parser;

use app::End;
use args::Args;
use config::Config;
use error::TuiError;
use theme::Theme;
use watch::Watch;

/// Does what the command line asks for.
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(told) if told.use_stderr() => told.exit(),
        Err(told) => return ended(written(told.print().and_then(|()| io::stdout().flush()))),
    };
    ended(run(&args))
}

fn ended(end: Result<End, TuiError>) -> ExitCode {
    match end {
        Ok(End::Quit) => ExitCode::SUCCESS,
        Ok(End::Signal(signal)) => {
            // The shell sees the signal, as if nobody had caught it.
            let _ = signal_hook::low_level::emulate_default_handler(signal);
            ExitCode::from(u8::try_from(128 + signal).unwrap_or(1))
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<End, TuiError> {
    let mut config = Config::load(args.config.as_deref(), |name| std::env::var_os(name))?;
    config.color = args.color.unwrap_or(config.color);
    config.ascii |= args.ascii;
    if args.print_config {
        return print(&config.to_string());
    }
    let var = |name: &str| std::env::var(name).ok();
    let colours = config.color.colours(io::stdout().is_terminal(), var);
    let theme = Theme::of(&config, colours, theme::ground_is_light(var));
    let places = Places::from_env();
    let source = args.recording.as_deref().map(|name| open(name, &places)).transpose()?;
    if args.text || args.snapshot.is_some() {
        let source = source.map_or_else(|| newest_live(&places), Ok)?;
        if args.text && args.at.is_none() && args.diff.is_none() {
            return narrate::run(source, theme.ascii);
        }
        let mut watch = Watch::open(source, args.view, None)?.with_keys(theme.keys);
        watch.read_all();
        watch.readable()?;
        if let Some(at) = args.at {
            watch.stand_at(at)?;
        }
        if let Some(other) = &args.diff {
            watch.compare_now(other)?;
        }
        if args.text {
            let text = summary::text(&watch.model) + &views::diff_text::told(&watch.model);
            return print(&if theme.ascii { bayplan_text::ascii_text(&text) } else { text });
        }
        let size = args.snapshot.unwrap_or((80, 24));
        let keys = args.key.as_ref().map_or(&[][..], |keys| &keys.0);
        return print(&snapshot::picture(&mut watch, size, keys, &theme));
    }
    app::run(source, places, theme, args.view, args.diff.as_deref())
}

fn newest_live(places: &Places) -> Result<Source, TuiError> {
    let newest = live_runs(places)?.into_iter().next();
    newest.map(|run| Source::of_run(run, places)).ok_or(TuiError::NoRecording)
}

/// Prints; that nobody reads any more is no error.
fn print(text: &str) -> Result<End, TuiError> {
    written(io::stdout().write_all(text.as_bytes()))
}

fn written(result: io::Result<()>) -> Result<End, TuiError> {
    match result {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(TuiError::Output(error)),
        _ => Ok(End::Quit),
    }
}
