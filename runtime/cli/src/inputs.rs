//! The inputs of a run: dims and files as given, the rest drawn from a seed.

use std::path::Path;

use bayplan::{Bindings, Model, Program};
use bayplan_graph::{DType, Tensor};
use bayplan_text::escape;

use crate::exit::Failure;
use crate::tensors;

/// Reads `NAME=VALUE` pairs. Every symbol of the model must get a value, and every name be a symbol.
pub(crate) fn dims(model: &Model, words: &[String]) -> Result<Bindings, Failure> {
    let mut pairs: Vec<(&str, i64)> = Vec::with_capacity(words.len());
    for word in words {
        let wrong =
            || Failure::usage(format!("--dim {} is not NAME=VALUE, for instance batch=4", escape(word)));
        let (name, value) = word.split_once('=').ok_or_else(wrong)?;
        let value: i64 = value.parse().map_err(|_| wrong())?;
        if value < 0 {
            return Err(Failure::usage(format!("--dim {}: a dimension cannot be negative", escape(word))));
        }
        pairs.push((name, value));
    }
    let symbols: Vec<String> = model.graph().symbols.iter().map(|(name, _)| name.to_string()).collect();
    if let Some((name, _)) = pairs.iter().find(|(name, _)| !symbols.iter().any(|symbol| symbol == name)) {
        return Err(Failure::usage(match symbols.len() {
            0 => format!("the model has no symbolic dimension, so --dim {} does not apply", escape(name)),
            _ => format!(
                "the model has no dimension {}; its symbolic dimensions are {}",
                escape(name),
                list(&symbols)
            ),
        }));
    }
    let missing: Vec<String> =
        symbols.into_iter().filter(|symbol| pairs.iter().all(|(name, _)| name != symbol)).collect();
    if !missing.is_empty() {
        let example: Vec<String> = missing.iter().map(|name| format!("--dim {}=1", escape(name))).collect();
        return Err(Failure::usage(format!(
            "the model has symbolic dimensions without a value: {}; give them, for instance {}",
            list(&missing),
            example.join(" ")
        )));
    }
    Ok(pairs.into_iter().collect())
}

fn list(names: &[String]) -> String {
    names.iter().map(|name| escape(name).to_string()).collect::<Vec<_>>().join(", ")
}

/// One tensor per input of the program, in its order: from `NAME=FILE` words, else drawn from the seed.
pub(crate) fn tensors(program: &Program, words: &[String], seed: u64) -> Result<Vec<Tensor>, Failure> {
    let mut given: Vec<Option<Tensor>> = vec![None; program.inputs.len()];
    for word in words {
        let (name, file) = word
            .split_once('=')
            .ok_or_else(|| Failure::usage(format!("--input {} is not NAME=FILE.npy", escape(word))))?;
        let Some(index) = program.inputs.iter().position(|port| port.name == name) else {
            let names: Vec<String> = program.inputs.iter().map(|port| port.name.clone()).collect();
            return Err(Failure::usage(format!(
                "the model has no input {}; its inputs are {}",
                escape(name),
                list(&names)
            )));
        };
        given[index] = Some(tensors::read(Path::new(file)).map_err(Failure::new)?);
    }
    let mut random = SplitMix(seed);
    let draw = |(port, given): (&bayplan_compile::Port, Option<Tensor>)| match given {
        Some(tensor) => Ok(tensor),
        None => drawn(port.dtype, &port.shape, &mut random),
    };
    program.inputs.iter().zip(given).map(draw).collect()
}

/// Floats of unit variance; integers and booleans 0 or 1, which are valid as indices, ids and masks alike.
fn drawn(dtype: DType, shape: &[u64], random: &mut SplitMix) -> Result<Tensor, Failure> {
    let shape: Vec<usize> = shape.iter().map(|&dim| dim as usize).collect();
    let count = shape.iter().product();
    let tensor = if dtype.is_float() {
        let elements: Vec<f64> = (0..count).map(|_| random.normal()).collect();
        Tensor::from_f64(dtype, shape, &elements)
    } else if dtype == DType::Bool {
        let elements: Vec<bool> = (0..count).map(|_| random.next() & 1 == 1).collect();
        Tensor::from_bool(shape, &elements)
    } else {
        let elements: Vec<i128> = (0..count).map(|_| i128::from(random.next() & 1)).collect();
        Tensor::from_ints(dtype, shape, &elements)
    };
    tensor.map_err(|e| Failure::new(e.to_string()))
}

/// The generator of that name (Steele, Lea and Flood 2014).
struct SplitMix(u64);

impl SplitMix {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Box–Muller, one of the pair.
    fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }
}
