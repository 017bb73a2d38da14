//! Small ONNX files written by hand, byte by byte, so that tests can make ones that no exporter would.
//!
//! Field numbers are those of onnx.proto3. Weights of any size are streamed ([`Model::write`]), whose elements the caller
//! writes when their place comes.

use std::io::{self, Write};

/// One operator.
#[derive(Clone, Debug, Default)]
pub struct Node<'a> {
    /// Its type, such as `Relu`.
    pub op: &'a str,
    /// Names of what it reads.
    pub inputs: &'a [&'a str],
    /// Names of what it makes.
    pub outputs: &'a [&'a str],
    /// Its attributes, by name.
    pub attributes: Vec<(&'a str, Attribute<'a>)>,
}

impl<'a> Node<'a> {
    /// An operator without attributes.
    pub fn new(op: &'a str, inputs: &'a [&'a str], outputs: &'a [&'a str]) -> Self {
        Self { op, inputs, outputs, attributes: Vec::new() }
    }

    /// The same with one more attribute.
    #[must_use]
    pub fn with(mut self, name: &'a str, value: Attribute<'a>) -> Self {
        self.attributes.push((name, value));
        self
    }
}

/// What an operator is told beside its inputs.
#[derive(Clone, Debug)]
pub enum Attribute<'a> {
    /// A number.
    Int(i64),
    /// A list of numbers.
    Ints(&'a [i64]),
    /// A graph: the body of a branch. It sees the values of the graph around it.
    Graph(Model<'a>),
}

/// A tensor in the file.
#[derive(Clone, Debug)]
pub struct Constant<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its shape.
    pub shape: &'a [i64],
    /// Its elements.
    pub data: Data,
}

/// Elements of a tensor in the file.
#[derive(Clone, Debug)]
pub enum Data {
    /// `float`.
    F32(Vec<f32>),
    /// `int64`.
    I64(Vec<i64>),
}

/// A dimension of an input or output.
#[derive(Clone, Copy, Debug)]
pub enum Dim<'a> {
    /// So many elements.
    Known(i64),
    /// A name.
    Symbol(&'a str),
}

/// An f32 weight in another file.
#[derive(Clone, Debug)]
pub struct External<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its shape.
    pub shape: &'a [i64],
    /// The file, relative to the model's folder.
    pub location: &'a str,
    /// Where in the file it begins, as written there.
    pub offset: &'a str,
    /// How many bytes it has, as written there.
    pub length: &'a str,
}

/// An f32 weight in the model file itself, whose elements are streamed.
#[derive(Clone, Copy, Debug)]
pub struct Streamed<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its shape.
    pub shape: &'a [i64],
}

impl Streamed<'_> {
    /// How many bytes its elements have.
    pub fn bytes(&self) -> u64 {
        4 * self.shape.iter().map(|&dim| dim as u64).product::<u64>()
    }
}

/// A model, opset 17.
#[derive(Clone, Debug, Default)]
pub struct Model<'a> {
    /// Operators, in order.
    pub nodes: Vec<Node<'a>>,
    /// Inputs with their shapes: f32, unless `types` names them.
    pub inputs: Vec<(&'a str, Vec<Dim<'a>>)>,
    /// Inputs of other element types.
    pub types: Vec<(&'a str, Type)>,
    /// Outputs, of unknown shape.
    pub outputs: Vec<&'a str>,
    /// Tensors in the file.
    pub constants: Vec<Constant<'a>>,
    /// Weights in other files.
    pub weights: Vec<External<'a>>,
}

/// An element type, as `TensorProto.DataType` numbers it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Type {
    /// `float`
    F32 = 1,
    /// `int32`
    I32 = 6,
    /// `int64`
    I64 = 7,
    /// `bool`
    Bool = 9,
}

/// `TensorProto.DataLocation.EXTERNAL`.
const EXTERNAL: u64 = 1;

impl Model<'_> {
    /// The bytes of the file.
    pub fn bytes(&self) -> Vec<u8> {
        let mut model = head();
        model.message(7, &self.graph());
        model.0
    }

    /// Writes the file with further weights in it. Of each, by its index, `elements` writes the bytes when their place comes:
    /// nothing here grows with them.
    ///
    /// # Errors
    /// As the writer.
    ///
    /// # Panics
    /// `elements` wrote more or fewer bytes than the shape asks for.
    pub fn write<W: Write>(
        &self,
        weights: &[Streamed<'_>],
        out: &mut W,
        mut elements: impl FnMut(usize, &mut Counted<'_, W>) -> io::Result<()>,
    ) -> io::Result<()> {
        let graph = self.graph();
        let heads: Vec<Message> = weights.iter().map(announced).collect();
        let body = |index: usize| heads[index].0.len() as u64 + weights[index].bytes();
        let length: u64 =
            (0..weights.len()).map(|index| prefix(5, body(index)).0.len() as u64 + body(index)).sum();
        let mut model = head();
        model.announce(7, graph.0.len() as u64 + length);
        out.write_all(&model.0)?;
        out.write_all(&graph.0)?;
        for (index, weight) in weights.iter().enumerate() {
            out.write_all(&prefix(5, body(index)).0)?;
            out.write_all(&heads[index].0)?;
            let mut counted = Counted { out: &mut *out, bytes: 0 };
            elements(index, &mut counted)?;
            assert_eq!(counted.bytes, weight.bytes(), "bytes of {}", weight.name);
        }
        Ok(())
    }

    fn graph(&self) -> Message {
        let mut graph = Message::default();
        self.nodes.iter().for_each(|node| graph.message(1, &operator(node)));
        graph.text(2, "made by a test");
        self.constants.iter().for_each(|constant| graph.message(5, &inline(constant)));
        self.weights.iter().for_each(|weight| graph.message(5, &tensor(weight)));
        for (name, shape) in &self.inputs {
            let other = self.types.iter().find(|(typed, _)| typed == name);
            let element = other.map_or(Type::F32, |&(_, element)| element);
            graph.message(11, &value(name, element, Some(shape)));
        }
        self.outputs.iter().for_each(|name| graph.message(12, &value(name, Type::F32, None)));
        graph
    }
}

/// A writer that counts.
#[derive(Debug)]
pub struct Counted<'a, W> {
    out: &'a mut W,
    bytes: u64,
}

impl<W: Write> Write for Counted<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

/// A model without its graph.
fn head() -> Message {
    let mut opset = Message::default();
    opset.number(2, 17);
    let mut model = Message::default();
    model.number(1, 8);
    model.message(8, &opset);
    model
}

/// What precedes a field of so many bytes.
fn prefix(field: u64, bytes: u64) -> Message {
    let mut message = Message::default();
    message.announce(field, bytes);
    message
}

/// A tensor up to its elements, which follow.
fn announced(weight: &Streamed<'_>) -> Message {
    let mut tensor = Message::default();
    weight.shape.iter().for_each(|&dim| tensor.number(1, dim as u64));
    tensor.number(2, Type::F32 as u64);
    tensor.text(8, weight.name);
    tensor.announce(9, weight.bytes());
    tensor
}

fn operator(node: &Node<'_>) -> Message {
    let mut message = Message::default();
    node.inputs.iter().for_each(|name| message.text(1, name));
    node.outputs.iter().for_each(|name| message.text(2, name));
    message.text(3, node.outputs.first().unwrap_or(&""));
    message.text(4, node.op);
    for (name, value) in &node.attributes {
        message.message(5, &attribute(name, value));
    }
    message
}

fn attribute(name: &str, value: &Attribute<'_>) -> Message {
    let mut message = Message::default();
    message.text(1, name);
    // The last number of each is `AttributeProto.AttributeType`.
    match value {
        Attribute::Int(number) => {
            message.number(3, *number as u64);
            message.number(20, 2);
        }
        Attribute::Ints(numbers) => {
            numbers.iter().for_each(|&number| message.number(8, number as u64));
            message.number(20, 7);
        }
        Attribute::Graph(model) => {
            message.message(6, &model.graph());
            message.number(20, 5);
        }
    }
    message
}

fn inline(constant: &Constant<'_>) -> Message {
    let mut tensor = Message::default();
    constant.shape.iter().for_each(|&dim| tensor.number(1, dim as u64));
    let (element, bytes): (Type, Vec<u8>) = match &constant.data {
        Data::F32(all) => (Type::F32, all.iter().flat_map(|one| one.to_le_bytes()).collect()),
        Data::I64(all) => (Type::I64, all.iter().flat_map(|one| one.to_le_bytes()).collect()),
    };
    tensor.number(2, element as u64);
    tensor.text(8, constant.name);
    tensor.field(9, &bytes);
    tensor
}

fn tensor(weight: &External<'_>) -> Message {
    let mut tensor = Message::default();
    weight.shape.iter().for_each(|&dim| tensor.number(1, dim as u64));
    tensor.number(2, Type::F32 as u64);
    tensor.text(8, weight.name);
    for (key, value) in [("location", weight.location), ("offset", weight.offset), ("length", weight.length)]
    {
        let mut entry = Message::default();
        entry.text(1, key);
        entry.text(2, value);
        tensor.message(13, &entry);
    }
    tensor.number(14, EXTERNAL);
    tensor
}

/// A value with its type; of unknown type where its shape is unknown too.
fn value(name: &str, element: Type, shape: Option<&Vec<Dim<'_>>>) -> Message {
    let mut tensor = Message::default();
    tensor.number(1, element as u64);
    if let Some(shape) = shape {
        let mut dims = Message::default();
        for dim in shape {
            let mut message = Message::default();
            match dim {
                Dim::Known(size) => message.number(1, *size as u64),
                Dim::Symbol(name) => message.text(2, name),
            }
            dims.message(1, &message);
        }
        tensor.message(2, &dims);
    }
    let mut ty = Message::default();
    ty.message(1, &tensor);
    let mut value = Message::default();
    value.text(1, name);
    value.message(2, &ty);
    value
}

/// A protobuf message being written.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn varint(&mut self, mut value: u64) {
        while value > 0x7f {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn number(&mut self, field: u64, value: u64) {
        self.varint(field << 3);
        self.varint(value);
    }

    fn announce(&mut self, field: u64, bytes: u64) {
        self.varint(field << 3 | 2);
        self.varint(bytes);
    }

    fn field(&mut self, field: u64, bytes: &[u8]) {
        self.announce(field, bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, field: u64, text: &str) {
        self.field(field, text.as_bytes());
    }

    fn message(&mut self, field: u64, message: &Self) {
        self.field(field, &message.0);
    }
}
