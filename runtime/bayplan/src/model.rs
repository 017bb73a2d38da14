//! A model file, imported.

use std::collections::BTreeMap;
use std::path::Path;

use bayplan_compile::session::ValueKey;
use bayplan_compile::{Dims, Family, Options, Program, dims_of};
use bayplan_engine::SessionOptions;
use bayplan_expr::Bindings;
use bayplan_graph::{ByteRange, ConstData, Graph, Tensor};
use bayplan_onnx::{ImportOptions, ValueInput, value_inputs};
use bayplan_shaders::Target;
use bayplan_weights::{Bound, FileSource, Store};

use crate::device::Device;
use crate::error::Error;
use crate::replan::Replan;
use crate::session::Session;
use crate::weights::{Origin, Weights, store};

/// A model: its graph with inferred types, and access to its weights. Weights are read when a session is built, and
/// before that only to find those that the model holds twice.
///
/// Where elements of integer inputs decide shapes (the shape of a Reshape, axes, sizes), the graph is specialised on those of
/// one run ([`Model::open_for`]).
pub struct Model {
    graph: Graph,
    weights: Store,
    bound: Option<Bound>,
    origin: Origin,
}

impl Model {
    /// Imports an ONNX file and infers the types of all its values.
    ///
    /// # Errors
    /// The file or one it refers to cannot be read or is too short, is no ONNX model, uses operators that bayplan does not
    /// know (all of them named), its shapes do not fit together, or elements of its inputs decide them ([`Error::Values`]:
    /// open it with [`Model::open_for`]).
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        Self::open_for(path, &[])
    }

    /// The same with the inputs of a run at hand, all or some: where elements of inputs decide shapes, the graph is right for
    /// these elements alone ([`Graph::specialised`]). Floats never decide anything.
    ///
    /// # Errors
    /// As [`Model::open`]; [`Error::Values`] where an input that decides shapes is not among those given.
    pub fn open_for(path: impl AsRef<Path>, inputs: &[(&str, &Tensor)]) -> Result<Self, Error> {
        Self::open_with(path, inputs, None)
    }

    /// The same with weights of another file in the place of the model's own, by name: a model whose external data is not there
    /// runs so, too. What converts them (from blocks, to another type) is part of the graph.
    ///
    /// # Errors
    /// As [`Model::open_for`]; [`WeightsError::Unfit`](bayplan_weights::WeightsError::Unfit) in [`Error::Weights`]: weights
    /// of the model without a tensor, tensors without a weight, and those of the wrong shape or type, all of them named.
    pub fn open_with(
        path: impl AsRef<Path>,
        inputs: &[(&str, &Tensor)],
        weights: Option<&Weights>,
    ) -> Result<Self, Error> {
        let path = path.as_ref();
        let mut graph = Self::import_for(path, inputs)?;
        let bound = weights.map(|weights| weights.bind(&mut graph)).transpose()?;
        let store = store(path, &graph, weights)?;
        graph.share(&store.duplicates(&graph));
        let origin = Origin { path: path.to_owned(), weights: weights.cloned() };
        Ok(Self { graph, weights: store, bound, origin })
    }

    /// The graph of an ONNX file with inferred types, for planning: the files of its weights are not opened, so weights
    /// that it holds twice count twice.
    ///
    /// # Errors
    /// As [`Model::open`], but for what is wrong with the weights.
    pub fn import(path: impl AsRef<Path>) -> Result<Graph, Error> {
        Self::import_for(path, &[])
    }

    /// The same with the inputs of a run at hand.
    ///
    /// # Errors
    /// As [`Model::open_for`], but for what is wrong with the weights.
    pub fn import_for(path: impl AsRef<Path>, inputs: &[(&str, &Tensor)]) -> Result<Graph, Error> {
        let path = path.as_ref();
        let source = FileSource::open(path)?;
        let error = match imported(path, &source, BTreeMap::new()) {
            Ok(graph) => return Ok(graph),
            Err(error) => error,
        };
        let Ok(asked) = value_inputs(&source) else { return Err(error) };
        let given = |input: &ValueInput| inputs.iter().find(|(name, _)| *name == input.name);
        if asked.is_empty() {
            return Err(error);
        }
        let missing: Vec<ValueInput> = asked.iter().filter(|input| given(input).is_none()).cloned().collect();
        if !missing.is_empty() {
            return Err(Error::Values { inputs: missing, error: Box::new(error) });
        }
        let values = asked.iter().filter_map(given).map(|&(name, tensor)| (name.to_owned(), tensor.clone()));
        imported(path, &source, values.collect())
    }

    /// Reads a constant of the model, as compilers ask for small ones.
    ///
    /// # Errors
    /// Says why it cannot be read.
    pub fn read(&self, range: &ByteRange) -> Result<Vec<u8>, String> {
        let mut bytes = vec![0; usize::try_from(range.len).map_err(|e| e.to_string())?];
        self.weights.read(&ConstData::Range(*range), &mut bytes).map_err(|e| e.to_string())?;
        Ok(bytes)
    }

    /// The graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Where its weights are read from.
    pub fn weights(&self) -> &Store {
        &self.weights
    }

    /// What was bound to weights of another file, where it was opened with one.
    pub fn bound(&self) -> Option<&Bound> {
        self.bound.as_ref()
    }

    /// Every symbolic dimension of one run, by its inputs.
    ///
    /// # Errors
    /// [`Error::Input`]: an input is missing, unknown, given twice, of another type or rank, or does not fit the others; a
    /// dimension that no input determines.
    pub fn dims_for(&self, inputs: &[(&str, &Tensor)]) -> Result<Bindings, Error> {
        Ok(dims_of(&self.graph, inputs)?)
    }

    /// Compiles it for a target, with every symbolic dimension bound.
    ///
    /// # Errors
    /// Symbols without a value (all of them named), or operators that cannot run on the target.
    pub fn compile(&self, dims: &Bindings, target: &Target, options: Options) -> Result<Program, Error> {
        let read = |range: &ByteRange| self.read(range);
        Ok(bayplan_compile::compile(&self.graph, dims, target, options, &read)?)
    }

    /// Compiles it for a target, for every shape within `dims`: symbols that are pinned to a value, and bounds of the
    /// others, which runs determine from the shapes of their inputs.
    ///
    /// # Errors
    /// As [`Family::new`].
    pub fn family(&self, dims: &Dims, target: &Target, options: &Options) -> Result<Family, Error> {
        let read = |range: &ByteRange| self.read(range);
        Ok(Family::new(&self.graph, dims, target, options, &read)?)
    }

    /// Compiles it for a device and builds a session on it. `dims` are [`Bindings`] of all symbols for one shape, or
    /// [`Dims`] with bounds for all shapes within them.
    ///
    /// Where elements of inputs decide shapes, a run with other elements than the model was opened for is planned for those,
    /// on memory of its own; the last few plans are kept. One recording tells of all of them.
    ///
    /// # Errors
    /// As [`Model::family`] and [`Session::new`].
    pub fn session(
        &self,
        device: &Device,
        dims: impl Into<Dims>,
        options: SessionOptions,
    ) -> Result<Session, Error> {
        let dims = dims.into();
        let family = self.family(&dims, device.target(), &Options::default())?;
        let session = Session::new(device, family, &self.weights, options.clone())?;
        Ok(match ValueKey::of(&self.graph) {
            None => session,
            Some(key) => session.replanned(key, Replan { origin: self.origin.clone(), dims, options }),
        })
    }
}

/// The graph of a file, for these elements of its inputs.
pub(crate) fn imported(
    path: &Path,
    source: &FileSource,
    values: BTreeMap<String, Tensor>,
) -> Result<Graph, Error> {
    let options = ImportOptions { values, ..ImportOptions::default() };
    let mut graph = bayplan_onnx::import(source, &options)?;
    // Exporters call every graph `main_graph` or the like; people know the file.
    if let Some(stem) = path.file_stem() {
        graph.name = stem.to_string_lossy().into();
    }
    graph.infer()?;
    bayplan_graph::verify(&graph)?;
    Ok(graph)
}
