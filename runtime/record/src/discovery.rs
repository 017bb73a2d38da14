//! Which runs are live, and which recordings are there.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use bayplan_trace::{Reader, Record, SessionInfo};

use crate::descriptor::Descriptor;
use crate::error::RecordError;
use crate::places::Places;
use crate::process;
use crate::segments::{list_segments, open_file, segment_number};

/// Most descriptors that are looked at.
const MAX_RUNS: usize = 4096;

/// A recording of a run that has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordingEntry {
    /// Name of the run.
    pub id: String,
    /// The file or folder.
    pub path: PathBuf,
    /// When the session began, in nanoseconds since the Unix epoch.
    pub start_unix_ns: u64,
    /// Name of the model.
    pub model: String,
    /// Name of the device.
    pub device: String,
}

/// The live runs, newest first. A descriptor whose process is gone is taken off the list; its recording is found by
/// [`recordings`] from then on.
///
/// # Errors
/// The folder of live runs is not this user's own, or cannot be read. That there is none means no run is live.
pub fn live_runs(places: &Places) -> Result<Vec<Descriptor>, RecordError> {
    if !places.live.exists() {
        return Ok(Vec::new());
    }
    places.check_live()?;
    let mut live = Vec::new();
    for (path, descriptor) in descriptors(&places.live).map_err(RecordError::io("list", &places.live))? {
        if descriptor.is_alive() {
            live.push(descriptor);
        } else {
            retire(places, &path, &descriptor);
        }
    }
    live.sort_by(|a, b| b.start_unix_ns.cmp(&a.start_unix_ns).then_with(|| b.id.cmp(&a.id)));
    Ok(live)
}

/// The recordings of runs that have ended, newest first.
///
/// # Errors
/// A folder cannot be read, or the folder of live runs is not this user's own.
pub fn recordings(places: &Places) -> Result<Vec<RecordingEntry>, RecordError> {
    let live = live_runs(places)?;
    if !places.runs.exists() {
        return Ok(Vec::new());
    }
    let listing = |error| RecordError::io("list", &places.runs)(error);
    let mut entries = Vec::new();
    for id in run_folders(&places.runs).map_err(listing)? {
        if live.iter().any(|run| run.id == id) {
            continue;
        }
        let path = places.runs.join(&id);
        if let Some(session) = first_session(&path) {
            entries.push(RecordingEntry {
                id,
                path,
                start_unix_ns: session.start_unix_ns,
                model: session.model,
                device: session.device,
            });
        }
    }
    // Runs that recorded to a file elsewhere and did not end in order left their descriptor.
    for (at, run) in descriptors(&places.runs).map_err(listing)? {
        if run.recording.exists() {
            let Descriptor { id, recording: path, start_unix_ns, model, device, .. } = run;
            entries.push(RecordingEntry { id, path, start_unix_ns, model, device });
        } else {
            let _ = fs::remove_file(at);
        }
    }
    entries.sort_by(|a, b| b.start_unix_ns.cmp(&a.start_unix_ns).then_with(|| b.id.cmp(&a.id)));
    Ok(entries)
}

/// Takes the descriptor of a run whose process is gone off the list of live runs.
fn retire(places: &Places, path: &Path, descriptor: &Descriptor) {
    let elsewhere = !descriptor.recording.starts_with(&places.runs);
    if elsewhere && descriptor.recording.exists() {
        // The folder of runs does not hold this recording; the descriptor there says where it is.
        if places.make_runs().and_then(|()| descriptor.write(&places.runs)).is_err() {
            return;
        }
    }
    // Another viewer may have been faster.
    let _ = fs::remove_file(path);
}

fn descriptors(folder: &Path) -> std::io::Result<Vec<(PathBuf, Descriptor)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)?.take(MAX_RUNS) {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "json") {
            found.extend(Descriptor::read(&path).map(|descriptor| (path, descriptor)));
        }
    }
    Ok(found)
}

/// Names of the folders that are recordings by their name.
fn run_folders(runs: &Path) -> std::io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(runs)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if start_of(&name).is_some() && entry.file_type()?.is_dir() {
            found.push(name);
        }
    }
    Ok(found)
}

/// The start in the name of a run.
pub(crate) fn start_of(id: &str) -> Option<u64> {
    let (pid, start) = id.split_once('-')?;
    pid.parse::<u32>().ok()?;
    start.parse().ok()
}

/// Reads who made a recording from the head of its first readable segment.
pub(crate) fn first_session(path: &Path) -> Option<SessionInfo> {
    let segments = if path.is_dir() { list_segments(path).ok()? } else { vec![(1, path.to_path_buf())] };
    segments.iter().find_map(|(_, path)| {
        let mut head = Vec::new();
        open_file(path).ok()?.take(64 << 10).read_to_end(&mut head).ok()?;
        let mut reader = Reader::new();
        reader.feed(&head);
        loop {
            if let Ok(Record::Session(session)) = reader.next_record()? {
                return Some(session);
            }
        }
    })
}

/// Removes the oldest recordings of ended runs until `keep` are left. Removes only what a recorder made: the segment
/// files of folders named as runs, and the folders if nothing else is in them.
pub(crate) fn prune_recordings(places: &Places, keep: usize) {
    let Ok(live) = live_runs(places) else { return };
    let Ok(mut ended) = run_folders(&places.runs) else { return };
    // A run may not be listed as live, or not yet: while its process is there, its folder stays.
    let process_gone = |id: &str| {
        let pid = id.split_once('-').and_then(|(pid, _)| pid.parse().ok());
        pid.is_some_and(|pid| !process::is_alive(pid, None))
    };
    ended.retain(|id| process_gone(id) && live.iter().all(|run| run.id != *id));
    ended.sort_by_key(|id| std::cmp::Reverse(start_of(id)));
    for id in ended.iter().skip(keep) {
        let folder = places.runs.join(id);
        let Ok(segments) = list_segments(&folder) else { continue };
        for (_, segment) in segments.iter().filter(|(_, path)| segment_number(path).is_some()) {
            let _ = fs::remove_file(segment);
        }
        let _ = fs::remove_dir(&folder);
    }
}
