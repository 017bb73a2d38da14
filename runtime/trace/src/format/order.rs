//! The order of the chunks of a session, by their numbers: which are missing, and which were read before.
//!
//! ```text
//!  chunks  0 1 2 3 │ 0 1 2 3 4 5     one recording behind an earlier copy of it, as `cat` makes of two files:
//!  read    0 1 2 3           4 5     what was read before is passed over, so that nothing counts twice
//!  read    0 1   3     2     4 5     what was spoilt or missing the first time is read where it comes again
//! ```

use alloc::string::String;
use alloc::vec::Vec;

use crate::format::chunk::{ChunkKind, Header};
use crate::format::state::session_from_bytes;

/// Gaps between numbers that are remembered; the oldest then count as read. Each cost its file a chunk.
const MOST_GAPS: usize = 4096;

/// How far the chunks of a session were read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Order {
    /// The number behind the highest that a chunk had; none before the first.
    next: Option<u64>,
    /// The numbers of all chunks that were sound, as ranges in ascending order that do not touch.
    sound: Vec<(u64, u64)>,
    /// The session they are of, once a chunk said it.
    session: Option<String>,
    /// Whether reading began in the middle: what comes before its first chunk is not asked for.
    begins_late: bool,
}

/// Where a chunk is among those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// It is the first, or follows the one before.
    Next,
    /// Chunks are missing before it.
    Behind {
        /// How many.
        missing: u64,
    },
    /// Its number is below one that came before it, and was not read.
    Earlier,
    /// It was read before.
    Repeated,
}

impl Order {
    /// Of chunks of which those before the first are passed over wherever they come.
    pub(crate) fn from_the_middle() -> Self {
        Self { begins_late: true, ..Self::default() }
    }

    /// Takes a chunk; of one whose checksum is wrong there is no body.
    pub(crate) fn take(&mut self, header: Header, body: Option<&[u8]>) -> Place {
        let is_head = header.kind == ChunkKind::Session as u8;
        if let Some(session) = body.filter(|_| is_head).and_then(|body| session_from_bytes(body).ok()) {
            let before = self.session.replace(session.id);
            let goes_on = match before {
                Some(before) => Some(before) == self.session,
                // What had no head says nothing that a copy with one does not say.
                None => self.next.is_none_or(|next| header.seq >= next),
            };
            if !goes_on {
                // Numbers begin anew.
                *self = Self { session: self.session.take(), ..Self::default() };
            }
        }
        if self.was_read(header.seq) {
            return Place::Repeated;
        }
        let place = match self.next {
            Some(next) if header.seq < next => Place::Earlier,
            Some(next) if header.seq > next => Place::Behind { missing: header.seq - next },
            _ => Place::Next,
        };
        self.next = self.next.max(Some(header.seq.saturating_add(1)));
        // What a wrong checksum spoilt may come once more.
        if body.is_some() {
            self.note(header.seq);
        }
        place
    }

    fn was_read(&self, number: u64) -> bool {
        let behind = self.sound.partition_point(|(first, _)| *first <= number);
        match behind.checked_sub(1).map(|at| self.sound[at]) {
            Some((_, next)) => number < next,
            None => self.begins_late && !self.sound.is_empty(),
        }
    }

    fn note(&mut self, number: u64) {
        let at = self.sound.partition_point(|(first, _)| *first <= number);
        let joins_after = self.sound.get(at).is_some_and(|(first, _)| *first == number.wrapping_add(1));
        let joins_before = at > 0 && self.sound[at - 1].1 == number;
        match (joins_before, joins_after) {
            (true, true) => self.sound[at - 1].1 = self.sound.remove(at).1,
            (true, false) => self.sound[at - 1].1 = number.saturating_add(1),
            (false, true) => self.sound[at].0 = number,
            (false, false) => self.sound.insert(at, (number, number.saturating_add(1))),
        }
        if self.sound.len() > MOST_GAPS {
            self.sound[1].0 = self.sound[0].0;
            self.sound.remove(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec::Vec;

    use crate::{Damage, Event, PlanRecord, Reader, Record, SessionInfo, Timeline, Writer};

    /// The segments of a session of so many runs, one in each.
    fn segments(id: &str, runs: u64) -> Vec<Vec<u8>> {
        let mut writer = Writer::new(SessionInfo { id: id.to_string(), ..SessionInfo::default() });
        writer.plan(&PlanRecord::default());
        let segment = |run: u64| {
            if run > 0 {
                writer.begin_segment();
            }
            writer.event(&Event::RunStart { run, plan: 0, t: 10 * run });
            writer.event(&Event::RunEnd { run, t: 10 * run + 5, ok: true });
            writer.flush();
            let mut bytes = Vec::new();
            writer.take(&mut bytes);
            bytes
        };
        (0..runs).map(segment).collect()
    }

    fn has_plan(bytes: &[u8]) -> bool {
        let (mut reader, mut timeline) = (Reader::new(), Timeline::new());
        reader.feed(bytes);
        reader.end_segment();
        core::iter::from_fn(|| reader.next_record()).flatten().for_each(|record| timeline.apply(record));
        timeline.plans.len() == 1
    }

    /// What comes of a file: its runs, those that are still known, all records, and what was damaged.
    fn read(bytes: &[u8]) -> (u64, usize, usize, Vec<Damage>) {
        let (mut reader, mut timeline) = (Reader::new(), Timeline::new());
        let (mut records, mut damages) = (0, Vec::new());
        reader.feed(bytes);
        reader.end_segment();
        while let Some(item) = reader.next_record() {
            match item {
                Ok(record) => {
                    records += usize::from(matches!(record, Record::Event(_)));
                    timeline.apply(record);
                }
                Err(damage) => damages.push(damage),
            }
        }
        (timeline.runs_ok, timeline.runs.len(), records, damages)
    }

    #[test]
    fn a_session_that_a_file_holds_twice_is_read_once() {
        let all = segments("1-1", 3);
        let whole = all.concat();
        let begun = all[..2].concat();
        let check = |name: &str, parts: &[&[u8]]| {
            assert_eq!(read(&parts.concat()), (3, 3, 6, Vec::new()), "{name}");
        };
        check("once", &[&whole]);
        check("twice", &[&whole, &whole]);
        check("three times", &[&whole, &whole, &whole]);
        check("a segment again", &[&whole, &all[2]]);
        check("a segment from the middle again", &[&whole, &all[1]]);
        check("behind what was copied while it was written", &[&begun, &whole]);
        check("from its second segment on", &[&begun, &all[1], &all[2]]);
    }

    /// Wherever one copy is spoilt or cut, the other makes good what holds, and nothing counts twice.
    #[test]
    fn a_copy_makes_good_what_the_other_lacks() {
        let all = segments("1-1", 3);
        let whole = all.concat();
        for at in 0..whole.len() {
            let mut spoilt = whole.clone();
            spoilt[at] ^= 0x10;
            let (head, tail) = whole.split_at(at);
            let check = |name: &str, parts: [&[u8]; 2]| {
                let (runs, kept, records, _) = read(&parts.concat());
                assert!(runs == 3 && has_plan(&parts.concat()), "{name}, byte {at}");
                if parts[0] == whole {
                    assert_eq!((kept, records), (3, 6), "{name}, byte {at}");
                }
            };
            check("spoilt, whole", [&spoilt, &whole]);
            check("whole, spoilt", [&whole, &spoilt]);
            check("cut, whole", [head, &whole]);
            check("whole, cut", [&whole, head]);
            check("whole, without its beginning", [&whole, tail]);
            // What has no head counts beside what follows.
            if at <= whole.len() - all[2].len() {
                check("without its beginning, whole", [tail, &whole]);
            }
        }
    }

    #[test]
    fn what_was_not_read_is_no_copy() {
        let all = segments("1-1", 3);
        // Its chunks have the same numbers.
        let other = segments("2-2", 2).concat();
        let (runs, kept, records, _) = read(&[&all.concat()[..], &other].concat());
        assert_eq!((runs, kept, records), (2, 2, 10), "what holds is what the last session says");
        // The last segment first: it counts what was in the ones before it.
        let (runs, _, records, damages) = read(&[&all[2][..], &all[1]].concat());
        assert_eq!((runs, records, damages), (3, 2, Vec::new()));
        // A gap stays one.
        let gap = read(&[&all[0][..], &all[2]].concat());
        assert!(gap.0 == 3 && gap.3.len() == 1, "{gap:?}");
    }
}
