//! Weights on their way to the device: by every path, read in every way, in order, in little memory, or refused by name.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bayplan_compile::session::{Cancel, Cancelled, Io, Progress, ReadMode, WeightsPath};
use bayplan_engine::{EngineError, Session, SessionOptions};
use bayplan_graph::op::{BinaryOp, UnaryOp};
use bayplan_graph::{ByteRange, ByteSource, DType, Digest, Op, ReadError};
use bayplan_trace::{Event, Level, Record, Severity};
use common::table::{COLUMNS, check, counts, load, on_disk, range, rows, table};
use common::{Memory, Model, numbers, open};

#[test]
fn weights_arrive_by_every_path_read_in_every_way() {
    let counts = counts();
    let model = table(&counts, |_, _, w| w);
    let folder = tempfile::tempdir().expect("a folder");
    let (_, store) = on_disk(&model, &folder);
    let total: usize = counts.iter().map(|count| count * COLUMNS * 4).sum();
    for separate in [false, true] {
        let device = open(separate);
        for (name, io) in Io::ALL {
            let (session, told) = load(&model, &device, &store, io);
            check(&mut session.expect("a session"), &counts);
            // None of them can be imported: they begin at odd bytes.
            let path = if separate { WeightsPath::Staged } else { WeightsPath::Mapped };
            assert_eq!(told.paths().collect::<Vec<_>>(), [(path, total as u64)], "{name}");
            let staging = if separate { 1..=4 * ((4 << 20) + 4096) } else { 0..=0 };
            assert!(staging.contains(&told.staging), "{} bytes of staging, whatever the model", told.staging);
            let direct = told.modes().any(|(mode, _)| mode == ReadMode::Direct);
            // The file was just written, so that it is in the page cache; some file systems take no direct reads.
            assert!(!direct || io == Io::Direct, "{name}");
        }
        assert_eq!(device.allocations().live_bytes, 0, "what loading took is freed");
    }
}

#[test]
fn staging_does_not_grow_with_the_largest_tensor() {
    let device = open(true);
    let staging = |count| {
        let counts = [count];
        let model = table(&counts, |_, _, w| w);
        let (session, told) = load(&model, &device, &model.store(), Io::Auto);
        check(&mut session.expect("a session"), &counts);
        told.staging
    };
    let small = staging(100);
    assert!(small <= 2 * (100 * COLUMNS as u64 * 4).next_multiple_of(4096) + 4096, "{small}");
    assert_eq!(staging(70_000), staging(200_000));
}

#[test]
fn the_load_programs_memory_is_not_overwritten_before_it_is_read() {
    // Each weight is computed of two, which are loaded to memory that later ones use again.
    let counts: Vec<usize> = (0..24).map(|i| 3000 + i % 5 * 2000).collect();
    let model = table(&counts, |model, number, w| {
        let own = model.node(&format!("n{number}"), Op::Unary(UnaryOp::Neg), &[w]);
        let one = model.weight(&format!("c{number}"), &rows(counts[number], number));
        let both = model.node(&format!("d{number}"), Op::Binary(BinaryOp::Add), &[one, one]);
        model.node(&format!("s{number}"), Op::Binary(BinaryOp::Add), &[own, both])
    });
    for separate in [false, true] {
        let device = open(separate);
        let program = model.compile(&device);
        assert!(program.load.dispatches.len() >= counts.len(), "it has a load program");
        let scratch = program.arena_bytes[bayplan_compile::Arena::Load.index()];
        assert!(scratch < program.upload_bytes() / 4, "its memory is used again: {scratch}");
        for _ in 0..5 {
            let (session, _) = load(&model, &device, &model.store(), Io::Auto);
            check(&mut session.expect("a session"), &counts);
        }
    }
}

/// A file that cannot be read from a byte on; or, `panics`, worse.
struct Broken {
    file: Memory,
    from: u64,
    panics: bool,
    met: AtomicBool,
}

impl ByteSource for Broken {
    fn len(&self) -> u64 {
        self.file.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        if offset + buf.len() as u64 > self.from {
            self.met.store(true, Ordering::SeqCst);
            assert!(!self.panics, "a source that panics");
            return Err(ReadError { offset, len: buf.len() as u64, reason: "the disk is on fire".into() });
        }
        self.file.read_at(offset, buf)
    }
}

#[test]
fn what_cannot_be_read_ends_loading_by_name() {
    let counts = counts();
    let model = table(&counts, |_, _, w| w);
    for separate in [false, true] {
        let device = open(separate);
        for (name, panics) in [("w0", false), ("w2", false), ("w40", false), ("w2", true)] {
            let from = range(&model, name).offset + 1;
            let file = Memory(model.bytes().to_vec());
            let broken = Arc::new(Broken { file, from, panics, met: AtomicBool::new(false) });
            let store = model.store_of(Arc::clone(&broken) as Arc<dyn ByteSource>);
            let (session, told) = load(&model, &device, &store, Io::Auto);
            let e = session.err().expect("a failure").to_string();
            assert!(broken.met.load(Ordering::SeqCst));
            assert!(told.arrived() < told.total, "{told:?}");
            let expected =
                if panics { "panicked".into() } else { format!("the weight {name} cannot be loaded") };
            assert!(e.contains(&expected) && (panics || e.contains("on fire")), "{e}");
        }
        assert_eq!(device.allocations().live_bytes, 0, "nothing is left of it");
    }
}

#[test]
fn damage_is_found_as_the_bytes_pass() {
    let counts = counts();
    let mut model = table(&counts, |_, _, w| w);
    let ranges: Vec<ByteRange> =
        (0..counts.len()).map(|number| range(&model, &format!("w{number}"))).collect();
    for range in &ranges {
        let bytes = &model.bytes()[range.offset as usize..(range.offset + range.len) as usize];
        let digest = Digest::of(bytes);
        model.graph.digests.push((*range, digest));
    }
    for separate in [false, true] {
        let device = open(separate);
        let (session, _) = load(&model, &device, &model.store(), Io::Auto);
        check(&mut session.expect("all is well"), &counts);
        for (number, at) in [(0, 0), (0, ranges[0].len - 1), (2, 4 << 20), (17, 5), (63, 0)] {
            let mut bytes = model.bytes().to_vec();
            bytes[(ranges[number].offset + at) as usize] ^= 1;
            let (session, _) = load(&model, &device, &model.store_of(Arc::new(Memory(bytes))), Io::Auto);
            let e = session
                .err()
                .unwrap_or_else(|| panic!("{number} {at}: {} damaged", counts[number]))
                .to_string();
            assert!(e.contains(&format!("`w{number}`")) && e.contains("digest"), "{e}");
        }
        assert_eq!(device.allocations().live_bytes, 0, "nothing is left of it");
    }
}

#[test]
fn a_model_without_weights_loads() {
    let mut model = Model::new("plain");
    let x = model.input("x", DType::F32, &[4]);
    let y = model.exp("y", x);
    let model = model.outputs(&[y]);
    let (session, told) = load(&model, &open(true), &model.store(), Io::Direct);
    assert!(session.expect("a session").run(&[("x", &numbers(&[4]))]).is_ok());
    assert_eq!((told.total, told.staging), (0, 0));
}

/// A file whose reads from a byte on wait: for the run that needs nothing of them, or for a moment each.
struct Slow<F> {
    file: Memory,
    from: u64,
    wait: F,
}

impl<F: Fn() + Send + Sync> ByteSource for Slow<F> {
    fn len(&self) -> u64 {
        self.file.len()
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), ReadError> {
        if offset + buf.len() as u64 > self.from {
            (self.wait)();
        }
        self.file.read_at(offset, buf)
    }
}

/// A chain: each product reads a weight of 4 MiB that comes later in the file; some are computed of the file's by the load
/// program.
fn chain() -> Model {
    let mut model = Model::new("chain");
    let mut x = model.input("x", DType::F32, &[4, 1024]);
    for step in 0..STEPS {
        let w = model.weight(&format!("w{step}"), &numbers(&[1024, 1024]));
        let w = match step % 3 {
            1 => model.node(&format!("n{step}"), Op::Unary(UnaryOp::Neg), &[w]),
            _ => w,
        };
        x = model.matmul(&format!("h{step}"), x, w);
        let bias = model.weight(&format!("b{step}"), &numbers(&[4, 1024]));
        x = model.add(&format!("s{step}"), x, bias);
    }
    model.outputs(&[x])
}

const STEPS: usize = 6;

#[test]
fn a_run_begins_before_its_last_weight_has_arrived() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = chain();
    for separate in [false, true] {
        let device = open(separate);
        let file = folder.path().join(format!("{separate}.bptrace"));
        let (seen, own) = (Arc::new(AtomicBool::new(false)), file.clone());
        let told = Arc::clone(&seen);
        // The last weight comes when the recording says that dispatches of the run are done.
        let wait = move || {
            for _ in 0..500 {
                let mut done = false;
                // It is being written: what is not whole yet is read the next time.
                let _ = bayplan_record::read(bayplan_record::Source::of_path(&own), |record| {
                    done |= matches!(record, Record::Event(Event::Completed { .. }));
                });
                if done {
                    return told.store(true, Ordering::SeqCst);
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        };
        let from = range(&model, "b5").offset;
        let store = model.store_of(Arc::new(Slow { file: Memory(model.bytes().to_vec()), from, wait }));
        let recording = Some(common::recording(&file, Level::Op));
        let options = SessionOptions { recording, early: true, ..SessionOptions::default() };
        let mut session = Session::new(&device, model.compile(&device), &store, options).expect("a session");
        assert!(!seen.load(Ordering::SeqCst), "no run has begun");
        let input = numbers(&[4, 1024]);
        let expected = &model.reference(std::slice::from_ref(&input))[0];
        for _ in 0..2 {
            let outputs = session.run(&[("x", &input)]).expect("a run");
            let found = outputs.get("s5").expect("an output").to_tensor().expect("a tensor");
            assert!(common::agree(&found, expected), "separate: {separate}");
        }
        assert!(seen.load(Ordering::SeqCst), "dispatches ran before the last weight was there");
        session.finish();
        let timeline = common::timeline(&file);
        assert_eq!(timeline.runs.len(), 2, "{separate}");
    }
}

#[test]
fn results_are_the_same_however_late_weights_come() {
    let model = chain();
    let input = numbers(&[4, 1024]);
    let seed = Arc::new(AtomicU64::new(1));
    for separate in [false, true] {
        let device = open(separate);
        let mut first = None;
        let program = model.compile(&device);
        for _ in 0..25 {
            let seed = Arc::clone(&seed);
            let wait = move || {
                let drawn = seed.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed) >> 54;
                std::thread::sleep(Duration::from_micros(drawn % 400));
            };
            let slow = Slow { file: Memory(model.bytes().to_vec()), from: 0, wait };
            let store = model.store_of(Arc::new(slow));
            let options = SessionOptions { early: true, ..SessionOptions::default() };
            let mut session = Session::new(&device, program.clone(), &store, options).expect("a session");
            for _ in 0..2 {
                let outputs = session.run(&[("x", &input)]).expect("a run");
                let found = outputs.get("s5").expect("an output").to_tensor().expect("a tensor");
                let expected = first.get_or_insert_with(|| found.clone());
                assert_eq!(found.bytes(), expected.bytes(), "to the bit");
            }
        }
        assert!(common::agree(&first.expect("runs"), &model.reference(std::slice::from_ref(&input))[0]));
        drop(program);
        assert_eq!(device.allocations().live_bytes, 0);
    }
}

#[test]
fn a_run_that_meets_a_weight_that_cannot_be_read_delivers_nothing() {
    let model = chain();
    let input = numbers(&[4, 1024]);
    for separate in [false, true] {
        let device = open(separate);
        let from = range(&model, "b5").offset;
        let broken =
            Broken { file: Memory(model.bytes().to_vec()), from, panics: false, met: AtomicBool::new(false) };
        let store = model.store_of(Arc::new(broken));
        let options = SessionOptions { early: true, ..SessionOptions::default() };
        let mut session = Session::new(&device, model.compile(&device), &store, options).expect("a session");
        let e = session.run(&[("x", &input)]).err().expect("a failure").to_string();
        assert!(e.contains("weight b5") && e.contains("on fire"), "{e}");
        let again = session.run(&[("x", &input)]).err().expect("a failure").to_string();
        assert!(again.contains("failed before"), "{again}");
        drop(session);
        // One that never runs leaves nothing either.
        let options = SessionOptions { early: true, ..SessionOptions::default() };
        drop(Session::new(&device, model.compile(&device), &store, options).expect("a session"));
        assert_eq!(device.allocations().live_bytes, 0);
    }
}

#[test]
fn loading_ends_within_a_piece_when_it_is_cancelled() {
    let model = chain();
    let input = numbers(&[4, 1024]);
    let folder = tempfile::tempdir().expect("a folder");
    for (separate, early) in [(false, false), (true, false), (false, true), (true, true)] {
        let device = open(separate);
        let program = model.compile(&device);
        let total = program.upload_bytes();
        let file = folder.path().join(format!("{separate} {early}.bptrace"));
        let (cancel, most) = (Cancel::default(), 8 << 20);
        let own = cancel.clone();
        let progress = Progress::new(move |loading| {
            if loading.arrived() >= most {
                own.cancel();
            }
        });
        let recording = Some(common::recording(&file, Level::Run));
        let progress = Some(progress);
        let options = SessionOptions {
            recording,
            progress,
            cancel,
            early,
            io: Io::Buffered,
            ..SessionOptions::default()
        };
        let built = Session::new(&device, program, &model.store(), options);
        assert!(early || built.is_err());
        let e = match built {
            Ok(mut session) => session.run(&[("x", &input)]).err().expect("the run is abandoned"),
            Err(e) => e,
        };
        let EngineError::Cancelled(Cancelled { arrived, total: all }) = e else { panic!("{e}") };
        // What two readers had begun arrives still.
        assert!(all == total && (most..=most + (12 << 20)).contains(&arrived), "{arrived} of {all}");
        let timeline = common::timeline(&file);
        let load = timeline.totals.loads.latest.expect("a load");
        assert!(load.end.is_some() && !load.ok, "{load:?}");
        let told: Vec<_> =
            timeline.messages.iter().map(|(_, severity, text)| (*severity, text.clone())).collect();
        assert_eq!(told, [(Severity::Warning, e.to_string())]);
        assert_eq!(device.allocations().live_bytes, 0, "nothing is left of it");
    }
}
