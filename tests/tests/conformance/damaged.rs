//! Models that are nearly right: what a broken exporter, or somebody who wants to break the program, makes of the cases.

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use bayplan::Device;
use bayplan_tests::conformance::library::Loaded;
use bayplan_tests::conformance::{Case, Set};
use bayplan_tests::random::Random;

/// Damaged models for each case.
const VARIANTS: u64 = 8;

/// Numbers changed in each, at most.
const MOST_CHANGED: u64 = 3;

/// Activations above this are compiled, but not run.
const MOST_BYTES: u64 = 1 << 26;

/// What a case may take; they take milliseconds. Machines that build beside the test are slow.
const PATIENCE: Duration = Duration::from_secs(20);

/// A model with a few numbers changed, dimensions, element types, attributes, versions; now and then any byte.
fn damaged(model: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = model.to_vec();
    let numbers = numbers(model);
    for _ in 0..random.between(1, MOST_CHANGED) {
        let any = numbers.is_empty() || random.between(0, 9) == 0;
        let at = match any {
            true => random.between(0, bytes.len() as u64 - 1) as usize,
            false => numbers[random.between(0, numbers.len() as u64 - 1) as usize],
        };
        // One byte stays one byte, so that what follows it is still read.
        bytes[at] = match random.between(0, 3) {
            0 => random.between(0, 127) as u8,
            1 => random.between(0, 30) as u8,
            2 => bytes[at] ^ (1 << random.between(0, 3)),
            _ => bytes[at].wrapping_add(1) & 0x7f,
        };
    }
    bytes
}

/// Where a message and those in it have numbers of one byte (protobuf's encoding: fields of wire type 0).
fn numbers(message: &[u8]) -> Vec<usize> {
    let (mut found, mut open) = (Vec::new(), vec![(0, message.len())]);
    while let Some((start, end)) = open.pop() {
        let (mut inside, mut deeper, mut at) = (Vec::new(), Vec::new(), start);
        let whole = loop {
            if at >= end {
                break at == end;
            }
            let Some((key, after)) = varint(message, at) else { break false };
            let Some((value, next)) = varint(message, after) else { break false };
            at = match (key >> 3, key & 7) {
                (0, _) => break false,
                (_, 0) => {
                    inside.extend((next == after + 1).then_some(after));
                    next
                }
                (_, 1) => after + 8,
                (_, 2) => {
                    let Some(next_end) = next.checked_add(value as usize).filter(|&next| next <= end) else {
                        break false;
                    };
                    deeper.push((next, next_end));
                    next_end
                }
                (_, 5) => after + 4,
                _ => break false,
            };
        };
        // What is no message is a text, or elements.
        if whole {
            found.extend(inside);
            open.extend(deeper);
        }
    }
    found
}

fn varint(bytes: &[u8], mut at: usize) -> Option<(u64, usize)> {
    let (mut value, mut shift) = (0u64, 0);
    loop {
        let byte = *bytes.get(at)?;
        value |= u64::from(byte & 0x7f).checked_shl(shift)?;
        (at, shift) = (at + 1, shift + 7);
        if byte < 0x80 {
            return Some((value, at));
        }
    }
}

/// Runs a model if it can be; how far it came.
fn attempt(case: &Case, path: &std::path::Path, device: &Device) -> Result<(), String> {
    let loaded = Loaded::at(path, case, 0)?;
    let family = loaded.family(device, &bayplan::Options::default())?;
    if family.first().arena_bytes.iter().sum::<u64>() > MOST_BYTES {
        return Err("large".to_owned());
    }
    let mut session = loaded.session_of(device, family)?;
    loaded.run(&mut session).map(drop)
}

pub(crate) fn models() {
    let (device, set) = (Device::host(), Set::of_onnx());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("model.onnx");
    let (mut ran, mut refused, mut wrong) = (0, 0, Vec::new());
    for (at, case) in set.cases.iter().enumerate().filter(|(_, case)| !case.id.starts_with("light/")) {
        let model = fs::read(case.model()).unwrap_or_else(|e| panic!("{}: {e}", case.id));
        for variant in 0..VARIANTS {
            let mut random = Random::new(at as u64 * VARIANTS + variant);
            fs::write(&path, damaged(&model, &mut random)).unwrap_or_else(|e| panic!("{e}"));
            let begun = Instant::now();
            match catch_unwind(AssertUnwindSafe(|| attempt(case, &path, &device))) {
                Ok(Ok(())) => ran += 1,
                Ok(Err(reason)) if reason.trim().is_empty() => {
                    wrong.push(format!("{} {variant}: no reason", case.id));
                }
                // The verifier's refusals are defects of the compiler.
                Ok(Err(reason)) if reason.contains("did not pass verification") => {
                    wrong.push(format!("{} {variant}: {reason}", case.id));
                }
                Ok(Err(_)) => refused += 1,
                Err(_) => wrong.push(format!("{} {variant}: panicked", case.id)),
            }
            if begun.elapsed() > PATIENCE {
                wrong.push(format!("{} {variant}: took {} s", case.id, begun.elapsed().as_secs()));
            }
        }
    }
    println!("{ran} damaged models ran, {refused} were refused");
    assert!(wrong.is_empty(), "{} damaged models:\n{}", wrong.len(), wrong.join("\n"));
    assert!(ran > 100 && refused > 100, "{ran} ran, {refused} were refused");
}
