//! What the format costs: bytes per event and per op, time to decode and to fold, time to write, time to find one's place.
//!
//! `cargo bench -p bayplan-trace --bench format`, or `make bench-format`. Times are processor time of this thread, the
//! best of several rounds; the bar stands beside each figure, and the program fails where a size misses its bar. Times are
//! for whoever reads them: machines differ.

use std::hint::black_box;
use std::time::Duration;

use bayplan_trace::{
    ArenaRecord, BufferRecord, Damage, Event, EventRef, Index, IndexScan, Level, OpRecord, PlanRecord,
    Reader, Record, SessionInfo, Timeline, Visitor, Writer, last_segment,
};
use rustix::time::{ClockId, clock_gettime};

/// Events of each workload.
const EVENTS: u64 = 2_000_000;
const ROUNDS: usize = 7;
/// Bytes fed at a time, as files are read.
const PORTION: usize = 1 << 20;
const OPS: u64 = 128;

fn main() {
    let mut good = true;
    println!("{:<44} {:>12}   bar", "what", "figure");
    for (name, events) in [("runs and playheads", runs as fn() -> Vec<Event>), ("ranges of pools", pools)] {
        let events = events();
        let bytes = write(&events);
        let private = private_bytes(&bytes) as f64 / events.len() as f64;
        good &= tell(&format!("{name}: bytes per event"), private, "B", 5.0);
        rates(&format!("{name}, private"), &private_only(&bytes), events.len() as u64);
        let visible = bytes.len() as f64 / events.len() as f64 - private;
        println!("{:<44} {visible:>10.2} B", format!("{name}: what Perfetto shows, per event"));
        rates(name, &bytes, events.len() as u64);
        writing(name, &events);
    }
    // The engine's op times have no gaps: a timestamp is the end of an op and the start of the next.
    let kinds = [("op times of a GPU (2-40 µs)", 0, 40), ("op times of a CPU (to 8 ms)", 0, 8000)];
    for (name, gap, longest) in kinds.into_iter().chain([("op times with gaps", 300, 40)]) {
        let events = op_times(gap, longest);
        let bytes = write(&events);
        let ops = events.len() as u64 * OPS;
        let each = private_bytes(&bytes) as f64 / ops as f64;
        let name_of_size = format!("{name}: bytes per op");
        if gap == 0 {
            good &= tell(&name_of_size, each, "B", 3.0);
        } else {
            println!("{name_of_size:<44} {each:>10.2} B");
        }
        rates(name, &bytes, ops);
    }
    planned();
    places();
    assert!(good, "a size misses its bar");
}

/// Prints a size beside its bar; returns whether it keeps it.
fn tell(what: &str, figure: f64, unit: &str, bar: f64) -> bool {
    println!("{what:<44} {figure:>10.2} {unit}   ≤ {bar} {unit}");
    figure <= bar
}

/// Runs of 50 to 900 µs, one after the other, with two playheads each.
fn runs() -> Vec<Event> {
    let mut t = 1_000_000;
    let runs = (0..EVENTS / 4).flat_map(|run| {
        let took = 50_000 + run * 7919 % 850_000;
        let start = t;
        t += took + 3_000;
        [
            Event::RunStart { run, plan: 0, t: start },
            Event::Completed { run, plan: 0, op: (run % 60) as u32, t: start + took / 3 },
            Event::Completed { run, plan: 0, op: (60 + run % 60) as u32, t: start + took / 2 },
            Event::RunEnd { run, t: start + took, ok: true },
        ]
    });
    runs.collect()
}

/// Blocks of keys and values that come and go, the oldest first.
fn pools() -> Vec<Event> {
    let pairs = (0..EVENTS / 2).flat_map(|id| {
        let t = 1_000_000 + id * 9_000;
        [
            Event::PoolAllocated {
                t,
                pool: 1,
                id: id + 512,
                offset: ((id + 512) % 1024) << 14,
                bytes: 1 << 14,
            },
            Event::PoolFreed { t: t + 2_000, pool: 1, id },
        ]
    });
    pairs.collect()
}

/// Op times of runs, in nanoseconds, of a device whose clock has a tick of 1 ns.
fn op_times(gap: u64, longest_us: u64) -> Vec<Event> {
    let (mut t, mut state) = (1_000_000, 1u64);
    let mut random = move || {
        // Knuth's multiplier for 64 bits (MMIX).
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let events = (0..EVENTS * 4 / OPS).map(|run| {
        let times = (0..OPS).map(|op| {
            let start = t + if gap > 0 { gap + random() % gap } else { 0 };
            // Ops differ; a run differs from another by a few percent.
            let usual = 2_000 + op * 7919 % (longest_us * 1000 - 2_000);
            t = start + usual + random() % (usual / 16 + 1);
            (start, t)
        });
        Event::OpTimes { run, plan: 0, first_op: 0, times: times.collect() }
    });
    events.collect()
}

fn ops(count: u64) -> Vec<OpRecord> {
    let named =
        |at| OpRecord { name: format!("layer {at}/Conv"), kernel: "conv".into(), ..OpRecord::default() };
    (0..count).map(named).collect()
}

fn writer() -> Writer {
    let mut writer =
        Writer::new(SessionInfo { id: "1-1".into(), level: Level::Op, ..SessionInfo::default() });
    let arenas = vec![ArenaRecord { name: "activations".into(), size: 1 << 20, ..ArenaRecord::default() }];
    writer.plan(&PlanRecord { ops: ops(OPS), arenas, ..PlanRecord::default() });
    writer
}

fn write(events: &[Event]) -> Vec<u8> {
    let mut writer = writer();
    events.iter().for_each(|event| writer.event(event));
    writer.flush();
    let mut bytes = Vec::new();
    writer.take(&mut bytes);
    bytes
}

/// The recording without what Perfetto shows.
fn private_only(bytes: &[u8]) -> Vec<u8> {
    let mut reader = Reader::new();
    reader.keep_chunks();
    reader.feed(bytes);
    reader.visit(&mut Count::default());
    let mut kept = Vec::new();
    reader.take_chunks(&mut kept);
    kept
}

/// Bytes of the frames that hold events, which Perfetto passes over.
fn private_bytes(bytes: &[u8]) -> u64 {
    let mut total = 0;
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(5).position(|five| five == b"bayp\x01") {
        let head = &bytes[at + found..];
        let len = u32::from_le_bytes([head[28], head[29], head[30], head[31]]) as usize;
        total += if head[6] == 5 { 50 + len as u64 } else { 0 };
        at += found + 40 + len;
    }
    total
}

/// Counts, and looks at every number once.
#[derive(Default)]
struct Count(u64, u64);

impl Visitor for Count {
    fn record(&mut self, _: Record) {}

    fn event(&mut self, event: EventRef<'_>) {
        self.0 += 1;
        self.1 = self.1.wrapping_add(event.time());
        if let EventRef::OpTimes { times, .. } = event {
            self.1 = times.iter().fold(self.1, |sum, (start, end)| sum.wrapping_add(end - start));
        }
    }

    fn damage(&mut self, damage: Damage) {
        panic!("{damage}");
    }
}

struct Fold(Timeline);

impl Visitor for Fold {
    fn record(&mut self, record: Record) {
        self.0.apply(record);
    }

    fn event(&mut self, event: EventRef<'_>) {
        self.0.apply_event(event);
    }

    fn damage(&mut self, damage: Damage) {
        panic!("{damage}");
    }
}

fn visit(bytes: &[u8], visitor: &mut impl Visitor) {
    let mut reader = Reader::new();
    for portion in bytes.chunks(PORTION) {
        reader.feed(portion);
        reader.visit(visitor);
    }
}

fn rates(name: &str, bytes: &[u8], records: u64) {
    let took = best(|| {
        let mut count = Count::default();
        visit(bytes, &mut count);
        black_box((count.0, count.1));
    });
    println!("{:<44} {:>8.1} M/s   ≥ 100 M/s", format!("{name}: decoded"), rate(records, took));
    let took = best(|| {
        let mut fold = Fold(Timeline::new());
        visit(bytes, &mut fold);
        black_box(fold.0.now);
    });
    println!("{:<44} {:>8.1} M/s", format!("{name}: folded into a timeline"), rate(records, took));
}

fn writing(name: &str, events: &[Event]) {
    let mut out = Vec::new();
    let took = best(|| {
        let mut writer = writer();
        for event in events {
            writer.event(event);
            if writer.ready_len() > PORTION {
                out.clear();
                writer.take(&mut out);
            }
        }
        writer.flush();
    });
    let each = took.as_nanos() as f64 / events.len() as f64;
    println!("{:<44} {each:>9.1} ns   ≤ 100 ns", format!("{name}: written, per event"));
}

/// A thousand runs of a plan of a hundred thousand tensors at level run: what its allocations and frees cost.
fn planned() {
    let mut writer = writer();
    let ops = ops(100_000);
    let buffer = |at: u32| BufferRecord {
        name: format!("tensor {at}"),
        first: at,
        last: at + 1,
        ..BufferRecord::default()
    };
    let buffers = (0..100_000).map(buffer).collect();
    let plan = writer.plan(&PlanRecord {
        ops,
        buffers,
        arenas: vec![ArenaRecord::default()],
        ..PlanRecord::default()
    });
    let mut bytes = Vec::new();
    writer.take(&mut bytes);
    bytes.clear();
    let run = |writer: &mut Writer, run| {
        writer.event(&Event::RunStart { run, plan, t: run * 1000 });
        writer.event(&Event::RunEnd { run, t: run * 1000 + 700, ok: true });
    };
    (0..1000).for_each(|number| run(&mut writer, number));
    writer.flush();
    writer.take(&mut bytes);
    let with_tensors = private_bytes(&bytes);
    let without = private_bytes(&write(
        &(0..1000)
            .flat_map(|run| {
                [
                    Event::RunStart { run, plan: 0, t: run * 1000 },
                    Event::RunEnd { run, t: run * 1000 + 700, ok: true },
                ]
            })
            .collect::<Vec<_>>(),
    ));
    let each = (with_tensors as f64 - without as f64).max(0.0) / (1000.0 * 200_000.0);
    println!("{:<44} {each:>10.6} B   0 B", "planned allocations and frees, each");
}

/// A file of many segments: finding the last one from its end, its index, and the index of a file that has none.
fn places() {
    let mut writer = writer();
    let (mut bytes, mut since) = (Vec::new(), 0);
    for event in runs() {
        writer.event(&event);
        since += writer.ready_len();
        writer.take(&mut bytes);
        if since > 4 << 20 {
            (since, _) = (0, writer.begin_segment());
        }
    }
    let cut = {
        writer.flush();
        writer.take(&mut bytes);
        bytes.len()
    };
    writer.end_file();
    writer.take(&mut bytes);
    let took = best(|| {
        black_box(last_segment(&bytes[..cut]));
    });
    println!("{:<44} {:>9.2} ms", "last segment, looked for from the end", took.as_secs_f64() * 1e3);
    let footer = Index::footer_len(&bytes).expect("the file ends with its index");
    let took = best(|| {
        let footer = &bytes[bytes.len() - footer as usize..];
        black_box(Index::from_footer(footer, bytes.len() as u64).expect("it is sound"));
    });
    println!(
        "{:<44} {:>9.2} ms   of {} kB",
        "index read from the footer",
        took.as_secs_f64() * 1e3,
        footer / 1000
    );
    let took = best(|| {
        let mut scan = IndexScan::default();
        bytes[..cut].chunks(PORTION).for_each(|portion| {
            scan.feed(portion);
        });
        black_box(scan.finish().events());
    });
    let text = format!("{} MB", cut >> 20);
    println!(
        "{:<44} {:>9.2} ms   of {text}, 3 s for 10 M events",
        "index made by a scan",
        took.as_secs_f64() * 1e3
    );
}

fn rate(records: u64, took: Duration) -> f64 {
    records as f64 / took.as_secs_f64() / 1e6
}

/// The shortest processor time of several rounds.
fn best(mut work: impl FnMut()) -> Duration {
    let round = |work: &mut dyn FnMut()| {
        let start = thread_time();
        work();
        thread_time() - start
    };
    (0..ROUNDS).map(|_| round(&mut work)).min().unwrap_or_default()
}

/// Processor time of this thread. What `/proc` tells of it goes up in steps of a scheduler's tick, longer than some rounds
/// differ.
fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
}
