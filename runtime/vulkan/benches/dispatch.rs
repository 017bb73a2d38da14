//! What a dispatch costs beside its kernel: `cargo bench -p bayplan-vulkan --bench dispatch`.
//!
//! 1,000 dispatches of a kernel that returns at once, recorded once and submitted again and again. Their windows are the
//! same or others at each dispatch, with and without a barrier before each. Per dispatch: wall time, and time of all of
//! the process's threads, each the least of the rounds. On lavapipe most of it is the hand-over to its threads and back: with
//! `LP_NUM_THREADS=0` what is left is what commands, descriptors and barriers cost.

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::{Duration, Instant};

use bayplan_vulkan::{Barrier, BindingKind, Commands, Device, Location, Window};

/// Dispatches of one submission.
const DISPATCHES: u64 = 1000;

/// Submissions of which the least counts.
const ROUNDS: u32 = 100;

/// Reads its parameters as every kernel does, finds that there is nothing to do, and returns.
const NOTHING: &str = "
struct Words { data: array<u32> }
struct Params { n: vec4<u32> }
@group(0) @binding(0) var<storage, read> x: Words;
@group(0) @binding(1) var<storage, read> y: Words;
@group(0) @binding(2) var<storage, read_write> z: Words;
@group(0) @binding(3) var<uniform> p: Params;
@compute @workgroup_size(8)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
    if (id.x >= p.n.x) { return; }
    z.data[id.x] = x.data[id.x] + y.data[id.x];
}";

/// Commands of many dispatches; with `many`, the windows of each are its own.
fn commands(device: &Device, many: bool, barriers: bool) -> Commands {
    use BindingKind::{Storage, Uniform};
    let kernel = common::pipeline(device, NOTHING, &[Storage, Storage, Storage, Uniform], 0);
    let unit = 256;
    let data = device.create_buffer("data", (DISPATCHES + 3) * unit, Location::Device).expect("a buffer");
    let params = device.create_buffer("parameters", DISPATCHES * unit, Location::Device).expect("a buffer");
    let zeros = vec![0; (DISPATCHES * unit / 4) as usize];
    common::upload(device, &params, 0, &zeros);
    let mut recorder = device.record("nothing");
    for index in 0..DISPATCHES {
        let at = if many { index } else { 0 } * unit;
        if barriers {
            recorder.barrier(Barrier::ComputeToCompute);
        }
        let window = |step: u64| Window { buffer: &data, offset: at + step * unit, len: unit };
        let own = Window { buffer: &params, offset: at, len: 16 };
        recorder.dispatch(&kernel, &[window(0), window(1), window(2), own], [1, 1, 1]).expect("a dispatch");
    }
    recorder.finish().expect("commands")
}

/// Nanoseconds that all threads of the process have computed so far.
fn cpu_time() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux");
    let of = |task: std::io::Result<std::fs::DirEntry>| {
        let text = std::fs::read_to_string(task.ok()?.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<u64>().ok()
    };
    tasks.filter_map(of).sum()
}

fn main() {
    let device = common::open();
    println!("{}: {DISPATCHES} dispatches, least of {ROUNDS} submissions, per dispatch", device.info().name);
    for (many, barriers) in [(false, false), (false, true), (true, false), (true, true)] {
        let commands = commands(&device, many, barriers);
        let mut least = [u64::MAX; 2];
        for _ in 0..ROUNDS {
            let (cpu, begun) = (cpu_time(), Instant::now());
            let ticket = device.submit(&commands).expect("a submission");
            assert!(device.wait(&ticket, Duration::from_secs(60)).expect("a wait"), "not done in a minute");
            let round = [begun.elapsed().as_nanos() as u64, cpu_time() - cpu];
            least.iter_mut().zip(round).for_each(|(least, round)| *least = round.min(*least));
        }
        let [wall, cpu] = least.map(|ns| ns as f64 / DISPATCHES as f64 / 1e3);
        let windows = if many { "own windows" } else { "one window set" };
        let barriers = if barriers { "a barrier before each" } else { "no barriers" };
        println!("{windows}, {barriers}: {wall:.2} µs wall, {cpu:.2} µs of CPU");
    }
}
