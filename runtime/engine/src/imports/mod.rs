//! Weights that are not copied at all: the device reads the files where the system has them.
//!
//! ```text
//!   file      │ header │ w0    │ w1 │ … unaligned … │ w2      │
//!   imported  │        │ w0    │ w1 │               │ w2      │    whole pages, neighbours together
//!   arena     │ w0    │ w1 │ u │ w2      │ prepared │            the program's offsets: as if all lay there
//!   allocated │ u │ prepared │                                   what is left
//! ```

mod plan;
#[cfg(test)]
mod tests;

use std::fmt;

use bayplan_compile::Program;
use bayplan_compile::session::Io;
use bayplan_graph::{ByteSource, FileId};
use bayplan_text::{Bytes, escape};
use bayplan_vulkan::{Device, importable};
use bayplan_weights::Store;

use self::plan::{Left, Segment, Why, extents, segments};
use crate::arena::{Layout, Span};

/// What became of the wish to read weights where they lie.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Bytes of weights that the device reads in their files.
    pub bytes: u64,
    /// Bytes that are loaded as usual, each sum with the reason, the largest first.
    pub left: Vec<(u64, String)>,
}

impl fmt::Display for Imported {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of the weights are read in their files", Bytes(self.bytes))?;
        for (index, (bytes, why)) in self.left.iter().enumerate() {
            let before = if index == 0 { "; loaded as usual: " } else { " · " };
            write!(f, "{before}{}, since {}", Bytes(*bytes), escape(why))?;
        }
        Ok(())
    }
}

/// The weights of a program that the device reads in their files.
#[derive(Default)]
pub(crate) struct Imports {
    spans: Vec<Span>,
    align: u64,
    told: Option<Imported>,
}

impl Imports {
    /// Imports what can be of a program's weights, if that is asked for. What cannot be is no error, but told.
    pub(crate) fn new(device: &Device, program: &Program, store: &Store, io: Io) -> Self {
        if io != Io::Import {
            return Self::default();
        }
        let mut left = Left::new();
        let (mut spans, mut bytes) = (Vec::new(), 0);
        match importable(device.info()) {
            Ok(rules) => {
                let len = |file: FileId| {
                    let source = store.source(file)?;
                    source.file().map(|_| source.len())
                };
                let extents = extents(program, &len, rules.alignment, &mut left);
                for segment in segments(extents, &rules, &mut left) {
                    match import(device, &segment, store) {
                        Ok(placed) => {
                            bytes += segment.stored();
                            spans.extend(placed);
                        }
                        Err(why) => *left.entry(why).or_default() += segment.stored(),
                    }
                }
            }
            Err(why) => {
                left.insert(Why::Refused(why.to_string()), program.upload_bytes());
            }
        }
        spans.sort_by_key(|span| span.bytes.start);
        let mut left: Vec<_> = left.into_iter().map(|(why, bytes)| (bytes, why.to_string())).collect();
        left.sort_by_key(|(bytes, _)| std::cmp::Reverse(*bytes));
        Self { spans, align: program.target.window_alignment(), told: Some(Imported { bytes, left }) }
    }

    /// Whether there are any.
    pub(crate) fn any(&self) -> bool {
        !self.spans.is_empty()
    }

    /// How the rest of an arena lies, of which each block ends at one of `ends`.
    pub(crate) fn layout(&self, ends: &[u64]) -> Layout {
        let elsewhere: Vec<_> = self.spans.iter().map(|span| span.bytes.clone()).collect();
        Layout::beside(ends, &elsewhere, self.align)
    }

    /// Where they lie, and what to tell.
    pub(crate) fn into_parts(self) -> (Vec<Span>, Option<Imported>) {
        (self.spans, self.told)
    }
}

/// Imports pages of a file; answers where the weights in them are.
fn import(device: &Device, segment: &Segment, store: &Store) -> Result<Vec<Span>, Why> {
    let Segment { file, bytes, extents } = segment;
    let source = store.source(*file).and_then(ByteSource::file).ok_or(Why::NoFile)?;
    let name = format!("weights in file {} from byte {}", file.0, bytes.start);
    let buffer = device.import(&name, source, bytes.clone()).map_err(|e| match e {
        bayplan_vulkan::Error::NoImport { why, .. } => Why::Refused(why),
        e => Why::Refused(e.to_string()),
    })?;
    let span = |extent: &plan::Extent| Span {
        bytes: extent.arena.clone(),
        buffer: buffer.clone(),
        at: extent.bytes.start - bytes.start,
    };
    Ok(extents.iter().map(span).collect())
}
