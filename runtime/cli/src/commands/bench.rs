//! `bayplan bench`.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use bayplan::Effort;
use bayplan_plan::{Plan, Problem, solve, validate};
use bayplan_text::escape;
use rustix::time::{ClockId, clock_gettime};

use super::bench_text::{head, json, row, tail};
use super::plan::{is_csv, read};
use super::run::stop_on_signals;
use crate::args::{BenchOptions, Benched};
use crate::exit::{Failure, Outcome};
use crate::out::{self, Progress};

/// What was measured.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    /// In the order of their files.
    pub(crate) instances: Vec<Row>,
    /// Files that gave no plan, and why.
    pub(crate) failures: Vec<(String, String)>,
    /// A signal ended it before all was done.
    pub(crate) interrupted: bool,
}

/// One instance.
#[derive(Debug)]
pub(crate) struct Row {
    /// Its path from the folder on.
    pub(crate) name: String,
    pub(crate) buffers: usize,
    pub(crate) plan: Plan,
    /// Processor time of each run, rising.
    pub(crate) times: Vec<Duration>,
}

impl Row {
    /// The middle one of the runs' times, the lower one of two.
    pub(crate) fn median(&self) -> Duration {
        self.times.get(self.times.len().saturating_sub(1) / 2).copied().unwrap_or_default()
    }
}

pub(crate) fn bench(options: &BenchOptions) -> Outcome {
    let Benched::Plan = options.what;
    let stop = stop_on_signals()?;
    let files = instances(&options.folder)?;
    let text = !options.format.is_json();
    if text {
        out::print(&head())?;
    }
    let mut measured = Measured::default();
    let mut progress = Progress::new(!text);
    for (at, file) in files.iter().enumerate() {
        if stop.load(Ordering::Relaxed) {
            measured.interrupted = true;
            break;
        }
        let name = file.strip_prefix(&options.folder).unwrap_or(file).display().to_string();
        progress.stage(&format!("{} of {}", at + 1, files.len()));
        let result = one(file, &name, options, &stop);
        progress.clear();
        match result {
            Ok(done) => {
                if text {
                    out::print(&row(&done))?;
                }
                measured.interrupted = (done.times.len() as u64) < options.runs;
                measured.instances.push(done);
            }
            Err(failure) => {
                measured.failures.push((name, failure.message().to_owned()));
                failure.report();
            }
        }
    }
    if text {
        out::print(&tail(&measured, files.len(), peak_memory()))?;
    } else {
        out::print_json(&json(options, &measured, peak_memory()))?;
    }
    Ok(ExitCode::from(u8::from(!measured.failures.is_empty())))
}

/// Reads and plans one instance; reading is not timed.
fn one(file: &Path, name: &str, options: &BenchOptions, stop: &AtomicBool) -> Result<Row, Failure> {
    let instance = read(file)?;
    let effort = Effort::from(options.effort);
    let (plan, times) = repeat(&instance.problem, effort, options.runs, stop, &processor_time)
        .map_err(|why| Failure::new(format!("{}: {why}; this is a defect of bayplan", escape(name))))?;
    Ok(Row { name: name.to_owned(), buffers: instance.problem.len(), plan, times })
}

/// Plans as often as asked, or until a signal says to stop, at least once.
fn repeat(
    problem: &Problem,
    effort: Effort,
    runs: u64,
    stop: &AtomicBool,
    clock: &dyn Fn() -> Duration,
) -> Result<(Plan, Vec<Duration>), String> {
    let run = || {
        let begun = clock();
        let plan = solve(problem, effort);
        (plan, clock().saturating_sub(begun))
    };
    let (plan, first) = run();
    validate(problem, &plan).map_err(|e| format!("the plan did not pass its validator: {e}"))?;
    let mut times = vec![first];
    while (times.len() as u64) < runs && !stop.load(Ordering::Relaxed) {
        let (again, time) = run();
        if again != plan {
            return Err("two runs gave different plans".into());
        }
        times.push(time);
    }
    times.sort_unstable();
    Ok((plan, times))
}

/// Processor time that this thread has used; planning uses no other.
pub(super) fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

/// The most memory that the process has had, where the system tells.
fn peak_memory() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse().ok().map(|kib: u64| kib * 1024)
}

/// Every CSV file in a folder and below, in order of their paths. Hidden files and folders, and links to folders, are left
/// out.
fn instances(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        let fail =
            |e: std::io::Error| Failure::new(format!("{}: {e}", escape(&folder.display().to_string())));
        for entry in fs::read_dir(&folder).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let path = entry.path();
            if path.file_name().and_then(OsStr::to_str).is_some_and(|name| name.starts_with('.')) {
                continue;
            }
            if entry.file_type().map_err(fail)?.is_dir() {
                folders.push(path);
            } else if is_csv(&path) {
                found.push(path);
            }
        }
    }
    found.sort();
    if found.is_empty() {
        return Err(Failure::new(format!(
            "{}: there is no CSV file in it or below; give a folder of instances with the columns id, lower, upper and size",
            escape(&folder.display().to_string())
        )));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use bayplan_plan::Buffer;

    use super::*;

    #[test]
    fn the_median_of_the_runs_is_told() {
        let problem = Problem::new(vec![Buffer::new(8, 0, 2), Buffer::new(4, 1, 3)]).unwrap();
        // A clock that shows 0, 9, 9, 10, 10, 15: runs of 9, 1 and 5.
        let check = |runs: u64, stopped: bool, expect: &[u64], median: u64| {
            let shown = Cell::new(0);
            let clock = || {
                let at = shown.replace(shown.get() + 1);
                Duration::from_nanos([0, 9, 9, 10, 10, 15, 15, 15][at])
            };
            let stop = AtomicBool::new(stopped);
            let (plan, times) = repeat(&problem, Effort::Normal, runs, &stop, &clock).unwrap();
            let row = Row { name: "x".into(), buffers: 2, plan, times };
            let nanos: Vec<u64> = row.times.iter().map(|time| time.as_nanos() as u64).collect();
            assert_eq!((&nanos[..], row.median().as_nanos() as u64), (expect, median));
            assert_eq!(row.plan.peak, 12);
        };
        check(1, false, &[9], 9);
        check(2, false, &[1, 9], 1);
        check(3, false, &[1, 5, 9], 5);
        check(4, false, &[0, 1, 5, 9], 1);
        // A signal leaves the run in progress alone.
        check(4, true, &[9], 9);
    }

    #[test]
    fn files_are_found_below_in_order_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for path in ["b/2.csv", "b/10.CSV", "a.csv", "notes.md", ".hidden/c.csv", ".d.csv", "b/deep/er/e.csv"]
        {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        std::os::unix::fs::symlink(root, root.join("b/loop")).unwrap();
        let found = instances(root).unwrap();
        let names: Vec<String> =
            found.iter().map(|path| path.strip_prefix(root).unwrap().display().to_string()).collect();
        assert_eq!(names, ["a.csv", "b/10.CSV", "b/2.csv", "b/deep/er/e.csv"]);
        let (empty, missing) = (root.join(".hidden/none"), root.join("no\u{1b}where"));
        fs::create_dir(&empty).unwrap();
        assert!(instances(&empty).unwrap_err().message().contains("give a folder of instances"));
        assert!(instances(&missing).unwrap_err().message().contains("no\\x1bwhere: "));
        assert!(instances(&root.join("a.csv")).is_err());
    }
}
