//! The definition against itself and the README.

use std::collections::BTreeSet;

use clap::{ArgAction, CommandFactory};

use super::*;

fn subcommands() -> Vec<clap::Command> {
    let mut program = Arguments::command();
    program.build();
    program.get_subcommands().filter(|command| command.get_name() != "help").cloned().collect()
}

#[test]
fn the_definition_is_sound() {
    Arguments::command().debug_assert();
}

#[test]
fn every_command_shows_an_example_that_it_understands() {
    for mut command in subcommands() {
        let name = command.get_name().to_owned();
        let help = command.render_long_help().to_string();
        let example = help.lines().find_map(|line| line.strip_prefix("Example: "));
        let example = example.unwrap_or_else(|| panic!("{name}: no example in\n{help}"));
        assert!(example.starts_with(&format!("bayplan {name} ")), "{example}");
        if let Err(e) = Arguments::try_parse_from(words(example)) {
            panic!("{example}: {e}");
        }
    }
}

/// The words of a command line, as a shell takes them: quotes hold one together.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().expect("there is one").push(c),
        }
    }
    words
}

#[test]
fn help_fits_a_hundred_columns() {
    for mut command in subcommands() {
        for help in [command.render_help(), command.render_long_help()] {
            let help = help.to_string();
            let long = help.lines().find(|line| bayplan_text::columns(line) > 100);
            assert_eq!(long, None, "{}", command.get_name());
        }
    }
}

/// The options of a command as the README writes them: `--dim NAME=VALUE…`.
fn options(command: &clap::Command) -> BTreeSet<String> {
    let option = |arg: &clap::Arg| {
        let mut text = format!("--{}", arg.get_long()?);
        if arg.get_action().takes_values() {
            let listed: Vec<String> =
                arg.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
            let names = arg.get_value_names().unwrap_or_default();
            let value = if listed.is_empty() { names.concat() } else { listed.join("|") };
            text += &format!(" {value}");
        }
        let repeats = matches!(arg.get_action(), ArgAction::Append);
        Some(text + if repeats { "…" } else { "" })
    };
    let told = |arg: &&clap::Arg| !arg.is_hide_set() && !matches!(arg.get_id().as_str(), "help" | "version");
    let own = command.get_arguments().filter(told);
    own.filter_map(option).collect()
}

/// The options of each line in the README's table: `[--dim NAME=VALUE]…`.
fn documented(line: &str) -> BTreeSet<String> {
    let parts = line.split('[').filter(|part| part.starts_with("--"));
    parts.map(|part| part.trim_end().replacen(']', "", 1)).collect()
}

#[test]
fn the_readme_lists_every_option_and_no_other() {
    let readme = include_str!("../../../../README.md");
    let table = readme.split("```usage\n").nth(1).and_then(|rest| rest.split("```").next());
    let lines: Vec<&str> = table.expect("a block of usage in the README").lines().collect();
    let named = |name: &str| lines.iter().find(|line| line.split(' ').nth(1) == Some(name));
    assert_eq!(lines.len(), subcommands().len(), "{lines:?}");
    for command in subcommands() {
        let name = command.get_name();
        let line = named(name).unwrap_or_else(|| panic!("the README does not list {name}"));
        // What follows `top` belongs to the viewer.
        if name != "top" {
            assert_eq!(documented(line), options(&command), "{name}");
        }
    }
}
