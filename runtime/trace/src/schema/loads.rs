//! How a session loaded its weights: the latest load as it went, and sums over those before it.

use alloc::vec::Vec;

use crate::format::wire::{Cursor, WireError, field_bytes, field_nonzero, put_varint};
use crate::schema::event::Nanos;
use crate::schema::event_ref::EventRef;
use crate::schema::loading::{Loading, WeightsPath};

/// One load of a session's weights.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Load {
    /// When it began.
    pub start: Nanos,
    /// When it ended; `None` while it goes on, and where the session was killed in it.
    pub end: Option<Nanos>,
    /// Whether it succeeded.
    pub ok: bool,
    /// When the first run behind its beginning was submitted.
    pub first_run: Option<Nanos>,
    /// How far it came.
    pub loading: Loading,
}

impl Load {
    /// How long it took, or has taken by now.
    pub fn took(&self, now: Nanos) -> Nanos {
        self.end.unwrap_or(now).saturating_sub(self.start)
    }

    /// For how long the first run had been submitted when the last weight arrived; 0 where it came after that.
    pub fn overlap(&self) -> Nanos {
        let both = self.end.zip(self.first_run);
        both.map_or(0, |(end, run)| end.saturating_sub(run))
    }
}

/// All loads of a session so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loads {
    /// Loads that began.
    pub count: u64,
    /// Loads that failed.
    pub failed: u64,
    /// The latest.
    pub latest: Option<Load>,
    /// Sums over those before it.
    before: Loading,
    /// How long those took together.
    before_ns: Nanos,
}

impl Loads {
    /// Folds one event in; those of other things change nothing.
    pub fn apply(&mut self, event: EventRef<'_>) {
        if let EventRef::LoadStart { t, total } = event {
            self.count = self.count.saturating_add(1);
            let next = Load { start: t, loading: Loading::of(total), ..Load::default() };
            if let Some(load) = self.latest.replace(next) {
                self.before = sum(self.before, load.loading);
                // Whoever begins another load knows the end of the one before, unless that was lost.
                self.before_ns = self.before_ns.saturating_add(load.end.map_or(0, |_| load.took(t)));
            }
            return;
        }
        let Some(load) = &mut self.latest else { return };
        match event {
            EventRef::LoadProgress { path, arrived, direct, staging, .. } => {
                let loading = &mut load.loading;
                let own = &mut loading.by_path[usize::from(path.number())];
                *own = (*own).max(arrived);
                loading.direct = loading.direct.max(direct);
                loading.staging = loading.staging.max(staging);
            }
            EventRef::LoadEnd { t, ok } => {
                (load.end, load.ok) = (Some(t), ok);
                self.failed = self.failed.saturating_add(u64::from(!ok));
            }
            EventRef::RunStart { t, .. } => {
                load.first_run.get_or_insert(t);
            }
            _ => {}
        }
    }

    /// What all of them loaded together; of staging buffers the most that one of them held.
    pub fn sum(&self) -> Loading {
        self.latest.map_or(self.before, |load| sum(self.before, load.loading))
    }

    /// How long all of them took together, the one in progress until now.
    pub fn took(&self, now: Nanos) -> Nanos {
        self.before_ns.saturating_add(self.latest.map_or(0, |load| load.took(now)))
    }

    /// 1 loads · 2 failed · 3 ns of those before the latest · 4 sums of those (numbers of [`Loading`]) · 5 the latest: start ·
    /// flags (1 ended, 2 succeeded, 4 a run began) · end · first run · numbers of its loading.
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        let mut out = Vec::new();
        field_nonzero(&mut out, 1, self.count);
        field_nonzero(&mut out, 2, self.failed);
        field_nonzero(&mut out, 3, self.before_ns);
        let mut part = Vec::new();
        put_loading(&mut part, self.before);
        field_bytes(&mut out, 4, &part);
        if let Some(Load { start, end, ok, first_run, loading }) = self.latest {
            part.clear();
            let flags = u64::from(end.is_some()) | u64::from(ok) << 1 | u64::from(first_run.is_some()) << 2;
            [start, flags, end.unwrap_or(0), first_run.unwrap_or(0)]
                .into_iter()
                .for_each(|number| put_varint(&mut part, number));
            put_loading(&mut part, loading);
            field_bytes(&mut out, 5, &part);
        }
        out
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Result<Self, WireError> {
        let mut loads = Self::default();
        let mut cursor = Cursor::new(bytes);
        while !cursor.is_empty() {
            match cursor.field()? {
                (1, field) => loads.count = field.number()?,
                (2, field) => loads.failed = field.number()?,
                (3, field) => loads.before_ns = field.number()?,
                (4, field) => loads.before = take_loading(Cursor::new(field.bytes()?))?,
                (5, field) => {
                    let mut part = Cursor::new(field.bytes()?);
                    let (start, flags) = (part.varint()?, part.varint()?);
                    let (end, first_run) = (part.varint()?, part.varint()?);
                    loads.latest = Some(Load {
                        start,
                        end: (flags & 1 != 0).then_some(end),
                        ok: flags & 2 != 0,
                        first_run: (flags & 4 != 0).then_some(first_run),
                        loading: take_loading(part)?,
                    });
                }
                _ => {}
            }
        }
        Ok(loads)
    }
}

fn sum(a: Loading, b: Loading) -> Loading {
    let mut by_path = a.by_path;
    by_path.iter_mut().zip(b.by_path).for_each(|(sum, more)| *sum = sum.saturating_add(more));
    Loading {
        total: a.total.saturating_add(b.total),
        by_path,
        direct: a.direct.saturating_add(b.direct),
        staging: a.staging.max(b.staging),
    }
}

/// Total · direct · staging · by path, in the order of their numbers: a later version may add paths at the end.
fn put_loading(out: &mut Vec<u8>, loading: Loading) {
    let Loading { total, by_path, direct, staging } = loading;
    [total, direct, staging].into_iter().chain(by_path).for_each(|number| put_varint(out, number));
}

fn take_loading(mut cursor: Cursor<'_>) -> Result<Loading, WireError> {
    let (total, direct, staging) = (cursor.varint()?, cursor.varint()?, cursor.varint()?);
    let mut by_path = [0; WeightsPath::ALL.len()];
    for bytes in &mut by_path {
        *bytes = cursor.varint()?;
    }
    Ok(Loading { total, by_path, direct, staging })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(events: &[EventRef<'_>]) -> Loads {
        let mut loads = Loads::default();
        for event in events {
            loads.apply(*event);
            assert_eq!(Loads::from_bytes(&loads.to_bytes()), Ok(loads));
        }
        loads
    }

    fn progress(t: u64, path: WeightsPath, arrived: u64) -> EventRef<'static> {
        EventRef::LoadProgress { t, path, arrived, direct: arrived / 2, staging: 64 }
    }

    #[test]
    fn a_load_is_folded_and_restated() {
        let loads = told(&[
            EventRef::LoadStart { t: 10, total: 100 },
            progress(20, WeightsPath::Staged, 30),
            progress(25, WeightsPath::Mapped, 10),
            EventRef::RunStart { run: 0, plan: 0, t: 30 },
            EventRef::RunStart { run: 1, plan: 0, t: 35 },
            progress(40, WeightsPath::Staged, 90),
        ]);
        let load = loads.latest.expect("a load");
        assert_eq!((load.loading.arrived(), load.loading.direct, load.loading.staging), (100, 45, 64));
        assert_eq!((load.end, load.took(50), load.overlap()), (None, 40, 0));
        let mut loads = loads;
        loads.apply(EventRef::LoadEnd { t: 45, ok: true });
        let load = loads.latest.expect("a load");
        assert_eq!((load.ok, load.took(1000), load.overlap()), (true, 35, 15));
        assert_eq!((loads.count, loads.failed, loads.took(1000)), (1, 0, 35));
    }

    #[test]
    fn several_loads_are_summed() {
        let loads = told(&[
            EventRef::LoadStart { t: 0, total: 100 },
            progress(5, WeightsPath::Host, 40),
            EventRef::LoadEnd { t: 10, ok: false },
            EventRef::LoadStart { t: 20, total: 7 },
            progress(22, WeightsPath::Mapped, 7),
            EventRef::LoadEnd { t: 23, ok: true },
            // A run behind the end overlaps with nothing.
            EventRef::RunStart { run: 0, plan: 0, t: 30 },
        ]);
        let all = loads.sum();
        assert_eq!((all.total, all.arrived(), all.by_path), (107, 47, [0, 7, 0, 40]));
        assert_eq!((loads.count, loads.failed, loads.took(99)), (2, 1, 13));
        assert_eq!(loads.latest.expect("a load").overlap(), 0);
    }

    #[test]
    fn what_begins_in_the_middle_and_rubbish_are_no_loads() {
        assert_eq!(told(&[progress(5, WeightsPath::Host, 40)]), Loads::default());
        let mut loads = Loads::default();
        loads.apply(EventRef::LoadStart { t: 0, total: u64::MAX });
        let bytes = loads.to_bytes();
        for end in 0..bytes.len() {
            // Cut between two fields it is a shorter message, else an error; never a panic.
            let _ = Loads::from_bytes(&bytes[..end]);
        }
    }
}
