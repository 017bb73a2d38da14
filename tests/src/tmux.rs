//! Terminals for tests: tmux without a person in front of it.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use crate::program::{Sandbox, run};

/// A tmux server of its own, whose terminals all have one size. It ends with this value.
pub struct Tmux<'s> {
    sandbox: &'s Sandbox,
    columns: u16,
    rows: u16,
}

/// A terminal, by tmux's number for its pane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pane(String);

impl<'s> Tmux<'s> {
    /// Terminals of that size. The programs in them see the sandbox's folders.
    pub fn new(sandbox: &'s Sandbox, columns: u16, rows: u16) -> Self {
        // No status line, so that a pane has the whole size; panes outlive their programs, to be looked at.
        let settings = "set -g status off\nset -g remain-on-exit on\nset -g default-terminal screen-256color\nset -s escape-time 0\n";
        fs::write(sandbox.path("tmux.conf"), settings).expect("a file is written");
        Self { sandbox, columns, rows }
    }

    /// Opens a terminal that runs a command of the shell.
    ///
    /// # Panics
    /// When tmux is not installed or refuses.
    pub fn open(&self, command: &str) -> Pane {
        let (columns, rows) = (self.columns.to_string(), self.rows.to_string());
        let ask = ["-d", "-P", "-F", "#{pane_id}"];
        let id = self.tmux(&[&["new-session"], &ask[..], &["-x", &columns, "-y", &rows, command]].concat());
        Pane(id.trim().into())
    }

    /// What stands in a terminal, without colours; lines without the blanks at their ends.
    pub fn screen(&self, pane: &Pane) -> String {
        self.tmux(&["capture-pane", "-p", "-t", &pane.0])
    }

    /// Presses keys, by tmux's names for them.
    pub fn keys(&self, pane: &Pane, keys: &[&str]) {
        self.tmux(&[&["send-keys", "-t", &pane.0], keys].concat());
    }

    /// Types a line and ends it.
    pub fn line(&self, pane: &Pane, text: &str) {
        self.tmux(&["send-keys", "-t", &pane.0, "-l", text]);
        self.keys(pane, &["Enter"]);
    }

    /// Gives a terminal another size.
    pub fn resize(&self, pane: &Pane, columns: u16, rows: u16) {
        let (columns, rows) = (columns.to_string(), rows.to_string());
        self.tmux(&["resize-window", "-t", &pane.0, "-x", &columns, "-y", &rows]);
    }

    /// The process that a terminal began with.
    ///
    /// # Panics
    /// When tmux names none.
    pub fn pid(&self, pane: &Pane) -> u32 {
        let pid = self.tmux(&["display-message", "-p", "-t", &pane.0, "#{pane_pid}"]);
        pid.trim().parse().unwrap_or_else(|_| panic!("{pane:?} has the process {pid:?}"))
    }

    /// All terminals, in the order in which they were opened.
    pub fn panes(&self) -> Vec<Pane> {
        let listed = self.tmux(&["list-panes", "-a", "-F", "#{pane_id}"]);
        listed.lines().map(|id| Pane(id.into())).collect()
    }

    /// Waits until a terminal shows what is looked for; gives the screen and how long it took.
    ///
    /// # Panics
    /// When it does not within `patience`; the message shows the screen.
    #[track_caller]
    pub fn wait(
        &self,
        pane: &Pane,
        what: &str,
        patience: Duration,
        shows: impl Fn(&str) -> bool,
    ) -> (String, Duration) {
        let begun = Instant::now();
        loop {
            let screen = self.screen(pane);
            let passed = begun.elapsed();
            if shows(&screen) {
                return (screen, passed);
            }
            assert!(passed < patience, "no {what} after {} s:\n{screen}", passed.as_secs());
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn tmux(&self, words: &[&str]) -> String {
        let ended = run(&mut self.command(words));
        assert_eq!(ended.code, Some(0), "tmux {words:?}: {ended:?}");
        ended.stdout
    }

    fn command(&self, words: &[&str]) -> Command {
        let (socket, settings) = (self.sandbox.path("tmux"), self.sandbox.path("tmux.conf"));
        let mut command = self.sandbox.program("tmux".as_ref(), &["-u", "-S"]);
        command.arg(socket).arg("-f").arg(settings).args(words).env("LC_ALL", "C.UTF-8").env_remove("TMUX");
        command.env_remove("NO_COLOR");
        command
    }
}

impl Drop for Tmux<'_> {
    fn drop(&mut self) {
        // Programs in the terminals end with their terminal.
        let _ = run(&mut self.command(&["kill-server"]));
    }
}
