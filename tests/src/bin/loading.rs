//! What loading a large model costs.
//!
//! `loading make SHAPE FORM FOLDER` writes one: SHAPE is small (64 MiB), one (1 GiB, of which one tensor has half), turned
//! (the same with matrices that the device rearranges), many (1.5 GiB in 5,000 tensors) or four (4 GiB); FORM is external, inline or safetensors.
//!
//! `loading load SHAPE MODEL [weights=FILE] [device=NAME] [separate] [whole] [run]` loads it in this process and tells as JSON how
//! long that took and how much memory beside the device's; `separate`: as if the host did not see the device's memory; `whole`:
//! through a reader that holds whole tensors; `run`: runs it once.
//!
//! `loading copy BYTES [device=NAME]` copies so many bytes from a few megabytes of the host's to fresh memory of a device.
//!
//! `loading bench FOLDER [device=NAME] [rounds=N] SHAPE/FORM …` measures in turn, each in a process of its own: reading the file of
//! weights from end to end, that copy, and loading; with the file in the page cache and without. The bars: anonymous memory at
//! most 24 MiB above what the process had before, and at least 0.9 of the slower of reading and copying.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use bayplan::Selector;
use bayplan_tests::backend::Backend;
use bayplan_tests::large::load::{Load, load};
use bayplan_tests::large::memory::cached;
use bayplan_tests::large::{Files, Form, Shape, make, reading};
use bayplan_tests::statistics::median;
use bayplan_text::Bytes;
use bayplan_vulkan::{Device, DeviceOptions, Instance, InstanceOptions, Location, select};
use serde_json::{Value, json};

/// Bytes copied at once, and those of one allocation.
const PIECE: usize = 4 << 20;
const BLOCK: u64 = 256 << 20;

/// Anonymous memory that loading may take, and its share of the slower of reading and copying.
const BARS: (i64, f64) = (24 << 20, 0.9);

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<ExitCode> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let told = match words.as_slice() {
        ["make", shape, form, folder] => {
            let Files { model, weights, .. } = make(&shape.parse()?, form.parse()?, Path::new(folder))?;
            json!({ "model": model, "weights": weights })
        }
        ["load", shape, model, rest @ ..] => load(&Load {
            shape: shape.parse()?,
            model: model.into(),
            weights: value(rest, "weights=").map(PathBuf::from),
            device: device(rest)?,
            separate: rest.contains(&"separate"),
            whole: rest.contains(&"whole"),
            run: rest.contains(&"run"),
        })?,
        ["copy", bytes, rest @ ..] => json!({ "seconds": copy(bytes.parse()?, &device(rest)?)? }),
        ["bench", folder, rest @ ..] => return bench(Path::new(folder), rest),
        _ => return Err("usage: loading make | load | copy | bench".into()),
    };
    println!("{told}");
    Ok(ExitCode::SUCCESS)
}

fn value<'a>(words: &[&'a str], key: &str) -> Option<&'a str> {
    words.iter().find_map(|word| word.strip_prefix(key))
}

fn device(words: &[&str]) -> Outcome<Selector> {
    Ok(value(words, "device=").map_or(Ok(Backend::Named.selector()), str::parse)?)
}

/// Seconds of copying to fresh memory of a device, its pages not there yet.
fn copy(bytes: u64, selector: &Selector) -> Outcome<f64> {
    let piece = vec![1_u8; PIECE];
    if matches!(selector, Selector::Name(name) if name == "host") {
        let mut fresh = Vec::with_capacity(usize::try_from(bytes)?);
        let begun = Instant::now();
        while (fresh.len() as u64) < bytes {
            fresh.extend_from_slice(&piece);
        }
        return Ok(begun.elapsed().as_secs_f64());
    }
    let instance = Instance::new(&InstanceOptions::default())?;
    let devices = instance.devices()?;
    let info = &devices[select(&devices, selector)?];
    let device = Device::with_options(&instance, info, &DeviceOptions::default())?;
    let sizes = (0..bytes.div_ceil(BLOCK)).map(|block| BLOCK.min(bytes - block * BLOCK));
    let blocks: Vec<_> = sizes
        .map(|size| device.create_buffer("copied to", size, Location::Device))
        .collect::<Result<_, _>>()?;
    let begun = Instant::now();
    for block in &blocks {
        let mapped = block.mapped().ok_or("the host does not see memory of this device")?;
        for at in (0..block.size()).step_by(PIECE) {
            mapped.write(at, &piece[..PIECE.min((block.size() - at) as usize)])?;
        }
    }
    Ok(begun.elapsed().as_secs_f64())
}

/// How a file is read, and what of it is in the page cache before.
#[derive(Clone, Copy)]
struct Mode {
    name: &'static str,
    direct: bool,
    warm: bool,
}

const MODES: [Mode; 2] = [
    Mode { name: "buffered, in the page cache", direct: false, warm: true },
    Mode { name: "buffered, not in the page cache", direct: false, warm: false },
];

fn bench(folder: &Path, words: &[&str]) -> Outcome<ExitCode> {
    let rounds = value(words, "rounds=").map_or(Ok(5), str::parse)?;
    let device = value(words, "device=").unwrap_or("llvmpipe");
    let mut holds = true;
    println!(
        "| model | weights | reads | read | copy | load | of the slower, median (min to max) | anonymous, seen / by VmHWM |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for case in words.iter().filter(|word| word.contains('/')) {
        let (shape, form) = case.split_once('/').ok_or("SHAPE/FORM")?;
        let folder = folder.join(case.replace('/', "-"));
        std::fs::create_dir_all(&folder)?;
        let files = make(&shape.parse()?, form.parse()?, &folder)?;
        for mode in MODES {
            holds &= measure(shape, form.parse()?, &files, device, mode, rounds)?;
        }
        std::fs::remove_dir_all(&folder)?;
    }
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Rounds of one model in one mode; whether the bar of memory holds.
fn measure(name: &str, form: Form, files: &Files, device: &str, mode: Mode, rounds: usize) -> Outcome<bool> {
    let shape: Shape = name.parse()?;
    let bytes = shape.bytes();
    let prepare = || {
        if mode.warm {
            reading::read(&files.weights, false).map(|_| ())
        } else {
            reading::forget(&files.weights)
        }
    };
    let (mut reads, mut copies, mut loads, mut ratios) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut seen, mut high_water) = (i64::MIN, i64::MIN);
    for _ in 0..rounds {
        prepare()?;
        let read = reading::read(&files.weights, mode.direct)?.as_secs_f64();
        let copy = seconds(&child(&["copy", &bytes.to_string(), &format!("device={device}")])?)?;
        prepare()?;
        let mut words = vec!["load".to_owned(), name.to_owned(), files.model.display().to_string()];
        words.push(format!("device={device}"));
        words.extend(files.named.iter().map(|path| format!("weights={}", path.display())));
        let told = child(&words.iter().map(String::as_str).collect::<Vec<_>>())?;
        if let Some(refused) = told["refused"].as_str() {
            println!("| {name} | {} | refused after {} read: {refused} |", form.name(), told["read"]);
            return Ok(true);
        }
        let load = seconds(&told)?;
        let integer = |key: &str| told[key].as_i64().ok_or_else(|| format!("no {key} in {told}"));
        seen = seen.max(integer("seen")?);
        high_water = high_water.max(integer("high_water")?);
        ratios.push(read.max(copy) / load);
        reads.push(bytes as f64 / read);
        copies.push(bytes as f64 / copy);
        loads.push(bytes as f64 / load);
    }
    let rate = |rates: &[f64]| format!("{:.2} GB/s", median(rates) / 1e9);
    let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let most = ratios.iter().copied().fold(0.0, f64::max);
    let kept = cached(&files.weights)?;
    println!(
        "| {name} | {} | {} | {} | {} | {} | {:.2} ({least:.2} to {most:.2}), ≥ {}: {} | {} / {}, ≤ {}: {} | {} cached",
        form.name(),
        mode.name,
        rate(&reads),
        rate(&copies),
        rate(&loads),
        median(&ratios),
        BARS.1,
        said(median(&ratios) >= BARS.1),
        mib(seen),
        mib(high_water),
        mib(BARS.0),
        said(seen.max(high_water) <= BARS.0),
        Bytes(kept),
    );
    Ok(seen.max(high_water) <= BARS.0)
}

fn said(holds: bool) -> &'static str {
    if holds { "holds" } else { "does not hold" }
}

fn mib(bytes: i64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

fn seconds(told: &Value) -> Outcome<f64> {
    Ok(told["seconds"].as_f64().ok_or_else(|| format!("no seconds in {told}"))?)
}

/// This program again, in a process of its own.
fn child(words: &[&str]) -> Outcome<Value> {
    let output = Command::new(std::env::current_exe()?).args(words).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        return Err(format!("{words:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(serde_json::from_str(&text)?)
}
