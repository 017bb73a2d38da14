//! Writer and reader together: what is written is read, whole, in portions, cut, flipped and extended.

use alloc::format;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use crate::format::chunk::{FORMAT_MINOR, HEADER_LEN, Header, crc32c, find_header, put_chunk, put_packet};
use crate::{
    ArenaKind, ArenaRecord, BufferKind, BufferRecord, Damage, DamageCause, DimBinding, Event, EventKind,
    Level, OpRecord, PlanDecodeError, PlanRecord, PlanRecordError, Reader, Record, Roofs, SessionInfo,
    Severity, Window, Writer,
};

/// A chain of `ops` ops, each reading the buffer of the one before.
pub(crate) fn chain(ops: u32) -> PlanRecord {
    let buffer = |at: u32| BufferRecord {
        name: format!("layer.{at}/out"),
        arena: 0,
        kind: if at == 0 { BufferKind::Input } else { BufferKind::Activation },
        dtype: "f32".to_string(),
        shape: "f32[1,64]".to_string(),
        size: 256,
        size_expr: "256".to_string(),
        alignment: 64,
        offset: u64::from(at % 2) * 256,
        first: at.saturating_sub(1),
        last: (at + 1).min(ops),
        in_place_of: (at == 2).then_some(0),
        alias_of: None,
    };
    let op = |at: u32| OpRecord {
        name: format!("layer.{at}"),
        source_node: format!("layer.{at}/Relu \u{1b}[2J"),
        source_op: "Relu".to_string(),
        kernel: "elementwise".to_string(),
        reads: vec![at],
        writes: vec![at + 1],
        bytes: 512,
        flops: 64,
        barrier_before: at > 0,
        host: at == 1,
    };
    PlanRecord {
        model: "chain".to_string(),
        target: "generic".to_string(),
        dims: vec![DimBinding { name: "batch".to_string(), value: -4 }],
        arenas: vec![ArenaRecord {
            name: "activations".to_string(),
            kind: ArenaKind::Other,
            size: 512,
            alignment: 64,
            lower_bound: 512,
            witness_op: (ops > 0).then_some(0),
        }],
        buffers: (0..=ops).map(buffer).collect(),
        ops: (0..ops).map(op).collect(),
        strategy: "greedy by size".to_string(),
        notes: vec!["a note".to_string(), "another".to_string()],
    }
}

fn session() -> SessionInfo {
    SessionInfo {
        id: "42-1700000000000".to_string(),
        model: "chain".to_string(),
        device: "a device".to_string(),
        driver: "a driver 1.2".to_string(),
        api: "Vulkan 1.3.255".to_string(),
        version: "0.1.0".to_string(),
        level: Level::Op,
        pid: 42,
        start_unix_ns: 1_700_000_000_000_000_000,
        origin: "a plan of paper.csv".to_string(),
        roofs: Some(Roofs { bytes_per_second: 12_345_678_901, ..Roofs::default() }),
    }
}

/// The events of a session before its runs.
fn building() -> Vec<Event> {
    let window = |op: u32, binding, buffer, write| Window {
        op,
        binding,
        buffer,
        arena: 0,
        offset: u64::from(buffer % 2) * 256,
        len: 256,
        write,
    };
    let windows = (0..4).flat_map(|op| [window(op, 0, op, false), window(op, 1, op + 1, true)]);
    vec![
        Event::DeviceAllocated {
            t: 10,
            id: 1,
            bytes: 512,
            memory_type: 2,
            purpose: "arena activations".to_string(),
            planned: true,
        },
        Event::HeapSample { t: 12, heap: 0, size: 1 << 33, usage: 1 << 20, budget: Some(1 << 32) },
        Event::Windows { t: 20, recording: 0, plan: 0, part: 0, windows: windows.collect() },
        Event::SessionReady { t: 30 },
    ]
}

fn run(number: u64) -> Vec<Event> {
    let t = 1000 * (number + 1);
    let times = (0..4).map(|op| (t + 100 * op, t + 100 * op + 90)).collect();
    vec![
        Event::RunStart { run: number, plan: 0, t },
        Event::Completed { run: number, plan: 0, op: 2, t: t + 250 },
        Event::RunEnd { run: number, t: t + 400, ok: true },
        Event::OpTimes { run: number, plan: 0, first_op: 0, times },
    ]
}

fn ending() -> Vec<Event> {
    vec![
        Event::Dropped { t: 90_000, count: 3, kind: EventKind::OpTimes },
        Event::TraceCost { t: 90_001, ns: 5, run_ns: 5000 },
        Event::Message { t: 90_002, level: Severity::Warning, text: "slow".to_string() },
        Event::DeviceFreed { t: 90_003, id: 1 },
        Event::SessionEnd { t: 90_004 },
    ]
}

/// Three segments, a chunk for every four runs, and the records they hold when read together.
fn recording(runs: u64) -> ([Vec<u8>; 3], Vec<Record>) {
    let mut writer = Writer::new(session());
    assert_eq!(writer.plan(&chain(4)), 0);
    let mut records = vec![Record::Session(session()), Record::Plan { plan: 0, record: chain(4) }];
    let mut segments: [Vec<u8>; 3] = Default::default();
    let mut emit = |writer: &mut Writer, events: Vec<Event>| {
        for event in events {
            writer.event(&event);
            records.push(Record::Event(event));
        }
    };
    emit(&mut writer, building());
    for at in 0..3 {
        for number in at * runs..(at + 1) * runs {
            emit(&mut writer, run(number));
            if number % 4 == 3 {
                writer.flush();
            }
        }
        if at == 2 {
            emit(&mut writer, ending());
        }
        writer.flush();
        writer.take(&mut segments[at as usize]);
        writer.begin_segment();
    }
    (segments, records)
}

/// Reads `bytes` as one segment in portions.
fn read(bytes: &[u8], portion: usize) -> (Vec<Record>, Vec<Damage>) {
    let mut reader = Reader::new();
    let (mut records, mut damages) = (Vec::new(), Vec::new());
    let mut take = |reader: &mut Reader| {
        while let Some(item) = reader.next_record() {
            match item {
                Ok(record) => records.push(record),
                Err(damage) => damages.push(damage),
            }
        }
    };
    for part in bytes.chunks(portion) {
        reader.feed(part);
        take(&mut reader);
    }
    reader.end_segment();
    take(&mut reader);
    (records, damages)
}

#[test]
fn recording_reads_back_in_any_portions() {
    let (segments, records) = recording(10);
    let bytes = segments.concat();
    for portion in [1, 7, 64, 4096, bytes.len()] {
        assert_eq!(read(&bytes, portion), (records.clone(), vec![]), "portions of {portion}");
    }
}

#[test]
fn every_segment_decodes_alone() {
    let (segments, records) = recording(10);
    let (read, damages) = read(&segments[1], 100);
    assert_eq!(damages, []);
    assert_eq!(read[..2], records[..2]);
    let Record::Keyframe(keyframe) = &read[2] else { panic!("{:?}", read[2]) };
    assert_eq!((keyframe.runs_started, keyframe.runs_ok, keyframe.runs_failed), (10, 10, 0));
    let [allocated, sample, windows, ready] = &building()[..] else { panic!() };
    let last = run(9);
    let expect = [ready, allocated, sample, windows, &last[0], &last[1]].map(Clone::clone);
    assert_eq!(keyframe.state, expect);
    // Then its events, and no others.
    let at = records.iter().position(|record| *record == Record::Event(run(10)[0].clone())).unwrap();
    assert_eq!(read[3..], records[at..at + 40]);
}

#[test]
fn a_lost_segment_is_reported_and_made_good_by_the_keyframe() {
    let (segments, _) = recording(10);
    let (read, damages) = read(&[&segments[0][..], &segments[2]].concat(), 512);
    assert!(matches!(damages[..], [Damage { cause: DamageCause::Missing { chunks: 6 }, .. }]), "{damages:?}");
    let keyframes = read.iter().filter_map(|record| match record {
        Record::Keyframe(keyframe) => Some(keyframe.runs_started),
        _ => None,
    });
    assert_eq!(keyframes.collect::<Vec<_>>(), [20]);
}

#[test]
fn truncation_at_every_byte_leaves_the_prefix() {
    let (segments, records) = recording(5);
    let bytes = segments.concat();
    let mut most = 0;
    for end in 0..bytes.len() {
        let (read, damages) = read(&bytes[..end], usize::MAX);
        assert_eq!(read[..], records[..read.len()], "cut at {end}");
        assert!(read.len() >= most, "cut at {end}: less than before");
        most = read.len();
        match &damages[..] {
            [] => {}
            // Before the first whole chunk it may be anything's beginning.
            [Damage { cause: DamageCause::NotARecording, .. }] => assert_eq!(read.len(), 0, "cut at {end}"),
            [Damage { offset, cause: DamageCause::Truncated { bytes } }, rest @ ..] => {
                assert_eq!(offset + bytes, end as u64);
                assert!(rest.is_empty() || read.is_empty(), "cut at {end}: {damages:?}");
            }
            _ => panic!("cut at {end}: {damages:?}"),
        }
    }
    assert!(most >= records.len() - 9, "the last chunk alone is missing");
}

#[test]
fn what_holds_no_record_for_long_is_given_up() {
    let (segments, records) = recording(2);
    let zeros = vec![0; 1 << 20];
    for sound in [&[][..], &segments.concat()] {
        for portion in [7 << 10, 20 << 20] {
            let mut reader = Reader::new();
            let (mut found, mut damages, mut fed) = (0, Vec::new(), 0);
            let portions = zeros.chunks(portion).cycle();
            for portion in core::iter::once(sound).chain(portions) {
                if reader.gave_up() || fed > 64 << 20 {
                    break;
                }
                reader.feed(portion);
                fed += portion.len();
                while let Some(item) = reader.next_record() {
                    match item {
                        Ok(_) => found += 1,
                        Err(damage) => damages.push(damage),
                    }
                }
            }
            assert!(fed < 20 << 20, "{fed} bytes were read");
            let last = damages.pop().unwrap();
            if sound.is_empty() {
                assert_eq!((found, last.cause), (0, DamageCause::NotARecording));
            } else {
                let end = sound.len() as u64;
                let expect = Damage { offset: end, cause: DamageCause::Void { bytes: 16 << 20 } };
                assert_eq!((found, last), (records.len(), expect));
            }
            // The next segment is read as if nothing had been.
            reader.begin_segment();
            assert_eq!(reader.gave_up(), sound.is_empty());
        }
    }
}

/// Whether `part` is `whole` with some records left out. Keyframes come in where something is missing.
fn is_subsequence(part: &[Record], whole: &[Record]) -> bool {
    let mut rest = whole.iter();
    part.iter().filter(|record| !matches!(record, Record::Keyframe(_))).all(|record| {
        // Session and plan are restated behind a gap.
        let restated = whole[..2].contains(record);
        restated || rest.any(|other| other == record)
    })
}

#[test]
fn flipped_bits_never_invent_records() {
    let (segments, records) = recording(6);
    let bytes = segments.concat();
    let mut noticed = 0;
    for bit in 0..bytes.len() * 8 {
        let mut bad = bytes.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        let (read, damages) = read(&bad, 1000);
        assert!(is_subsequence(&read, &records), "bit {bit}");
        // One flip costs one chunk at most: the session, the plan, or the events of four runs.
        assert!(
            read.len() + 2 * 4 * 4 > records.len() || bit < 1000 * 8,
            "bit {bit}: {} records",
            read.len()
        );
        assert!(!damages.is_empty() || read.len() >= records.len(), "bit {bit}: a silent loss");
        noticed += usize::from(!damages.is_empty());
    }
    assert!(noticed > 0);
}

proptest! {
    #[test]
    fn rubbish_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let (read, _) = read(&bytes, 100);
        prop_assert_eq!(read, vec![]);
    }

    #[test]
    fn rubbish_in_a_sound_chunk_never_panics(
        body in proptest::collection::vec(any::<u8>(), 0..200),
        kind in 0u8..8,
        flags in 0u8..4,
    ) {
        let (segments, _) = recording(4);
        let mut bytes = segments[0].clone();
        put_chunk(&mut bytes, header(kind, flags, 5, &body), &body);
        bytes.extend_from_slice(&segments[1]);
        read(&bytes, 100);
    }

    #[test]
    fn rubbish_is_no_plan(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        let mut bad = vec![0x08, 0x01];
        bad.extend_from_slice(&bytes);
        if let Ok(plan) = PlanRecord::from_bytes(&bad) {
            prop_assert_eq!(plan.validate(), Ok(()));
        }
    }
}

fn header(kind: u8, flags: u8, seq: u64, body: &[u8]) -> Header {
    Header {
        major: 1,
        minor: FORMAT_MINOR,
        kind,
        flags,
        seq,
        base: 0,
        count: 0,
        len: body.len() as u32,
        body_crc: crc32c(body),
    }
}

/// A recording whose last chunk is `change` of an empty one.
fn with_chunk(change: impl FnOnce(Header) -> Header, body: &[u8]) -> (Vec<Record>, Vec<Damage>) {
    let mut writer = Writer::new(session());
    let mut bytes = Vec::new();
    writer.take(&mut bytes);
    put_chunk(&mut bytes, change(header(4, 0, 1, body)), body);
    read(&bytes, usize::MAX)
}

#[test]
fn versions_and_unknown_kinds() {
    let known = vec![Record::Session(session())];
    let later_minor = |header| Header { minor: 99, kind: 77, ..header };
    assert_eq!(with_chunk(later_minor, b"whatever"), (known.clone(), vec![]));
    let (read, damages) = with_chunk(|header| Header { major: 2, ..header }, b"");
    assert_eq!(read, known);
    assert_eq!(damages.len(), 1);
    assert!(damages[0].is_fatal());
    let message = damages[0].to_string();
    assert!(message.contains("version 2") && message.contains("reads version 1"), "{message}");
}

#[test]
fn long_names_are_cut_where_they_are_shown() {
    let long = "é".repeat(100_000);
    let mut writer = Writer::new(SessionInfo { model: long.clone(), device: long.clone(), ..session() });
    let mut plan = chain(1);
    plan.arenas[0].name = long.clone();
    writer.plan(&plan);
    writer.event(&run(0)[0]);
    writer.event(&Event::RunEnd { run: 0, t: 5000, ok: true });
    writer.event(&Event::OpTimes { run: 0, plan: 0, first_op: 0, times: vec![(1, 2)] });
    writer.flush();
    let mut bytes = Vec::new();
    writer.take(&mut bytes);
    let (records, damages) = read(&bytes, 4096);
    assert_eq!(damages, []);
    assert_eq!(records[1], Record::Plan { plan: 0, record: plan });
    assert!(
        matches!(&records[0], Record::Session(session) if long.starts_with(&session.model) && session.model.len() == 4096)
    );
    assert_eq!(records.len(), 5);
}

#[test]
fn damage_inside_a_chunk_is_named() {
    let cases: [(&[u8], u32, &str); 3] = [
        (&[13, 0], 2, "1 events are missing"),
        (&[2, 0, 0, 9], 1, "a plan that is not known"),
        (&[63], 1, "impossible kind"),
    ];
    for (body, count, expect) in cases {
        let (_, damages) = with_chunk(|header| Header { count, ..header }, body);
        let text: Vec<_> = damages.iter().map(ToString::to_string).collect();
        assert!(text.len() == 1 && text[0].contains(expect), "{text:?}");
    }
}

#[test]
fn a_trace_of_another_program_is_no_recording() {
    let mut bytes = Vec::new();
    put_packet(&mut bytes, &[0x08, 0x01]);
    for bytes in [bytes, vec![], b"\x7fELF rubbish".to_vec(), vec![0; 100_000]] {
        let (read, damages) = read(&bytes, 4096);
        assert_eq!(read, vec![]);
        assert!(damages.last().is_some_and(Damage::is_fatal), "{damages:?}");
    }
}

#[test]
fn plan_and_window_lists_larger_than_a_chunk_round_trip() {
    let plan = chain(30_000);
    let windows: Vec<_> = (0..30_000)
        .map(|op| Window { op, binding: 1, buffer: op, arena: 0, offset: 256, len: 256, write: op % 2 == 0 })
        .collect();
    let mut writer = Writer::new(session());
    writer.plan(&plan);
    writer.event(&Event::Windows { t: 1, recording: 0, plan: 0, part: 0, windows: windows.clone() });
    writer.begin_segment();
    let mut bytes = Vec::new();
    writer.take(&mut bytes);
    assert!(bytes.len() > 1 << 20, "the plan must not fit one chunk: {} bytes", bytes.len());
    let (records, damages) = read(&bytes, 1 << 16);
    assert_eq!(damages, []);
    assert_eq!(records[1], Record::Plan { plan: 0, record: plan });
    let mut back = Vec::new();
    for (number, record) in (0..).zip(&records[2..]) {
        let Record::Event(Event::Windows { part, windows, .. }) = record else { panic!("{record:?}") };
        assert_eq!(*part, number);
        back.extend_from_slice(windows);
    }
    assert_eq!(back, windows);

    // The second segment restates all of it.
    let second = find_restated_start(&bytes);
    let (records, damages) = read(&bytes[second..], 1 << 16);
    assert_eq!(damages, []);
    let Some(Record::Keyframe(keyframe)) = records.last() else { panic!() };
    let restated = keyframe.state.iter().map(|event| match event {
        Event::Windows { windows, .. } => windows.len(),
        _ => 0,
    });
    assert_eq!(restated.sum::<usize>(), windows.len());
}

/// Where the packets before the restated session begin: behind the last chunk that is not restated.
fn find_restated_start(bytes: &[u8]) -> usize {
    let mut at = 0;
    let mut end = 0;
    while let Ok(start) = find_header(bytes, at) {
        let header = Header::from_bytes(&bytes[start..]).unwrap();
        if header.flags & 2 != 0 {
            return end;
        }
        end = start + HEADER_LEN + header.len as usize;
        at = end;
    }
    panic!("no restated chunk")
}

#[test]
fn plan_round_trips_in_binary_and_json() {
    for plan in [PlanRecord::default(), chain(0), chain(1), chain(50)] {
        let bytes = plan.to_bytes();
        assert_eq!(PlanRecord::from_bytes(&bytes), Ok(plan.clone()));
        assert_eq!(PlanRecord::from_json(&plan.to_json()), Ok(plan.clone()));
        for end in 0..bytes.len() {
            // Whatever a cut leaves is a valid plan or an error.
            if let Ok(plan) = PlanRecord::from_bytes(&bytes[..end]) {
                assert_eq!(plan.validate(), Ok(()));
            }
        }
        let mut later = bytes.clone();
        later.extend_from_slice(&[0xfa, 0x01, 3, 1, 2, 3]);
        assert_eq!(PlanRecord::from_bytes(&later), Ok(plan), "an unknown field is skipped");
    }
}

#[test]
fn plans_of_other_versions_are_refused_by_name() {
    assert_eq!(PlanRecord::from_bytes(&[0x08, 0x07]), Err(PlanDecodeError::Version { found: 7 }));
    let json = chain(1).to_json().replace("\"version\": 1", "\"version\": 9");
    assert_eq!(PlanRecord::from_json(&json), Err(PlanDecodeError::Version { found: 9 }));
    for text in ["", "{}", "[1]", "{\"format\": \"other\", \"version\": 1}", "{\"format\": \"bayplan-plan\"}"]
    {
        assert!(PlanRecord::from_json(text).is_err(), "{text}");
    }
}

#[test]
fn a_small_plan_cannot_fill_memory() {
    // One text of 100 kB, used as a note ten thousand times.
    let mut bytes = vec![0x08, 0x01, 0x12];
    crate::format::wire::put_bytes(&mut bytes, &vec![b'a'; 100_000]);
    for _ in 0..10_000 {
        bytes.extend_from_slice(&[0x30, 0x01]);
    }
    let error = PlanRecord::from_bytes(&bytes).unwrap_err();
    assert!(error.to_string().contains("more memory"), "{error}");
}

#[test]
fn invalid_plans_are_named() {
    type Change = fn(&mut PlanRecord);
    let cases: [(Change, &str); 8] = [
        (|plan| plan.buffers[1].arena = 1, "buffer 1 of the plan names arena 1, but the plan has 1"),
        (
            |plan| plan.buffers[1].offset = 300,
            "buffer 1 of the plan (256 bytes at 300) ends past its arena of 512",
        ),
        (|plan| plan.buffers[1].offset = u64::MAX, "ends past its arena"),
        (|plan| plan.buffers[1].last = 9, "buffer 1 of the plan names op 9, but the plan has 2"),
        (|plan| (plan.buffers[1].first, plan.buffers[1].last) = (2, 1), "the lifespan 2..1 of buffer 1"),
        (|plan| plan.ops[1].reads.push(77), "op 1 of the plan names buffer 77"),
        (|plan| plan.arenas[0].witness_op = Some(2), "arena 0 of the plan names op 2"),
        (|plan| plan.buffers[0].alias_of = Some(3), "buffer 0 of the plan names buffer 3"),
    ];
    for (change, expect) in cases {
        let mut plan = chain(2);
        change(&mut plan);
        let error = plan.validate().unwrap_err();
        assert!(error.to_string().contains(expect), "{error}");
        if !matches!(error, PlanRecordError::Lifespan { .. }) {
            assert_eq!(
                PlanRecord::from_bytes(&plan.to_bytes()),
                Err(PlanDecodeError::Invalid(error.clone()))
            );
        }
        assert_eq!(PlanRecord::from_json(&plan.to_json()), Err(PlanDecodeError::Invalid(error)));
    }
}

#[test]
fn events_take_few_bytes() {
    let mut writer = Writer::new(session());
    writer.plan(&chain(300));
    writer.flush();
    let mut head = Vec::new();
    writer.take(&mut head);
    // Ops of 3 to 15 microseconds, 200 ns apart: two bytes for each of the two numbers at most.
    let mut t = 1_000_000;
    for number in 0..100u64 {
        let mut times = Vec::new();
        for op in 0..300u64 {
            let start = t + 200;
            t = start + 3000 + (number * 31 + op * 97) % 12_000;
            times.push((start, t));
        }
        writer.event(&Event::OpTimes { run: number, plan: 0, first_op: 0, times });
    }
    writer.flush();
    let mut bytes = Vec::new();
    writer.take(&mut bytes);
    let per_op = bytes.len() as f64 / 30_000.0;
    assert!(per_op < 4.1, "{per_op} bytes per op");
}

#[test]
fn retired_plans_are_told_once_and_not_restated() {
    let mut writer = Writer::new(SessionInfo::default());
    let (first, second) = (writer.plan(&chain(2)), writer.plan(&chain(3)));
    let retired = Event::PlanRetired { t: 5, plan: first };
    writer.event(&retired);
    writer.flush();
    let (mut before, mut after) = (Vec::new(), Vec::new());
    writer.take(&mut before);
    writer.begin_segment();
    let later = Event::RunStart { run: 0, plan: second, t: 6 };
    writer.event(&later);
    writer.flush();
    writer.take(&mut after);
    let plans = |records: &[Record]| -> Vec<u32> {
        let number = |record: &Record| match record {
            Record::Plan { plan, .. } => Some(*plan),
            _ => None,
        };
        records.iter().filter_map(number).collect()
    };
    let (records, damages) = read(&before, 1000);
    assert_eq!((plans(&records), damages), (vec![first, second], vec![]));
    assert_eq!(records.last(), Some(&Record::Event(retired)));
    let (records, damages) = read(&after, 1000);
    assert_eq!((plans(&records), damages), (vec![second], vec![]));
    assert_eq!(records.last(), Some(&Record::Event(later)));
}
