//! What a recording tells of weights that are loaded.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bayplan_record::{Clock, Destination, Executor, Places, Recording, RecordingOptions, Source, read};
use bayplan_trace::{Event, Level, Loading, PlanRecord, ReadMode, Record, Timeline, WeightsPath};

/// Stands still until it is told to go on.
#[derive(Debug, Default)]
struct Stopped(AtomicU64);

impl Clock for Stopped {
    fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn start_unix_ns(&self) -> u64 {
        1
    }
}

const MIB: u64 = 1 << 20;
const SECOND: u64 = 1_000_000_000;

#[test]
fn a_load_is_recorded_with_few_events_and_exact_sums() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("load.bptrace");
    let clock = Arc::new(Stopped::default());
    let options = RecordingOptions {
        destination: Destination::File(path.clone()),
        level: Level::Run,
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
        ..RecordingOptions::new(Places::under(folder.path()))
    };
    let mut recording =
        Recording::begin(Some(options), &PlanRecord::default(), Executor::default()).expect("a recording");
    let arrivals = recording.loading(1000 * MIB, None);
    arrivals.staging(16 * MIB);
    for piece in 0..250 {
        let (way, mode) = match piece % 2 {
            0 => (WeightsPath::Staged, ReadMode::Direct),
            _ => (WeightsPath::Mapped, ReadMode::Buffered),
        };
        arrivals.piece(4 * MIB, way, mode);
        if piece == 99 {
            clock.0.store(SECOND, Ordering::Relaxed);
        }
    }
    clock.0.store(2 * SECOND, Ordering::Relaxed);
    arrivals.finish();
    // Another plan of the model, of which a weight cannot be read.
    let failed = recording.loading(8 * MIB, None);
    failed.piece(3 * MIB, WeightsPath::Staged, ReadMode::Buffered);
    drop(failed);
    recording.finish();

    let (mut timeline, mut told) = (Timeline::new(), Vec::new());
    let (_, damages) = read(Source::of_path(&path), |record| {
        if let Record::Event(event) = &record
            && matches!(event, Event::LoadStart { .. } | Event::LoadProgress { .. } | Event::LoadEnd { .. })
        {
            told.push(event.clone());
        }
        timeline.apply(record);
    })
    .expect("it is read");
    assert_eq!(damages, []);
    let progress = |t, path, arrived, direct, staging| {
        let [arrived, direct, staging] = [arrived, direct, staging].map(|size: u64| size * MIB);
        Event::LoadProgress { t, path, arrived, direct, staging }
    };
    let expected = [
        Event::LoadStart { t: 0, total: 1000 * MIB },
        // The hundredth piece comes before the clock goes on, that behind it when a second has passed.
        progress(SECOND, WeightsPath::Mapped, 200, 204, 16),
        progress(SECOND, WeightsPath::Staged, 204, 204, 16),
        progress(2 * SECOND, WeightsPath::Mapped, 500, 500, 16),
        progress(2 * SECOND, WeightsPath::Staged, 500, 500, 16),
        Event::LoadEnd { t: 2 * SECOND, ok: true },
        Event::LoadStart { t: 2 * SECOND, total: 8 * MIB },
        progress(2 * SECOND, WeightsPath::Staged, 3, 0, 0),
        Event::LoadEnd { t: 2 * SECOND, ok: false },
    ];
    assert_eq!(told, expected);
    let loads = timeline.totals.loads;
    let expected = Loading {
        total: 1008 * MIB,
        by_path: [0, 500 * MIB, 503 * MIB, 0],
        direct: 500 * MIB,
        staging: 16 * MIB,
    };
    assert_eq!((loads.count, loads.failed, loads.sum()), (2, 1, expected));
    assert_eq!(loads.took(9 * SECOND), 2 * SECOND);
}

#[test]
fn nothing_is_recorded_where_nobody_asked() {
    let arrivals = Recording::default().loading(MIB, None);
    arrivals.piece(MIB, WeightsPath::Host, ReadMode::Buffered);
    arrivals.finish();
    assert_eq!(arrivals.loading().arrived(), MIB);
}
