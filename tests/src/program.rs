//! The programs as people run them, each test in folders of its own.

use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::binary;

/// How long a program may take before it counts as hung. Machines that build beside the test are slow.
const PATIENCE: Duration = Duration::from_secs(300);

/// Folders for one test: what it writes, its recordings and its list of live runs. Removed with it.
pub struct Sandbox {
    folder: TempDir,
}

/// How a program ended, and what it said.
#[derive(Debug)]
pub struct Ended {
    /// Its exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Default for Sandbox {
    fn default() -> Self {
        Self::new()
    }
}

impl Sandbox {
    /// Makes the folders.
    ///
    /// # Panics
    /// When the temporary directory cannot be written.
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The environment that keeps a program's recordings, its live runs and what it measures of devices here.
    pub fn environment(&self) -> [(&'static str, PathBuf); 3] {
        let folder = |variable, name| (variable, self.path(name));
        [
            folder("XDG_RUNTIME_DIR", "live"),
            folder("XDG_STATE_HOME", "state"),
            folder("XDG_CACHE_HOME", "cache"),
        ]
    }

    /// A binary of the workspace, to be run here.
    pub fn command<A: AsRef<OsStr>>(&self, name: &str, arguments: &[A]) -> Command {
        self.program(&binary(name), arguments)
    }

    /// A program, to be run here.
    pub fn program<A: AsRef<OsStr>>(&self, program: &Path, arguments: &[A]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).envs(self.environment()).stdin(Stdio::null());
        command
    }

    /// Runs `bayplan` to its end.
    pub fn bayplan<A: AsRef<OsStr>>(&self, arguments: &[A]) -> Ended {
        run(&mut self.command("bayplan", arguments))
    }
}

impl Ended {
    /// The standard output of a program that must have succeeded.
    ///
    /// # Panics
    /// When it did not.
    pub fn success(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.stdout, self.stderr);
        self.stdout
    }

    /// The JSON that a program that must have succeeded printed.
    ///
    /// # Panics
    /// When it did not succeed, or printed something else.
    pub fn json(self) -> serde_json::Value {
        let text = self.success();
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("no JSON ({e}): {text}"))
    }
}

/// Runs a program to its end and keeps what it wrote.
///
/// # Panics
/// When it cannot be started, or has not ended after minutes.
pub fn run(command: &mut Command) -> Ended {
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{}: {e}", command.get_program().display()));
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (stdout, stderr) = (reader(stdout), reader(stderr));
    let status = wait(&mut child, PATIENCE).unwrap_or_else(|| {
        let _ = child.kill();
        panic!("{command:?} has not ended after {} s", PATIENCE.as_secs());
    });
    let text = |thread: thread::JoinHandle<String>| thread.join().expect("a reader does not panic");
    Ended { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
}

/// Waits for a child at most so long.
///
/// # Panics
/// When its state cannot be asked for.
pub fn wait(child: &mut Child, patience: Duration) -> Option<ExitStatus> {
    let end = Instant::now() + patience;
    loop {
        let status = child.try_wait().expect("a child's state can be asked for");
        if status.is_some() || Instant::now() >= end {
            return status;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Reads a pipe to its end beside the program, which would stop when it is full.
fn reader(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}
