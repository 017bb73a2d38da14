//! What is shown of a session, and how it gets here: made in place, or handed over by the thread that reads.

use bayplan_trace::{Record, Timeline};

use super::fold::Fold;
use super::index::{ArenaKey, Indexes};
use super::whatif::Asked;
use super::{Life, Model, searched};

/// Buffers of a plan whose map is made while somebody waits for it; of more, another thread makes it.
pub(crate) const FEW: u64 = 50_000;

/// What reading is busy with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Bytes: how many of a hundred parts are read, where it is known how many there are.
    Reading(Option<u8>),
    /// What pictures need beforehand, of so many tensors.
    Indexing(u64),
    /// A moment of the past.
    Seeking,
}

/// A session at one instant, and what pictures of it need beforehand. Cheap to copy.
#[derive(Clone, Debug, Default)]
pub(crate) struct State {
    /// What was read up to that instant.
    pub(crate) fold: Fold,
    /// What was made of its plans.
    pub(crate) indexes: Indexes,
}

/// What reading has come to: handed from the thread that reads to the one that draws.
#[derive(Clone, Debug, Default)]
pub(crate) struct News {
    /// What holds now.
    pub(crate) state: State,
    /// Whether more is to come.
    pub(crate) life: Life,
    /// Whether all that was there has been read.
    pub(crate) caught_up: bool,
    /// Places in the recording that are damaged.
    pub(crate) damages: u64,
    /// Why reading stopped, if it had to.
    pub(crate) failure: Option<String>,
}

impl Model {
    /// Takes one record in, where no other thread reads. Call [`Model::settle`] after the last of a portion.
    pub(crate) fn apply(&mut self, record: Record) {
        let (timeline, strip) = (std::mem::take(&mut self.timeline), std::mem::take(&mut self.strip));
        let mut fold = Fold { timeline, strip, log: std::mem::take(&mut self.log) };
        fold.apply(record);
        Fold { timeline: self.timeline, strip: self.strip, log: self.log } = fold;
    }

    /// Makes what depends on the timeline, where no other thread reads.
    pub(crate) fn settle(&mut self) {
        self.indexes.update(&self.timeline, &self.wanted_map().into_iter().collect::<Vec<_>>(), &|_| {});
        self.arrive();
    }

    /// Takes over what another thread has read.
    pub(crate) fn take(&mut self, news: News) {
        let News { state, life, caught_up, damages, failure } = news;
        (self.life, self.caught_up, self.damages, self.failure) = (life, caught_up, damages, failure);
        match &mut self.standing {
            // What is shown stays; what goes on beside it is what the strip shows.
            Some(standing) => {
                self.strip.clone_from(&state.fold.strip);
                self.log.clone_from(&state.fold.log);
                *standing.live = state;
            }
            None => self.show(state),
        }
    }

    /// What is shown, as a state.
    pub(crate) fn shown_state(&self) -> State {
        let (timeline, strip, log) = (self.timeline.clone(), self.strip.clone(), self.log.clone());
        let fold = Fold { timeline, strip, log };
        State { fold, indexes: self.indexes.clone() }
    }

    /// Shows a state of the session.
    pub(super) fn show(&mut self, state: State) {
        let id = |timeline: &Timeline| timeline.session.as_ref().map(|session| session.id.clone());
        if id(&self.timeline) != id(&state.fold.timeline) {
            (self.place, self.ghost, self.compared) = (None, None, None);
            self.asked = Asked::default();
        }
        let State { fold, indexes } = state;
        (self.timeline, self.strip, self.log, self.indexes) = (fold.timeline, fold.strip, fold.log, indexes);
        self.arrive();
    }

    /// Brings where the viewer stands in line with what is shown now.
    fn arrive(&mut self) {
        // What is wrong shows at once, not only when a run ends.
        if self.caught_up && self.log.has_news() {
            self.log.note_alarms(&self.timeline);
        }
        let current = self.timeline.current_plan().map(|(number, plan)| (number, plan.record.arenas.len()));
        let Some((number, arenas)) = current.filter(|(_, arenas)| *arenas > 0) else {
            self.place = None;
            return;
        };
        let stays = self.place.is_some_and(|place| place.plan == number && place.arena < arenas);
        if !stays {
            let turned = self.turned(number);
            let main = self.timeline.plans[number as usize].record.main_arena().unwrap_or(0);
            self.place = turned.or_else(|| Some(self.enter(number, main as usize)));
            if turned.is_none() {
                self.cursor_to_peak();
            }
            self.filter.changed(searched(&self.timeline, &self.indexes, self.place));
        }
        self.filter.see(searched(&self.timeline, &self.indexes, self.place));
        self.follow_playhead();
    }

    /// The arena that is looked at, by its numbers.
    pub(crate) fn wanted_map(&self) -> Option<ArenaKey> {
        self.place.map(|place| (place.plan, place.arena as u32))
    }

    /// The arena that is looked at, if its map is not there, and the number of its buffers.
    pub(crate) fn missing_map(&self) -> Option<(ArenaKey, u64)> {
        let key = self.wanted_map().filter(|key| self.indexes.map(*key).is_none())?;
        Some((key, self.plan()?.record.buffers.len() as u64))
    }

    /// Makes the map of the arena that is looked at.
    pub(crate) fn make_map(&mut self) {
        if let Some(key) = self.wanted_map() {
            self.indexes.make_map(&self.timeline, key, &|_| {});
        }
    }
}
