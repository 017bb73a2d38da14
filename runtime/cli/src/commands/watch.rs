//! `bayplan run --watch`: the run in a child, the viewer in front.
//!
//! ```text
//! run --watch ──┬─► run (child): output to pipes ──► recording ◄── viewer (child): has the terminal
//!               └─ waits for the viewer, ends the run, prints what it said, exits with its status
//! ```

use std::ffi::OsString;
use std::io::{self, IsTerminal, Read};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use bayplan::{Level, Places};
use rustix::process::{Pid, Signal, kill_process};

use super::run::stop_on_signals;
use super::top;
use crate::args::RunOptions;
use crate::exit::{Failure, Outcome};
use crate::out::{self, Progress};

/// Between two looks at the children.
const POLL: Duration = Duration::from_millis(20);

/// How long a run may take to list itself after its recording can be read; one that cannot list itself is shown then.
const UNLISTED: Duration = Duration::from_secs(2);

pub(crate) fn watch(options: &RunOptions) -> Outcome {
    if options.trace_level == Some(Level::Off) {
        return Err(Failure::usage("--watch shows the recording, so --trace-level must not be off"));
    }
    if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        return Err(Failure::usage(
            "--watch needs a terminal; run without it, and open `bayplan top` in a terminal",
        ));
    }
    let stop = stop_on_signals()?;
    let mut run = Run::start()?;
    let Some(recording) = run.wait_for_recording(options, &stop)? else { return run.finish() };
    let viewer = top::viewer();
    let shown = match Command::new(&viewer).arg(&recording).spawn() {
        Ok(child) => show(child, &viewer, &stop),
        Err(e) => {
            run.end(&stop)?;
            return Err(top::cannot_start(&viewer, &e));
        }
    };
    run.end(&stop)?;
    let status = run.finish();
    shown.and(status)
}

/// Waits until the viewer is quit. A signal to this process ends it.
fn show(mut child: Child, viewer: &Path, stop: &AtomicBool) -> Result<(), Failure> {
    let mut asked = false;
    let status = wait(&mut child, || {
        if stop.load(Ordering::Relaxed) && !asked {
            asked = true;
            return true;
        }
        false
    })?;
    match status.success() || asked {
        true => Ok(()),
        false => Err(Failure::new(format!("the viewer {} failed ({status})", viewer.display()))),
    }
}

/// The child that runs the model.
struct Run {
    child: Child,
    stdout: Said,
    stderr: Said,
}

/// What the run prints, read beside it: into memory, since the disk may be full.
type Said = JoinHandle<io::Result<Vec<u8>>>;

impl Run {
    /// Starts this program with the same arguments, as what is watched.
    fn start() -> Result<Self, Failure> {
        let fail = |what: &str, e: io::Error| Failure::new(format!("{what}: {e}"));
        let program = std::env::current_exe().map_err(|e| fail("this program cannot be found", e))?;
        let mut child = Command::new(program)
            .args(
                std::env::args_os()
                    .skip(1)
                    .map(|word| if word == "--watch" { "--watched".into() } else { word }),
            )
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| fail("the run cannot be started", e))?;
        let (stdout, stderr) = (said(child.stdout.take()), said(child.stderr.take()));
        Ok(Self { child, stdout, stderr })
    }

    /// Waits until there is something to see; nothing if the run ends before.
    fn wait_for_recording(
        &mut self,
        options: &RunOptions,
        stop: &AtomicBool,
    ) -> Result<Option<OsString>, Failure> {
        let mut progress = Progress::new(false);
        progress.stage("building the session");
        let places = Places::from_env();
        let pid = self.child.id().to_string();
        let mut seen = None;
        loop {
            if let Ok(source) = bayplan_record::open(&pid, &places) {
                // A run lists itself as live just after its file has begun; taken before, it would pass for killed.
                let mut patience = || seen.get_or_insert_with(Instant::now).elapsed() >= UNLISTED;
                if source.live.is_some() || patience() {
                    return Ok(Some(source.live.map_or(source.path.into(), |run| run.id.into())));
                }
            }
            if let Some(status) = self.child.try_wait().map_err(|e| cannot_wait(&e))? {
                if !status.success() {
                    return Ok(None);
                }
                // A recording to a file of its own is not listed once the run has ended; others may have come since the last look.
                let file = options.trace.clone().filter(|file| file.exists());
                let kept = || bayplan_record::open(&pid, &places).ok().map(|source| source.path);
                return Ok(file.or_else(kept).map(PathBuf::into_os_string));
            }
            if stop.load(Ordering::Relaxed) {
                self.end(stop)?;
                return Ok(None);
            }
            thread::sleep(POLL);
        }
    }

    /// Asks the run to end, and waits for it. A signal to this process makes it end at once.
    fn end(&mut self, stop: &AtomicBool) -> Result<(), Failure> {
        stop.store(false, Ordering::Relaxed);
        let mut asked = false;
        wait(&mut self.child, || {
            !std::mem::replace(&mut asked, true) || stop.swap(false, Ordering::Relaxed)
        })?;
        Ok(())
    }

    /// Prints what the run said; answers its status.
    fn finish(mut self) -> Outcome {
        let status = self.child.wait().map_err(|e| cannot_wait(&e))?;
        out::print(&text(self.stdout)?)?;
        out::error_text(&text(self.stderr)?);
        Ok(code(status))
    }
}

/// Waits for a child; whenever `ask` says so, it is asked to end.
fn wait(child: &mut Child, mut ask: impl FnMut() -> bool) -> Result<ExitStatus, Failure> {
    loop {
        if let Some(status) = child.try_wait().map_err(|e| cannot_wait(&e))? {
            return Ok(status);
        }
        if ask() {
            // It may have ended by itself in the meantime.
            let _ = kill_process(Pid::from_child(child), Signal::TERM);
        }
        thread::sleep(POLL);
    }
}

fn cannot_wait(e: &io::Error) -> Failure {
    Failure::new(format!("the child process cannot be waited for: {e}"))
}

/// Reads a pipe to its end. Its writer never waits for room in it.
fn said(pipe: Option<impl Read + Send + 'static>) -> Said {
    /// More than a run ever says; the rest is left out.
    const MAX: u64 = 16 << 20;
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let Some(mut pipe) = pipe else { return Ok(bytes) };
        pipe.by_ref().take(MAX).read_to_end(&mut bytes)?;
        io::copy(&mut pipe, &mut io::sink())?;
        Ok(bytes)
    })
}

fn text(said: Said) -> Result<String, Failure> {
    let read = said.join().unwrap_or_else(|_| Err(io::Error::other("the thread that read it died")));
    let bytes = read.map_err(|e| Failure::new(format!("what the run printed cannot be read: {e}")))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// As a shell tells it: 128 and the number of the signal for a process that a signal ended.
fn code(status: ExitStatus) -> ExitCode {
    let code = status.code().or_else(|| Some(128 + status.signal()?));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}
