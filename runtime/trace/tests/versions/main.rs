//! Recordings that each version of the format wrote are read by this one, and what later versions add is passed over.

use bayplan_trace::{
    Event, EventRef, FORMAT_MINOR, OpTime, PlanRecord, PlanSums, Reader, Record, RoofClock, RoofSource,
    Roofs, SessionInfo, Visitor, WeightsPath,
};

mod story;

/// The recordings that writers of former versions left, each written by the last writer of its version.
const WRITTEN: [(&str, &[u8]); 6] = [
    ("1.0", include_bytes!("fixtures/format-1.0.bptrace")),
    ("1.1", include_bytes!("fixtures/format-1.1.bptrace")),
    ("1.2", include_bytes!("fixtures/format-1.2.bptrace")),
    ("1.3", include_bytes!("fixtures/format-1.3.bptrace")),
    ("1.4", include_bytes!("fixtures/format-1.4.bptrace")),
    ("1.5", include_bytes!("fixtures/format-1.5.bptrace")),
];

/// What a version can tell that the one before could not.
fn more(version: &str) -> Vec<Event> {
    let retired = Event::PlanRetired { t: 950_000, plan: 0 };
    let pools = [
        Event::PoolReady { t: 950_001, pool: 1, bytes: 4096, name: "outputs".into() },
        Event::PoolAllocated { t: 950_002, pool: 1, id: 7, offset: 1024, bytes: 512 },
        Event::PoolFreed { t: 950_003, pool: 1, id: 7 },
    ];
    // Another plan of the model, whose weights are loaded while runs go on.
    let loads = [
        Event::LoadStart { t: 950_004, total: 1 << 30 },
        Event::LoadProgress {
            t: 950_005,
            path: WeightsPath::Staged,
            arrived: 1 << 29,
            direct: 1 << 28,
            staging: 16 << 20,
        },
        Event::LoadProgress {
            t: 950_006,
            path: WeightsPath::Imported,
            arrived: 1 << 29,
            direct: 1 << 28,
            staging: 16 << 20,
        },
        Event::LoadEnd { t: 950_007, ok: true },
    ];
    match version {
        "1.0" => vec![],
        "1.1" => vec![retired],
        "1.2" | "1.3" | "1.4" => [vec![retired], pools.to_vec()].concat(),
        _ => [vec![retired], pools.to_vec(), loads.to_vec()].concat(),
    }
}

fn session(version: &str) -> SessionInfo {
    let origin = if version < "1.2" { String::new() } else { "a story".into() };
    let roofs = (version >= "1.4").then_some(Roofs {
        bytes_per_second: 12_345_678_901,
        flops_per_second: 234_567_890_123,
        source: RoofSource::Cached,
        clock: RoofClock::Host,
        measured_unix_ns: 1_763_700_000_000_000_000,
    });
    SessionInfo { origin, roofs, ..story::session() }
}

fn plan(version: &str) -> PlanRecord {
    let mut plan = story::plan();
    plan.ops[1].host = version >= "1.2";
    plan
}

fn told(version: &str) -> Vec<Record> {
    let head = [Record::Session(session(version)), Record::Plan { plan: 0, record: plan(version) }];
    let events = [story::first_part(), story::second_part(), more(version)].concat();
    let end = Event::SessionEnd { t: 1_000_000 };
    head.into_iter().chain(events.into_iter().chain([end]).map(Record::Event)).collect()
}

#[derive(Default)]
struct Seen(Vec<Record>, Vec<bayplan_trace::Damage>);

impl Visitor for Seen {
    fn record(&mut self, record: Record) {
        self.0.push(record);
    }

    fn event(&mut self, event: EventRef<'_>) {
        self.0.push(Record::Event(event.to_event()));
    }

    fn damage(&mut self, damage: bayplan_trace::Damage) {
        self.1.push(damage);
    }
}

/// The records in the bytes, read both ways, which must agree; the damages; and how much was passed over.
fn read(bytes: &[u8], portion: usize) -> (Vec<Record>, Vec<bayplan_trace::Damage>, u64) {
    let (mut pulled, mut seen, mut reader, mut other) =
        (Seen::default(), Seen::default(), Reader::new(), Reader::new());
    let mut pull = |reader: &mut Reader| {
        while let Some(item) = reader.next_record() {
            match item {
                Ok(record) => pulled.0.push(record),
                Err(damage) => pulled.1.push(damage),
            }
        }
    };
    for portion in bytes.chunks(portion) {
        reader.feed(portion);
        pull(&mut reader);
        other.feed(portion);
        other.visit(&mut seen);
    }
    reader.end_segment();
    pull(&mut reader);
    other.end_segment();
    other.visit(&mut seen);
    assert_eq!((&pulled.0, &pulled.1, reader.skipped()), (&seen.0, &seen.1, other.skipped()));
    (pulled.0, pulled.1, reader.skipped())
}

#[test]
fn every_version_is_read_as_it_was_meant() {
    for (version, bytes) in WRITTEN {
        for portion in [1, 100, 1 << 20] {
            let (records, damages, skipped) = read(bytes, portion);
            assert_eq!(records, told(version), "{version}");
            assert_eq!((damages, skipped), (vec![], 0), "{version}");
        }
    }
}

#[test]
fn every_version_is_read_from_its_keyframe_on() {
    for (version, bytes) in WRITTEN {
        let at = bayplan_trace::last_segment(bytes).expect("a second segment");
        let (records, damages, _) = read(&bytes[at..], 4096);
        assert_eq!(damages, vec![], "{version}");
        let expect = told(version);
        let second = expect.len() - story::second_part().len() - more(version).len() - 1;
        assert_eq!(records[..2], expect[..2], "{version}");
        assert_eq!(records[3..], expect[second..], "{version}");
        let Record::Keyframe(keyframe) = &records[2] else { panic!("{version}: {:?}", records[2]) };
        assert_eq!((keyframe.runs_started, keyframe.runs_ok), (3, 3), "{version}");
        // Device times of each of three runs, of which the last is told as the latest.
        let sums = |op: u64| OpTime {
            latest: 3900 - 34 * op,
            // That of run 0, of which all ops took as long.
            first: (version >= "1.4").then_some(3900),
            total: 3 * 3900 - 51 * op,
            count: 3,
        };
        let op_times = (0..3).map(|op| (op as u32, sums(op))).collect();
        let plans = if version < "1.3" { vec![] } else { vec![(0, PlanSums { runs: 3, op_times })] };
        assert_eq!(keyframe.plans, plans, "{version}");
        for event in &story::first_part()[..4] {
            assert!(keyframe.state.contains(event), "{version}: {event:?} is not restated");
        }
    }
}

/// Whether the writer still writes byte for byte what it wrote when the version was fixed: a change of the encoding wants a
/// version of its own.
#[test]
fn the_newest_version_is_written_as_it_was() {
    let (version, bytes) = WRITTEN[WRITTEN.len() - 1];
    assert_eq!(version, format!("1.{FORMAT_MINOR}"), "a new version needs a recording of its own here");
    let written = story::recording(session(version), &plan(version), &more(version));
    if let Some(path) = std::env::var_os("BAYPLAN_WRITE_FIXTURE") {
        std::fs::write(path, &written).unwrap();
    }
    assert!(written == bytes, "the writer's bytes changed: raise FORMAT_MINOR");
}

/// Where the headers of chunks lie.
fn chunks(bytes: &[u8]) -> Vec<usize> {
    // The magic stands in names, too; behind it stands the major version.
    (0..bytes.len()).filter(|&at| bytes[at..].starts_with(b"bayp\x01")).collect()
}

/// Puts the checksum of a header right that was changed on purpose.
fn seal(bytes: &mut [u8], at: usize) {
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI);
    let len = u32::from_le_bytes(bytes[at + 28..at + 32].try_into().unwrap()) as usize;
    let body = crc.checksum(&bytes[at + 40..at + 40 + len]);
    bytes[at + 32..at + 36].copy_from_slice(&body.to_le_bytes());
    let head = crc.checksum(&bytes[at..at + 36]);
    bytes[at + 36..at + 40].copy_from_slice(&head.to_le_bytes());
}

#[test]
fn what_later_minor_versions_add_is_passed_over_and_counted() {
    let (version, bytes) = WRITTEN[2];
    let mut later = bytes.to_vec();
    // Every chunk of a later minor version; the first chunk of events of a kind that nobody knows yet.
    let found = chunks(bytes);
    for at in &found {
        later[at + 5] = 200;
        seal(&mut later, *at);
    }
    assert_eq!(read(&later, 4096), (told(version), vec![], 0));
    let events = found.iter().find(|at| later[**at + 6] == 5).copied().expect("a chunk of events");
    later[events + 6] = 99;
    seal(&mut later, events);
    let (records, damages, skipped) = read(&later, 4096);
    assert_eq!((damages, skipped), (vec![], 1));
    assert_eq!(records.len(), told(version).len() - story::first_part().len());
}

#[test]
fn another_major_version_is_refused_by_name() {
    for (_, bytes) in WRITTEN {
        for major in [0, 2, 255] {
            let mut other = bytes.to_vec();
            let first = chunks(bytes)[0];
            other[first + 4] = major;
            seal(&mut other, first);
            let (records, damages, _) = read(&other, 4096);
            assert_eq!(records, vec![]);
            assert_eq!(damages.len(), 1);
            assert!(damages[0].is_fatal());
            let text = damages[0].to_string();
            assert!(text.contains(&format!("format version {major}")), "{text}");
        }
    }
}
