//! Large models of small work: chains of products that read every weight once and whose activations are a row. Nothing here
//! holds a weight: elements follow from the tensor's and their own number and are written as they are made.

pub mod load;
pub mod memory;
pub mod reading;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use bayplan::Tensor;

use crate::onnx_file::{Attribute, Constant, Data, Dim, External, Model, Node, Streamed, Type};

/// Bytes written at once.
const PIECE: usize = 4 << 20;

/// The file of weights beside a model.
const BESIDE: &str = "model.onnx.data";

/// What a model is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Rows of a table that one row is taken of; none without one. A row is `width` wide.
    pub rows: u64,
    /// Elements of what goes from one product to the next, and of the inputs.
    pub width: u64,
    /// Elements between the two products of a layer; of one product, `width`.
    pub inner: u64,
    /// How many products.
    pub products: usize,
    /// How many of them, the first, have a matrix of a row for each element of theirs (`MatMul`), which is rearranged on the
    /// device while it is loaded; the others one for each element of the result (`Gemm` with `transB`), as kernels read it.
    pub turned: usize,
    /// Whether a vector is added to each product.
    pub biases: bool,
    /// Whether each matrix is transposed, added to and cast before its product: what follows from weights alone.
    pub folded: bool,
}

impl Shape {
    /// 64 MiB, of which one tensor has 40.
    pub const SMALL: Self =
        Self { rows: 10_240, width: 1024, inner: 1024, products: 6, turned: 3, biases: false, folded: false };
    /// 31 MiB in 400 tensors.
    pub const CROWD: Self =
        Self { rows: 0, width: 200, inner: 200, products: 200, turned: 0, biases: true, folded: false };
    /// 1 GiB, of which one tensor has half.
    pub const ONE: Self = Self {
        rows: 131_072,
        width: 1024,
        inner: 8192,
        products: 16,
        turned: 0,
        biases: false,
        folded: false,
    };
    /// The same with all matrices to be rearranged.
    pub const TURNED: Self = Self { turned: 16, ..Self::ONE };
    /// 1.5 GiB in 5,000 tensors.
    pub const MANY: Self =
        Self { rows: 0, width: 404, inner: 404, products: 2500, turned: 0, biases: true, folded: false };
    /// 4 GiB, the largest tensor 512 MiB.
    pub const FOUR: Self = Self { products: 112, ..Self::ONE };

    /// 256 MiB in one tensor, of which all that a run reads is made.
    pub const FOLDED: Self =
        Self { rows: 0, width: 8192, inner: 8192, products: 1, turned: 0, biases: false, folded: true };

    /// The weights in the order of their use.
    pub fn weights(&self) -> Vec<Weight> {
        let dims = |list: &[u64]| list.iter().map(|&dim| dim as i64).collect();
        let mut all = Vec::new();
        if self.rows > 0 {
            all.push(Weight { name: "table".into(), shape: dims(&[self.rows, self.width]) });
        }
        for index in 0..self.products {
            let (from, to) = if index % 2 == 0 { (self.width, self.inner) } else { (self.inner, self.width) };
            let shape = if index < self.turned { [from, to] } else { [to, from] };
            all.push(Weight { name: format!("layer.{index}.weight"), shape: dims(&shape) });
            if self.biases {
                all.push(Weight { name: format!("layer.{index}.bias"), shape: dims(&[to]) });
            }
        }
        all
    }

    /// Bytes of all weights.
    pub fn bytes(&self) -> u64 {
        self.weights().iter().map(Weight::bytes).sum()
    }

    /// Inputs of a run, by name.
    pub fn inputs(&self) -> Vec<(&'static str, Tensor)> {
        let row: Vec<f32> = (0..self.width).map(|i| (i % 17) as f32 / 8.0 - 1.0).collect();
        let x = Tensor::from_f32(vec![1, self.width as usize], &row).expect("as many elements as it has");
        let id = Tensor::from_i64(vec![1], &[self.rows as i64 / 3]).expect("one element");
        if self.rows > 0 { vec![("x", x), ("id", id)] } else { vec![("x", x)] }
    }
}

/// Shapes by the names that the command line has for them: the constants', in small letters.
impl FromStr for Shape {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Ok(match name {
            "small" => Self::SMALL,
            "crowd" => Self::CROWD,
            "one" => Self::ONE,
            "turned" => Self::TURNED,
            "many" => Self::MANY,
            "four" => Self::FOUR,
            "folded" => Self::FOLDED,
            _ => return Err(format!("no model {name}: small, crowd, one, turned, many, four or folded")),
        })
    }
}

/// A weight of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weight {
    /// Its name.
    pub name: String,
    /// Its shape.
    pub shape: Vec<i64>,
}

impl Weight {
    /// Bytes of its elements.
    pub fn bytes(&self) -> u64 {
        4 * self.shape.iter().map(|&dim| dim as u64).product::<u64>()
    }

    /// Writes its elements: products with such matrices neither grow without bounds nor vanish, layer by layer.
    fn write(&self, index: usize, out: &mut impl Write) -> io::Result<()> {
        let terms = match self.shape[..] {
            [rows, columns] if self.name != "table" => (rows as f32 * columns as f32).sqrt(),
            _ => 3.0,
        };
        let scale = (3.0 / terms).sqrt() / (1 << 23) as f32;
        let mut piece = Vec::with_capacity(PIECE.min(self.bytes() as usize));
        let count = self.bytes() / 4;
        for first in (0..count).step_by(PIECE / 4) {
            piece.clear();
            let elements = first..count.min(first + PIECE as u64 / 4);
            piece.extend(
                elements.flat_map(|number| element(index as u32, number as u32, scale).to_le_bytes()),
            );
            out.write_all(&piece)?;
        }
        Ok(())
    }
}

/// The element of that number of a tensor: a hash of both in -2²³..2²³, scaled.
fn element(tensor: u32, number: u32, scale: f32) -> f32 {
    let mut x = number.wrapping_mul(0x9e37_79b1) ^ tensor.wrapping_mul(0x85eb_ca6b).wrapping_add(0x27d4_eb2f);
    x = (x ^ x >> 15).wrapping_mul(0x2c1b_3c6d);
    x = (x ^ x >> 12).wrapping_mul(0x297a_2d39);
    x ^= x >> 15;
    ((x >> 8) as i32 - (1 << 23)) as f32 * scale
}

/// Where a model's weights lie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// In a file beside the model.
    External,
    /// In the model file, at whatever byte they come to lie.
    Inline,
    /// In a safetensors file; the model names a file that is not there.
    Safetensors,
}

impl Form {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::External, Self::Inline, Self::Safetensors];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::External => "external",
            Self::Inline => "inline",
            Self::Safetensors => "safetensors",
        }
    }
}

impl FromStr for Form {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|form| form.name() == name);
        found.ok_or_else(|| format!("no form {name}: external, inline or safetensors"))
    }
}

/// The files of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The model.
    pub model: PathBuf,
    /// The file of weights that is named beside it, where its form is such.
    pub named: Option<PathBuf>,
    /// The file that its weights lie in.
    pub weights: PathBuf,
}

/// Writes a model into a folder, `model.onnx` and what belongs to it. What was written lies on the disk then, so that its
/// pages can be dropped.
///
/// # Errors
/// The folder cannot be written.
pub fn make(shape: &Shape, form: Form, folder: &Path) -> io::Result<Files> {
    let weights = shape.weights();
    let model = folder.join("model.onnx");
    let file = |path: &Path| Ok::<_, io::Error>(BufWriter::with_capacity(PIECE, File::create(path)?));
    if form == Form::Inline {
        let own: Vec<Streamed<'_>> =
            weights.iter().map(|weight| Streamed { name: &weight.name, shape: &weight.shape }).collect();
        let mut out = file(&model)?;
        with_model(shape, Vec::new(), |model| {
            model.write(&own, &mut out, |index, out| weights[index].write(index, out))
        })?;
        done(out)?;
        return Ok(Files { weights: model.clone(), model, named: None });
    }
    write_beside(shape, &weights, &model)?;
    let named = (form == Form::Safetensors).then(|| folder.join("model.safetensors"));
    let path = named.clone().unwrap_or_else(|| folder.join(BESIDE));
    let mut out = file(&path)?;
    if named.is_some() {
        out.write_all(&safetensors_head(&weights))?;
    }
    for (index, weight) in weights.iter().enumerate() {
        weight.write(index, &mut out)?;
    }
    done(out)?;
    Ok(Files { model, named, weights: path })
}

/// Writes a model whose weights are holes in a file but for the first elements of each: it takes no room on the disk, and no two
/// weights are alike.
///
/// # Errors
/// The folder cannot be written.
pub fn make_hollow(shape: &Shape, folder: &Path) -> io::Result<PathBuf> {
    use std::os::unix::fs::FileExt;
    let file = File::create(folder.join(BESIDE))?;
    file.set_len(shape.bytes())?;
    let (weights, mut offset, small) = (shape.weights(), 0, 1.0 / (1 << 20) as f32);
    for (index, weight) in weights.iter().enumerate() {
        let first: Vec<u8> = (0..16).flat_map(|i| element(index as u32, i, small).to_le_bytes()).collect();
        file.write_all_at(&first, offset)?;
        offset += weight.bytes();
    }
    let model = folder.join("model.onnx");
    write_beside(shape, &weights, &model)?;
    Ok(model)
}

/// Writes a model whose weights lie beside it, one behind the other.
fn write_beside(shape: &Shape, weights: &[Weight], model: &Path) -> io::Result<()> {
    let mut end = 0;
    let place = |weight: &Weight| {
        end += weight.bytes();
        ((end - weight.bytes()).to_string(), weight.bytes().to_string())
    };
    let places: Vec<(String, String)> = weights.iter().map(place).collect();
    let mut beside = Vec::with_capacity(weights.len());
    for (weight, (offset, length)) in weights.iter().zip(&places) {
        beside.push(External { name: &weight.name, shape: &weight.shape, location: BESIDE, offset, length });
    }
    with_model(shape, beside, |made| std::fs::write(model, made.bytes()))
}

fn done(out: BufWriter<File>) -> io::Result<()> {
    out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// The model of a shape: `h = x + table[id]`, then `h = h · weight + bias` for each product.
fn with_model<R>(shape: &Shape, weights: Vec<External<'_>>, use_it: impl FnOnce(&Model<'_>) -> R) -> R {
    let names: Vec<[String; 8]> = (0..shape.products)
        .map(|index| {
            ["weight", "bias", "product", "sum", "turned", "more", "narrow", "made"]
                .map(|what| format!("layer.{index}.{what}"))
        })
        .collect();
    let mut steps: Vec<(&str, Vec<&str>, [&str; 1])> = Vec::new();
    let mut h = "x";
    if shape.rows > 0 {
        steps.push(("Gather", vec!["table", "id"], ["row"]));
        steps.push(("Add", vec!["x", "row"], ["h"]));
        h = "h";
    }
    for (index, [weight, bias, product, sum, ..]) in names.iter().enumerate() {
        if shape.folded {
            let [.., turned, more, narrow, made] = &names[index];
            steps.push(("Transpose", vec![weight], [turned]));
            steps.push(("Add", vec![turned, "one"], [more]));
            steps.push(("Cast to f16", vec![more], [narrow]));
            steps.push(("Cast to f32", vec![narrow], [made]));
            steps.push(("MatMul", vec![h, made], [product]));
            h = product;
        } else if index < shape.turned {
            steps.push(("MatMul", vec![h, weight], [product]));
            h = product;
            if shape.biases {
                steps.push(("Add", vec![h, bias], [sum]));
                h = sum;
            }
        } else {
            let bias = shape.biases.then_some(bias.as_str());
            steps.push(("Gemm", [h, weight].into_iter().chain(bias).collect(), [product]));
            h = product;
        }
    }
    let node = |(op, of, to)| match op {
        &"Gemm" => Node::new(op, of, to).with("transB", Attribute::Int(1)),
        &"Cast to f16" => Node::new("Cast", of, to).with("to", Attribute::Int(10)),
        &"Cast to f32" => Node::new("Cast", of, to).with("to", Attribute::Int(1)),
        op => Node::new(op, of, to),
    };
    let nodes = steps.iter().map(|(op, of, to)| node((op, &of[..], &to[..]))).collect();
    let mut inputs = vec![("x", vec![Dim::Known(1), Dim::Known(shape.width as i64)])];
    if shape.rows > 0 {
        inputs.push(("id", vec![Dim::Known(1)]));
    }
    let one = Constant { name: "one", shape: &[1], data: Data::F32(vec![1.0]) };
    use_it(&Model {
        nodes,
        constants: if shape.folded { vec![one] } else { Vec::new() },
        inputs,
        types: vec![("id", Type::I64)],
        outputs: vec![h],
        weights,
    })
}

/// The length of a safetensors file's header and the header, which ends where data is aligned to eight bytes.
fn safetensors_head(weights: &[Weight]) -> Vec<u8> {
    let (mut header, mut begin) = (serde_json::Map::new(), 0);
    for weight in weights {
        let end = begin + weight.bytes();
        let info = serde_json::json!({ "dtype": "F32", "shape": weight.shape, "data_offsets": [begin, end] });
        header.insert(weight.name.clone(), info);
        begin = end;
    }
    let mut text = serde_json::Value::Object(header).to_string().into_bytes();
    text.resize(text.len().next_multiple_of(8), b' ');
    [&(text.len() as u64).to_le_bytes()[..], &text].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use bayplan::{Bindings, Device, Model as Opened, SessionOptions, Weights};

    #[test]
    fn sizes_are_those_that_the_names_say() {
        let of = |shape: &Shape| (shape.bytes(), shape.weights().len());
        assert_eq!(of(&Shape::SMALL), (64 << 20, 7));
        assert_eq!(of(&Shape::ONE), (1 << 30, 17));
        assert_eq!(of(&Shape::FOLDED), (256 << 20, 1));
        assert_eq!(of(&Shape::FOUR), (4 << 30, 113));
        let (bytes, tensors) = of(&Shape::MANY);
        assert!(tensors == 5000 && (1536 << 20..1600 << 20).contains(&bytes), "{bytes} bytes in {tensors}");
        assert!(Shape::MANY.bytes() < 1 << 31, "it fits a protobuf file");
        let largest = Shape::ONE.weights().iter().map(Weight::bytes).max();
        assert_eq!(largest, Some(512 << 20));
    }

    /// Every form holds the same model, and what it computes is neither nothing nor out of bounds.
    #[test]
    fn forms_hold_the_same_model() {
        let shape =
            Shape { rows: 7, width: 12, inner: 20, products: 4, turned: 2, biases: true, folded: false };
        let mut results = Vec::new();
        for form in Form::ALL {
            let folder = tempfile::tempdir().expect("a folder");
            let files = make(&shape, form, folder.path()).expect("files");
            let named = files.named.map(|path| Weights::open(path).expect("weights"));
            let model =
                Opened::open_with(&files.model, &[], named.as_ref()).unwrap_or_else(|e| panic!("{e}"));
            let options = SessionOptions::default();
            let mut session =
                model.session(&Device::host(), &Bindings::default(), options).expect("a session");
            let inputs = shape.inputs();
            let inputs: Vec<(&str, &Tensor)> = inputs.iter().map(|(name, tensor)| (*name, tensor)).collect();
            let outputs = session.run(&inputs).expect("it runs");
            let output = outputs.iter().next().expect("an output").to_tensor().expect("a tensor");
            results.push(output.to_f32().expect("floats"));
        }
        let size = results[0].iter().map(|v| v * v).sum::<f32>();
        assert!((0.01..1e4).contains(&size), "{results:?}");
        assert!(results.iter().all(|result| *result == results[0]), "{results:?}");
    }
}
