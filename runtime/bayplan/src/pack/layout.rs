//! Where each weight lies in the file.

use std::collections::HashMap;

use bayplan_graph::{ByteRange, ConstData, Digest};
use bayplan_onnx::write::{Lies, NewInitializer, NewNode, NewOp, Outline, Place, Rewrite};

use super::parts::{Part, Parts, Role};

/// What weights of at least as many bytes lie at multiples of: a page, and what files are read in past the page cache.
const PAGE: u64 = 4096;

/// What smaller ones lie at multiples of.
const LINE: u64 = 64;

/// Where each weight lies.
#[derive(Debug)]
pub(super) struct Layout {
    /// The parts that are written, in the order of the file.
    pub(super) written: Vec<usize>,
    /// Of each part.
    slots: Vec<Slot>,
    end: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slot {
    /// At this offset; the digest is known when it is written.
    Own { offset: u64, digest: Option<Digest> },
    /// In the same bytes as another part.
    As(usize),
    /// A node makes it of another part, transposed.
    Turned(usize),
}

impl Layout {
    /// One after the other in this order; what has the elements of another part takes no room.
    pub(super) fn new(parts: &Parts, outline: &Outline, order: &[usize]) -> Self {
        let own = Slot::Own { offset: 0, digest: None };
        let mut layout = Self { written: Vec::new(), slots: vec![own; parts.list.len()], end: 0 };
        layout.share(parts, outline);
        for &index in order {
            if let Slot::Own { offset, .. } = &mut layout.slots[index] {
                let bytes = parts.list[index].bytes();
                *offset = layout.end.next_multiple_of(if bytes < PAGE { LINE } else { PAGE });
                layout.end = *offset + bytes;
                layout.written.push(index);
            }
        }
        layout
    }

    /// Finds the parts that need no bytes of their own.
    fn share(&mut self, parts: &Parts, outline: &Outline) {
        let mut first: HashMap<ByteRange, usize> = HashMap::new();
        let fits = |a: &Part, b: &Part| a.blocks == b.blocks && a.bytes() == b.bytes();
        for (index, part) in parts.list.iter().enumerate() {
            let ConstData::Range(range) = part.data else { continue };
            let other = *first.entry(range).or_insert(index);
            if other != index && fits(part, &parts.list[other]) {
                self.slots[index] = Slot::As(other);
            }
        }
        let is_initializer = |index: usize| match &parts.list[index].role {
            Role::Tensor(tensor) => {
                let tensor = &outline.tensors()[*tensor];
                tensor.initializer && !outline.is_input(&tensor.name)
            }
            Role::New(_) => false,
        };
        for duplicate in &parts.duplicates {
            let (index, other) = (duplicate.value.0 as usize, duplicate.of.0 as usize);
            let (Slot::Own { .. }, Slot::Own { .. }) = (self.slots[index], self.slots[other]) else {
                continue;
            };
            if !duplicate.transposed && fits(&parts.list[index], &parts.list[other]) {
                self.slots[index] = Slot::As(other);
            } else if duplicate.transposed && is_initializer(index) && is_initializer(other) {
                self.slots[index] = Slot::Turned(other);
            }
        }
        // What lies as another does that lies elsewhere itself.
        for index in 0..self.slots.len() {
            while let Slot::As(other) = self.slots[index] {
                match self.slots[other] {
                    Slot::As(next) => self.slots[index] = Slot::As(next),
                    Slot::Own { .. } => break,
                    Slot::Turned(_) => self.slots[index] = Slot::Own { offset: 0, digest: None },
                }
            }
        }
    }

    /// Bytes of the file.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Parts without bytes of their own.
    pub(super) fn shared(&self) -> usize {
        self.slots.len() - self.written.len()
    }

    /// Where a part is written.
    pub(super) fn offset(&self, index: usize) -> u64 {
        match self.slots[index] {
            Slot::Own { offset, .. } => offset,
            Slot::As(other) | Slot::Turned(other) => self.offset(other),
        }
    }

    /// Notes what a part hashes to.
    pub(super) fn set_digest(&mut self, index: usize, found: Digest) {
        if let Slot::Own { digest, .. } = &mut self.slots[index] {
            *digest = Some(found);
        }
    }

    /// Where a part lies once it is written.
    fn lies(&self, index: usize, parts: &Parts) -> Option<Lies> {
        match self.slots[index] {
            Slot::Own { offset, digest } => {
                Some(Lies { offset, len: parts.list[index].bytes(), digest: digest? })
            }
            Slot::As(other) => self.lies(other, parts),
            Slot::Turned(_) => None,
        }
    }

    /// The model with its weights there.
    pub(super) fn rewrite(&self, parts: &Parts, outline: &Outline, location: &str) -> Rewrite {
        let mut rewrite = Rewrite {
            location: location.to_owned(),
            places: vec![Place::Stays; outline.tensors().len()],
            nodes: parts.nodes.clone(),
            ..Rewrite::default()
        };
        for (&tensor, place) in &parts.others {
            rewrite.places[tensor] = place.clone();
        }
        for (index, part) in parts.list.iter().enumerate() {
            match (&part.role, self.slots[index], self.lies(index, parts)) {
                (Role::Tensor(tensor), _, Some(lies)) => rewrite.places[*tensor] = Place::Lies(lies),
                (Role::New(name), _, Some(lies)) => rewrite.initializers.push(NewInitializer {
                    name: name.clone(),
                    dtype: part.ty.dtype,
                    shape: part.ty.dims().unwrap_or_default(),
                    lies,
                }),
                (Role::Tensor(tensor), Slot::Turned(other), None) => {
                    rewrite.places[*tensor] = Place::Made;
                    let name = |index: usize| parts.graph.values[index].name.to_string();
                    let (input, output) = (name(other), name(index));
                    rewrite.nodes.push(NewNode { op: NewOp::Transpose(vec![1, 0]), input, output });
                }
                _ => {}
            }
        }
        rewrite
    }
}
