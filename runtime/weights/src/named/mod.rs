//! Files that offer tensors by name: safetensors, alone or in shards with an index, and GGUF.

mod gguf;
mod index;
mod safetensors;
mod window;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bayplan_graph::{BlockFormat, ByteSource, DType};

use crate::{FileSource, WeightsError};

/// Bytes of a name.
pub(crate) const MAX_NAME: usize = 4096;

/// Largest dimension and number of elements of a tensor: what a 48-bit address space holds.
const MAX_ELEMENTS: u64 = 1 << 48;

/// Tensors of a file, and of all shards together.
const MAX_TENSORS: usize = 1 << 20;

/// How the elements of a tensor lie in its file, little-endian.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encoding {
    /// One after the other.
    Plain(DType),
    /// In blocks along the last dimension.
    Blocks(BlockFormat),
    /// In a way that is not read; its name.
    Other(Arc<str>),
}

impl core::fmt::Display for Encoding {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Plain(dtype) => dtype.fmt(f),
            Self::Blocks(format) => format.fmt(f),
            Self::Other(name) => bayplan_text::escape(name).fmt(f),
        }
    }
}

/// A tensor that a file offers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name in the file.
    pub name: Arc<str>,
    /// Its dimensions, outermost first.
    pub shape: Vec<u64>,
    /// How its elements lie there.
    pub encoding: Encoding,
    /// The file that it lies in, by its place in [`Named::files`].
    pub file: usize,
    /// Its first byte.
    pub offset: u64,
    /// Its bytes; 0 where it is not known how its elements lie.
    pub len: u64,
}

/// Tensors by name. Of its files the headers were read and checked: every tensor lies in its file.
#[derive(Clone)]
pub struct Named {
    path: PathBuf,
    files: Vec<(PathBuf, Arc<dyn ByteSource>)>,
    entries: Vec<Entry>,
}

impl core::fmt::Debug for Named {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{:?}: {} tensors", self.path(), self.entries.len())
    }
}

impl Named {
    /// Reads the header of a safetensors or GGUF file, or an index of shards (`model.safetensors.index.json`) with the
    /// headers of all files that it names; those must lie in its folder or below. Which it is, the file says itself.
    ///
    /// # Errors
    /// A file cannot be opened, is none of these, is damaged or cut short: the message names the file, the tensor, and what
    /// to do. Sizes are checked before anything is allocated by them.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, WeightsError> {
        let path = path.as_ref();
        let source: Arc<dyn ByteSource> = Arc::new(open(path)?);
        match kind(&*source, path)? {
            Kind::Index => index::read(&*source, path),
            Kind::Safetensors => Self::whole(path, source, safetensors::read),
            Kind::Gguf => Self::whole(path, source, gguf::read),
        }
    }

    fn whole(path: &Path, source: Arc<dyn ByteSource>, read: Header) -> Result<Self, WeightsError> {
        let entries = read(&*source).map_err(|problem| problem.of(path))?;
        Ok(Self { path: path.to_owned(), files: vec![(path.to_owned(), source)], entries })
    }

    /// The path that it was opened by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The files that tensors lie in.
    pub fn files(&self) -> impl ExactSizeIterator<Item = &Path> {
        self.files.iter().map(|(path, _)| &**path)
    }

    /// The tensors, in the order of the file.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The files with what they are read through.
    pub(crate) fn sources(&self) -> &[(PathBuf, Arc<dyn ByteSource>)] {
        &self.files
    }
}

/// Reads the header of a file: its tensors, all of file 0.
type Header = fn(&dyn ByteSource) -> Result<Vec<Entry>, Problem>;

/// What is wrong with a file.
#[derive(Debug, PartialEq, Eq)]
enum Problem {
    /// It does not hold what its format says.
    Format(String),
    /// It ends before a tensor does.
    Short { tensor: String, end: u64, len: u64 },
}

impl From<bayplan_graph::ReadError> for Problem {
    fn from(e: bayplan_graph::ReadError) -> Self {
        Self::Format(e.to_string())
    }
}

impl core::fmt::Display for Problem {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Format(reason) => f.write_str(reason),
            Self::Short { tensor, end, len } => {
                write!(f, "tensor `{}` ends at byte {end} of {len}", bayplan_text::escape(tensor))
            }
        }
    }
}

impl Problem {
    fn of(self, path: &Path) -> WeightsError {
        let path = path.to_owned();
        match self {
            Self::Format(reason) => WeightsError::Named { path, reason },
            Self::Short { tensor, end, len } => WeightsError::Truncated { path, tensor, end, len },
        }
    }
}

/// Opens a file of weights.
fn open(path: &Path) -> Result<FileSource, WeightsError> {
    FileSource::open(path).map_err(|e| match e {
        WeightsError::Open { path, reason, .. } => {
            WeightsError::Named { path, reason: format!("it cannot be opened: {reason}") }
        }
        e => e,
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Safetensors,
    Index,
    Gguf,
}

/// What a file is, by how it begins; where that says nothing, by the ending of its name.
fn kind(source: &dyn ByteSource, path: &Path) -> Result<Kind, WeightsError> {
    let mut head = [0; 9];
    let len = usize::try_from(source.len()).unwrap_or(usize::MAX).min(head.len());
    source.read_at(0, &mut head[..len]).map_err(|e| Problem::from(e).of(path))?;
    let ending = |wanted: &str| path.extension().is_some_and(|own| own.eq_ignore_ascii_case(wanted));
    let text = head[..len].iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'{');
    Ok(match head {
        [b'G', b'G', b'U', b'F', ..] => Kind::Gguf,
        // The length of a header has 32 bits; no text has zeros there.
        [_, _, _, _, 0, 0, 0, 0, _] if len >= 8 => Kind::Safetensors,
        _ if text => Kind::Index,
        [.., b'{'] => Kind::Safetensors,
        _ if ending("safetensors") => Kind::Safetensors,
        _ if ending("gguf") => Kind::Gguf,
        [b'P', b'K', ..] => {
            return Err(unknown(path, "it looks like a checkpoint of PyTorch; save it as safetensors"));
        }
        _ => return Err(unknown(path, "name a .safetensors, an index of shards (.json) or a .gguf file")),
    })
}

fn unknown(path: &Path, what_to_do: &str) -> WeightsError {
    let reason = format!("it is neither safetensors nor an index of shards nor GGUF; {what_to_do}");
    WeightsError::Named { path: path.to_owned(), reason }
}

/// The number of elements of a shape.
fn count(shape: &[u64]) -> Option<u64> {
    if shape.iter().any(|&dim| dim > MAX_ELEMENTS) {
        return None;
    }
    if shape.contains(&0) {
        return Some(0);
    }
    let count = shape.iter().try_fold(1_u64, |count, &dim| count.checked_mul(dim))?;
    (count <= MAX_ELEMENTS).then_some(count)
}

/// A name that is given twice, if there is one.
fn twice<'a>(names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let mut seen = HashSet::new();
    names.into_iter().find(|name| !seen.insert(*name))
}
