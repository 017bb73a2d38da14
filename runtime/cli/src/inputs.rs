//! The inputs of a run: files as given, the rest drawn from a seed.

use std::path::Path;

use bayplan::{Bindings, Graph};
use bayplan_graph::{DType, MAX_TENSOR_BYTES, Tensor};
use bayplan_text::{Bytes, ellipsis};

use crate::exit::Failure;
use crate::tensor_file;

/// Names listed in one message: exporters give a model a few symbols, but a stranger's may have thousands.
pub(crate) const LISTED: usize = 20;

/// Columns of a name in a message.
const NAME: usize = 60;

/// An input of a model at one shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Port {
    pub(crate) name: String,
    pub(crate) dtype: DType,
    /// Dimensions in elements.
    pub(crate) shape: Vec<u64>,
}

/// The inputs of a model whose symbols have these values. A program may have fewer: each way through Ifs takes what it needs.
pub(crate) fn ports(graph: &Graph, dims: &Bindings) -> Result<Vec<Port>, Failure> {
    let port = |&id| {
        let value = graph.value(id);
        let unknown = |why: String| Failure::new(format!("input {}: {why}", shown(&value.name)));
        let ty = value.ty.as_ref().ok_or_else(|| unknown("its type is not known".into()))?;
        let extent = |dim: &bayplan::Expr| {
            let extent = dim.eval(dims).map_err(|e| unknown(e.to_string()))?;
            u64::try_from(extent).map_err(|_| unknown(format!("its dimension {dim} is {extent}")))
        };
        let shape: Result<Vec<u64>, Failure> = ty.shape.iter().map(extent).collect();
        Ok(Port { name: value.name.to_string(), dtype: ty.dtype, shape: shape? })
    };
    graph.inputs.iter().map(port).collect()
}

/// One tensor per input, in the order of the ports: from `NAME=FILE` words, else drawn from the seed.
pub(crate) fn tensors(ports: &[Port], words: &[String], seed: u64) -> Result<Vec<Tensor>, Failure> {
    let mut given: Vec<Option<Tensor>> = vec![None; ports.len()];
    let names: Vec<&str> = ports.iter().map(|port| &*port.name).collect();
    for (index, file) in files(&names, words)? {
        given[index] = Some(from_file(&ports[index], Path::new(file))?);
    }
    let mut random = SplitMix(seed);
    let draw = |(port, given): (&Port, Option<Tensor>)| match given {
        Some(tensor) => Ok(tensor),
        None => drawn(port, &mut random),
    };
    ports.iter().zip(given).map(draw).collect()
}

/// Refuses a folder for inputs that is none.
pub(crate) fn is_folder(folder: &Path) -> Result<(), Failure> {
    let reason = match folder.metadata() {
        Ok(found) if found.is_dir() => return Ok(()),
        Ok(_) => "it is no folder; give one with input_0.pb and so on".to_owned(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => "there is no such folder".to_owned(),
        Err(e) => e.to_string(),
    };
    Err(Failure::new(format!("--inputs {}: {reason}", shown(&folder.display().to_string()))))
}

/// A word `NAME=FILE` for every input, in a folder with `input_0.pb` and so on.
pub(crate) fn numbered(graph: &Graph, folder: &Path) -> Result<Vec<String>, Failure> {
    let word = |(at, &id): (usize, &bayplan_graph::ValueId)| {
        let (name, file) = (&graph.value(id).name, tensor_file::numbered(folder, "input", at));
        if !file.is_file() {
            return Err(Failure::new(format!(
                "{}: there is no such file for input {}",
                file.display(),
                shown(name)
            )));
        }
        Ok(format!("{name}={}", file.display()))
    };
    graph.inputs.iter().enumerate().map(word).collect()
}

/// Which file each word gives to which input. Names and paths may hold equals signs, so the names decide.
pub(crate) fn files<'w>(names: &[&str], words: &'w [String]) -> Result<Vec<(usize, &'w str)>, Failure> {
    let mut files: Vec<(usize, &str)> = Vec::with_capacity(words.len());
    for word in words {
        let rest = |name: &str| word.strip_prefix(name).and_then(|rest| rest.strip_prefix('='));
        let found = names.iter().enumerate().find_map(|(index, name)| Some((index, rest(name)?)));
        let Some((index, file)) = found else {
            let Some((name, _)) = word.split_once('=') else {
                return Err(Failure::usage(format!(
                    "--input {}: give NAME=FILE.npy or NAME=FILE.pb",
                    shown(word)
                )));
            };
            return Err(Failure::usage(match names.len() {
                0 => "the model has no inputs, so --input does not apply".into(),
                _ => format!("the model has no input {}; it has {}", shown(name), list(names)),
            }));
        };
        if files.iter().any(|&(other, _)| other == index) {
            return Err(Failure::usage(format!("--input {} is given twice", shown(names[index]))));
        }
        files.push((index, file));
    }
    Ok(files)
}

/// Reads a tensor for an input, whose type and shape it must have.
fn from_file(port: &Port, path: &Path) -> Result<Tensor, Failure> {
    let mut tensor = tensor_file::read(path)?;
    // numpy has neither bf16 nor anything narrower than a byte: such arrays are kept as f32.
    let unknown = port.dtype == DType::BF16 || port.dtype.is_small_float() || port.dtype.bits() < 8;
    if unknown && tensor.dtype() == DType::F32 {
        tensor = Tensor::from_f64(port.dtype, tensor.shape().to_vec(), &tensor.to_f64())
            .map_err(|e| Failure::new(e.to_string()))?;
    }
    let shape: Vec<u64> = tensor.shape().iter().map(|&dim| dim as u64).collect();
    if tensor.dtype() == port.dtype && shape == port.shape {
        return Ok(tensor);
    }
    Err(Failure::new(format!(
        "{}: input {} must be {}, but the file holds {}",
        path.display(),
        shown(&port.name),
        type_text(port.dtype, &port.shape),
        type_text(tensor.dtype(), &shape)
    )))
}

/// `f32[1,3,224,224]`.
pub(crate) fn type_text(dtype: DType, shape: &[u64]) -> String {
    let dims: Vec<String> = shape.iter().map(u64::to_string).collect();
    format!("{dtype}[{}]", dims.join(","))
}

/// Floats of unit variance; integers and booleans 0 or 1, which are valid as indices, ids and masks alike.
fn drawn(port: &Port, random: &mut SplitMix) -> Result<Tensor, Failure> {
    /// Elements drawn at a time, each 16 bytes before it is converted.
    const CHUNK: usize = 4096;
    let fail = |e: bayplan_graph::TensorError| {
        Failure::new(format!("input {} cannot be drawn: {e}", shown(&port.name)))
    };
    let dims: Option<Vec<usize>> = port.shape.iter().map(|&dim| usize::try_from(dim).ok()).collect();
    let count = |dims: &[usize]| dims.iter().try_fold(1usize, |count, &dim| count.checked_mul(dim));
    let sized = dims.and_then(|dims| Some((count(&dims)?, dims)));
    let sized = sized.filter(|(count, _)| {
        count.checked_mul(port.dtype.size()).is_some_and(|bytes| bytes <= MAX_TENSOR_BYTES)
    });
    let Some((mut left, shape)) = sized else {
        return Err(Failure::new(format!(
            "input {} is {}, and the host holds at most {} in one tensor; give smaller dims",
            shown(&port.name),
            type_text(port.dtype, &port.shape),
            Bytes(MAX_TENSOR_BYTES as u64)
        )));
    };
    let mut bytes = Vec::with_capacity(left * port.dtype.size());
    while left > 0 {
        let part = left.min(CHUNK);
        let tensor = if port.dtype.is_float() {
            let elements: Vec<f64> = (0..part).map(|_| random.normal()).collect();
            Tensor::from_f64(port.dtype, vec![part], &elements)
        } else {
            let elements: Vec<i128> = (0..part).map(|_| i128::from(random.next() & 1)).collect();
            Tensor::from_ints(port.dtype, vec![part], &elements)
        };
        bytes.extend_from_slice(tensor.map_err(fail)?.bytes());
        left -= part;
    }
    Tensor::new(port.dtype, shape, bytes).map_err(fail)
}

pub(crate) fn shown(name: &str) -> String {
    ellipsis(name, NAME).to_string()
}

pub(crate) fn list(names: &[&str]) -> String {
    let mut text: Vec<String> = names.iter().take(LISTED).map(|name| shown(name)).collect();
    if names.len() > LISTED {
        text.push(format!("and {} more", names.len() - LISTED));
    }
    text.join(", ")
}

/// A word as a shell reads it.
pub(crate) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-=.,:/".contains(c);
    let shown = shown(word);
    if word.chars().all(plain) { shown } else { format!("'{}'", shown.replace('\'', r"'\''")) }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::npy;

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(ToString::to_string).collect()
    }

    fn port(name: &str, dtype: DType, shape: &[u64]) -> Port {
        Port { name: name.into(), dtype, shape: shape.to_vec() }
    }

    #[test]
    fn inputs_are_matched_by_the_names_of_the_model() {
        type Case<'a> = (&'a [&'a str], Result<&'a [(usize, &'a str)], &'a str>);
        let cases: [Case<'_>; 6] = [
            (&["x=a.npy"], Ok(&[(0, "a.npy")])),
            (&["x=a=b.npy"], Ok(&[(0, "a=b.npy")])),
            (&[], Ok(&[])),
            (&["x=a", "x=b"], Err("given twice")),
            (&["q=a"], Err("no input q; it has x, x=y")),
            (&["q"], Err("give NAME=FILE.npy or NAME=FILE.pb")),
        ];
        for (given, expected) in cases {
            let given = words(given);
            match (files(&["x", "x=y"], &given), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{given:?}"),
                (Err(failure), Err(expected)) => assert!(failure.parts().0.contains(expected), "{failure:?}"),
                (found, expected) => panic!("{given:?}: {found:?}, expected {expected:?}"),
            }
        }
    }

    #[test]
    fn a_file_must_hold_what_the_input_needs() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.npy");
        npy::write(&path, &Tensor::from_f32(vec![2], &[1.0, 2.0]).unwrap()).unwrap();
        assert!(from_file(&port("x", DType::F32, &[2]), &path).is_ok());
        assert_eq!(from_file(&port("x", DType::BF16, &[2]), &path).unwrap().dtype(), DType::BF16);
        for wrong in [port("x", DType::F32, &[1, 2]), port("x", DType::I64, &[2])] {
            let failure = from_file(&wrong, &path).unwrap_err();
            let (message, code) = failure.parts();
            assert!(message.contains("input x must be ") && message.contains("holds f32[2]"), "{message}");
            assert_eq!(code, 1);
        }
    }

    #[test]
    fn what_is_drawn_follows_the_seed_and_fits_every_type() {
        for dtype in [DType::F32, DType::F16, DType::BF16, DType::I64, DType::U8, DType::Bool] {
            let port = port("x", dtype, &[3, 2000]);
            let draw = |seed| drawn(&port, &mut SplitMix(seed)).unwrap();
            let tensor = draw(7);
            assert_eq!((tensor.dtype(), tensor.shape()), (dtype, &[3, 2000][..]));
            assert_eq!(tensor, draw(7));
            assert_ne!(tensor, draw(8));
            let elements = tensor.to_f64();
            let mean = elements.iter().sum::<f64>() / elements.len() as f64;
            let expected = if dtype.is_float() { 0.0 } else { 0.5 };
            assert!((mean - expected).abs() < 0.1, "{dtype}: {mean}");
        }
        assert_eq!(drawn(&port("x", DType::F32, &[0, 4]), &mut SplitMix(0)).unwrap().count(), 0);
        for shape in [&[u64::MAX, 2][..], &[1 << 40], &[1 << 33]] {
            let failure = drawn(&port("x", DType::F32, shape), &mut SplitMix(0)).unwrap_err();
            assert!(failure.parts().0.contains("give smaller dims"), "{failure:?}");
        }
    }
}
