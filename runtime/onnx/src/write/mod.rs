//! Models written anew, with their tensors elsewhere.
//!
//! An [`Outline`] is a model file taken apart at its tensors: what lies between them stays ranges of the file. [`Rewrite`] says
//! where each tensor is to lie, and what is added; [`Outline::write`] streams the model out. All that is not a tensor is
//! copied as it is, also what the importer does not read.

mod outline;
mod piece;

use std::io::{self, Write};

use bayplan_graph::{ByteSource, DType, Digest, FileRef};
use prost::Message;

use self::outline::{Field, Tensor};
pub use self::outline::{Outline, Stored};
use self::piece::{Piece, put};
use crate::digest;
use crate::generated::onnx::{
    AttributeProto, GraphProto, ModelProto, NodeProto, StringStringEntryProto, TensorProto,
};
use crate::tensor::number;

/// Where the tensors of a model are to lie, and what is added to it.
#[derive(Clone, Debug, Default)]
pub struct Rewrite {
    /// The file of tensors that lie outside, relative to the model's folder.
    pub location: String,
    /// Of each tensor of [`Outline::tensors`].
    pub places: Vec<Place>,
    /// Initializers that the model does not have yet.
    pub initializers: Vec<NewInitializer>,
    /// Nodes before all others, in an order in which they can run.
    pub nodes: Vec<NewNode>,
    /// Entries of the model's metadata; they replace those of the same keys.
    pub metadata: Vec<(String, String)>,
}

/// What becomes of a tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// It stays in the model, with its digest.
    Stays,
    /// It stays in the model with these elements, as they lie in raw data.
    Holds(Vec<u8>),
    /// It lies outside.
    Lies(Lies),
    /// A new node makes it. No input has its name then, either.
    Made,
}

/// A range of the file of tensors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lies {
    /// First byte.
    pub offset: u64,
    /// Bytes.
    pub len: u64,
    /// What they hash to.
    pub digest: Digest,
}

/// An initializer that the model does not have yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewInitializer {
    /// Its name.
    pub name: String,
    /// Its element type.
    pub dtype: DType,
    /// Its shape.
    pub shape: Vec<u64>,
    /// Where it lies.
    pub lies: Lies,
}

/// A node with one operand and one result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewNode {
    /// What it does.
    pub op: NewOp,
    /// What it reads.
    pub input: String,
    /// What it makes, and its name.
    pub output: String,
}

/// What initializers are converted by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NewOp {
    /// To an element type.
    Cast(DType),
    /// Axes in another order.
    Transpose(Vec<i64>),
}

/// The key of the model's metadata whose value is the plan file.
pub const PLAN_KEY: &str = "bayplan.plan";

impl Outline {
    /// Writes the model. `source` is the file that the outline was read from.
    ///
    /// # Errors
    /// The file cannot be read any more, or written.
    pub fn write(&self, source: &dyn ByteSource, to: &Rewrite, out: &mut dyn Write) -> io::Result<()> {
        let nodes = to.nodes.iter().map(NewNode::proto).collect();
        let initializer = to.initializers.iter().map(|new| new.proto(&to.location)).collect();
        let mut graph =
            vec![Piece::Bytes(GraphProto { node: nodes, ..GraphProto::default() }.encode_to_vec())];
        graph.extend(self.graph.iter().flat_map(|piece| self.placed(piece, to)));
        let more = GraphProto { initializer, ..GraphProto::default() };
        graph.push(Piece::Bytes(more.encode_to_vec()));
        // The plan is of the model as it was.
        let replaced = |key: &str| key == PLAN_KEY || to.metadata.iter().any(|(own, _)| own == key);
        let kept =
            self.model.iter().filter(|piece| !matches!(piece, Piece::Entry { key, .. } if replaced(key)));
        for piece in kept {
            put(piece, source, out)?;
        }
        let metadata_props = to.metadata.iter().map(|(key, value)| entry(key, value)).collect();
        out.write_all(&ModelProto { metadata_props, ..ModelProto::default() }.encode_to_vec())?;
        // The graph comes last: what is cut off then is part of it, and does not go unseen.
        put(&Piece::Message { tag: self.graph_tag, inner: graph }, source, out)
    }

    /// A piece with its tensors where they are to lie.
    fn placed(&self, piece: &Piece, to: &Rewrite) -> Vec<Piece> {
        match piece {
            Piece::Message { tag, inner } => {
                let inner = inner.iter().flat_map(|piece| self.placed(piece, to)).collect();
                vec![Piece::Message { tag: *tag, inner }]
            }
            Piece::Input { name, .. } if self.is_made(name, to) => Vec::new(),
            Piece::Tensor { tag, index } => {
                let inner = match to.places.get(*index).unwrap_or(&Place::Stays) {
                    Place::Made => return Vec::new(),
                    place => self.parts[*index].placed(place, &to.location),
                };
                vec![Piece::Message { tag: *tag, inner }]
            }
            piece => vec![piece.clone()],
        }
    }

    /// Whether a node makes what was an initializer.
    fn is_made(&self, name: &str, to: &Rewrite) -> bool {
        to.nodes.iter().any(|node| node.output == name)
    }
}

impl Tensor {
    /// Its fields, and where it lies.
    fn placed(&self, place: &Place, location: &str) -> Vec<Piece> {
        let (keeps, added): (fn(&Field) -> bool, _) = match place {
            Place::Lies(lies) => (|field| !field.is_data(), lies.proto(location)),
            Place::Holds(bytes) => {
                let digest = Some(Digest::of(bytes));
                (|field| !field.is_data(), TensorProto { raw_data: Some(bytes.clone()), ..digested(digest) })
            }
            Place::Stays | Place::Made => (|_| true, digested(self.digest)),
        };
        let redone = !added.metadata_props.is_empty();
        let kept = self.fields.iter().filter(|field| keeps(field) && !(redone && field.is_digest));
        let mut pieces: Vec<Piece> =
            kept.map(|field| Piece::Copy { start: field.start, end: field.end }).collect();
        pieces.push(Piece::Bytes(added.encode_to_vec()));
        pieces
    }
}

/// A tensor of which only the digest is said.
fn digested(digest: Option<Digest>) -> TensorProto {
    let metadata_props = digest.map(|digest| entry(digest::KEY, &digest.to_string()));
    TensorProto { metadata_props: metadata_props.into_iter().collect(), ..TensorProto::default() }
}

fn entry(key: &str, value: &str) -> StringStringEntryProto {
    StringStringEntryProto { key: Some(key.to_owned()), value: Some(value.to_owned()) }
}

impl Lies {
    /// A tensor of which only this is said.
    fn proto(&self, location: &str) -> TensorProto {
        let (offset, len) = (self.offset.to_string(), self.len.to_string());
        TensorProto {
            external_data: vec![entry("location", location), entry("offset", &offset), entry("length", &len)],
            data_location: Some(1),
            ..digested(Some(self.digest))
        }
    }
}

impl NewInitializer {
    fn proto(&self, location: &str) -> TensorProto {
        TensorProto {
            name: Some(self.name.clone()),
            dims: self.shape.iter().map(|&dim| dim.cast_signed()).collect(),
            data_type: Some(number(self.dtype)),
            ..self.lies.proto(location)
        }
    }
}

impl NewNode {
    fn proto(&self) -> NodeProto {
        // The numbers of `AttributeProto.AttributeType`.
        let (op, attribute) = match &self.op {
            NewOp::Cast(to) => {
                let to = Some(i64::from(number(*to)));
                (
                    "Cast",
                    AttributeProto { name: Some("to".into()), r#type: Some(2), i: to, ..Default::default() },
                )
            }
            NewOp::Transpose(perm) => {
                let ints = perm.clone();
                let perm =
                    AttributeProto { name: Some("perm".into()), r#type: Some(7), ints, ..Default::default() };
                ("Transpose", perm)
            }
        };
        NodeProto {
            op_type: Some(op.to_owned()),
            name: Some(self.output.clone()),
            input: vec![self.input.clone()],
            output: vec![self.output.clone()],
            attribute: vec![attribute],
            ..NodeProto::default()
        }
    }
}

impl Outline {
    /// The files that tensors lie in, as [`Stored::data`] numbers them.
    pub fn files(&self) -> &[FileRef] {
        &self.files
    }

    /// The tensors, in the order of the file: initializers of the graph and of bodies, and those in attributes.
    pub fn tensors(&self) -> &[Stored] {
        &self.tensors
    }

    /// What ranges of files hash to, where the model says it.
    pub fn digests(&self) -> &[(bayplan_graph::ByteRange, Digest)] {
        &self.digests
    }

    /// Whether a name is that of an input of the graph.
    pub fn is_input(&self, name: &str) -> bool {
        self.graph.iter().any(|piece| matches!(piece, Piece::Input { name: own, .. } if own == name))
    }
}
