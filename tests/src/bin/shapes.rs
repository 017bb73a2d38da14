//! `shapes [--shapes N] [--seed S] [--device NAME] [MODEL …]`: each model in one session at N random shapes within bounds,
//! every one with inputs of its own in memory that was overwritten, 100 of them against onnxruntime. Prints what was
//! allocated, compiled, instantiated and recorded meanwhile, and what that took; fails where a run allocates device memory or
//! makes a pipeline, or an output is not onnxruntime's.

use std::path::Path;
use std::process::exit;
use std::time::Instant;

use bayplan::{Device, DeviceOptions, Selector, SessionOptions};
use bayplan_tests::reference_model;
use bayplan_tests::shapes::{Measured, Shapes, measure};

/// Most that an output may be off onnxruntime's: ‖out − reference‖ / ‖reference‖.
const MOST: f64 = 1e-4;

/// Shapes that onnxruntime is asked for.
const ASKED: usize = 100;

const DECODER: Shapes<'static> = Shapes(&[("batch", 1, 2), ("seq", 1, 4), ("past", 0, 32)]);

const MODELS: [(&str, Shapes<'static>); 3] = [
    ("encoder_l6", Shapes(&[("batch", 1, 4), ("seq", 1, 32)])),
    ("gpt2_small", DECODER),
    ("llama_125m", DECODER),
];

struct Arguments {
    shapes: usize,
    seed: u64,
    device: Selector,
    models: Vec<String>,
}

fn usage() -> ! {
    let known: Vec<&str> = MODELS.iter().map(|(name, _)| *name).collect();
    eprintln!("usage: shapes [--shapes N] [--seed S] [--device NAME] [{}]", known.join(" | "));
    exit(2)
}

fn arguments() -> Arguments {
    let mut given = Arguments { shapes: 10_000, seed: 1, device: Selector::Best, models: Vec::new() };
    let mut words = std::env::args().skip(1);
    while let Some(word) = words.next() {
        let mut value = || words.next().unwrap_or_else(|| usage());
        match word.as_str() {
            "--shapes" => given.shapes = value().parse().unwrap_or_else(|_| usage()),
            "--seed" => given.seed = value().parse().unwrap_or_else(|_| usage()),
            "--device" => given.device = value().parse().unwrap_or_else(|_| usage()),
            model if MODELS.iter().any(|(name, _)| *name == model) => given.models.push(word),
            _ => usage(),
        }
    }
    given
}

fn main() {
    let given = arguments();
    let asked = |name: &str| given.models.is_empty() || given.models.iter().any(|model| model == name);
    println!(
        "| model, within | device | shapes | device allocations | pipelines | recordings | from the cache | new shape, median | record, median | run, median | against onnxruntime |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|");
    let mut passed = true;
    for (name, shapes) in MODELS.iter().filter(|(name, _)| asked(name)) {
        let options = DeviceOptions { selector: given.device.clone(), ..DeviceOptions::default() };
        let device = Device::open(&options).unwrap_or_else(|e| panic!("{e}"));
        let begun = Instant::now();
        let path = reference_model(name);
        let measured = run(&device, &path, *shapes, &given);
        println!("{}", row(name, *shapes, &device, &measured));
        eprintln!("{name}: {:.0} s", begun.elapsed().as_secs_f64());
        let unsteady = measured.allocations + measured.pipelines + measured.growths > 0;
        let apart = measured.worst.as_ref().is_none_or(|(error, _)| error.is_nan() || *error > MOST);
        passed &= !unsteady && !apart;
    }
    exit(i32::from(!passed))
}

fn run(device: &Device, path: &Path, shapes: Shapes<'_>, given: &Arguments) -> Measured {
    measure(
        device,
        path,
        shapes,
        (given.shapes, ASKED.min(given.shapes)),
        given.seed,
        SessionOptions::default(),
    )
}

fn row(name: &str, shapes: Shapes<'_>, device: &Device, measured: &Measured) -> String {
    let Measured { shapes: count, allocations, pipelines, recordings, cached, worst, compared, .. } =
        measured;
    let bounds: Vec<String> =
        shapes.0.iter().map(|(name, low, high)| format!("{name} {low} to {high}")).collect();
    let micros = |nanos: u64| format!("{:.0} µs", nanos as f64 / 1e3);
    let worst = worst
        .as_ref()
        .map_or("none".into(), |(error, point)| format!("{compared}: {error:.1e} at most, at {point}"));
    format!(
        "| {name}, {} | {} | {count} | {allocations} | {pipelines} | {recordings} | {cached} | {} | {} | {:.1} ms | {worst} |",
        bounds.join(", "),
        device.name(),
        micros(measured.instantiate),
        micros(measured.record),
        measured.run as f64 / 1e6,
    )
}
