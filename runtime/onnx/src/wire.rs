//! The walk over a model file before it is parsed: copies its structure and leaves tensor payloads where they are.
//!
//! Protobuf is a sequence of fields, each a tag (field number and wire type) and a value; messages within messages
//! are length-prefixed. The walk descends only into the messages that lead to tensors, copies the fields that the
//! importer reads, drops the rest (documentation, type hints), and replaces each large payload by its index
//! in a list of file ranges, so that memory stays small whatever the size of the weights.

use bayplan_graph::ByteSource;

use prost::Message as _;

use crate::error::ImportError;
use crate::generated::onnx::{GraphProto, TensorProto};
use crate::limits::{MAX_DEPTH, MAX_INLINE, MAX_MESSAGES, MAX_NAME, MAX_SKELETON, MAX_TYPE};

/// A tensor payload left in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Payload {
    /// First byte in the file.
    pub offset: u64,
    /// Bytes.
    pub len: u64,
    /// The field of `TensorProto` it was found in.
    pub field: u32,
}

/// A model without its large payloads: a tensor whose payload was left out has `segment.begin` = its index in
/// `payloads`. (No tensor has a segment of its own: files that use them are refused.)
#[derive(Debug)]
pub(crate) struct Skeleton {
    pub bytes: Vec<u8>,
    pub payloads: Vec<Payload>,
}

/// Fields of `TensorProto`.
pub(crate) const FLOAT_DATA: u32 = 4;
pub(crate) const RAW_DATA: u32 = 9;
pub(crate) const DOUBLE_DATA: u32 = 10;
const SEGMENT: u32 = 3;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Message {
    Model,
    Graph,
    Node,
    Attribute,
    Tensor,
    ValueInfo,
}

/// What to do with a field.
enum Action {
    Drop,
    Copy,
    /// Copied unless it is longer than [`MAX_TYPE`]: then it is nothing that the importer reads.
    Short,
    Name,
    Type,
    Payload,
    Descend(Message),
    Refuse(&'static str),
}

impl Message {
    const fn name(self) -> &'static str {
        match self {
            Self::Model => "the model",
            Self::Graph => "the graph",
            Self::Node => "a node",
            Self::Attribute => "an attribute",
            Self::Tensor => "a tensor",
            Self::ValueInfo => "a value description",
        }
    }

    /// One row per field that matters, by the numbers of `onnx-ml.proto`; what has no row is dropped.
    const fn action(self, field: u32) -> Action {
        match (self, field) {
            (Self::Model, 7) => Action::Descend(Self::Graph),
            (Self::Model, 1 | 8) => Action::Copy,
            (Self::Model, 14) => Action::Short,
            (Self::Graph, 1) => Action::Descend(Self::Node),
            (Self::Graph, 2) => Action::Name,
            (Self::Graph, 5) => Action::Descend(Self::Tensor),
            (Self::Graph, 11 | 12) => Action::Descend(Self::ValueInfo),
            (Self::Graph, 15) => Action::Refuse("sparse initializers are not supported; store them dense"),
            (Self::Node, 1..=4 | 7) => Action::Name,
            (Self::Node, 5) => Action::Descend(Self::Attribute),
            (Self::Attribute, 1 | 21) => Action::Name,
            (Self::Attribute, 2..=4 | 7..=9 | 20) => Action::Copy,
            (Self::Attribute, 5 | 10) => Action::Descend(Self::Tensor),
            (Self::Attribute, 6 | 11) => Action::Descend(Self::Graph),
            (Self::Tensor, SEGMENT) => {
                Action::Refuse("tensors in segments are not supported; store them whole")
            }
            (Self::Tensor, 8) => Action::Name,
            (Self::Tensor, FLOAT_DATA | RAW_DATA | DOUBLE_DATA) => Action::Payload,
            (Self::Tensor, 1 | 2 | 5..=7 | 11 | 13 | 14) => Action::Copy,
            (Self::Tensor, 16) => Action::Short,
            (Self::ValueInfo, 1) => Action::Name,
            (Self::ValueInfo, 2) => Action::Type,
            _ => Action::Drop,
        }
    }
}

/// Copies the structure of the model in `source`.
pub(crate) fn skeleton(source: &dyn ByteSource) -> Result<Skeleton, ImportError> {
    let mut walk = Walk::new(source);
    let mut bytes = Vec::new();
    let walked = walk.message(Message::Model, source.len(), 0, &mut bytes);
    walked.map_err(|e| match e {
        ImportError::Truncated { offset, what, tensor, after, .. } => {
            let missing = Some(walk.missing).filter(|&bytes| bytes > 0);
            ImportError::Truncated { offset, what, tensor, after, missing }
        }
        e => e,
    })?;
    Ok(Skeleton { bytes, payloads: walk.payloads })
}

pub(crate) struct Walk<'a> {
    pub(crate) reader: Reader<'a>,
    payloads: Vec<Payload>,
    messages: usize,
    /// Bytes copied so far, over all depths.
    kept: usize,
    /// By how much fields go beyond the file, the one that does most.
    missing: u64,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(source: &'a dyn ByteSource) -> Self {
        Self { reader: Reader::new(source), payloads: Vec::new(), messages: 0, kept: 0, missing: 0 }
    }

    /// A tensor alone, from its first byte to its end, as it is in a skeleton; where its payload was left out its only one is
    /// number 0.
    pub(crate) fn tensor(
        &mut self,
        start: u64,
        end: u64,
        depth: usize,
    ) -> Result<(TensorProto, Option<Payload>), ImportError> {
        (self.reader.at, self.kept) = (start, 0);
        let mut bytes = Vec::new();
        self.message(Message::Tensor, end, depth, &mut bytes)?;
        let mut proto =
            TensorProto::decode(bytes.as_slice()).map_err(|e| ImportError::Decode(e.to_string()))?;
        if let Some(segment) = &mut proto.segment {
            segment.begin = Some(0);
        }
        Ok((proto, self.payloads.pop()))
    }
    /// Walks one message, which ends at byte `end`.
    fn message(
        &mut self,
        kind: Message,
        end: u64,
        depth: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), ImportError> {
        self.messages += 1;
        self.limit(
            self.messages <= MAX_MESSAGES,
            "the number of nodes, attributes and tensors",
            MAX_MESSAGES,
        )?;
        self.limit(depth < MAX_DEPTH, "the depth of nested graphs", MAX_DEPTH)?;
        self.fields(kind, end, depth, out).map_err(|e| cut_within(e, kind, out))
    }

    /// Walks the fields of a message.
    fn fields(
        &mut self,
        kind: Message,
        end: u64,
        depth: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), ImportError> {
        let mut payload = None;
        while self.reader.at < end {
            let start = self.reader.at;
            let tag = self.reader.varint(end, kind.name())?;
            let field = u32::try_from(tag >> 3).ok().filter(|&f| f > 0 && f < 1 << 29);
            let field =
                field.ok_or_else(|| malformed(start, format!("{tag} is no field tag of {}", kind.name())))?;
            let len = match tag & 7 {
                0 => {
                    let value = self.reader.varint(end, kind.name())?;
                    if matches!(kind.action(field), Action::Copy) {
                        self.keep(out, |out| {
                            put_varint(out, tag);
                            put_varint(out, value);
                        })?;
                    }
                    continue;
                }
                1 => 8,
                5 => 4,
                2 => self.reader.varint(end, kind.name())?,
                wire => {
                    return Err(malformed(
                        start,
                        format!("wire type {wire} in {} is not in use", kind.name()),
                    ));
                }
            };
            let room = end - self.reader.at;
            if len > room && end != self.reader.len {
                let reason = format!("a field of {len} bytes does not fit {}", kind.name());
                return Err(malformed(start, reason));
            }
            if len > room {
                self.missing = self.missing.max(len - room);
                // What is cut lies as deep as the file goes.
                if let (Action::Descend(child), 2) = (kind.action(field), tag & 7) {
                    let mut inner = Vec::new();
                    self.message(child, end, depth + 1, &mut inner)?;
                    // Between two of its fields.
                    return Err(cut_within(truncated(end, child.name()), child, &inner));
                }
                return Err(truncated(end, kind.name()));
            }
            self.field(kind, (tag, field, len), depth, out, &mut payload)?;
        }
        match payload {
            Some(index) => self.keep(out, |out| {
                // segment { begin: index }
                let mut inner = vec![0x08];
                put_varint(&mut inner, index as u64);
                put_varint(out, u64::from(SEGMENT) << 3 | 2);
                put_varint(out, inner.len() as u64);
                out.extend(inner);
            }),
            None => Ok(()),
        }
    }

    /// Handles one field with a length; the reader stands at its first byte.
    fn field(
        &mut self,
        kind: Message,
        (tag, field, len): (u64, u32, u64),
        depth: usize,
        out: &mut Vec<u8>,
        payload: &mut Option<usize>,
    ) -> Result<(), ImportError> {
        let delimited = tag & 7 == 2;
        let start = self.reader.at;
        match kind.action(field) {
            Action::Drop => self.reader.skip(len),
            Action::Short if len > MAX_TYPE => self.reader.skip(len),
            Action::Refuse(reason) => return Err(malformed(start, reason.to_owned())),
            Action::Descend(child) if delimited => {
                let mut inner = Vec::new();
                self.message(child, start + len, depth + 1, &mut inner)?;
                put_varint(out, tag);
                put_varint(out, inner.len() as u64);
                out.extend(inner);
            }
            Action::Descend(_) => {
                return Err(malformed(start, format!("field {field} of {} is no message", kind.name())));
            }
            Action::Payload if delimited && len > MAX_INLINE => {
                if payload.is_some() {
                    return Err(malformed(start, "a tensor has two payloads; store it whole".to_owned()));
                }
                *payload = Some(self.payloads.len());
                self.payloads.push(Payload { offset: start, len, field });
                self.reader.skip(len);
            }
            Action::Name | Action::Type | Action::Short | Action::Copy | Action::Payload => {
                match kind.action(field) {
                    Action::Name => self.limit(len <= MAX_NAME as u64, "the length of a name", MAX_NAME)?,
                    Action::Type => self.limit(len <= MAX_TYPE, "the length of a type", MAX_TYPE as usize)?,
                    _ => {}
                }
                self.limit(
                    self.kept as u64 + len <= MAX_SKELETON as u64,
                    "the size of the structure",
                    MAX_SKELETON,
                )?;
                let mut bytes = vec![0; len as usize];
                self.reader.read(&mut bytes)?;
                self.keep(out, |out| {
                    put_varint(out, tag);
                    if delimited {
                        put_varint(out, len);
                    }
                    out.extend(bytes);
                })?;
            }
        }
        Ok(())
    }

    fn keep(&mut self, out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) -> Result<(), ImportError> {
        let before = out.len();
        write(out);
        self.kept += out.len() - before;
        self.limit(self.kept <= MAX_SKELETON, "the size of the structure", MAX_SKELETON)
    }

    fn limit(&self, holds: bool, what: &'static str, limit: usize) -> Result<(), ImportError> {
        if holds {
            Ok(())
        } else {
            Err(ImportError::Limit { what, limit: limit as u64, place: format!("byte {}", self.reader.at) })
        }
    }
}

pub(crate) fn malformed(offset: u64, reason: String) -> ImportError {
    ImportError::Malformed { offset, reason }
}

/// Why a file ends too early, with what is known of the message that it ends within: what comes before the end is whole.
fn cut_within(e: ImportError, kind: Message, before: &[u8]) -> ImportError {
    let ImportError::Truncated { offset, what, tensor: None, after: None, missing } = e else { return e };
    let (mut tensor, mut after) = (None, None);
    match kind {
        Message::Tensor => tensor = TensorProto::decode(before).ok().and_then(|own| own.name),
        Message::Graph => {
            let graph = GraphProto::decode(before).ok();
            after = graph.and_then(|mut graph| graph.initializer.pop()?.name);
        }
        _ => {}
    }
    ImportError::Truncated { offset, what, tensor, after, missing }
}

fn truncated(offset: u64, what: &'static str) -> ImportError {
    ImportError::Truncated { offset, what, tensor: None, after: None, missing: None }
}

pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Sequential reading through a window, so that small fields do not cost a read each.
pub(crate) struct Reader<'a> {
    source: &'a dyn ByteSource,
    len: u64,
    pub(crate) at: u64,
    window: Vec<u8>,
    window_start: u64,
}

pub(crate) const WINDOW: u64 = 1 << 16;

impl<'a> Reader<'a> {
    fn new(source: &'a dyn ByteSource) -> Self {
        Self { source, len: source.len(), at: 0, window: Vec::new(), window_start: 0 }
    }

    fn skip(&mut self, len: u64) {
        self.at += len;
    }

    fn byte(&mut self, end: u64, what: &'static str) -> Result<u8, ImportError> {
        if self.at >= end {
            return Err(match end == self.len {
                true => truncated(end, what),
                false => malformed(self.at, format!("{what} ends within a number")),
            });
        }
        let inside = self.at.checked_sub(self.window_start).filter(|&i| i < self.window.len() as u64);
        let index = match inside {
            Some(index) => index,
            None => {
                self.window.resize(WINDOW.min(self.len - self.at) as usize, 0);
                self.source.read_at(self.at, &mut self.window)?;
                self.window_start = self.at;
                0
            }
        };
        self.at += 1;
        Ok(self.window[index as usize])
    }

    /// A number of up to 64 bits, 7 per byte, low ones first.
    pub(crate) fn varint(&mut self, end: u64, what: &'static str) -> Result<u64, ImportError> {
        let (start, mut value) = (self.at, 0_u64);
        for shift in (0..64).step_by(7) {
            let byte = self.byte(end, what)?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(value);
            }
        }
        Err(malformed(start, format!("a number in {what} is longer than 64 bits")))
    }

    pub(crate) fn read(&mut self, buf: &mut [u8]) -> Result<(), ImportError> {
        let inside = self.at.checked_sub(self.window_start).map(|i| i as usize);
        match inside.and_then(|i| self.window.get(i..)?.get(..buf.len())) {
            Some(bytes) => buf.copy_from_slice(bytes),
            None => self.source.read_at(self.at, buf)?,
        }
        self.at += buf.len() as u64;
        Ok(())
    }
}
