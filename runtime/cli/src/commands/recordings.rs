//! Reading a whole recording, as reports and comparisons do.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use bayplan::Places;
use bayplan_record::{Part, RunState, SegmentDamage};
use bayplan_text::escape;
use bayplan_trace::Timeline;

use crate::exit::Failure;

/// A recording as far as it goes now.
pub(crate) struct Recorded {
    pub(crate) timeline: Timeline,
    /// What is damaged in it, in words: its own name is left out, that of a segment is not.
    pub(crate) damages: Vec<String>,
    /// Whether the run still goes on.
    pub(crate) live: bool,
    /// Where it was read from.
    pub(crate) path: PathBuf,
}

impl Recorded {
    /// Reads a recording by any name that [`bayplan_record::open`] takes.
    ///
    /// # Errors
    /// There is none of that name, or nothing in it can be read.
    pub(crate) fn read(name: &OsStr) -> Result<Self, Failure> {
        let source = bayplan_record::open(name, &Places::from_env())?;
        let mut timeline = Timeline::new();
        let path = source.path.clone();
        let (state, damages) = bayplan_record::read_parts(source, |part| match part {
            Part::Event(event) => timeline.apply_event(event),
            Part::Record(record) => timeline.apply(record),
            Part::Chunks(_) => {}
        })?;
        if timeline.session.is_none() && timeline.plans.is_empty() {
            return Err(unreadable(&path));
        }
        let damages = damages.iter().map(|damage| within(&path, damage)).collect();
        Ok(Self { timeline, damages, live: state == RunState::Live, path })
    }
}

pub(super) fn unreadable(path: &Path) -> Failure {
    Failure::new(format!(
        "{} holds no recording that can be read; it may be damaged or not be a bayplan trace",
        escape(&path.display().to_string())
    ))
}

/// What is damaged in a recording that is named already.
fn within(recording: &Path, SegmentDamage { path, damage }: &SegmentDamage) -> String {
    match path.strip_prefix(recording) {
        Ok(rest) if rest.as_os_str().is_empty() => damage.to_string(),
        Ok(rest) => format!("{}: {damage}", rest.display()),
        Err(_) => format!("{}: {damage}", path.display()),
    }
}

pub(super) fn damage_text(damage: &SegmentDamage) -> String {
    format!("{}: {}", damage.path.display(), damage.damage)
}
