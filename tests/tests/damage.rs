//! Recordings that were cut at any byte, and recordings with any bit flipped: what stands before the damage is read, what
//! stands behind it too, the damage is told, and nothing is made up.

use bayplan_tests::random::Random;
use bayplan_trace::{
    ArenaRecord, BufferRecord, Damage, DamageCause, Event, EventRef, Level, OpRecord, PlanRecord, Reader,
    Record, SessionInfo, Visitor, Writer, last_segment,
};

const OPS: u32 = 24;

/// A recording of at least so many bytes, in several segments, and the records in it.
fn recording(bytes: usize) -> (Vec<u8>, Vec<Record>) {
    let session =
        SessionInfo { id: "1-1".into(), model: "a model".into(), level: Level::Op, ..SessionInfo::default() };
    let ops =
        (0..OPS).map(|op| OpRecord { name: format!("op {op}"), writes: vec![op], ..OpRecord::default() });
    let buffers = (0..OPS).map(|op| BufferRecord {
        name: format!("tensor {op}"),
        size: 64,
        offset: u64::from(op) * 64,
        first: op,
        last: op + 1,
        ..BufferRecord::default()
    });
    let arenas = vec![ArenaRecord { name: "activations".into(), size: 4096, ..ArenaRecord::default() }];
    let plan = PlanRecord { ops: ops.collect(), buffers: buffers.collect(), arenas, ..PlanRecord::default() };
    let mut writer = Writer::new(session.clone());
    writer.plan(&plan);
    let mut records = vec![Record::Session(session), Record::Plan { plan: 0, record: plan }];
    let (mut out, mut segment) = (Vec::new(), 0);
    for run in 0.. {
        for event in events(run) {
            writer.event(&event);
            records.push(Record::Event(event));
        }
        // As the thread that writes does, a few runs at a time.
        if run % 8 == 7 {
            writer.flush();
        }
        writer.take(&mut out);
        if out.len() >= bytes {
            break;
        }
        if out.len() - segment > bytes / 5 {
            writer.begin_segment();
            segment = out.len();
        }
    }
    writer.flush();
    writer.take(&mut out);
    (out, records)
}

fn events(run: u64) -> Vec<Event> {
    let t = 1000 + run * 100_000;
    let times = (0..u64::from(OPS)).map(|op| (t + op * 3000, t + (op + 1) * 3000));
    let mut events = vec![
        Event::RunStart { run, plan: 0, t },
        Event::PoolAllocated { t: t + 5, pool: 0, id: run, offset: run % 64 * 256, bytes: 256 },
        Event::Completed { run, plan: 0, op: (run % u64::from(OPS)) as u32, t: t + 40_000 },
        Event::RunEnd { run, t: t + 75_000 + run % 999, ok: run % 50 != 49 },
        Event::OpTimes { run, plan: 0, first_op: 0, times: times.collect() },
        Event::PoolFreed { t: t + 80_000, pool: 0, id: run },
    ];
    if run % 40 == 3 {
        events.push(Event::HeapSample {
            t: t + 90_000,
            heap: 0,
            size: 1 << 33,
            usage: run << 20,
            budget: Some(1 << 32),
        });
    }
    events
}

#[derive(Default)]
struct Seen {
    records: Vec<Record>,
    damages: Vec<Damage>,
}

impl Visitor for Seen {
    fn record(&mut self, record: Record) {
        self.records.push(record);
    }

    fn event(&mut self, event: EventRef<'_>) {
        self.records.push(Record::Event(event.to_event()));
    }

    fn damage(&mut self, damage: Damage) {
        self.damages.push(damage);
    }
}

fn read(bytes: &[u8]) -> Seen {
    let (mut seen, mut reader) = (Seen::default(), Reader::new());
    for portion in bytes.chunks(64 << 10) {
        reader.feed(portion);
        reader.visit(&mut seen);
    }
    reader.end_segment();
    reader.visit(&mut seen);
    seen
}

/// What a file gives that ends after the bytes that `reader` was fed: the records that come yet, and the damages.
fn end_here(reader: &Reader) -> Seen {
    let (mut rest, mut reader) = (Seen::default(), reader.clone());
    reader.end_segment();
    reader.visit(&mut rest);
    rest
}

#[test]
fn a_file_cut_at_any_byte_gives_its_prefix() {
    let (bytes, records) = recording(1 << 20);
    assert!(bytes.len() >= 1 << 20);
    let whole = read(&bytes);
    assert_eq!((whole.records, whole.damages), (records.clone(), vec![]));

    // One reader goes through the file a byte at a time; at each byte a copy of it is told that the file ends there.
    let (mut reader, mut seen) = (Reader::new(), Seen::default());
    let mut random = Random::new(7);
    for (cut, byte) in bytes.iter().enumerate() {
        let rest = end_here(&reader);
        // What was not read by then is no whole chunk: a part of one gives no record.
        assert_eq!(rest.records, vec![], "cut at {cut}");
        match &rest.damages[..] {
            [] => {}
            [Damage { cause: DamageCause::NotARecording, .. }] => {
                assert_eq!(seen.records.len(), 0, "cut at {cut}");
            }
            [Damage { offset, cause: DamageCause::Truncated { bytes } }, others @ ..] => {
                assert_eq!(offset + bytes, cut as u64);
                assert!(others.is_empty() || seen.records.is_empty(), "cut at {cut}: {others:?}");
            }
            damages => panic!("cut at {cut}: {damages:?}"),
        }
        // Now and then the same from the start, so that the copies are known to tell the truth.
        if random.between(0, 3999) == 0 {
            let again = read(&bytes[..cut]);
            assert_eq!(
                (again.records.len(), &again.damages),
                (seen.records.len(), &rest.damages),
                "cut at {cut}"
            );
        }
        reader.feed(std::slice::from_ref(byte));
        reader.visit(&mut seen);
        assert_eq!(seen.damages, vec![], "at {cut}");
    }
    assert_eq!(seen.records, records);
}

/// Whether `part` is `whole` with some records left out. Session and plan are told again behind a gap, and keyframes.
fn is_subsequence(part: &[Record], whole: &[Record]) -> bool {
    let mut rest = whole.iter();
    let events = part.iter().filter(|record| matches!(record, Record::Event(_)));
    events.into_iter().all(|record| rest.any(|other| other == record))
        && part.iter().all(|record| {
            matches!(record, Record::Event(_) | Record::Keyframe(_)) || whole[..2].contains(record)
        })
}

#[test]
fn flipped_bits_cost_a_chunk_and_are_told() {
    let (bytes, records) = recording(96 << 10);
    // The most that a chunk holds: eight runs.
    let chunk = 8 * 7;
    let first_events = bytes.len() / 10;
    let mut random = Random::new(11);
    let (mut silent, mut told) = (0, 0);
    for _ in 0..10_000 {
        let bit = random.between(0, bytes.len() as u64 * 8 - 1) as usize;
        let mut bad = bytes.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let seen = read(&bad);
        assert!(is_subsequence(&seen.records, &records), "bit {bit} made something up");
        let events =
            |records: &[Record]| records.iter().filter(|record| matches!(record, Record::Event(_))).count();
        let lost = events(&records) - events(&seen.records);
        assert!(lost <= chunk || bit / 8 < first_events, "bit {bit}: {lost} events lost");
        if seen.damages.is_empty() {
            // What only Perfetto shows has no checksum.
            assert_eq!(lost, 0, "bit {bit}: a silent loss");
            silent += 1;
        } else {
            told += 1;
        }
    }
    assert!(told > silent, "{told} told, {silent} silent");
}

#[test]
fn whatever_is_damaged_the_last_segment_is_found_or_none() {
    let (bytes, _) = recording(96 << 10);
    let last = last_segment(&bytes).expect("several segments");
    let mut random = Random::new(13);
    for _ in 0..300 {
        let cut = random.between(0, bytes.len() as u64) as usize;
        let mut tail = bytes[..cut].to_vec();
        if cut > 0 && random.between(0, 1) == 0 {
            tail[random.between(0, cut as u64 - 1) as usize] ^= 1 << random.between(0, 7);
        }
        let Some(at) = last_segment(&tail) else { continue };
        assert!(at <= last);
        let mut reader = Reader::new();
        reader.feed(&tail[at..]);
        let mut seen = Seen::default();
        reader.visit(&mut seen);
        assert!(matches!(seen.records.first(), Some(Record::Session(_))), "{:?}", seen.damages);
    }
}
