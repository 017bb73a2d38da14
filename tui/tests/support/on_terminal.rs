//! The viewer on a pseudo-terminal, and what its bytes make a terminal show.
#![allow(dead_code, reason = "tests and benches use a part each")]

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Termios, Winsize, tcgetattr, tcsetwinsize};

/// Longest time anything is waited for; the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The viewer on a terminal of its own.
pub(crate) struct OnTerminal {
    pub(crate) child: Child,
    /// Our end of the terminal.
    master: OwnedFd,
    /// Its end, kept open so that its settings can be looked at afterwards.
    pub(crate) slave: OwnedFd,
    /// Its settings before anything was started on it.
    pub(crate) modes: Termios,
    output: Receiver<(Instant, Vec<u8>)>,
    seen: Vec<u8>,
    screen: Screen,
}

impl OnTerminal {
    /// Starts it with its folders below `home`, on a terminal of 80×24.
    pub(crate) fn start(home: &Path, args: &[&str]) -> Self {
        Self::sized(home, args, (80, 24))
    }

    /// As [`OnTerminal::start`], on a terminal of so many columns and rows.
    pub(crate) fn sized(home: &Path, args: &[&str], size: (u16, u16)) -> Self {
        Self::with(home, args, size, &[])
    }

    /// As [`OnTerminal::sized`], with more in the environment. A title is there before.
    pub(crate) fn with(
        home: &Path,
        args: &[&str],
        (columns, rows): (u16, u16),
        env: &[(&str, &str)],
    ) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let open = || File::options().read(true).write(true).open(&name).unwrap();
        let slave = OwnedFd::from(open());
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&slave, size).unwrap();
        let modes = tcgetattr(&slave).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_bayplan-tui"))
            .args(args)
            .stdin(open())
            .stdout(open())
            .stderr(open())
            .env("TERM", "xterm-256color")
            .env("XDG_RUNTIME_DIR", home.join("runtime"))
            .env("XDG_STATE_HOME", home.join("state"))
            .env("XDG_CONFIG_HOME", home.join("config"))
            .env_remove("NO_COLOR")
            .env_remove("COLORTERM")
            .env_remove("COLORFGBG")
            .envs(env.iter().copied())
            .spawn()
            .unwrap();
        let (sender, output) = channel();
        let mut reader = File::from(master.as_fd().try_clone_to_owned().unwrap());
        std::thread::spawn(move || {
            let mut bytes = [0; 1 << 16];
            while let Ok(count @ 1..) = reader.read(&mut bytes) {
                if sender.send((Instant::now(), bytes[..count].to_vec())).is_err() {
                    return;
                }
            }
        });
        let mut screen = Screen::new(columns, rows);
        screen.feed(b"\x1b]0;before\x07");
        Self { child, master, slave, modes, output, seen: Vec::new(), screen }
    }

    /// Takes what comes within a time; returns how much that was.
    pub(crate) fn listen(&mut self, time: Duration) -> usize {
        let (end, before) = (Instant::now() + time, self.seen.len());
        while let Ok((_, bytes)) = self.output.recv_timeout(end.saturating_duration_since(Instant::now())) {
            self.screen.feed(&bytes);
            self.seen.extend(bytes);
        }
        self.seen.len() - before
    }

    /// Waits for a word, and forgets what came before it. Blanks are not sent where the screen is blank already, so
    /// that it has to be one word.
    pub(crate) fn wait_for(&mut self, wanted: &str) {
        let end = Instant::now() + PATIENCE;
        loop {
            let bytes = wanted.as_bytes();
            if let Some(at) = self.seen.windows(bytes.len()).position(|part| part == bytes) {
                self.seen.drain(..at + wanted.len());
                return;
            }
            match self.output.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok((_, bytes)) => {
                    self.screen.feed(&bytes);
                    self.seen.extend(bytes);
                }
                Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                    panic!("{:?} never came; got {}", wanted, String::from_utf8_lossy(&self.seen))
                }
            }
        }
    }

    /// Waits until the screen shows what is looked for; the time at which the bytes came that made it so. `None` where they
    /// did not within `patience`.
    pub(crate) fn wait_for_screen(
        &mut self,
        patience: Duration,
        shows: impl Fn(&Screen) -> bool,
    ) -> Option<Instant> {
        let end = Instant::now() + patience;
        loop {
            let at = self.next_bytes(end.saturating_duration_since(Instant::now()))?;
            if !self.screen.is_updating() && shows(&self.screen) {
                return Some(at);
            }
        }
    }

    /// Waits until the screen shows what is looked for.
    ///
    /// # Panics
    /// It does not, for a long time; the screen is told.
    pub(crate) fn until(&mut self, what: &str, shows: impl Fn(&Screen) -> bool) {
        let shown = !self.screen.is_updating() && shows(&self.screen);
        if !shown && self.wait_for_screen(PATIENCE, shows).is_none() {
            panic!("{what}; the screen shows\n{}", self.screen.text());
        }
    }

    /// Waits until the screen has the text.
    pub(crate) fn until_shown(&mut self, text: &str) {
        self.until(&format!("{text:?} never came"), |screen| screen.contains(text));
    }

    /// Takes what comes until nothing does for a while, and the rest of a picture however long that takes.
    pub(crate) fn drain(&mut self) {
        let patience =
            |screen: &Screen| if screen.is_updating() { PATIENCE } else { Duration::from_millis(60) };
        while self.next_bytes(patience(&self.screen)).is_some() {}
    }

    /// Throws away what has come, where the screen is drawn anew afterwards.
    pub(crate) fn discard(&mut self) {
        while self.output.try_recv().is_ok() {}
    }

    /// Changes the size of the terminal, and tells the program as a terminal does.
    pub(crate) fn resize(&mut self, (columns, rows): (u16, u16)) {
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.slave, size).unwrap();
        self.screen.resize(columns, rows);
        self.signal(Signal::WINCH);
    }

    /// Waits for the next bytes and puts them on the screen; when they came. `None` where none did in time.
    pub(crate) fn next_bytes(&mut self, patience: Duration) -> Option<Instant> {
        let (at, bytes) = self.output.recv_timeout(patience).ok()?;
        self.screen.feed(&bytes);
        Some(at)
    }

    /// What the terminal shows, by the bytes that [`OnTerminal::wait_for_screen`] took.
    pub(crate) fn screen(&self) -> &Screen {
        &self.screen
    }

    pub(crate) fn send(&mut self, keys: &str) {
        let mut master = File::from(self.master.as_fd().try_clone_to_owned().unwrap());
        master.write_all(keys.as_bytes()).unwrap();
    }

    /// Another program writes to the terminal.
    pub(crate) fn written_by_another(&mut self, bytes: &[u8]) {
        self.screen.feed(bytes);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until a signal has stopped the process, as Linux tells.
    pub(crate) fn wait_until_stopped(&self) {
        let end = Instant::now() + PATIENCE;
        let status = format!("/proc/{}/stat", self.child.id());
        // Behind the name in brackets comes the state.
        while !std::fs::read_to_string(&status).is_ok_and(|text| text.contains(") T ")) {
            assert!(Instant::now() < end, "the viewer did not stop");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    pub(crate) fn is_raw(&self) -> bool {
        !tcgetattr(&self.slave).unwrap().local_modes.contains(LocalModes::ECHO)
    }

    pub(crate) fn end(&mut self) -> ExitStatus {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "the viewer did not end");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for OnTerminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a terminal makes of the bytes that it is sent.
pub(crate) struct Screen(vt100::Parser<Beside>);

/// What a terminal knows beside its cells: the window's title, those that were put away below it, and whether the program is in
/// the middle of a picture that is to show at once.
#[derive(Default)]
pub(crate) struct Beside {
    shown: String,
    kept: Vec<String>,
    updating: bool,
}

impl vt100::Callbacks for Beside {
    fn set_window_title(&mut self, _: &mut vt100::Screen, title: &[u8]) {
        self.shown = String::from_utf8_lossy(title).into_owned();
    }

    fn unhandled_csi(
        &mut self,
        _: &mut vt100::Screen,
        _: Option<u8>,
        _: Option<u8>,
        parameters: &[&[u16]],
        last: char,
    ) {
        match (parameters, last) {
            ([[2026]], 'h' | 'l') => self.updating = last == 'h',
            ([[22], [0 | 2]], 't') => self.kept.push(self.shown.clone()),
            ([[23], [0 | 2]], 't') => self.shown = self.kept.pop().unwrap_or_default(),
            _ => {}
        }
    }
}

/// What programs leave behind on a terminal.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Left {
    pub(crate) text: String,
    pub(crate) alternate: bool,
    pub(crate) cursor_is_hidden: bool,
    pub(crate) mouse: String,
    pub(crate) title: String,
}

impl Screen {
    fn new(columns: u16, rows: u16) -> Self {
        Self(vt100::Parser::new_with_callbacks(rows, columns, 0, Beside::default()))
    }

    /// A row, counted from 0, without the blanks at its end.
    pub(crate) fn row(&self, row: usize) -> String {
        self.0.screen().contents().lines().nth(row).unwrap_or_default().trim_end().to_owned()
    }

    /// Whether the text stands anywhere, within a row.
    pub(crate) fn contains(&self, text: &str) -> bool {
        self.0.screen().contents().contains(text)
    }

    /// Whether the picture is not whole yet: a terminal with synchronized updates still shows the one before.
    pub(crate) fn is_updating(&self) -> bool {
        self.0.callbacks().updating
    }

    /// All of the text.
    pub(crate) fn text(&self) -> String {
        self.0.screen().contents()
    }

    /// What every cell shows, a row each: a blank that was written is one that never was.
    pub(crate) fn picture(&self) -> Vec<Vec<String>> {
        let screen = self.0.screen();
        let (rows, columns) = screen.size();
        let cell = |row, column| {
            let cell = screen.cell(row, column)?;
            let text = if cell.has_contents() { cell.contents() } else { " " };
            // The colour of a blank is not seen.
            let fg = if text == " " && !cell.inverse() { vt100::Color::Default } else { cell.fgcolor() };
            Some(format!("{text} {fg:?} {:?} {}", cell.bgcolor(), cell.inverse()))
        };
        (0..rows).map(|row| (0..columns).filter_map(|column| cell(row, column)).collect()).collect()
    }

    /// What a program has left behind.
    pub(crate) fn left(&self) -> Left {
        let screen = self.0.screen();
        Left {
            text: screen.contents().trim().to_owned(),
            alternate: screen.alternate_screen(),
            cursor_is_hidden: screen.hide_cursor(),
            mouse: format!("{:?} {:?}", screen.mouse_protocol_mode(), screen.mouse_protocol_encoding()),
            title: self.0.callbacks().shown.clone(),
        }
    }

    fn feed(&mut self, bytes: &[u8]) {
        self.0.process(bytes);
    }

    fn resize(&mut self, columns: u16, rows: u16) {
        self.0.screen_mut().set_size(rows, columns);
    }
}
