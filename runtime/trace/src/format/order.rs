//! The order of the chunks of a session, by their numbers: which are missing, and which were read before.
//!
//! ```text
//!  chunks  0 1 2 3 │ 0 1 2 3 4 5     one recording behind an earlier copy of it, as `cat` makes of two files:
//!  read    0 1 2 3           4 5     what was read before is passed over, so that nothing counts twice
//! ```

use alloc::string::String;

use crate::format::chunk::{ChunkKind, Header};
use crate::format::state::session_from_bytes;

/// How far the chunks of a session were read.
#[derive(Clone, Debug, Default)]
pub(crate) struct Order {
    /// The numbers of the first chunk and of the one behind the last; none before the first.
    read: Option<(u64, u64)>,
    /// The session they are of, once a chunk said it.
    session: Option<String>,
    /// Whether the session began again: chunks up to the last one that was read are not read again.
    is_again: bool,
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
    /// It comes before the one that was read last, and was not read.
    Earlier,
    /// It was read before.
    Repeated,
}

impl Order {
    /// Takes a chunk; of one whose checksum is wrong there is no body.
    pub(crate) fn take(&mut self, header: Header, body: Option<&[u8]>) -> Place {
        let is_head = header.kind == ChunkKind::Session as u8;
        if let Some(session) = body.filter(|_| is_head).and_then(|body| session_from_bytes(body).ok()) {
            self.is_again = self.session.as_ref() == Some(&session.id) && self.was_read(header.seq);
            self.session = Some(session.id);
        }
        if self.is_again && self.was_read(header.seq) {
            return Place::Repeated;
        }
        self.is_again = false;
        let next = header.seq.wrapping_add(1);
        let Some((first, expected)) = self.read.replace((header.seq, next)) else { return Place::Next };
        if header.seq < expected {
            return Place::Earlier;
        }
        self.read = Some((first, next));
        match header.seq - expected {
            0 => Place::Next,
            missing => Place::Behind { missing },
        }
    }

    fn was_read(&self, number: u64) -> bool {
        self.read.is_some_and(|(first, next)| (first..next).contains(&number))
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

    #[test]
    fn what_was_not_read_is_no_copy() {
        let all = segments("1-1", 3);
        // Its chunks have the same numbers.
        let other = segments("2-2", 2).concat();
        let (runs, kept, records, _) = read(&[&all.concat()[..], &other].concat());
        assert_eq!((runs, kept, records), (2, 2, 10), "what holds is what the last session says");
        // The last segment first: the ones before it go on from where they say that the session stood.
        let (runs, _, records, damages) = read(&[&all[2][..], &all[1]].concat());
        assert_eq!((runs, records, damages), (2, 4, Vec::new()));
        // A gap stays one.
        let gap = read(&[&all[0][..], &all[2]].concat());
        assert!(gap.0 == 3 && gap.3.len() == 1, "{gap:?}");
    }
}
