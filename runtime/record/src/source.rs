//! From what a person types to a recording.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::descriptor::Descriptor;
use crate::discovery::{live_runs, recordings};
use crate::error::RecordError;
use crate::places::Places;
use crate::segments::list_segments;

/// A recording that can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The file, or the folder of segments; of standard input, words for people.
    pub path: PathBuf,
    /// The run's descriptor while it is live.
    pub live: Option<Descriptor>,
    /// Where that descriptor lies; it goes when the recording ends.
    pub(crate) descriptor_path: Option<PathBuf>,
    /// Whether it comes through standard input.
    standard_input: bool,
    /// Of a recording that this process makes: whether it still does.
    own: Option<Own>,
}

/// Whether this process still makes a recording; the same only as itself.
#[derive(Clone, Debug)]
struct Own(Arc<AtomicBool>);

impl PartialEq for Own {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Own {}

/// What names standard input.
const STANDARD_INPUT: &str = "-";

impl Source {
    /// Whether the run still goes on and records.
    pub fn is_live(&self) -> bool {
        if let Some(Own(goes_on)) = &self.own {
            return goes_on.load(Ordering::Acquire);
        }
        let listed = self.descriptor_path.as_ref().is_some_and(|path| path.exists());
        listed && self.live.as_ref().is_some_and(Descriptor::is_alive)
    }

    /// The recording of a live run.
    pub fn of_run(run: Descriptor, places: &Places) -> Self {
        let descriptor_path = Some(Descriptor::path(places, &run.id));
        let path = run.recording.clone();
        Self { live: Some(run), descriptor_path, ..Self::of_path(path) }
    }

    /// The recording at a path; nothing is known of who makes it.
    pub fn of_path(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), live: None, descriptor_path: None, standard_input: false, own: None }
    }

    /// The recording that this process makes at a path, while it `goes_on`: it is followed also where it could not be listed
    /// among the live runs.
    pub fn of_own(path: impl Into<PathBuf>, goes_on: Arc<AtomicBool>) -> Self {
        Self { own: Some(Own(goes_on)), ..Self::of_path(path) }
    }

    /// What comes through standard input: one recording, segment after segment.
    pub fn of_standard_input() -> Self {
        Self { standard_input: true, ..Self::of_path("standard input") }
    }

    /// Whether it comes through standard input.
    pub fn is_standard_input(&self) -> bool {
        self.standard_input
    }
}

/// Finds a recording by a file, a folder of segments, a process id, the name of a model, or the start of a run's name;
/// `-` is standard input. A process or model that recorded several runs stands for its newest; among live runs and recordings, live ones come first.
///
/// # Errors
/// Nothing or more than one run answers to the name, a folder holds no segments, or a folder cannot be read; what is
/// named is a device, pipe or socket, or a path that the system does not follow.
pub fn open(name: impl AsRef<OsStr>, places: &Places) -> Result<Source, RecordError> {
    let path = Path::new(name.as_ref());
    // A path may be any bytes; a name of a run is text.
    let text = name.as_ref().to_string_lossy();
    if text.trim().is_empty() {
        return Err(RecordError::NotFound { name: text.into_owned() });
    }
    if text == STANDARD_INPUT {
        return Ok(Source::of_standard_input());
    }
    match fs::metadata(path) {
        Ok(_) => open_path(path, places),
        Err(error) if is_path(path, error.kind()) => Err(RecordError::io("open", path)(error)),
        Err(_) => open_run(&text, places),
    }
}

/// Whether what cannot be looked at is a path all the same, and not the name of a run: it is a link, or it leads somewhere
/// where the system refuses to go on.
fn is_path(path: &Path, refused: ErrorKind) -> bool {
    let leads_on = path.components().count() > 1 && refused != ErrorKind::NotFound;
    leads_on || fs::symlink_metadata(path).is_ok()
}

/// Finds a run by a process id, the name of a model, or the start of its own name.
fn open_run(name: &str, places: &Places) -> Result<Source, RecordError> {
    let live = live_runs(places)?;
    let ended = recordings(places)?;
    let newest_of_process = |id: &str| id.split_once('-').is_some_and(|(pid, _)| pid == name);
    let found = live.iter().find(|run| run.id == name || newest_of_process(&run.id));
    if let Some(run) = found {
        return Ok(Source::of_run(run.clone(), places));
    }
    if let Some(entry) = ended.iter().find(|entry| entry.id == name || newest_of_process(&entry.id)) {
        return Ok(Source::of_path(&entry.path));
    }
    // A model's name stands for its newest run.
    if let Some(run) = live.iter().find(|run| run.model == name) {
        return Ok(Source::of_run(run.clone(), places));
    }
    if let Some(entry) = ended.iter().find(|entry| entry.model == name) {
        return Ok(Source::of_path(&entry.path));
    }
    let live_matches = live.into_iter().filter(|run| run.id.starts_with(name));
    let ended_matches = ended.into_iter().filter(|entry| entry.id.starts_with(name));
    let matches = live_matches.map(|run| (run.id.clone(), Source::of_run(run, places)));
    let mut matches: Vec<_> = matches.chain(ended_matches.map(|e| (e.id, Source::of_path(e.path)))).collect();
    match matches.len() {
        1 => Ok(matches.swap_remove(0).1),
        0 => Err(RecordError::NotFound { name: name.to_owned() }),
        _ => {
            let runs = matches.into_iter().map(|(id, _)| id).collect();
            Err(RecordError::Ambiguous { name: name.to_owned(), runs })
        }
    }
}

fn open_path(path: &Path, places: &Places) -> Result<Source, RecordError> {
    if !path.is_dir() && !path.is_file() {
        return Err(RecordError::NotAFile { path: path.to_path_buf() });
    }
    if path.is_dir() && list_segments(path).map_err(RecordError::io("list", path))?.is_empty() {
        return Err(RecordError::empty_folder(path));
    }
    let whole = fs::canonicalize(path).map_err(RecordError::io("find", path))?;
    // A path is read whether or not the list of live runs can be trusted.
    let live = live_runs(places).unwrap_or_default();
    let recorded_at = |run: &Descriptor| fs::canonicalize(&run.recording).is_ok_and(|at| at == whole);
    match live.into_iter().find(recorded_at) {
        Some(run) => Ok(Source::of_run(run, places)),
        None => Ok(Source::of_path(path)),
    }
}
