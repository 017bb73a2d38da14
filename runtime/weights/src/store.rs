//! All files of a graph.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use bayplan_graph::{
    ByteRange, ByteSource, ConstData, Constants, FileId, FileRef, Graph, ReadError, ValueSource,
};

use crate::checks::Digests;
use crate::folder::inside;
use crate::{FileSource, Named, WeightsError};

/// The files that the constants of a graph lie in, opened and checked. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub(crate) files: Arc<[(PathBuf, Arc<dyn ByteSource>)]>,
    pub(crate) digests: Arc<Digests>,
    /// For each file, whether it is in the page cache, once that was looked at.
    pub(crate) cached: Arc<[OnceLock<bool>]>,
}

/// Constants of at most so many bytes are read as such as [`Store::glance`] reads.
const SMALL: u64 = 4096;

impl core::fmt::Debug for Store {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_list().entries(self.files.iter().map(|(path, source)| (path, source.len()))).finish()
    }
}

impl Store {
    /// Opens the files of `graph`, whose model was read from `model`. External files lie relative to its folder.
    ///
    /// # Errors
    /// Names the file that is missing or too short, the tensor that needs it, and what to do.
    pub fn open(model: impl AsRef<Path>, graph: &Graph) -> Result<Self, WeightsError> {
        Self::open_with(model, graph, None)
    }

    /// The same for a graph whose weights are bound to others: those are read from where `named` found them.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(
        model: impl AsRef<Path>,
        graph: &Graph,
        named: Option<&Named>,
    ) -> Result<Self, WeightsError> {
        let model = model.as_ref();
        let folder = model.parent().unwrap_or(Path::new(""));
        let open = |index: usize, file: &FileRef| -> Result<(PathBuf, Arc<dyn ByteSource>), WeightsError> {
            let path = match file {
                FileRef::Model => model.to_owned(),
                FileRef::External(location) => folder.join(&**location),
                FileRef::Weights(path) => {
                    let known =
                        named.and_then(|named| named.sources().iter().find(|(own, _)| **own == **path));
                    match known {
                        Some(known) => return Ok(known.clone()),
                        None => path.to_path_buf(),
                    }
                }
            };
            if let FileRef::External(_) = file {
                inside(model, &path).map_err(|e| name_tensor(e, index, graph))?;
            }
            let source = FileSource::open(&path).map_err(|e| name_tensor(e, index, graph))?;
            Ok((path, Arc::new(source)))
        };
        let files = graph.files.iter().enumerate().map(|(index, file)| open(index, file));
        Self::from_sources(files.collect::<Result<_, _>>()?, graph)
    }

    /// A store over sources that are already there (bytes in memory, for instance), one for each of the graph's files.
    /// The paths are for messages.
    ///
    /// # Errors
    /// As [`Self::open`], but for opening.
    pub fn from_sources(
        files: Vec<(PathBuf, Arc<dyn ByteSource>)>,
        graph: &Graph,
    ) -> Result<Self, WeightsError> {
        let cached = files.iter().map(|_| OnceLock::new()).collect();
        let store = Self { files: files.into(), digests: Arc::new(Digests::of(graph)), cached };
        store.check(graph)?;
        Ok(store)
    }

    /// The files, in the order of the graph's.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|(path, _)| &**path)
    }

    /// Fills `buf` with the bytes of a constant, and checks their digest where the model says one.
    ///
    /// # Errors
    /// If the buffer is not as long as the constant, reading fails, or the digest is another ([`WeightsError::Digest`]).
    pub fn read(&self, data: &ConstData, buf: &mut [u8]) -> Result<(), WeightsError> {
        let expected = match data {
            ConstData::Inline(bytes) => bytes.len() as u64,
            ConstData::Range(range) => range.len,
        };
        if expected != buf.len() as u64 {
            return Err(WeightsError::Buffer { expected, actual: buf.len() as u64 });
        }
        match data {
            ConstData::Inline(bytes) => {
                buf.copy_from_slice(bytes);
                Ok(())
            }
            ConstData::Range(range) => {
                match range.len {
                    ..=SMALL => self.glance(range, 0, buf)?,
                    _ => self.read_range(range, 0, buf)?,
                }
                self.check_whole(range, buf)
            }
        }
    }

    /// Fills `buf` with bytes of a constant, from its byte `skip` on: for weights that are streamed in pieces, whose digests
    /// [`Store::checks`] checks.
    ///
    /// # Errors
    /// If the piece does not lie in the constant, or reading fails.
    pub fn read_part(&self, data: &ConstData, skip: u64, buf: &mut [u8]) -> Result<(), WeightsError> {
        match data {
            ConstData::Inline(bytes) => {
                let start = usize::try_from(skip).ok();
                let part = start.and_then(|start| bytes.get(start..)?.get(..buf.len()));
                let (expected, actual) = (bytes.len() as u64, skip.saturating_add(buf.len() as u64));
                buf.copy_from_slice(part.ok_or(WeightsError::Buffer { expected, actual })?);
                Ok(())
            }
            ConstData::Range(range) => self.read_range(range, skip, buf),
        }
    }

    /// Fills `buf` with bytes of a range, from its byte `skip` on: for weights that are streamed in pieces.
    ///
    /// # Errors
    /// If the piece does not lie in the range, or reading fails.
    pub fn read_range(&self, range: &ByteRange, skip: u64, buf: &mut [u8]) -> Result<(), WeightsError> {
        let len = buf.len() as u64;
        if skip.checked_add(len).is_none_or(|end| end > range.len) {
            return Err(WeightsError::Buffer { expected: range.len, actual: skip.saturating_add(len) });
        }
        let Some((path, source)) = self.files.get(range.file.0 as usize) else {
            return Err(WeightsError::Place { tensor: String::new(), reason: UNNAMED });
        };
        let Some(offset) = range.offset.checked_add(skip) else {
            return Err(WeightsError::Place { tensor: String::new(), reason: BEYOND });
        };
        source.read_at(offset, buf).map_err(|error| WeightsError::Read { path: path.clone(), error })
    }

    /// What a file of the graph is read through; `None` where the graph names no such file.
    pub fn source(&self, file: FileId) -> Option<&dyn ByteSource> {
        self.files.get(file.0 as usize).map(|(_, source)| &**source)
    }

    /// Checks that nobody has written to the files since they were opened.
    ///
    /// # Errors
    /// [`WeightsError::Read`]: one of them has changed.
    pub fn check_unchanged(&self) -> Result<(), WeightsError> {
        self.files.iter().try_for_each(|(path, source)| {
            let unchanged = source.check_unchanged();
            unchanged.map_err(|error| WeightsError::Read { path: path.clone(), error })
        })
    }

    /// Checks that every constant lies in its file.
    fn check(&self, graph: &Graph) -> Result<(), WeightsError> {
        for value in &graph.values {
            let ValueSource::Constant(ConstData::Range(range)) = &value.source else { continue };
            let place = |reason| WeightsError::Place { tensor: value.name.to_string(), reason };
            let (path, source) = self.files.get(range.file.0 as usize).ok_or_else(|| place(UNNAMED))?;
            let end = range.offset.checked_add(range.len).ok_or_else(|| place(BEYOND))?;
            if end > source.len() {
                let (path, tensor) = (path.clone(), value.name.to_string());
                return Err(WeightsError::Truncated { path, tensor, end, len: source.len() });
            }
        }
        Ok(())
    }
}

const UNNAMED: &str = "it lies in a file that the model does not name";
const BEYOND: &str = "it ends beyond any file";

/// Adds a tensor that needs the file to the error about it; the model itself is needed by all.
fn name_tensor(error: WeightsError, index: usize, graph: &Graph) -> WeightsError {
    let needs = graph.values.iter().find(
        |v| matches!(&v.source, ValueSource::Constant(ConstData::Range(r)) if r.file.0 as usize == index),
    );
    match (error, needs) {
        (WeightsError::Open { path, reason, .. }, Some(value)) if graph.files[index] != FileRef::Model => {
            WeightsError::Open { path, tensor: Some(value.name.to_string()), reason }
        }
        (WeightsError::Outside { path, target, .. }, Some(value)) => {
            WeightsError::Outside { path, tensor: Some(value.name.to_string()), target }
        }
        (error, _) => error,
    }
}

impl Constants for Store {
    fn read(&self, range: &ByteRange, buf: &mut [u8]) -> Result<(), ReadError> {
        self.read(&ConstData::Range(*range), buf).map_err(|e| match e {
            WeightsError::Read { error, .. } => error,
            e => ReadError { offset: range.offset, len: range.len, reason: e.to_string() },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bayplan_expr::Expr;
    use bayplan_graph::{DType, TensorType, Value};

    fn graph(offset: u64, len: u64, file: u32) -> Graph {
        let ty = TensorType { dtype: DType::U8, shape: vec![Expr::from(len as i64)] };
        let range = ByteRange { file: FileId(file), offset, len };
        let source = ValueSource::Constant(ConstData::Range(range));
        let value = Value { name: "weight".into(), source, ty: Some(ty), contents: None };
        let files = vec![FileRef::Model, FileRef::External("data/w.bin".into())];
        Graph { values: vec![value], files, ..Graph::default() }
    }

    fn folder() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("data")).unwrap();
        std::fs::write(folder.path().join("model.onnx"), b"model").unwrap();
        std::fs::write(folder.path().join("data/w.bin"), [0, 1, 2, 3, 4, 5, 6, 7]).unwrap();
        folder
    }

    #[test]
    fn reads_ranges() {
        let folder = folder();
        let graph = graph(2, 4, 1);
        let store = Store::open(folder.path().join("model.onnx"), &graph).unwrap();
        let ValueSource::Constant(data) = &graph.values[0].source else { panic!("a constant") };
        let mut buf = [0; 4];
        store.read(data, &mut buf).unwrap();
        assert_eq!(buf, [2, 3, 4, 5]);
        let ConstData::Range(range) = data else { panic!("a range") };
        let mut piece = [0; 2];
        store.read_range(range, 2, &mut piece).unwrap();
        assert_eq!(piece, [4, 5]);
        assert!(store.read_range(range, 3, &mut piece).is_err());
        store.read_part(data, 1, &mut piece).unwrap();
        assert_eq!(piece, [3, 4]);
        let inline = ConstData::Inline(Arc::from([7_u8, 8, 9].as_slice()));
        store.read_part(&inline, 1, &mut piece).unwrap();
        assert_eq!(piece, [8, 9]);
        for skip in [2, 4, u64::MAX] {
            assert!(store.read_part(&inline, skip, &mut piece).unwrap_err().to_string().contains("3 bytes"));
        }
        assert!(store.read(data, &mut [0; 3]).unwrap_err().to_string().contains("4 bytes"));
        store.read(&ConstData::Inline(Arc::from([9_u8].as_slice())), &mut piece[..1]).unwrap();
        assert_eq!(piece[0], 9);
    }

    #[test]
    fn errors_say_what_to_do() {
        let check = |graph: &Graph, remove: Option<&str>, expected: &[&str]| {
            let folder = folder();
            if let Some(file) = remove {
                std::fs::remove_file(folder.path().join(file)).unwrap();
            }
            let e = Store::open(folder.path().join("model.onnx"), graph).unwrap_err().to_string();
            assert!(expected.iter().all(|text| e.contains(text)), "{e}");
        };
        check(&graph(2, 7, 1), None, &["w.bin", "8 bytes", "`weight` ends at byte 9", "download"]);
        check(&graph(u64::MAX, 2, 1), None, &["`weight`", "beyond any file"]);
        check(&graph(0, 2, 2), None, &["does not name"]);
        check(&graph(0, 2, 1), Some("data/w.bin"), &["w.bin", "`weight`", "beside the model"]);
        check(&graph(0, 2, 1), Some("model.onnx"), &["model.onnx", "cannot open the model"]);
    }

    #[test]
    fn folders_and_pipes_are_no_files() {
        let folder = folder();
        assert!(FileSource::open(folder.path()).unwrap_err().to_string().contains("folder"));
        assert!(FileSource::open("/dev/null").unwrap_err().to_string().contains("no regular file"));
        let file = FileSource::open(folder.path().join("model.onnx")).unwrap();
        assert!(file.read_at(4, &mut [0; 2]).unwrap_err().to_string().contains("ends at byte 5"));
        assert!(file.read_at(u64::MAX, &mut [0; 2]).is_err());
    }
}
