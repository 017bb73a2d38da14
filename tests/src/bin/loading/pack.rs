//! Packing, and loading what was packed.

use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Instant;

use bayplan_tests::large::memory::highest;
use bayplan_tests::large::{Files, Form, Shape, make, reading};
use bayplan_tests::{binary, python, root};
use serde_json::Value;

use crate::{Outcome, loaded, mib, said, seconds, spread, value};

/// Anonymous memory that packing may take.
const MOST: i64 = 8 << 20;

const HEAD: &str = "\
| model | packed at | anonymous | loads, original / packed, median (min to max) | outputs | onnxruntime |
|---|---|---|---|---|---|";

pub(crate) fn bench(folder: &Path, words: &[&str]) -> Outcome<ExitCode> {
    let rounds: usize = value(words, "rounds=").map_or(Ok(5), str::parse)?;
    let device = format!("device={}", value(words, "device=").unwrap_or("llvmpipe"));
    let mut holds = true;
    println!("{HEAD}");
    for name in words.iter().filter(|word| !word.contains('=')) {
        let shape: Shape = name.parse()?;
        let folder = folder.join(format!("pack-{name}"));
        let (small, whole) = (folder.join("small"), folder.join("whole"));
        fs::create_dir_all(&small)?;
        fs::create_dir_all(&whole)?;
        let made = make(&small_of(&shape), Form::External, &small)?;
        let (least, _) = packed(&made.model, &small.join("packed.bay.onnx"))?;
        let original = make(&shape, Form::External, &whole)?;
        reading::forget(&original.weights)?;
        let model = whole.join("packed.bay.onnx");
        let (most, took) = packed(&original.model, &model)?;
        let above = most as i64 - least as i64;
        let packed = Files { model, named: None, weights: whole.join("packed.bay.onnx.data") };
        let (ratios, same) = compare(name, &original, &packed, &device, rounds)?;
        let agrees = onnxruntime(&original, &packed)?;
        println!(
            "| {name} | {:.2} GB/s | {} | {} | {} | {agrees} |",
            shape.bytes() as f64 / took / 1e9,
            mib(above),
            spread(&ratios),
            if same { "the same bits" } else { "differ" },
        );
        holds &= above <= MOST && same && agrees == "the same bits";
        fs::remove_dir_all(&folder)?;
    }
    println!("anonymous memory at most {}, the same bits: {}", mib(MOST), said(holds));
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// As many tensors, of a few elements.
fn small_of(shape: &Shape) -> Shape {
    Shape { rows: shape.rows.min(8), width: 8, inner: 8, ..shape.clone() }
}

/// Packs a model; the most anonymous memory of the program, and seconds.
fn packed(model: &Path, to: &Path) -> Outcome<(u64, f64)> {
    let begun = Instant::now();
    let mut command = Command::new(binary("bayplan"));
    command.arg("pack").arg(model).arg("--output").arg(to).arg("--quiet");
    Ok((highest(&mut command)?, begun.elapsed().as_secs_f64()))
}

/// Loads both in turn, which begins first changes; each is in the page cache. How much faster the packed one is, and whether
/// both computed the same.
fn compare(
    name: &str,
    original: &Files,
    packed: &Files,
    device: &str,
    rounds: usize,
) -> Outcome<(Vec<f64>, bool)> {
    let (mut ratios, mut hashes) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let mut took = [0.0; 2];
        for turn in 0..2 {
            let which = (round + turn) % 2;
            let files = [original, packed][which];
            reading::read(&files.weights, false)?;
            // Once they run as well.
            let run: &[&str] = if round == 0 { &["run"] } else { &[] };
            let told = loaded(name, files, &[&[device][..], run].concat())?;
            took[which] = seconds(&told)?;
            hashes.extend(told["hash"].as_str().map(str::to_owned));
        }
        ratios.push(took[0] / took[1]);
    }
    Ok((ratios, hashes.len() == 2 && hashes[0] == hashes[1]))
}

/// What onnxruntime says of both.
fn onnxruntime(original: &Files, packed: &Files) -> Outcome<String> {
    let script = root().join("tests/python/same.py");
    let output = Command::new(python()).arg(script).arg(&original.model).arg(&packed.model).output()?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    let told: Value = serde_json::from_slice(&output.stdout)?;
    Ok(told["says"].as_str().unwrap_or("nothing").to_owned())
}
