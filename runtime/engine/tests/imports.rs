//! Weights that are not copied: the device reads them where their file has them, and the rest comes as usual.

mod common;

use std::os::unix::fs::FileExt;

use bayplan_compile::session::{Io, WeightsPath};
use bayplan_compile::{Arena, Program};
use bayplan_engine::{Device, DeviceOptions, Session, SessionOptions, weights_path};
use bayplan_graph::op::UnaryOp;
use bayplan_graph::{DType, Op};
use bayplan_trace::{Event, Level, Record, Severity};
use common::table::{COLUMNS, check, load, on_disk, range, rows, table_of};
use common::{Model, open, open_with};

/// Rows of weights: whole pages, less than a vector's width more, a row.
const COUNTS: [usize; 6] = [4096, 17, 1023, 20_000, 18, 333];

/// A model of these weights, each at a multiple of its alignment: 4 bytes are too few for any device.
fn aligned(align: [usize; COUNTS.len()]) -> Model {
    table_of(&COUNTS, |model, number| model.align(align[number]), |_, _, w| w)
}

const PACKED: [usize; COUNTS.len()] = [4096; COUNTS.len()];

fn bytes(number: usize) -> u64 {
    (COUNTS[number] * COLUMNS * 4) as u64
}

/// All weights of a program.
fn weights(program: &Program) -> u64 {
    program.arena_bytes[Arena::Weights.index()]
}

/// Whether a device of these takes files for memory.
fn imports(device: &Device) -> bool {
    weights_path(device.info(), Io::Import) == WeightsPath::Imported
}

#[test]
fn aligned_weights_are_read_in_their_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = aligned(PACKED);
    let (_, store) = on_disk(&model, &folder);
    let device = open(false);
    if !imports(&device) {
        return;
    }
    let all: u64 = (0..COUNTS.len()).map(bytes).sum();
    let taken = |io| {
        let (session, told) = load(&model, &device, &store, io);
        let mut session = session.expect("a session");
        let counts = device.allocations();
        check(&mut session, &COUNTS);
        check(&mut session, &COUNTS);
        let imported = session.imported().map(|told| (told.bytes, told.left.clone()));
        (counts.live_bytes, counts.imported_bytes, told.paths().collect::<Vec<_>>(), imported)
    };
    let (usual, none, paths, imported) = taken(Io::Auto);
    assert_eq!((none, paths, imported), (0, vec![(WeightsPath::Mapped, all)], None));
    let (taken, mapped, paths, imported) = taken(Io::Import);
    assert_eq!((paths, imported), (vec![(WeightsPath::Imported, all)], Some((all, Vec::new()))));
    assert!(mapped >= all && mapped < all + 64 * 1024, "{mapped} for {all}");
    let own = weights(&model.compile(&device));
    assert!(own >= all && taken <= usual - own, "{taken} with, {usual} without: {own} of weights");
    let counts = device.allocations();
    assert_eq!((counts.live_bytes, counts.imported_bytes), (0, 0), "all is given back");
}

#[test]
fn what_cannot_be_imported_comes_as_usual_and_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    // The second and the fourth begin 4 bytes beyond a vector; the fifth is computed with before any run.
    let place = |model: &mut Model, number: usize| {
        model.align(4096);
        if number % 3 == 1 {
            model.weight(
                &format!("odd{number}"),
                &bayplan_graph::Tensor::from_ints(DType::U8, vec![4], &[1; 4]).expect("4"),
            );
        }
    };
    let model = table_of(&COUNTS, place, |model, number, w| match number {
        2 => {
            // −w + 2 w, where w is in the file twice.
            let own = model.node("own", Op::Unary(UnaryOp::Neg), &[w]);
            let again = model.weight("again", &rows(COUNTS[2], 2));
            let both = model.add("both", again, again);
            model.add("sum", own, both)
        }
        _ => w,
    });
    let (_, store) = on_disk(&model, &folder);
    for separate in [false, true] {
        let device = open(separate);
        let program = model.compile(&device);
        let (session, told) = load(&model, &device, &store, Io::Import);
        let mut session = session.expect("a session");
        check(&mut session, &COUNTS);
        let imported = session.imported().expect("it was asked for").clone();
        let arrived: Vec<_> = told.paths().collect();
        let usual = if separate { WeightsPath::Staged } else { WeightsPath::Mapped };
        if !imports(&device) || separate {
            assert_eq!(arrived, [(usual, program.upload_bytes())]);
            assert_eq!((imported.bytes, imported.left.len()), (0, 1));
            assert!(imported.to_string().contains("the device"), "{imported}");
            continue;
        }
        let odd = bytes(1) + bytes(4);
        let here = bytes(0) + bytes(3) + bytes(5);
        assert_eq!(imported.bytes, here, "{imported}");
        assert_eq!(
            arrived.iter().find(|(path, _)| *path == WeightsPath::Imported),
            Some(&(WeightsPath::Imported, here))
        );
        assert_eq!(told.arrived(), program.upload_bytes());
        let left: u64 = imported.left.iter().map(|(bytes, _)| bytes).sum();
        assert_eq!(left + here, program.upload_bytes());
        let why =
            |word: &str| imported.left.iter().find(|(_, why)| why.contains(word)).map(|(bytes, _)| *bytes);
        assert_eq!(
            (why("no multiple of"), why("prepares them")),
            (Some(odd), Some(2 * bytes(2))),
            "{imported}"
        );
    }
}

/// The weights' bytes are the file's: what is written there is what the next run reads.
#[test]
fn runs_read_the_file_itself() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = aligned(PACKED);
    let (path, store) = on_disk(&model, &folder);
    let device = open(false);
    if !imports(&device) {
        return;
    }
    let (session, _) = load(&model, &device, &store, Io::Import);
    let mut session = session.expect("a session");
    check(&mut session, &COUNTS);
    let file = std::fs::OpenOptions::new().write(true).open(path).expect("the file");
    let other = rows(1, 9);
    file.write_all_at(other.bytes(), range(&model, "w1").offset).expect("written");
    let index = bayplan_graph::Tensor::from_ints(DType::I32, vec![3], &[0; 3]).expect("indices");
    let names: Vec<String> = (0..COUNTS.len()).map(|number| format!("i{number}")).collect();
    let inputs: Vec<_> = names.iter().map(|name| (name.as_str(), &index)).collect();
    let outputs = session.run(&inputs).expect("a run");
    let found = outputs.get("y1").expect("an output").to_tensor().expect("a tensor");
    assert_eq!(found.bytes()[..COLUMNS * 4], *other.bytes());
}

/// Digests are compared before anything reads a weight, also where nothing would read its bytes.
#[test]
fn damage_in_a_file_is_found_before_it_is_read() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = aligned(PACKED).with_digests();
    let (path, store) = on_disk(&model, &folder);
    let device = open(false);
    let (session, _) = load(&model, &device, &store, Io::Import);
    check(&mut session.expect("all is well"), &COUNTS);
    let file = std::fs::OpenOptions::new().read(true).write(true).open(path).expect("the file");
    for (number, at) in [(0, 0), (1, 255), (3, bytes(3) - 1), (5, 1000)] {
        let at = range(&model, &format!("w{number}")).offset + at;
        let mut byte = [0];
        file.read_exact_at(&mut byte, at).expect("read");
        file.write_all_at(&[byte[0] ^ 1], at).expect("written");
        let told = |e: String| assert!(e.contains(&format!("`w{number}`")) && e.contains("digest"), "{e}");
        let (session, _) = load(&model, &device, &store, Io::Import);
        told(session.err().expect("damaged").to_string());
        let options = SessionOptions { io: Io::Import, early: true, ..SessionOptions::default() };
        let session = Session::new(&device, model.compile(&device), &store, options);
        let names: Vec<String> = (0..COUNTS.len()).map(|number| format!("i{number}")).collect();
        let index = bayplan_graph::Tensor::from_ints(DType::I32, vec![3], &[0; 3]).expect("indices");
        let inputs: Vec<_> = names.iter().map(|name| (name.as_str(), &index)).collect();
        // Where memory suffices for both, it is the run that meets it.
        let e = match session {
            Ok(mut session) => session.run(&inputs).err().map(|e| e.to_string()),
            Err(e) => Some(e.to_string()),
        };
        told(e.expect("damaged"));
        file.write_all_at(&byte, at).expect("written");
    }
    assert_eq!(device.allocations().imported_bytes, 0);
}

#[test]
fn early_runs_read_imports_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let device = open(false);
    for model in [aligned(PACKED).with_digests(), aligned([4096, 4, 16, 256, 4, 4096])] {
        let (_, store) = on_disk(&model, &folder);
        for _ in 0..10 {
            let options = SessionOptions { io: Io::Import, early: true, ..SessionOptions::default() };
            let session = Session::new(&device, model.compile(&device), &store, options);
            check(&mut session.expect("a session"), &COUNTS);
        }
    }
    assert_eq!(device.allocations().live_bytes, 0);
}

/// The recording has the windows where the plan has them, wherever they lie, says how the weights came, and counts no memory for
/// those in their file; the layers have nothing to say.
#[test]
fn the_recording_is_that_of_the_plan() {
    let folder = tempfile::tempdir().expect("a folder");
    let model = aligned([4096, 4, 16, 256, 4096, 4096]);
    let (_, store) = on_disk(&model, &folder);
    let device = open_with(&DeviceOptions { validation: true, ..DeviceOptions::default() });
    let mut seen = Vec::new();
    for io in [Io::Auto, Io::Import] {
        let file = folder.path().join(format!("{io}.bptrace"));
        let recording = Some(common::recording(&file, Level::Op));
        let options = SessionOptions { recording, io, ..SessionOptions::default() };
        let mut session = Session::new(&device, model.compile(&device), &store, options).expect("a session");
        check(&mut session, &COUNTS);
        session.finish();
        let records = common::records(&file);
        let windows = records.iter().filter_map(|record| match record {
            Record::Event(Event::Windows { windows, .. }) => Some(windows.clone()),
            _ => None,
        });
        seen.push(windows.collect::<Vec<_>>());
        let told = records.iter().any(|record| {
            matches!(record, Record::Event(Event::Message { level: Severity::Info, text, .. }) if text.contains("read in their files"))
        });
        assert_eq!(told, io == Io::Import);
        let timeline = common::timeline(&file);
        let alarms: Vec<_> = timeline.alarms().collect();
        assert!(alarms.is_empty(), "{alarms:?}");
    }
    assert!(!seen[0].is_empty());
    assert_eq!(seen[0], seen[1], "windows by the plan's offsets");
    assert_eq!(device.message_count(), 0, "{:#?}", device.messages());
}
