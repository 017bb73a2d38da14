//! The command line.

use clap::Parser;

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
        bayplan-tui run.bptrace --snapshot 120x40 --view 2 > picture.txt\n\n\
        Environment: NO_COLOR, COLORTERM and TERM choose the colours."
)]
pub(crate) struct Args {
    /// A recording file, a folder of segments, a process id, the start of a run's name, or - for standard input; keys then
    /// come from the terminal itself. Without it: pick from the live runs.
    pub(crate) recording: Option<String>,
    /// Print a summary as plain text and exit.
    #[arg(long, conflicts_with = "snapshot")]
    pub(crate) text: bool,
    /// Use ASCII only.
    #[arg(long)]
    pub(crate) ascii: bool,
    /// Print one picture of this size as text and exit.
    #[arg(long, value_name = "COLSxROWS", value_parser = size, requires = "recording")]
    pub(crate) snapshot: Option<(u16, u16)>,
    /// The view to begin with.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=VIEWS.len() as i64))]
    pub(crate) view: u8,
}

/// Largest picture, in columns or rows.
const MAX_SIDE: u16 = 2000;

fn size(text: &str) -> Result<(u16, u16), String> {
    let sides = text.split_once(['x', 'X', '×']);
    let parsed = sides.and_then(|(cols, rows)| Some((cols.parse().ok()?, rows.parse().ok()?)));
    let fits = |side: u16| (1..=MAX_SIDE).contains(&side);
    match parsed {
        Some((cols, rows)) if fits(cols) && fits(rows) => Ok((cols, rows)),
        Some(_) => Err(format!("sides go from 1 to {MAX_SIDE}")),
        None => Err("write it as columns x rows, like 120x40".to_owned()),
    }
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
    }
}
