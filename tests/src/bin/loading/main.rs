//! What loading a large model costs.
//!
//! `loading make SHAPE FORM FOLDER` writes one: SHAPE is small (64 MiB), crowd (31 MiB in 400 tensors), one (1 GiB, of which one
//! tensor has half), turned (the same with matrices that the device rearranges), many (1.5 GiB in 5,000 tensors), four (4 GiB) or
//! folded (256 MiB in one tensor that is transposed, added to and cast before its use); FORM is external, inline or safetensors.
//!
//! `loading load SHAPE MODEL [weights=FILE] [device=NAME] [io=auto|direct|buffered|import] [separate] [whole] [run]` loads it in this
//! process and tells as JSON how long that took and how much memory beside the device's; `separate`: as if the host did not see
//! the device's memory; `whole`: through a reader that holds whole tensors; `run`: runs it once.
//!
//! `loading copy BYTES [device=NAME]` copies so many bytes from a few megabytes of the host's to fresh memory of a device.
//!
//! `loading bench FOLDER [device=NAME] [rounds=N] SHAPE/FORM …` measures in turn, each in a process of its own: reading the file of
//! weights from end to end, that copy, and loading; with the file in the page cache, without, and past it. The bars: anonymous
//! memory at most 24 MiB above what the process had before, and at least 0.9 of the slower of reading and copying.
//!
//! `loading pack FOLDER [device=NAME] [rounds=N] SHAPE …` packs models with `bayplan pack`, loads them and what they were made of
//! in turn, runs both, and has onnxruntime run both. It fails where anonymous memory is more than 8 MiB above that of packing as
//! many tensors of a few elements, or outputs differ in a bit.

mod compare;
mod pack;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use bayplan::Selector;
use bayplan_compile::session::Io;
use bayplan_tests::backend::Backend;
use bayplan_tests::large::load::{Load, load};
use bayplan_tests::large::{Files, make};
use bayplan_tests::statistics::median;
use bayplan_vulkan::{Device, DeviceOptions, Instance, InstanceOptions, Location, select};
use serde_json::{Value, json};

/// Bytes copied at once, and those of one allocation.
const PIECE: usize = 4 << 20;
const BLOCK: u64 = 256 << 20;

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
            io: value(rest, "io=").map_or(Ok(Io::Auto), str::parse)?,
            separate: rest.contains(&"separate"),
            whole: rest.contains(&"whole"),
            run: rest.contains(&"run"),
        })?,
        ["copy", bytes, rest @ ..] => json!({ "seconds": copy(bytes.parse()?, &device(rest)?)? }),
        ["bench", folder, rest @ ..] => return compare::bench(Path::new(folder), rest),
        ["pack", folder, rest @ ..] => return pack::bench(Path::new(folder), rest),
        _ => return Err("usage: loading make | load | copy | bench | pack".into()),
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

/// This program again, in a process of its own.
fn child(words: &[&str]) -> Outcome<Value> {
    let output = Command::new(std::env::current_exe()?).args(words).output()?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() {
        return Err(format!("{words:?}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(serde_json::from_str(&text)?)
}

/// Loads files in a process of its own.
fn loaded(shape: &str, files: &Files, words: &[&str]) -> Outcome<Value> {
    let weights = files.named.as_ref().map(|path| format!("weights={}", path.display()));
    let model = files.model.display().to_string();
    let mut all = vec!["load", shape, &model];
    all.extend(weights.as_deref());
    all.extend(words);
    child(&all)
}

fn seconds(told: &Value) -> Outcome<f64> {
    Ok(told["seconds"].as_f64().ok_or_else(|| format!("no seconds in {told}"))?)
}

fn said(holds: bool) -> &'static str {
    if holds { "holds" } else { "does not hold" }
}

fn mib(bytes: i64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

/// Median, least and greatest of some ratios.
fn spread(ratios: &[f64]) -> String {
    let least = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    let most = ratios.iter().copied().fold(0.0, f64::max);
    format!("{:.2} ({least:.2} to {most:.2})", median(ratios))
}
