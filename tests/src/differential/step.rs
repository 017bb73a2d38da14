//! One dispatch: the device's result against the host's, element by element, on the operand bytes that the device read.

use std::hash::{DefaultHasher, Hash, Hasher};

use bayplan_compile::{Dispatch, Window};
use bayplan_engine::inspect::{Inspection, StageKind};
use bayplan_graph::DType;
use bayplan_host::{Evaluated, evaluate};
use bayplan_shaders::{Access, Kernel, Repr, Slot, Spec, Target, family};

use super::failure::{Failure, Kind};
use super::memory::{Memory, owners};
use super::oracle::in_place;
use super::tally::{Family, Tally};

/// Executes one dispatch and compares what it made. `memory` is what the device holds before, and then after.
pub(super) fn step(
    inspection: &Inspection,
    target: &Target,
    (stage, index): (StageKind, usize),
    memory: &mut Memory,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let program = inspection.program();
    let dispatches = match stage {
        StageKind::Load => &program.load.dispatches,
        StageKind::Run => &program.run.dispatches,
    };
    let dispatch = &dispatches[index];
    let kernel = &program.kernels[dispatch.kernel.0 as usize];
    let failure = |kind, text: String| Failure {
        kind,
        family: family(&dispatch.spec).into(),
        text: format!(
            "{stage:?} dispatch {index}, kernel {}, which makes {} ({}): {text}\n{:?}",
            kernel.name, dispatch.name, dispatch.source_op, dispatch.spec
        ),
    };
    inspection.execute(stage, index).map_err(|e| failure(Kind::Engine, e.to_string()))?;
    let after = Memory::read(inspection).map_err(|e| failure(Kind::Engine, e.to_string()))?;
    let output = output(dispatch, kernel);
    if let Some((arena, byte)) = memory.differs_outside(&after, output) {
        let whose = owners(program, arena, byte);
        return Err(failure(Kind::Stray, format!("byte {byte} of {} changed, of {whose}", arena.name())));
    }
    let Some(output) = output else { return Ok(()) };
    let operands = operands(dispatch, kernel, memory);
    let operands: Vec<&[u32]> = operands.iter().map(Vec::as_slice).collect();
    let expected = evaluate(&dispatch.spec, target, &operands).map_err(|e| failure(Kind::Host, e))?;
    let (before, made) = (memory.words(output), after.words(output));
    untouched(&expected, &before, &made).map_err(|text| failure(Kind::Stray, text))?;
    let seen = compare(&expected, &made).map_err(|text| failure(Kind::Dispatch, text))?;
    count(tally, dispatch, kernel, stage, &seen);
    *memory = after;
    Ok(())
}

/// The window of a dispatch's result.
fn output<'a>(dispatch: &'a Dispatch, kernel: &Kernel) -> Option<&'a Window> {
    let at = kernel.bindings.iter().position(|binding| binding.slot == Slot::Output)?;
    dispatch.windows.get(at)
}

/// The words of each operand of a spec. One that is overwritten has no window but the result's.
fn operands(dispatch: &Dispatch, kernel: &Kernel, memory: &Memory) -> Vec<Vec<u32>> {
    let bound = kernel.bindings.iter().zip(&dispatch.windows);
    let mut all: Vec<Vec<u32>> = Vec::new();
    for (binding, window) in bound {
        let Slot::Operand(number) = binding.slot else { continue };
        let number = number as usize;
        all.resize(all.len().max(number + 1), Vec::new());
        all[number] = memory.words(window);
    }
    let overwritten = in_place(&dispatch.spec);
    if let (Some(number), Some(window)) = (overwritten, output(dispatch, kernel))
        && window.access == Access::ReadWrite
    {
        all.resize(all.len().max(number + 1), Vec::new());
        all[number] = memory.words(window);
    }
    if let Spec::Host(spec) = &*dispatch.spec {
        // What has no element has no window.
        all.resize(all.len().max(spec.operands.len()), Vec::new());
    }
    all
}

/// Words of the result's window that are no element of it are as they were; but the last `vec4` may be written whole.
fn untouched(expected: &Evaluated, before: &[u32], after: &[u32]) -> Result<(), String> {
    let words = words_of(expected.dtype);
    let mut own = vec![false; after.len()];
    for &place in &expected.places {
        own[place..place + words].fill(true);
    }
    let end = own.iter().rposition(|own| *own).map_or(0, |last| (last + 1).next_multiple_of(4));
    let end = end.min(after.len());
    let last = own.iter().rposition(|own| *own).map_or(0, |last| last + 1);
    let stray = (0..after.len()).find(|&at| {
        let padding = (last..end).contains(&at);
        !own[at] && !padding && before[at] != after[at]
    });
    match stray {
        None => Ok(()),
        Some(at) => Err(format!(
            "word {at} of the result's window is no element of the result, and went from {:#010x} to {:#010x}",
            before[at], after[at]
        )),
    }
}

fn words_of(dtype: DType) -> usize {
    Repr::of(dtype).map_or(1, |repr| repr.words() as usize)
}

/// What a comparison saw.
struct Seen {
    elements: u64,
    unbound: u64,
    worst: f64,
}

/// Every element of a result.
fn compare(expected: &Evaluated, made: &[u32]) -> Result<Seen, String> {
    let words = words_of(expected.dtype);
    let float = expected.dtype.is_float();
    let mut seen = Seen { elements: expected.places.len() as u64, unbound: 0, worst: 0.0 };
    let mut failed: Option<(f64, String)> = None;
    let mut count = 0_u64;
    for (element, (&place, approx)) in expected.places.iter().zip(&expected.approx).enumerate() {
        let device = &made[place..place + words];
        let host = &expected.words[element * words..][..words];
        let value = number(expected.dtype, device);
        let (good, ratio) = if approx.error == f64::INFINITY {
            seen.unbound += 1;
            (true, 0.0)
        } else if !float && approx.error == 0.0 {
            (device == host, 0.0)
        } else {
            let distance = (value - approx.value).abs();
            let ratio =
                if approx.error > 0.0 && distance.is_finite() { distance / approx.error } else { 0.0 };
            (approx.accepts(value), ratio)
        };
        seen.worst = seen.worst.max(ratio);
        if !good {
            count += 1;
            if failed.as_ref().is_none_or(|(worst, _)| ratio > *worst) {
                let text = format!(
                    "element {element} is {value} ({device:#010x?}) on the device and {} ({host:#010x?}) on the host, \
                     exactly {}, at most {:e} off",
                    number(expected.dtype, host),
                    approx.value,
                    approx.error
                );
                failed = Some((ratio, text));
            }
        }
    }
    match failed {
        None => Ok(seen),
        Some((_, worst)) => Err(format!("{count} of {} elements differ; {worst}", seen.elements)),
    }
}

/// An element in double precision.
fn number(dtype: DType, words: &[u32]) -> f64 {
    let long = || u64::from(words[0]) | u64::from(words[words.len() - 1]) << 32;
    match Repr::of(dtype) {
        Some(Repr::F32) => f64::from(f32::from_bits(words[0])),
        Some(Repr::I32) => f64::from(words[0].cast_signed()),
        Some(Repr::I64) => long().cast_signed() as f64,
        Some(Repr::U64) => long() as f64,
        Some(Repr::F64) => f64::from_bits(long()),
        _ => f64::from(words[0]),
    }
}

fn count(tally: &mut Tally, dispatch: &Dispatch, kernel: &Kernel, stage: StageKind, seen: &Seen) {
    tally.dispatches += 1;
    tally.loads += u64::from(stage == StageKind::Load);
    tally.elements += seen.elements;
    let mut hasher = DefaultHasher::new();
    kernel.wgsl.hash(&mut hasher);
    tally.kernels.insert((kernel.name.clone(), hasher.finish()));
    let family: &mut Family = tally.families.entry(family(&dispatch.spec)).or_default();
    family.dispatches += 1;
    family.elements += seen.elements;
    family.unbound += seen.unbound;
    if seen.worst > family.worst {
        (family.worst, family.worst_kernel) = (seen.worst, kernel.name.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bayplan_shaders::Approx;

    /// Three elements of a window of eight words: exactly 1.5, then 2 ± 0.25, then something unknown.
    fn expected(places: [usize; 3]) -> Evaluated {
        let of = |value: f64, error| Approx { value, error };
        Evaluated {
            dtype: DType::F32,
            places: places.to_vec(),
            words: [1.5_f32, 2.0, 7.0].map(f32::to_bits).to_vec(),
            approx: vec![of(1.5, 0.0), of(2.0, 0.25), of(f64::NAN, f64::INFINITY)],
        }
    }

    #[test]
    fn elements_are_held_against_their_bounds() {
        let check = |made: [f32; 3], good: Option<f64>| {
            let found = compare(&expected([0, 1, 2]), &made.map(f32::to_bits));
            match (&found, good) {
                (Ok(seen), Some(worst)) => assert_eq!((seen.worst, seen.unbound), (worst, 1), "{made:?}"),
                (Err(text), None) => assert!(text.contains("1 of 3 elements"), "{text}"),
                _ => panic!("{made:?}: {:?}", found.map(|seen| seen.worst)),
            }
        };
        check([1.5, 2.125, 9.0], Some(0.5));
        check([1.5, 1.75, f32::NAN], Some(1.0));
        check([1.5, 2.251, 9.0], None);
        check([1.500_000_1, 2.0, 9.0], None);
        check([1.5, f32::NAN, 9.0], None);
        check([f32::INFINITY, 2.0, 9.0], None);
    }

    #[test]
    fn integers_are_held_against_their_bits() {
        let big = (1_u64 << 60) + 1;
        let words = vec![big as u32, (big >> 32) as u32];
        let approx = vec![Approx { value: big as f64, error: 0.0 }];
        let one = Evaluated { dtype: DType::I64, places: vec![0], words: words.clone(), approx };
        assert!(compare(&one, &words).is_ok());
        // As doubles, both are the same.
        assert!(compare(&one, &[words[0] + 1, words[1]]).is_err());
    }

    #[test]
    fn words_between_and_behind_elements_stay() {
        let before = [0_u32; 12];
        let check = |changed: usize, good: bool| {
            let mut after = before;
            after[changed] = 1;
            let found = untouched(&expected([0, 2, 4]), &before, &after);
            assert_eq!(found.is_ok(), good, "word {changed}: {found:?}");
        };
        [0, 2, 4].into_iter().for_each(|own| check(own, true));
        [1, 3].into_iter().for_each(|between| check(between, false));
        // The rest of the last `vec4` belongs to nobody.
        [5, 6, 7].into_iter().for_each(|padding| check(padding, true));
        [8, 11].into_iter().for_each(|behind| check(behind, false));
    }
}
