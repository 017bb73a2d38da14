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
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

/// Longest time anything is waited for; the machine may be busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The viewer on a terminal of its own.
pub(crate) struct OnTerminal {
    pub(crate) child: Child,
    /// Our end of the terminal.
    master: OwnedFd,
    /// Its end, kept open so that its settings can be looked at afterwards.
    pub(crate) slave: OwnedFd,
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
    pub(crate) fn sized(home: &Path, args: &[&str], (columns, rows): (u16, u16)) -> Self {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
        let open = || File::options().read(true).write(true).open(&name).unwrap();
        let slave = OwnedFd::from(open());
        let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&slave, size).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_bayplan-tui"))
            .args(args)
            .stdin(open())
            .stdout(open())
            .stderr(open())
            .env("TERM", "xterm-256color")
            .env("XDG_RUNTIME_DIR", home.join("runtime"))
            .env("XDG_STATE_HOME", home.join("state"))
            .env_remove("NO_COLOR")
            .env_remove("COLORTERM")
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
        Self { child, master, slave, output, seen: Vec::new(), screen: Screen::new(columns, rows) }
    }

    /// Takes what comes within a time; returns how much that was.
    pub(crate) fn listen(&mut self, time: Duration) -> usize {
        let (end, before) = (Instant::now() + time, self.seen.len());
        while let Ok((_, bytes)) = self.output.recv_timeout(end.saturating_duration_since(Instant::now())) {
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
                Ok((_, bytes)) => self.seen.extend(bytes),
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
            if shows(&self.screen) {
                return Some(at);
            }
        }
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

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
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

/// The text on a terminal: of what a terminal can do, what the viewer asks for.
pub(crate) struct Screen {
    rows: Vec<Vec<char>>,
    /// Where the next character goes: row and column.
    at: (usize, usize),
    /// The start of a sequence or character whose end has not come.
    rest: Vec<u8>,
}

impl Screen {
    fn new(columns: u16, rows: u16) -> Self {
        let rows = vec![vec![' '; columns.into()]; rows.into()];
        Self { rows, at: (0, 0), rest: Vec::new() }
    }

    /// A row, counted from 0, without the blanks at its end.
    pub(crate) fn row(&self, row: usize) -> String {
        self.rows.get(row).map_or(String::new(), |row| row.iter().collect::<String>().trim_end().to_owned())
    }

    /// Whether the text stands anywhere, within a row.
    pub(crate) fn contains(&self, text: &str) -> bool {
        (0..self.rows.len()).any(|row| self.row(row).contains(text))
    }

    fn feed(&mut self, bytes: &[u8]) {
        let mut all = std::mem::take(&mut self.rest);
        all.extend_from_slice(bytes);
        let mut left = &all[..];
        while let Some(len) = self.take(left) {
            left = &left[len..];
        }
        self.rest = left.to_vec();
    }

    /// Takes a sequence or a character; how many bytes that was. `None` where its end has not come.
    fn take(&mut self, bytes: &[u8]) -> Option<usize> {
        match *bytes {
            [] => None,
            [0x1b, b'[', ref rest @ ..] => {
                let len = rest.iter().position(|byte| (0x40..0x7f).contains(byte))?;
                self.control(&rest[..len], rest[len]);
                Some(len + 3)
            }
            [0x1b, b']', ref rest @ ..] => {
                let end = rest.iter().position(|byte| *byte == 0x07)?;
                Some(end + 3)
            }
            [0x1b] => None,
            [0x1b, ..] => Some(2),
            [first, ..] => {
                let len = match first {
                    0xf0.. => 4,
                    0xe0.. => 3,
                    0xc0.. => 2,
                    _ => 1,
                };
                let text = std::str::from_utf8(bytes.get(..len)?).unwrap_or("?");
                text.chars().for_each(|c| self.put(c));
                Some(len)
            }
        }
    }

    fn control(&mut self, parameters: &[u8], last: u8) {
        let text = std::str::from_utf8(parameters).unwrap_or_default();
        match last {
            b'H' => {
                let mut numbers = text.split(';').map(|number| number.parse().unwrap_or(1usize).max(1) - 1);
                self.at = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
            }
            b'J' if text == "2" => self.rows.iter_mut().for_each(|row| row.fill(' ')),
            _ => {}
        }
    }

    fn put(&mut self, c: char) {
        if let Some(cell) = self.rows.get_mut(self.at.0).and_then(|row| row.get_mut(self.at.1)) {
            *cell = c;
        }
        self.at.1 += 1;
    }
}
