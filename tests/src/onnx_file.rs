//! Small ONNX files written by hand, byte by byte, so that tests can make ones that no exporter would.
//!
//! Field numbers are those of onnx.proto3.

/// One operator.
#[derive(Clone, Debug)]
pub struct Node<'a> {
    /// Its type, such as `Relu`.
    pub op: &'a str,
    /// Names of what it reads.
    pub inputs: &'a [&'a str],
    /// Names of what it makes.
    pub outputs: &'a [&'a str],
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

/// A model of f32 tensors, opset 17.
#[derive(Clone, Debug, Default)]
pub struct Model<'a> {
    /// Operators, in order.
    pub nodes: Vec<Node<'a>>,
    /// Inputs with their shapes.
    pub inputs: Vec<(&'a str, Vec<Dim<'a>>)>,
    /// Outputs, of unknown shape.
    pub outputs: Vec<&'a str>,
    /// Weights.
    pub weights: Vec<External<'a>>,
}

/// `TensorProto.DataType.FLOAT`.
const FLOAT: u64 = 1;

/// `TensorProto.DataLocation.EXTERNAL`.
const EXTERNAL: u64 = 1;

impl Model<'_> {
    /// The bytes of the file.
    pub fn bytes(&self) -> Vec<u8> {
        let mut graph = Message::default();
        for node in &self.nodes {
            let mut message = Message::default();
            node.inputs.iter().for_each(|name| message.text(1, name));
            node.outputs.iter().for_each(|name| message.text(2, name));
            message.text(3, node.outputs.first().unwrap_or(&""));
            message.text(4, node.op);
            graph.message(1, &message);
        }
        graph.text(2, "made by a test");
        self.weights.iter().for_each(|weight| graph.message(5, &tensor(weight)));
        self.inputs.iter().for_each(|(name, shape)| graph.message(11, &value(name, Some(shape))));
        self.outputs.iter().for_each(|name| graph.message(12, &value(name, None)));
        let mut opset = Message::default();
        opset.number(2, 17);
        let mut model = Message::default();
        model.number(1, 8);
        model.message(7, &graph);
        model.message(8, &opset);
        model.0
    }
}

fn tensor(weight: &External<'_>) -> Message {
    let mut tensor = Message::default();
    weight.shape.iter().for_each(|&dim| tensor.number(1, dim as u64));
    tensor.number(2, FLOAT);
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

fn value(name: &str, shape: Option<&Vec<Dim<'_>>>) -> Message {
    let mut tensor = Message::default();
    tensor.number(1, FLOAT);
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

    fn field(&mut self, field: u64, bytes: &[u8]) {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, field: u64, text: &str) {
        self.field(field, text.as_bytes());
    }

    fn message(&mut self, field: u64, message: &Self) {
        self.field(field, &message.0);
    }
}
