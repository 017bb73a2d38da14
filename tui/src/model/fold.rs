//! What is folded of a recording as it is read: the timeline, and what views keep of events beside it.
//!
//! The fold runs in the thread that reads; pictures are drawn from copies of it, up to some thirty a second. What is kept here
//! is therefore bounded, and cheap to copy.

use bayplan_trace::{EventRef, Record, Timeline};

use super::log::Log;
use super::strip::Strip;

/// A session as far as it was read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fold {
    /// The state of the session.
    pub(crate) timeline: Timeline,
    /// The whole of its time in few stretches.
    pub(crate) strip: Strip,
    /// What happened.
    pub(crate) log: Log,
}

impl Fold {
    /// Takes one record in.
    pub(crate) fn apply(&mut self, record: Record) {
        match record {
            Record::Event(event) => self.apply_event(event.as_ref()),
            Record::Session(new) => {
                // Another session's recording follows in the same file: what the former one left is not its own. Segments
                // of one session restate it.
                if self.timeline.session.as_ref().is_some_and(|old| old.id != new.id) {
                    *self = Self::default();
                }
                let new = Record::Session(new);
                self.log.record(&new, &self.timeline);
                self.timeline.apply(new);
            }
            other => {
                let restates = matches!(other, Record::Keyframe(_));
                self.log.record(&other, &self.timeline);
                self.timeline.apply(other);
                if restates {
                    self.strip.restate(&self.timeline);
                }
            }
        }
    }

    /// Takes one event in.
    #[inline]
    pub(crate) fn apply_event(&mut self, event: EventRef<'_>) {
        // What an event ends is still known to the timeline before it.
        self.log.event(event, &self.timeline);
        self.timeline.apply_event(event);
        if matches!(event, EventRef::RunEnd { .. } | EventRef::SessionEnd { .. }) && self.log.has_news() {
            self.log.note_alarms(&self.timeline);
        }
        self.strip.apply(event, &self.timeline);
    }
}
