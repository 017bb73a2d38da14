//! How far a run has come, as maps show it.

use crate::timeline::Timeline;

/// How far a run has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Playhead {
    /// No op was seen complete yet.
    #[default]
    Before,
    /// The last op seen complete.
    At(u32),
    /// The last run came to its end.
    Done,
}

impl Playhead {
    /// The first op that is not reached; none if all are.
    pub fn reached(self) -> Option<u32> {
        match self {
            Self::Before => Some(0),
            Self::At(op) => Some(op.saturating_add(1)),
            Self::Done => None,
        }
    }
}

impl Timeline {
    /// How far a plan has come, as a map shows it: between the start of a run and its first op the run before still counts, so
    /// that a map does not go blank between runs.
    pub fn playhead(&self, plan: u32) -> Playhead {
        let ran = self.runs_ok + self.runs_failed > 0;
        let op = self.current.filter(|run| run.plan == plan).and_then(|run| run.playhead);
        match op {
            Some(op) => Playhead::At(op),
            None if ran => Playhead::Done,
            None => Playhead::Before,
        }
    }
}
