//! The table of commands in the README, and the same out of the programs' help.
//!
//! A line of the table, in the README's block of the language `usage`:
//!
//! ```text
//! bayplan plan MODEL|INSTANCE.csv [--dim NAME=VALUE]… [--format text|json|csv] [--json]
//! ```
//!
//! Positional arguments in capitals, optional ones in brackets; flags with the name of their value, or all its values;
//! `…` where a flag may be repeated.

/// What one command takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Usage {
    /// `run`.
    pub(crate) command: String,
    /// `MODEL`, `[RECORDING]`.
    pub(crate) positional: Vec<String>,
    /// In order of their names.
    pub(crate) flags: Vec<Flag>,
}

/// `--format text|json`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Flag {
    /// With its dashes.
    pub(crate) name: String,
    /// Name of its value, or its values between `|`; empty for a switch.
    pub(crate) value: String,
}

/// The commands of the README's block ```` ```usage ````.
///
/// # Errors
/// There is no such block, or a line of it cannot be read.
pub(crate) fn table(readme: &str) -> Result<Vec<Usage>, String> {
    let (_, rest) = readme.split_once("```usage\n").ok_or("there is no block ```usage")?;
    let (block, _) = rest.split_once("\n```").ok_or("the block ```usage does not end")?;
    block.lines().filter(|line| !line.trim().is_empty()).map(line).collect()
}

fn line(text: &str) -> Result<Usage, String> {
    let rest =
        text.strip_prefix("bayplan ").ok_or_else(|| format!("{text:?} does not begin with bayplan"))?;
    let (command, mut rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let mut usage = Usage { command: command.into(), positional: Vec::new(), flags: Vec::new() };
    while !rest.trim_start().is_empty() {
        rest = rest.trim_start();
        let (group, after) = if let Some(inner) = rest.strip_prefix('[') {
            inner.split_once(']').ok_or_else(|| format!("a bracket of {text:?} is not closed"))?
        } else {
            rest.split_once(' ').unwrap_or((rest, ""))
        };
        let optional = rest.starts_with('[');
        match (group.strip_prefix("--"), optional) {
            (Some(_), _) => {
                let (name, value) = group.split_once(' ').unwrap_or((group, ""));
                usage.flags.push(Flag { name: name.into(), value: value.into() });
            }
            (None, true) => usage.positional.push(format!("[{group}]")),
            (None, false) => usage.positional.push(group.into()),
        }
        rest = after.trim_start_matches('…');
    }
    usage.flags.sort();
    Ok(usage)
}

/// The names of the commands in a help text.
pub(crate) fn commands(help: &str) -> Vec<String> {
    let list = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let rows = list.take_while(|line| !line.is_empty());
    // Names are indented by two; what continues a description, by more.
    let names = rows.filter_map(|row| row.strip_prefix("  ").filter(|row| !row.starts_with(' ')));
    let names = names.filter_map(|row| row.split_whitespace().next());
    names.filter(|name| *name != "help").map(String::from).collect()
}

/// What a command takes, by its short help.
pub(crate) fn from_help(command: &str, help: &str) -> Usage {
    let mut usage = Usage { command: command.into(), positional: Vec::new(), flags: Vec::new() };
    let mut usage_line = help.lines().filter_map(|line| line.strip_prefix("Usage: "));
    let words = usage_line.next().unwrap_or_default().split_whitespace();
    // A flag that has to be given stands there with its value.
    let mut before = "";
    for word in words.filter(|word| *word != "[OPTIONS]") {
        if std::mem::replace(&mut before, word).starts_with("--") {
            continue;
        }
        if let Some(name) = word.strip_prefix('<') {
            usage.positional.push(name.trim_end_matches('.').trim_end_matches('>').into());
        } else if word.starts_with('[') {
            usage.positional.push(word.trim_end_matches('.').into());
        }
    }
    // A description that does not fit one line goes on in the next.
    let mut rows: Vec<String> = Vec::new();
    for line in
        help.lines().skip_while(|line| *line != "Options:").skip(1).take_while(|line| !line.is_empty())
    {
        if line.trim_start().starts_with('-') {
            rows.push(line.trim_start().into());
        } else if let Some(row) = rows.last_mut() {
            *row = format!("{row} {}", line.trim_start());
        }
    }
    for row in rows {
        let words = row.split_whitespace();
        let mut words = words.skip_while(|word| !word.starts_with("--"));
        let name = words.next().unwrap_or_default().to_string();
        let named =
            words.next().and_then(|word| word.strip_prefix('<')).map(|word| word.trim_end_matches('>'));
        let possible = row.split_once("[possible values: ").and_then(|(_, rest)| rest.split_once(']'));
        let value = match (named, possible) {
            (Some(_), Some((values, _))) => values.replace(", ", "|"),
            (Some(named), None) => named.into(),
            (None, _) => String::new(),
        };
        if !["--help", "--version"].contains(&name.as_str()) {
            usage.flags.push(Flag { name, value });
        }
    }
    usage.flags.sort();
    usage
}

/// What the README says and the program does not, and the other way round.
pub(crate) fn differences(stated: &Usage, actual: &Usage) -> Vec<String> {
    let mut wrong = Vec::new();
    let command = &stated.command;
    if stated.positional != actual.positional {
        wrong.push(format!(
            "{command}: arguments {:?}, by the program {:?}",
            stated.positional, actual.positional
        ));
    }
    let show = |flag: &Flag| format!("{command}: {} {}", flag.name, flag.value);
    let missing = actual.flags.iter().filter(|flag| !stated.flags.contains(flag));
    wrong.extend(missing.map(|flag| format!("{} is not in README.md", show(flag))));
    let gone = stated.flags.iter().filter(|flag| !actual.flags.contains(flag));
    wrong.extend(gone.map(|flag| format!("{} is not in the program", show(flag))));
    wrong
}

#[cfg(test)]
mod tests {
    use super::*;

    const README: &str = "text\n```usage\nbayplan plan MODEL|INSTANCE.csv [--dim NAME=VALUE]… [--format text|json] [--json]\nbayplan top [RECORDING]\n```\n";

    const HELP: &str = "Plan.\n\nUsage: bayplan plan [OPTIONS] <MODEL|INSTANCE.csv>\n\nArguments:\n  <MODEL|INSTANCE.csv>  The file\n\nOptions:\n      --dim <NAME=VALUE>  A dimension\n      --format <FORMAT>   What to print, at some\n                          length [default: text] [possible values: text, json]\n      --json              Short for --format json\n  -h, --help              Print help\n\nExample: none\n";

    #[test]
    fn table_and_help_agree_where_they_do() {
        let stated = table(README).expect("a table");
        assert_eq!(stated[1].positional, ["[RECORDING]"]);
        let actual = from_help("plan", HELP);
        assert_eq!(differences(&stated[0], &actual), Vec::<String>::new(), "{actual:?}");
    }

    #[test]
    fn each_difference_is_named() {
        let stated = &table(README).expect("a table")[0];
        let check = |from: &str, to: &str, expect: &[&str]| {
            let found = differences(stated, &from_help("plan", &HELP.replace(from, to)));
            assert_eq!(found.len(), expect.len(), "{found:?}");
            assert!(found.iter().zip(expect).all(|(found, expect)| found.contains(expect)), "{found:?}");
        };
        check(".csv>\n\nA", ".csv> [MORE]\n\nA", &["arguments"]);
        check(
            "text, json]",
            "text, json, csv]",
            &["text|json|csv is not in README", "text|json is not in the"],
        );
        check("--json ", "--yaml ", &["--yaml  is not in README.md", "--json  is not in the program"]);
        assert!(table("nothing").is_err());
    }

    #[test]
    fn commands_are_found() {
        let help =
            "Usage: x\n\nCommands:\n  run   Run it\n        for long\n  help  Print\n\nOptions:\n  -h\n";
        assert_eq!(commands(help), ["run"]);
    }
}
