//! Loading beside reading and copying.

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use bayplan_tests::large::memory::cached;
use bayplan_tests::large::{Files, Shape, make, reading};
use bayplan_tests::statistics::median;
use bayplan_text::Bytes;

use crate::{Outcome, child, loaded, mib, said, seconds, spread, value};

/// Anonymous memory that loading may take, and its share of the slower of reading and copying.
const BARS: (i64, f64) = (24 << 20, 0.9);

/// How a file is read, and what of it is in the page cache before.
#[derive(Clone, Copy)]
struct Mode {
    name: &'static str,
    io: &'static str,
    warm: bool,
    /// Whether a loader reads so on a device whose memory the host does not see, to which nothing is compared.
    separate: bool,
}

const MODES: [Mode; 4] = [
    Mode { name: "buffered, in the page cache", io: "buffered", warm: true, separate: false },
    Mode { name: "buffered, not in the page cache", io: "buffered", warm: false, separate: false },
    Mode { name: "direct", io: "direct", warm: false, separate: false },
    Mode { name: "direct, staged", io: "direct", warm: false, separate: true },
];

const HEAD: &str = "\
| weights | reads | sequential read | copy | load | of the slower, median (min to max) | anonymous: seen, by VmHWM | page cache |
|---|---|---|---|---|---|---|---|";

pub(crate) fn bench(folder: &Path, words: &[&str]) -> Outcome<ExitCode> {
    let rounds = value(words, "rounds=").map_or(Ok(5), str::parse)?;
    let device = value(words, "device=").unwrap_or("llvmpipe");
    let mut holds = true;
    println!("{HEAD}");
    for case in words.iter().filter(|word| word.contains('/')) {
        let (shape, form) = case.split_once('/').ok_or("SHAPE/FORM")?;
        let folder = folder.join(case.replace('/', "-"));
        fs::create_dir_all(&folder)?;
        let files = make(&shape.parse()?, form.parse()?, &folder)?;
        for mode in MODES {
            // The host has no memory that it does not see.
            if !(mode.separate && device == "host") {
                holds &= measure(case, shape, &files, device, mode, rounds)?;
            }
        }
        fs::remove_dir_all(&folder)?;
    }
    println!("anonymous memory at most {}: {}", mib(BARS.0), said(holds));
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Rounds of one model in one mode; whether the bar of memory holds.
fn measure(case: &str, name: &str, files: &Files, device: &str, mode: Mode, rounds: usize) -> Outcome<bool> {
    let shape: Shape = name.parse()?;
    let bytes = shape.bytes();
    let (device, io) = (format!("device={device}"), format!("io={}", mode.io));
    let direct = mode.io == "direct";
    let mut words = vec![device.as_str(), &io];
    words.extend(mode.separate.then_some("separate"));
    let prepare = || match mode.warm {
        true => reading::read(&files.weights, false).map(|_| ()),
        false => reading::forget(&files.weights),
    };
    let (mut reads, mut copies, mut loads, mut ratios) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut seen, mut high_water, mut grown) = (i64::MIN, i64::MIN, 0);
    for _ in 0..rounds {
        prepare()?;
        let read = reading::read(&files.weights, direct)?.as_secs_f64();
        let copy = seconds(&child(&["copy", &bytes.to_string(), &device])?)?;
        prepare()?;
        let before = cached(&files.weights)?;
        let told = loaded(name, files, &words)?;
        if let Some(refused) = told["refused"].as_str() {
            println!("{case}: refused after {} bytes were read: {refused}", told["read"]);
            return Ok(true);
        }
        grown = grown.max(cached(&files.weights)?.saturating_sub(before));
        let load = seconds(&told)?;
        let integer = |key: &str| told[key].as_i64().ok_or_else(|| format!("no {key} in {told}"));
        seen = seen.max(integer("seen")?);
        high_water = high_water.max(integer("high_water")?);
        ratios.push(read.max(copy) / load);
        for (rates, took) in [(&mut reads, read), (&mut copies, copy), (&mut loads, load)] {
            rates.push(bytes as f64 / took / 1e9);
        }
    }
    let rate = |rates: &[f64]| format!("{:.2} GB/s", median(rates));
    println!(
        "| {case} | {} | {} | {} | {} | {}{} | {}, {} | +{} |",
        mode.name,
        rate(&reads),
        rate(&copies),
        rate(&loads),
        spread(&ratios),
        if mode.separate || median(&ratios) >= BARS.1 { "" } else { ", below 0.9" },
        mib(seen),
        mib(high_water),
        Bytes(grown),
    );
    Ok(seen.max(high_water) <= BARS.0)
}
