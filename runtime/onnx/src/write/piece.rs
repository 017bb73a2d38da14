//! Pieces of a message, and their bytes.

use std::io::{self, Write};

use bayplan_graph::ByteSource;

use crate::wire::put_varint;

/// Bytes copied at a time.
const CHUNK: u64 = 1 << 18;

/// A piece of a message.
#[derive(Clone, Debug)]
pub(super) enum Piece {
    /// Bytes of the file as they are.
    Copy { start: u64, end: u64 },
    /// Other bytes.
    Bytes(Vec<u8>),
    /// A field that is a message.
    Message { tag: u64, inner: Vec<Piece> },
    /// A tensor, by its number.
    Tensor { tag: u64, index: usize },
    /// An input of the graph, as it is.
    Input { name: String, start: u64, end: u64 },
    /// An entry of the model's metadata, as it is.
    Entry { key: String, start: u64, end: u64 },
}

/// Adds bytes of the file, joined to what comes before them.
pub(super) fn push_copy(pieces: &mut Vec<Piece>, from: u64, to: u64) {
    match pieces.last_mut() {
        Some(Piece::Copy { end, .. }) if *end == from => *end = to,
        _ => pieces.push(Piece::Copy { start: from, end: to }),
    }
}

/// Bytes of a piece; of a tensor none, as long as it has no place.
pub(super) fn length(piece: &Piece) -> u64 {
    match piece {
        Piece::Copy { start, end } | Piece::Input { start, end, .. } | Piece::Entry { start, end, .. } => {
            end - start
        }
        Piece::Bytes(bytes) => bytes.len() as u64,
        Piece::Message { tag, inner } => {
            let len: u64 = inner.iter().map(length).sum();
            varint_len(*tag) + varint_len(len) + len
        }
        Piece::Tensor { .. } => 0,
    }
}

fn varint_len(value: u64) -> u64 {
    u64::from((64 - (value | 1).leading_zeros()).div_ceil(7))
}

/// Writes a piece.
///
/// # Errors
/// The file cannot be read, or written.
pub(super) fn put(piece: &Piece, source: &dyn ByteSource, out: &mut dyn Write) -> io::Result<()> {
    match piece {
        Piece::Bytes(bytes) => out.write_all(bytes),
        Piece::Copy { start, end } | Piece::Input { start, end, .. } | Piece::Entry { start, end, .. } => {
            let mut at = *start;
            let mut bytes = Vec::new();
            while at < *end {
                let len = CHUNK.min(end - at);
                bytes.resize(len as usize, 0);
                source.read_at(at, &mut bytes).map_err(io::Error::other)?;
                out.write_all(&bytes)?;
                at += len;
            }
            Ok(())
        }
        Piece::Message { tag, inner } => {
            let mut head = Vec::new();
            put_varint(&mut head, *tag);
            put_varint(&mut head, inner.iter().map(length).sum());
            out.write_all(&head)?;
            inner.iter().try_for_each(|piece| put(piece, source, out))
        }
        Piece::Tensor { .. } => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_those_of_what_is_written() {
        let source = vec![7; 300];
        let mut inner = vec![Piece::Bytes(vec![1, 2])];
        for (from, to) in [(0, 100), (100, 127), (200, 300)] {
            push_copy(&mut inner, from, to);
        }
        assert_eq!(inner.len(), 3);
        for depth in 0..4 {
            let piece = (0..depth).fold(Piece::Message { tag: 0x3a, inner: inner.clone() }, |inner, _| {
                Piece::Message { tag: 0x0a << 20, inner: vec![inner] }
            });
            let mut out = Vec::new();
            put(&piece, &source, &mut out).unwrap();
            assert_eq!(out.len() as u64, length(&piece));
        }
        for value in [0, 1, 127, 128, 16383, 16384, u64::MAX] {
            let mut out = Vec::new();
            put_varint(&mut out, value);
            assert_eq!(out.len() as u64, varint_len(value), "{value}");
        }
    }
}
