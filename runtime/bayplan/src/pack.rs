//! A model with its weights in one file, ready to be read in the order in which they are used.
//!
//! ```text
//!  model.onnx ─┬─ import, bind ─► graph ─► family: order of first use, plan ──┐
//!              └─ Outline: the tensors, and all between them ─► Parts ─► Layout ─┬─► out.bay.onnx.data   streamed, hashed
//!                                                                                └─► out.bay.onnx        with digests and plan
//! ```

mod brought;
mod layout;
mod parts;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use bayplan_compile::plan_file::{PlanFile, digest};
use bayplan_compile::{Dims, Family, Options};
use bayplan_engine::upload_order;
use bayplan_graph::{ByteRange, ByteSource, ConstData, FileRef, Graph, ValueSource};
use bayplan_onnx::write::{Outline, PLAN_KEY, Rewrite};
use bayplan_shaders::Target;
use bayplan_weights::{Copier, CopyError, FileSource, Store, WeightsError};

pub use self::brought::{Brought, Judged, packed_plan};
use self::layout::Layout;
use self::parts::Parts;
use crate::error::Error;
use crate::model::{Model, imported};
use crate::weights::{Weights, store};

/// Why a model was not packed.
#[derive(Debug)]
pub enum PackError {
    /// Whoever watched said to stop.
    Stopped,
    /// A file cannot be written.
    Write(io::Error),
    /// The name of the file of weights is no text that a model could hold.
    Name,
    /// A weight of another file is for an initializer of this name, of which the model has several.
    Several(String),
}

impl core::fmt::Display for PackError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Stopped => f.write_str("stopped before the model was packed; nothing was written"),
            Self::Write(e) => write!(f, "the packed model cannot be written: {e}; nothing was written"),
            Self::Name => f.write_str(
                "the model names its file of weights, so the name must be text in UTF-8; choose another name",
            ),
            Self::Several(name) => write!(
                f,
                "other weights are for the initializer `{}`, but the bodies of the model have several of its name, so that it \
                 cannot be packed with them; give each a name of its own",
                bayplan_text::escape(name)
            ),
        }
    }
}

impl std::error::Error for PackError {}

fn unwritten(e: io::Error) -> Error {
    Error::Pack(PackError::Write(e))
}

/// Packs a model: writes it anew with its weights in a file beside it, each at a multiple of 4 KiB (small ones of 64 bytes), in the
/// order in which runs first use them, and with the digest of each. Any reader of ONNX reads the result. Weights are never held:
/// they pass in pieces.
#[derive(Debug)]
pub struct Packer {
    source: FileSource,
    outline: Outline,
    /// The model's graph; none where elements of its inputs decide it.
    graph: Option<Graph>,
    graph_store: Option<Store>,
    parts: Parts,
    /// The parts in the order in which runs first use them, and those that none uses.
    order: Vec<usize>,
    plan: Option<PlanFile>,
}

/// Where a packed model goes.
#[derive(Clone, Copy, Debug)]
pub struct PackedFiles<'a> {
    /// The model as it will be called.
    pub name: &'a Path,
    /// Its file of weights as it will be called, in the same folder.
    pub data_name: &'a Path,
    /// The file that the model is written to.
    pub model: &'a Path,
    /// The file that the weights are written to.
    pub data: &'a Path,
}

/// What was packed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Packed {
    /// Weights in the file beside the model.
    pub weights: usize,
    /// Those that another one has the bytes of, as they are or transposed.
    pub shared: usize,
    /// Bytes of that file.
    pub data_bytes: u64,
    /// Bytes of the model.
    pub model_bytes: u64,
}

impl Packer {
    /// Opens a model, and the files of its weights, or of those that take their place.
    ///
    /// # Errors
    /// As [`Model::open_with`]; where elements of inputs decide the model's shapes only with `weights`.
    pub fn open(path: impl AsRef<Path>, weights: Option<&Weights>) -> Result<Self, Error> {
        let path = path.as_ref();
        let mut graph = match Model::import(path) {
            Ok(graph) => Some(graph),
            Err(Error::Values { .. }) if weights.is_none() => None,
            Err(e) => return Err(e),
        };
        let mut taken = Vec::new();
        if let (Some(weights), Some(graph)) = (weights, &mut graph) {
            taken = weights.bind(graph)?.taken;
        }
        let source = FileSource::open(path)?;
        let outline = Outline::read(&source)?;
        let bound = graph.as_ref().filter(|_| weights.is_some()).map(|graph| (graph, &*taken));
        let parts = Parts::new(path, &outline, bound, weights)?;
        let graph_store = graph.as_ref().map(|graph| store(path, graph, weights)).transpose()?;
        let mut packer = Self { source, outline, graph, graph_store, parts, order: Vec::new(), plan: None };
        packer.order = match &packer.graph {
            None => (0..packer.parts.list.len()).collect(),
            Some(graph) => packer.parts.in_order(&graph.files, read_by_nodes(graph)),
        };
        Ok(packer)
    }

    /// The model's graph, with other weights bound; none where elements of its inputs decide it.
    pub fn graph(&self) -> Option<&Graph> {
        self.graph.as_ref()
    }

    /// Plans the model: its weights are packed in the order in which a session uploads them, and with the plan.
    ///
    /// # Errors
    /// As [`Family::new`].
    pub fn plan(&mut self, dims: &Dims, target: &Target, options: &Options) -> Result<(), Error> {
        let (Some(graph), Some(store)) = (&self.graph, &self.graph_store) else { return Ok(()) };
        let mut graph = graph.clone();
        graph.share(&store.duplicates(&graph));
        let read = |range: &ByteRange| {
            let mut bytes = vec![0; usize::try_from(range.len).map_err(|e| e.to_string())?];
            store.read(&ConstData::Range(*range), &mut bytes).map_err(|e| e.to_string())?;
            Ok(bytes)
        };
        let family = Family::new(&graph, dims, target, options, &read)?;
        let uploads: Vec<ByteRange> =
            upload_order(family.first()).iter().filter_map(|upload| range(&upload.data)).collect();
        self.order = self.parts.in_order(&graph.files, uploads.into_iter().chain(read_by_nodes(&graph)));
        let mut plan = PlanFile::of(&family, &graph)?;
        if plan.functions.is_empty() && family.functions().len() == 1 {
            plan.functions.extend(brought::of_one_shape(family.first()));
        }
        self.plan = Some(plan);
        Ok(())
    }

    /// The files that it is made from.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        self.parts.store.paths().chain([self.source.path()])
    }

    /// Bytes of weights that are written.
    pub fn bytes(&self) -> u64 {
        Layout::new(&self.parts, &self.outline, &self.order).end()
    }

    /// Writes both files, the weights first. `watch` is told the bytes written so far, and says whether to go on.
    ///
    /// # Errors
    /// [`Error::Weights`]: weights cannot be read, or are damaged; [`Error::Pack`]: the files cannot be written, or `watch`
    /// said to stop.
    pub fn write(
        &mut self,
        to: PackedFiles<'_>,
        watch: &mut dyn FnMut(u64) -> bool,
    ) -> Result<Packed, Error> {
        let location = to.data_name.file_name().and_then(|name| name.to_str());
        let location = location.ok_or(Error::Pack(PackError::Name))?;
        let mut layout = Layout::new(&self.parts, &self.outline, &self.order);
        let file = File::create(to.data).map_err(unwritten)?;
        let mut out = Watched { file, written: 0, synced: 0, watch, stopped: false };
        if let Err(e) = copy(&self.parts, &mut layout, &mut out) {
            return Err(if out.stopped { Error::Pack(PackError::Stopped) } else { e });
        }
        // Digests of bytes that changed while they were read would vouch for a mixture.
        self.parts.store.check_unchanged()?;
        out.file.sync_data().map_err(unwritten)?;
        let mut rewrite = layout.rewrite(&self.parts, &self.outline, location);
        self.write_model(&rewrite, to.model).map_err(unwritten)?;
        if let Some(plan) = &self.plan {
            let mut plan = plan.clone();
            let graph = packed_graph(to)?;
            (plan.model, plan.digest) = (graph.name.to_string(), digest(&graph));
            rewrite.metadata.push((PLAN_KEY.to_owned(), plan.to_json()));
            self.write_model(&rewrite, to.model).map_err(unwritten)?;
        }
        Ok(Packed {
            weights: self.parts.list.len(),
            shared: layout.shared(),
            data_bytes: layout.end(),
            model_bytes: std::fs::metadata(to.model).map_err(unwritten)?.len(),
        })
    }

    fn write_model(&self, rewrite: &Rewrite, path: &Path) -> io::Result<()> {
        let mut out = BufWriter::new(File::create(path)?);
        self.outline.write(&self.source, rewrite, &mut out)?;
        out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_data()
    }
}

/// The graph of a packed model whose files have not got their names yet, as [`Model::open`] will give it.
fn packed_graph(to: PackedFiles<'_>) -> Result<Graph, Error> {
    let source = FileSource::open(to.model)?;
    let mut graph = imported(to.name, &source, Default::default())?;
    let files = graph.files.iter().map(|file| {
        let path = if *file == FileRef::Model { to.model } else { to.data };
        let source: std::sync::Arc<dyn ByteSource> = std::sync::Arc::new(FileSource::open(path)?);
        Ok((path.to_owned(), source))
    });
    let store = Store::from_sources(files.collect::<Result<_, WeightsError>>()?, &graph)?;
    graph.share(&store.duplicates(&graph));
    Ok(graph)
}

/// Where a constant lies.
fn range(data: &ConstData) -> Option<ByteRange> {
    match data {
        ConstData::Range(range) => Some(*range),
        ConstData::Inline(_) => None,
    }
}

/// The ranges of constants in the order in which nodes read them.
fn read_by_nodes(graph: &Graph) -> impl Iterator<Item = ByteRange> {
    let constant = |id: &bayplan_graph::ValueId| match &graph.value(*id).source {
        ValueSource::Constant(data) => range(data),
        _ => None,
    };
    graph.nodes.iter().flat_map(|node| &node.inputs).filter_map(constant)
}

/// Bytes between two waits for the disk: what is not on it yet is in memory.
const SYNC: u64 = 128 << 20;

/// A file that is watched while it grows.
struct Watched<'a> {
    file: File,
    written: u64,
    synced: u64,
    watch: &'a mut dyn FnMut(u64) -> bool,
    stopped: bool,
}

impl Write for Watched<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !(self.watch)(self.written) {
            self.stopped = true;
            return Err(io::Error::other("stopped"));
        }
        let count = self.file.write(bytes)?;
        self.written += count as u64;
        if self.written - self.synced >= SYNC {
            self.file.sync_data()?;
            self.synced = self.written;
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Writes the weights, and notes their digests.
fn copy(parts: &Parts, layout: &mut Layout, out: &mut Watched<'_>) -> Result<(), Error> {
    let mut copier = Copier::new(&parts.store);
    for index in layout.written.clone() {
        let part = &parts.list[index];
        // Files are as long as the offsets say, whoever reads them where a hole is.
        let gap = layout.offset(index) - out.written;
        out.write_all(&vec![0; gap as usize]).map_err(unwritten)?;
        let digest = copier.copy(&part.data, part.blocks, out).map_err(|e| match e {
            CopyError::Read(e) => Error::from(e),
            CopyError::Write(e) => unwritten(e),
        })?;
        layout.set_digest(index, digest);
    }
    (out.watch)(out.written);
    Ok(())
}
