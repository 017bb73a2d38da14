//! Evaluates an ONNX model on the host by the reference evaluation of every operator.
//!
//! `eval_onnx MODEL INPUT=FILE.npy... [--out FOLDER]` reads inputs and writes outputs as `.npy` files (C order,
//! little-endian); without inputs it prints the graph.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};

use bayplan_expr::Bindings;
use bayplan_graph::{DType, Tensor, eval, verify};
use bayplan_onnx::{ImportOptions, import};
use bayplan_weights::{FileSource, Store};

const TYPES: [(DType, &str); 8] = [
    (DType::F32, "<f4"),
    (DType::F64, "<f8"),
    (DType::F16, "<f2"),
    (DType::I64, "<i8"),
    (DType::I32, "<i4"),
    (DType::I8, "|i1"),
    (DType::U8, "|u1"),
    (DType::Bool, "|b1"),
];

fn main() -> Result<(), Box<dyn Error>> {
    let (mut model, mut inputs, mut out) = (None, BTreeMap::new(), PathBuf::from("."));
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        if arg == "--out" {
            out = args.next().ok_or("--out needs a folder")?.into();
        } else if let Some((name, file)) = arg.split_once('=') {
            inputs.insert(name.to_owned(), file.to_owned());
        } else {
            model = Some(PathBuf::from(arg));
        }
    }
    let model = model.ok_or("usage: eval_onnx MODEL INPUT=FILE.npy... [--out FOLDER]")?;
    let start = std::time::Instant::now();
    let mut graph = import(&FileSource::open(&model)?, &ImportOptions::default())?;
    println!("imported {} nodes in {:?}", graph.nodes.len(), start.elapsed());
    graph.infer()?;
    verify(&graph)?;
    println!("inferred, {} constraints, after {:?}", graph.constraints.len(), start.elapsed());
    if inputs.is_empty() {
        print!("{graph}");
        return Ok(());
    }
    let mut tensors = Vec::new();
    let mut bindings = Bindings::new();
    for &id in &graph.inputs {
        let value = graph.value(id);
        let file = inputs.get(&*value.name).ok_or_else(|| format!("input `{}` is missing", value.name))?;
        let tensor = read_npy(Path::new(file))?;
        for (dim, &size) in value.ty.iter().flat_map(|ty| &ty.shape).zip(tensor.shape()) {
            if let Some(symbol) = dim.as_symbol() {
                bindings.set(symbol, i64::try_from(size)?);
            }
        }
        tensors.push(tensor);
    }
    let bound = graph.bind(&bindings)?;
    verify(&bound)?;
    println!("bound {bindings} after {:?}", start.elapsed());
    let store = Store::open(&model, &graph)?;
    let outputs = eval(&bound, &tensors, &store)?;
    println!("evaluated after {:?}", start.elapsed());
    for (&id, tensor) in bound.outputs.iter().zip(&outputs) {
        let value = bound.value(id);
        let shape: Vec<usize> =
            value.ty.iter().flat_map(|ty| &ty.shape).filter_map(|d| d.as_const()?.try_into().ok()).collect();
        if shape != tensor.shape() {
            return Err(
                format!("`{}` was inferred {shape:?}, but is {:?}", value.name, tensor.shape()).into()
            );
        }
        write_npy(&out.join(format!("{}.npy", value.name.replace('/', "_"))), tensor)?;
    }
    Ok(())
}

/// Format: <https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html>, version 1 or 2.
fn read_npy(path: &Path) -> Result<Tensor, Box<dyn Error>> {
    let bytes = std::fs::read(path)?;
    let fail = |what: &str| format!("{}: {what}", path.display());
    if bytes.get(..6) != Some(b"\x93NUMPY") {
        return Err(fail("no .npy file").into());
    }
    let (start, len) = match bytes[6] {
        1 => (10, usize::from(u16::from_le_bytes([bytes[8], bytes[9]]))),
        _ => (12, u32::from_le_bytes([bytes[8], bytes[9], bytes[10], bytes[11]]) as usize),
    };
    let header = String::from_utf8_lossy(bytes.get(start..start + len).ok_or_else(|| fail("it is cut off"))?);
    if header.contains("'fortran_order': True") {
        return Err(fail("Fortran order is not supported").into());
    }
    let (dtype, _) =
        TYPES.iter().find(|(_, name)| header.contains(name)).ok_or_else(|| fail("unknown type"))?;
    let shape = header
        .split_once("'shape': (")
        .and_then(|(_, rest)| rest.split_once(')'))
        .ok_or_else(|| fail("no shape"))?;
    let shape = shape
        .0
        .split(',')
        .map(str::trim)
        .filter(|s| !s.is_empty())
        .map(str::parse)
        .collect::<Result<_, _>>()?;
    Ok(Tensor::new(*dtype, shape, bytes[start + len..].to_vec())?)
}

fn write_npy(path: &Path, tensor: &Tensor) -> Result<(), Box<dyn Error>> {
    let (_, name) =
        TYPES.iter().find(|(dtype, _)| *dtype == tensor.dtype()).ok_or("a type without .npy name")?;
    let shape: String = tensor.shape().iter().map(|d| format!("{d}, ")).collect();
    let mut header =
        format!("{{'descr': '{name}', 'fortran_order': False, 'shape': ({}), }}", shape.trim_end());
    // Header and preamble together end at a multiple of 64 bytes.
    header.push_str(&" ".repeat(63 - (10 + header.len()) % 64));
    header.push('\n');
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend(u16::try_from(header.len())?.to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(tensor.bytes());
    Ok(std::fs::write(path, bytes)?)
}
