//! A model file, imported.

use std::path::Path;

use bayplan_compile::{Dims, Family, Options, Program};
use bayplan_engine::SessionOptions;
use bayplan_expr::Bindings;
use bayplan_graph::{ByteRange, ConstData, Graph};
use bayplan_shaders::Target;
use bayplan_weights::{FileSource, Store};

use crate::device::Device;
use crate::error::Error;
use crate::session::Session;

/// A model: its graph with inferred types, and access to its weights. Weights are read when a session is built, and
/// before that only to find those that the model holds twice.
pub struct Model {
    graph: Graph,
    weights: Store,
}

impl Model {
    /// Imports an ONNX file and infers the types of all its values.
    ///
    /// # Errors
    /// The file or one it refers to cannot be read or is too short, is no ONNX model, uses operators that bayplan does not
    /// know (all of them named), or its shapes do not fit together.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let mut graph = Self::import(path)?;
        let weights = Store::open(path, &graph)?;
        graph.share(&weights.duplicates(&graph));
        Ok(Self { graph, weights })
    }

    /// The graph of an ONNX file with inferred types, for planning: the files of its weights are not opened, so weights
    /// that it holds twice count twice.
    ///
    /// # Errors
    /// As [`Model::open`], but for what is wrong with the weights.
    pub fn import(path: impl AsRef<Path>) -> Result<Graph, Error> {
        let path = path.as_ref();
        let source = FileSource::open(path)?;
        let mut graph = bayplan_onnx::import(&source, &bayplan_onnx::ImportOptions::default())?;
        // Exporters call every graph `main_graph` or the like; people know the file.
        if let Some(stem) = path.file_stem() {
            graph.name = stem.to_string_lossy().into();
        }
        graph.infer()?;
        bayplan_graph::verify(&graph)?;
        Ok(graph)
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
    /// # Errors
    /// As [`Model::family`] and [`Session::new`].
    pub fn session(
        &self,
        device: &Device,
        dims: impl Into<Dims>,
        options: SessionOptions,
    ) -> Result<Session, Error> {
        let family = self.family(&dims.into(), device.target(), &Options::default())?;
        Session::new(device, family, &self.weights, options)
    }
}
