//! A model file taken apart at its tensors.

use bayplan_graph::{ByteRange, ByteSource, ConstData, Digest, Digester, FileRef, TensorType};
use prost::Message as _;

use super::piece::{Piece, push_copy};
use crate::digest;
use crate::error::ImportError;
use crate::generated::onnx::{ModelProto, StringStringEntryProto, TensorProto, ValueInfoProto};
use crate::limits::{MAX_DEPTH, MAX_INLINE, MAX_NAME, MAX_TYPE};
use crate::tensor::{Tensors, dtype};
use crate::wire::{self, Payload, Walk, malformed};

/// A model file taken apart at its tensors.
#[derive(Debug)]
pub struct Outline {
    /// The model's fields but for the graph.
    pub(super) model: Vec<Piece>,
    /// The graph's fields.
    pub(super) graph: Vec<Piece>,
    pub(super) graph_tag: u64,
    pub(super) tensors: Vec<Stored>,
    pub(super) parts: Vec<Tensor>,
    pub(super) files: Vec<FileRef>,
    pub(super) digests: Vec<(ByteRange, Digest)>,
}

/// A tensor of a model.
#[derive(Clone, Debug)]
pub struct Stored {
    /// Its name; those in attributes need not have one.
    pub name: String,
    /// Whether it is an initializer of the graph itself, not of a body, and no attribute.
    pub initializer: bool,
    /// Whether it is an initializer of a body.
    pub in_body: bool,
    /// Its type.
    pub ty: TensorType,
    /// Where its elements lie, or those themselves where they are a long list of numbers in the model. Small ones, and those
    /// that share bytes, stay in the model: here they are empty.
    pub data: ConstData,
}

/// The fields of a tensor.
#[derive(Debug)]
pub(super) struct Tensor {
    pub(super) fields: Vec<Field>,
    /// Of the bytes that it holds itself, where they stay.
    pub(super) digest: Option<Digest>,
}

/// A field of a tensor, with its tag.
#[derive(Clone, Copy, Debug)]
pub(super) struct Field {
    number: u32,
    pub(super) start: u64,
    pub(super) end: u64,
    /// Whether it is the entry of the tensor's digest.
    pub(super) is_digest: bool,
}

impl Field {
    /// Whether it says what the elements are, or where.
    pub(super) fn is_data(&self) -> bool {
        matches!(self.number, 3..=7 | 9..=11 | 13 | 14)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Model,
    /// The graph itself, or a body.
    Graph {
        main: bool,
    },
    Node,
    Attribute,
}

/// Whose a tensor is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holder {
    Graph,
    Body,
    Attribute,
}

/// What a field leads to.
enum Leads {
    Message(Kind),
    Tensor(Holder),
    Input,
    Entry,
    Nowhere,
}

impl Kind {
    const fn leads(self, field: u32) -> Leads {
        match (self, field) {
            (Self::Model, 7) => Leads::Message(Self::Graph { main: true }),
            (Self::Model, 14) => Leads::Entry,
            (Self::Graph { .. }, 1) => Leads::Message(Self::Node),
            (Self::Graph { main: true }, 5) => Leads::Tensor(Holder::Graph),
            (Self::Graph { main: false }, 5) => Leads::Tensor(Holder::Body),
            (Self::Graph { main: true }, 11) => Leads::Input,
            (Self::Node, 5) => Leads::Message(Self::Attribute),
            (Self::Attribute, 5 | 10) => Leads::Tensor(Holder::Attribute),
            (Self::Attribute, 6 | 11) => Leads::Message(Self::Graph { main: false }),
            _ => Leads::Nowhere,
        }
    }
}

/// The bytes of a field that is being looked at.
#[derive(Clone, Copy)]
struct Span {
    tag: u64,
    /// Of the tag.
    start: u64,
    /// Of what comes behind tag and length.
    inner: u64,
    end: u64,
}

impl Outline {
    /// Takes a model file apart. Only what [`crate::import`] accepts is sure to be right.
    ///
    /// # Errors
    /// The file cannot be read, or is no model.
    pub fn read(source: &dyn ByteSource) -> Result<Self, ImportError> {
        let mut taker = Taker {
            source,
            walk: Walk::new(source),
            tensors: Tensors::new(&[], source),
            outline: Self {
                model: Vec::new(),
                graph: Vec::new(),
                graph_tag: 7 << 3 | 2,
                tensors: Vec::new(),
                parts: Vec::new(),
                files: Vec::new(),
                digests: Vec::new(),
            },
        };
        let mut model = Vec::new();
        taker.message(Kind::Model, source.len(), 0, &mut model)?;
        Ok(Self { model, files: taker.tensors.files, digests: taker.tensors.digests, ..taker.outline })
    }
}

impl Outline {
    /// The value of an entry of the model's metadata, of at most so many bytes.
    ///
    /// # Errors
    /// The file cannot be read, or the entry is longer or no text.
    pub fn metadata(
        &self,
        source: &dyn ByteSource,
        key: &str,
        most: u64,
    ) -> Result<Option<String>, ImportError> {
        let place = self.model.iter().find_map(|piece| match piece {
            Piece::Entry { key: own, start, end } if own == key => Some((*start, *end)),
            _ => None,
        });
        let Some((start, end)) = place else { return Ok(None) };
        let fail = |reason: String| ImportError::Metadata { key: key.to_owned(), reason };
        if end - start > most {
            return Err(fail(format!("it has {} bytes, more than {most}", end - start)));
        }
        let mut bytes = vec![0; (end - start) as usize];
        source.read_at(start, &mut bytes)?;
        let model = ModelProto::decode(bytes.as_slice()).map_err(|e| fail(e.to_string()))?;
        Ok(model.metadata_props.into_iter().next().map(|entry| entry.value.unwrap_or_default()))
    }
}

struct Taker<'a> {
    source: &'a dyn ByteSource,
    walk: Walk<'a>,
    tensors: Tensors<'a>,
    outline: Outline,
}

impl Taker<'_> {
    /// Takes the fields of a message apart, which ends at byte `end`.
    fn message(
        &mut self,
        kind: Kind,
        end: u64,
        depth: usize,
        out: &mut Vec<Piece>,
    ) -> Result<(), ImportError> {
        if depth >= MAX_DEPTH {
            let place = format!("byte {}", self.walk.reader.at);
            return Err(ImportError::Limit {
                what: "the depth of nested graphs",
                limit: MAX_DEPTH as u64,
                place,
            });
        }
        while self.walk.reader.at < end {
            let (field, span) = self.span(end)?;
            let delimited = span.tag & 7 == 2;
            match kind.leads(field) {
                Leads::Message(child) if delimited => self.descend(child, span, depth, out)?,
                Leads::Tensor(holder) if delimited => self.tensor(span, holder, depth, out)?,
                Leads::Input if delimited => {
                    let name = self.input(span)?;
                    out.push(Piece::Input { name, start: span.start, end: span.end });
                }
                Leads::Entry if delimited => {
                    let key = self.key(span)?;
                    out.push(Piece::Entry { key, start: span.start, end: span.end });
                }
                _ => push_copy(out, span.start, span.end),
            }
            self.walk.reader.at = span.end;
        }
        Ok(())
    }

    /// The next field; the reader stands behind its tag and length then.
    fn span(&mut self, end: u64) -> Result<(u32, Span), ImportError> {
        let start = self.walk.reader.at;
        let tag = self.walk.reader.varint(end, "a message")?;
        let field = u32::try_from(tag >> 3).unwrap_or(0);
        let len = match tag & 7 {
            0 => {
                self.walk.reader.varint(end, "a message")?;
                0
            }
            1 => 8,
            5 => 4,
            2 => self.walk.reader.varint(end, "a message")?,
            wire => return Err(malformed(start, format!("wire type {wire} is not in use"))),
        };
        let inner = self.walk.reader.at;
        match inner.checked_add(len).filter(|&own| own <= end) {
            Some(end) => Ok((field, Span { tag, start, inner, end })),
            None => Err(malformed(start, format!("a field of {len} bytes does not fit its message"))),
        }
    }

    /// A message within a message; one without tensors is copied as it is.
    fn descend(
        &mut self,
        child: Kind,
        span: Span,
        depth: usize,
        out: &mut Vec<Piece>,
    ) -> Result<(), ImportError> {
        let mut inner = Vec::new();
        self.message(child, span.end, depth + 1, &mut inner)?;
        if child == (Kind::Graph { main: true }) {
            self.outline.graph.append(&mut inner);
        } else if inner.iter().all(|piece| matches!(piece, Piece::Copy { .. })) {
            push_copy(out, span.start, span.end);
        } else {
            out.push(Piece::Message { tag: span.tag, inner });
        }
        Ok(())
    }

    fn tensor(
        &mut self,
        span: Span,
        holder: Holder,
        depth: usize,
        out: &mut Vec<Piece>,
    ) -> Result<(), ImportError> {
        let (proto, payload) = self.walk.tensor(span.inner, span.end, depth + 1)?;
        let Some((stored, digest)) = self.stored(&proto, payload, holder)? else {
            // Nothing that could lie elsewhere, strings for instance.
            push_copy(out, span.start, span.end);
            return Ok(());
        };
        self.walk.reader.at = span.inner;
        let mut fields = Vec::new();
        while self.walk.reader.at < span.end {
            let (number, field) = self.span(span.end)?;
            let is_digest = number == 16 && self.key(field)? == digest::KEY;
            fields.push(Field { number, start: field.start, end: field.end, is_digest });
            self.walk.reader.at = field.end;
        }
        out.push(Piece::Tensor { tag: span.tag, index: self.outline.tensors.len() });
        self.outline.tensors.push(stored);
        self.outline.parts.push(Tensor { fields, digest });
        Ok(())
    }

    /// Type and elements of a tensor, and their digest where the model holds them.
    fn stored(
        &mut self,
        proto: &TensorProto,
        payload: Option<Payload>,
        holder: Holder,
    ) -> Result<Option<(Stored, Option<Digest>)>, ImportError> {
        let name = proto.name.clone().unwrap_or_default();
        let (initializer, in_body) = (holder == Holder::Graph, holder == Holder::Body);
        let Ok(dtype) = dtype(proto.data_type.unwrap_or(0)) else { return Ok(None) };
        if let Some(payload) = payload.filter(|_| dtype.bits() < 8) {
            // Elements that share bytes are unpacked where they are read, which only the model's own are.
            let ty = TensorType { dtype, shape: proto.dims.iter().map(|&dim| dim.into()).collect() };
            let data = ConstData::Inline([].into());
            let digest = self.hash(payload)?;
            return Ok(Some((Stored { name, initializer, in_body, ty, data }, Some(digest))));
        }
        let payloads: Vec<Payload> = payload.into_iter().collect();
        let (ty, mut data, bytes) = self.tensors.stored(&name, proto, &payloads)?;
        let digest = bytes.as_ref().map(|bytes| Digest::of(bytes));
        if let Some(bytes) = bytes.filter(|bytes| bytes.len() as u64 > MAX_INLINE && dtype.bits() >= 8) {
            data = ConstData::Inline(bytes.into());
        }
        Ok(Some((Stored { name, initializer, in_body, ty, data }, digest)))
    }

    /// The digest of bytes of the file.
    fn hash(&self, payload: Payload) -> Result<Digest, ImportError> {
        let (mut digester, mut at, end) = (Digester::new(), payload.offset, payload.offset + payload.len);
        let mut bytes = Vec::new();
        while at < end {
            bytes.resize(wire::WINDOW.min(end - at) as usize, 0);
            self.source.read_at(at, &mut bytes)?;
            digester.update(&bytes);
            at += bytes.len() as u64;
        }
        Ok(digester.digest())
    }

    /// The name of an input.
    fn input(&mut self, span: Span) -> Result<String, ImportError> {
        let bytes = self.bytes(span, MAX_TYPE)?;
        Ok(ValueInfoProto::decode(bytes.as_slice()).ok().and_then(|info| info.name).unwrap_or_default())
    }

    /// The key of an entry of metadata, whose value may be long: whoever writes one writes the key first.
    fn key(&mut self, span: Span) -> Result<String, ImportError> {
        let head = Span { end: span.end.min(span.inner + MAX_NAME as u64), ..span };
        self.walk.reader.at = head.inner;
        if head.inner == head.end {
            return Ok(String::new());
        }
        let (field, key) = self.span(span.end)?;
        let own = Span { start: head.inner, inner: head.inner, ..key };
        if field != 1 || key.end > head.end {
            return Ok(String::new());
        }
        let bytes = self.bytes(own, MAX_NAME as u64)?;
        let entry = StringStringEntryProto::decode(bytes.as_slice());
        Ok(entry.ok().and_then(|entry| entry.key).unwrap_or_default())
    }

    /// The bytes of a field, or nothing if there are too many.
    fn bytes(&mut self, span: Span, most: u64) -> Result<Vec<u8>, ImportError> {
        if span.end - span.inner > most {
            return Ok(Vec::new());
        }
        let mut bytes = vec![0; (span.end - span.inner) as usize];
        self.walk.reader.at = span.inner;
        self.walk.reader.read(&mut bytes)?;
        Ok(bytes)
    }
}
